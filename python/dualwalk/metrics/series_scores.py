"""The literature's two scores of generated series: the discriminative and the predictive score of TimeGAN (PyTorch)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._blas import one_blas_thread
from .._random import generator
from ._rows import Float, balance, read, thin
from .judging import SURE, JudgeWarning, coin_p_value, shuffled_columns
from .networks import HIDDEN, LAYERS, NextStep, SeriesClassifier, as_series

SHARE_OF_TRAINING = 0.8


@dataclass(frozen=True)
class SeriesScore:
    """A score of the literature; `float(result)` is its value.

    Attributes
    ----------
    value : mean over repeats; smaller is better.
    spread : standard deviation over repeats.
    reference : discriminative: the score of real rows whose columns were shuffled, which a good judge tells apart.
        predictive: the error after training on real rows. nan where no self-check was asked for.
    trusted : discriminative: whether the judge told those shuffled rows (binomial p-value below .01). predictive: whether
        training on real rows predicts better than the median does, by three standard errors.
    """

    value: float
    spread: float
    reference: float
    trusted: bool

    def __float__(self) -> float:
        return self.value


@one_blas_thread()
def discriminative_score(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    hidden: int = HIDDEN,
    n_layers: int = LAYERS,
    n_repeats: int = 3,
    n_max: int = 2000,
    self_check: bool = True,
    random_state: int = 0,
) -> SeriesScore:
    """|accuracy - 1/2| of a recurrent network that tells generated series from real ones: 0 is perfect, .5 the worst.

    Trained on 80 % of both sides, judged on the other 20 %; the mean over several splits.

    Parameters
    ----------
    real, generated : arrays (n, n_channels, n_times), or (n, n_times) of single series, finite, any real dtype, at least ten
        rows each; not changed. The sides are made equal: a seeded part of the larger one.
    hidden, n_layers : size of the network. TimeGAN's code has one layer of n_channels // 2 units.
    n_repeats : splits and networks.
    n_max : of more rows on a side, as many are drawn.
    self_check : let the judge show that it tells real rows from the same rows with every column shuffled.
    random_state : int; the same arguments give the same result on one machine.

    Returns
    -------
    SeriesScore with `.value`, `.spread` and `.trusted`.

    Notes
    -----
    TimeGAN's code takes 2000 steps on 128 rows of either side whatever happens and decides by the last state. Here the network
    is larger, stops early on a fifth of the training rows, and decides by the mean of its states: a harder judge, so that our
    values are rather above than below published ones. Series of more than 48 times are read in pieces. Luck alone gives about
    .4 / sqrt(rows judged), .03 for 500 rows on a side.

    Warns `JudgeWarning` where the judge cannot tell noise from data. Raises TypeError or ValueError for arguments that cannot
    be used, before any work; ImportError where PyTorch is missing.

    Source: Yoon, Jarrett and van der Schaar 2019 (NeurIPS).

    Examples
    --------
    (With PyTorch.)

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((200, 2, 12)).cumsum(axis=2)
    >>> bool(discriminative_score(x[:100], x[100:], n_repeats=1, self_check=False).value < 0.2)
    True
    """
    size = _checks.count(hidden, "hidden", minimum=1), _checks.count(n_layers, "n_layers", minimum=1)
    n_repeats = _checks.count(n_repeats, "n_repeats", minimum=1)
    n_max = _checks.count(n_max, "n_max", minimum=10)
    seed = _checks.seed(random_state, "random_state")
    self_check = _checks.flag(self_check, "self_check")
    (a, b), shape = read({"real": real, "generated": generated}, min_samples=10)
    a, b = balance(thin(a, n_max, seed, "real"), thin(b, n_max, seed, "generated"), seed)
    right = []
    for k in range(n_repeats):
        make = partial(SeriesClassifier, "gru", shape, seed + k, *size)
        fit, held = _split(len(a), seed, k)
        right.append(_right(make, a, b, fit, held))
    scores = [abs(float(each.mean()) - 0.5) for each in right]
    reference, trusted = math.nan, False
    if self_check:
        fit, held = _split(len(a), seed, 0)
        part = np.zeros(len(a), dtype=np.intp)
        part[held] = 1  # rows are shuffled within their part, so that no value is seen on both sides of the split
        told = _right(partial(SeriesClassifier, "gru", shape, seed, *size), a, shuffled_columns(a, seed, part), fit, held)
        reference = abs(float(told.mean()) - 0.5)
        trusted = coin_p_value(int(told.sum()), len(told)) < SURE
        if not trusted:
            warnings.warn(
                f"the recurrent judge tells only {float(told.mean()):.2f} of {len(told)} rows from real rows with every column "
                "shuffled, so its score of generated rows means little (give it more rows, or take "
                "classifier_two_sample with another judge)",
                JudgeWarning,
                stacklevel=3,
            )
    return SeriesScore(float(np.mean(scores)), float(np.std(scores)), reference, trusted)


def _split(n: int, seed: int, k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = generator(seed, "metrics", "split", k).permutation(n)
    middle = round(SHARE_OF_TRAINING * n)
    return order[:middle], order[middle:]


def _right(
    make: Callable[[], SeriesClassifier], a: Float, b: Float, fit: NDArray[np.intp], held: NDArray[np.intp]
) -> NDArray[np.bool_]:
    sides = np.repeat(np.array([0, 1], dtype=np.intp), [len(fit), len(fit)])
    judge = make().fit(np.concatenate([a[fit], b[fit]]), sides)
    return np.concatenate([judge.predict(a[held]) == 0, judge.predict(b[held]) == 1])


@one_blas_thread()
def predictive_score(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    train: ArrayLike | None = None,
    channel: int | None = -1,
    hidden: int = HIDDEN,
    n_layers: int = LAYERS,
    n_repeats: int = 3,
    n_max: int = 2000,
    self_check: bool = True,
    random_state: int = 0,
) -> SeriesScore:
    """The mean absolute error, on real series, of a next-step prediction learned from generated series.

        mean |x[channel, t + 1] - network(other channels at 1 .. t)|,   every channel scaled to [0, 1] over the real rows

    Parameters
    ----------
    real, generated : arrays (n, n_channels, n_times), or (n, n_times) of single series, finite, any real dtype, at least ten
        rows each and two times; not changed.
    train : real rows to train on for `.reference`; None: half of `real`, tested on the other half.
    channel : the one that is predicted, from the others: TimeGAN's code takes the last. None: all channels from all.
        A single channel is predicted from itself.
    hidden, n_layers, n_repeats, n_max, random_state : as in `discriminative_score`.
    self_check : train on real rows as well, for `.reference` and `.trusted`.

    Returns
    -------
    SeriesScore with `.value`, `.spread`, `.reference` (what real training rows get: the best to hope for) and `.trusted`.

    Warns `JudgeWarning` where even real training rows predict no better than the median. Raises TypeError or ValueError for
    arguments that cannot be used, before any work; ImportError where PyTorch is missing.

    Source: Yoon, Jarrett and van der Schaar 2019 (NeurIPS). Early stopping on a fifth of the training rows, and a linear output
    where their code has a sigmoid, are ours.

    Examples
    --------
    (With PyTorch.)

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((200, 2, 12)).cumsum(axis=2)
    >>> found = predictive_score(x[:100], x[100:], channel=None, n_repeats=1)
    >>> bool(abs(found.value - found.reference) < 0.02)
    True
    """
    size = _checks.count(hidden, "hidden", minimum=1), _checks.count(n_layers, "n_layers", minimum=1)
    n_repeats = _checks.count(n_repeats, "n_repeats", minimum=1)
    n_max = _checks.count(n_max, "n_max", minimum=10)
    seed = _checks.seed(random_state, "random_state")
    self_check = _checks.flag(self_check, "self_check")
    arrays = {"real": real, "generated": generated} | ({} if train is None else {"train": train})
    rows, shape = read(arrays, min_samples=10)
    if shape[-1] < 2:
        raise ValueError(f"real must have at least two times; got shape {np.shape(real)} (time is the last axis)")
    n_channels = 1 if len(shape) == 1 else shape[0]
    channel = None if channel is None else _checks.count(channel, "channel", minimum=-n_channels)
    if channel is not None and channel >= n_channels:
        raise ValueError(f"channel must be one of the {n_channels} channels, or None; got {channel} (count from 0, or -1 back)")
    series = [as_series(thin(each, n_max, seed, name), shape) for name, each in zip(arrays, rows, strict=True)]
    low, high = series[0].min(axis=(0, 2), keepdims=True), series[0].max(axis=(0, 2), keepdims=True)
    pairs = [_past_and_next((x - low) / np.where(high > low, high - low, 1.0), channel) for x in series]
    test, made = pairs[0], pairs[1]
    scores = [float(NextStep(seed + k, *size).fit(*made).errors(*test).mean()) for k in range(n_repeats)]
    reference, trusted = math.nan, False
    if self_check:
        half = np.arange(len(test[0])) % 2 == 0
        known, seen = (pairs[2], test) if train is not None else ([x[half] for x in test], tuple(x[~half] for x in test))
        errors = NextStep(seed, *size).fit(*known).errors(*seen)
        plain = np.abs(seen[1] - np.median(known[1], axis=(0, 1))).mean(axis=(1, 2))
        gain = plain - errors
        reference = float(errors.mean())
        trusted = bool(gain.mean() > 3 * gain.std() / math.sqrt(len(gain)))
        if not trusted:
            warnings.warn(
                f"trained on real rows, the network's error is {reference:.4f} where the median's is {float(plain.mean()):.4f}: "
                "there is nothing here to predict, or too few rows to learn it (name another channel, or give more rows)",
                JudgeWarning,
                stacklevel=3,
            )
    return SeriesScore(float(np.mean(scores)), float(np.std(scores)), reference, trusted)


def _past_and_next(series: Float, channel: int | None) -> tuple[Float, Float]:
    """(n, n_times - 1, n_inputs) and the targets one step later, (n, n_times - 1, n_targets)."""
    inputs = targets = np.moveaxis(series, 1, 2)
    if channel is not None and series.shape[1] > 1:
        targets = inputs[..., [channel]]
        inputs = np.delete(inputs, channel, axis=2)
    return inputs[:, :-1], targets[:, 1:]
