"""The one-shot estimate: a critic a fold, its values on the rows it has not seen, and their average as one dual function."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _random
from .._blas import one_blas_thread
from .._critic import convolution
from .._critic.network import Network, initial_weights, layers
from .._threads import Note, run_jobs
from ..duals.conv import ConvDual
from ..duals.mlp import MLPDual
from .calibration import Calibration, UnsupportedEstimateWarning, best_scale, calibrate, why_unsupported
from .training import Critic, SinglePlan, negatives, train_critic, values

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_VALIDATION_SHARE = 0.15
_HIDDEN = (64, 64)
_NEGATIVES = 32_768
_NEGATIVE_VALUES = 1 << 24


@dataclass(frozen=True)
class SingleFit:
    """What `fit_single` learned.

    held_out : (n,) calibrated f of every row, from the fold that did not see it, nats. Rows that are in no fold's test part have
        the value of `dual`.
    trained : calibrated f of rows on the folds that were trained on them, all folds in a row.
    dual : the folds' critics averaged, on normal scores: MLPDual or ConvDual.
    calibrations : one a fold.
    """

    held_out: Floats
    trained: Floats
    dual: MLPDual | ConvDual
    calibrations: list[Calibration]


@one_blas_thread()
def fit_single(
    z: Floats,
    parts: list[tuple[Rows, Rows]],
    *,
    critic: str = "mlp",
    loss: str = "dv",
    feature_shape: tuple[int, ...],
    seed: int,
    n_threads: int = 1,
    report: Callable[[float], None] | None = None,
    plan: SinglePlan | None = None,
    stacklevel: int = 5,
) -> SingleFit:
    """Fit one critic a fold to normal scores `z` (n, d); `parts` are the folds' (other, test) rows.

    Values are f - log mean exp f_q with f_q on up to 32768 shuffled rows, whatever the loss: their mean is a Donsker-Varadhan
    bound. (The max form's own value, mean f_p - max f_q + log n_q, is log n_q where nothing depends at all.) Before that, f is
    scaled by the factor in [0, 1.2] that is best on the validation rows, 15 % of a fold's others, and then down to what the
    shuffled rows support.

    `report(share)` is called from the calling thread and may raise to stop the work. Gives `UnsupportedEstimateWarning` where
    f had to be scaled down so (`plan.shrink`), or should have been; `stacklevel` 5 is the caller of `DualDivergence.fit`. Same inputs, same bits, for any `n_threads`.
    """
    plan = plan or _plan(critic, loss)
    shape = convolution.ConvShape.of(feature_shape)
    scores = np.ascontiguousarray(z, np.float32)
    marginal = negatives(scores, min(_NEGATIVES, max(2048, _NEGATIVE_VALUES // z.shape[1])), _stream(seed, "calibration"))

    def work(k: int, note: Note) -> tuple[Critic, Floats, Floats, Calibration]:
        rest, test = parts[k]
        held = max(2, round(_VALIDATION_SHARE * len(rest)))
        network = _new_critic(critic, z.shape[1], shape, _random.generator(seed, "single", k, "weights"))
        train, validation = scores[rest[held:]], scores[rest[:held]]
        train_critic(network, train, validation, loss, seed=seed, path=("single", k), plan=plan, report=note)
        apart = negatives(scores[rest], plan.validation_negatives, _stream(seed, "scale", k))
        on_validation = values(network, validation)
        scale, _ = best_scale(on_validation, values(network, apart))
        calibration = calibrate(scale, on_validation, values(network, marginal), shrink=plan.shrink)
        last = _last_layer(network)
        last *= calibration.scale
        last[-1] -= calibration.constant
        return network, values(network, scores[test]), values(network, train), calibration

    results = run_jobs(work, len(parts), n_threads, report)
    dual = _average([result[0] for result in results], shape)
    held_out, tested = np.empty(len(z)), np.zeros(len(z), dtype=bool)
    for (_, test), (_, found, _, _) in zip(parts, results, strict=True):
        held_out[test], tested[test] = found, True
    if not tested.all():
        held_out[~tested] = dual.value(scores[~tested])
    calibrations = [result[3] for result in results]
    text = why_unsupported(float(held_out[tested].mean()), calibrations)
    if text is not None:
        warnings.warn(text, UnsupportedEstimateWarning, stacklevel=stacklevel)
    return SingleFit(held_out, np.concatenate([result[2] for result in results]), dual, calibrations)


def _plan(critic: str, loss: str) -> SinglePlan:
    if critic == "conv":
        return SinglePlan(n_steps=800, n_rows=64, n_negatives=1 if loss == "max" else 4)
    return SinglePlan(n_negatives=1 if loss == "max" else 8)


def _stream(seed: int, *path: int | str) -> int:
    return int(_random.generator(seed, "single", *path).integers(0, 2**63))


def _new_critic(kind: str, d: int, shape: convolution.ConvShape, rng: np.random.Generator) -> Critic:
    if kind == "conv":
        return convolution.ConvNetwork(shape, convolution.initial_weights(rng, shape))
    widths = (d, *_HIDDEN, 1)
    return Network(widths, initial_weights(rng, widths))


def _last_layer(critic: Critic) -> NDArray:
    """The weights of the last layer, its bias last: the end of the flat array."""
    if isinstance(critic, convolution.ConvNetwork):
        return critic.weights[-critic.shape.matrices[-1][1] :]
    return critic.weights[-(_HIDDEN[-1] + 1) :]


def _average(critics: list[Critic], shape: convolution.ConvShape) -> MLPDual | ConvDual:
    """The mean of the folds' critics. Perceptrons side by side are one perceptron, so that the compiled walk can run it."""
    if isinstance(critics[0], convolution.ConvNetwork):
        return ConvDual(shape, [critic.weights for critic in critics])
    widths = critics[0].widths if isinstance(critics[0], Network) else ()
    matrices = [layers(critic.weights, widths) for critic in critics]
    weights, biases = [], []
    for number in range(len(widths) - 1):
        of_layer = [own[number] for own in matrices]
        biases.append(np.concatenate([matrix[:, -1] for matrix in of_layer]))
        weights.append(np.concatenate([matrix[:, :-1] for matrix in of_layer]) if number == 0 else _diagonal(of_layer))
    weights[-1] = weights[-1].sum(axis=0, keepdims=True) / len(critics)
    biases[-1] = biases[-1].mean(keepdims=True)
    return MLPDual(weights, biases)


def _diagonal(blocks: list[NDArray]) -> NDArray:
    """Matrices (their last column, the bias, left out) along the diagonal of one."""
    rows, columns = blocks[0].shape[0], blocks[0].shape[1] - 1
    whole = np.zeros((len(blocks) * rows, len(blocks) * columns))
    for k, block in enumerate(blocks):
        whole[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = block[:, :-1]
    return whole
