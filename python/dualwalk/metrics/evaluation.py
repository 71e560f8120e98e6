"""All quick scores of generated samples in one call, with the cost that sums them up."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._blas import one_blas_thread
from ._rows import Float, Units, read, thin
from .downstream import DownstreamAccuracy, downstream_of, read_labels, warn_useless
from .judging import TwoSample, classifier_result, warn_untrusted
from .kernels import SampleDistance, energy_of, mmd_of
from .membership import MembershipInference, membership_inference
from .nearness import COPIES, Authenticity, ManifoldScores, authenticity_of, manifold_of
from .statistics import CorrelationError, correlation_of, kurtosis_of, marginal_of
from .two_sample import forest, memorization_of, one_nearest_neighbor_of

K = 5
CV = 5
N_PERMUTATIONS = 199


@dataclass(frozen=True)
class Similarity:
    """How like the held-out rows other rows are, without a judge.

    Attributes
    ----------
    manifold : ManifoldScores: precision, recall, density, coverage (k = 5).
    mmd, energy : SampleDistance, squared MMD and energy distance.
    correlation : CorrelationError of features, channels and times.
    marginal_error : mean 1-D Wasserstein distance of the columns, in standard deviations of the training columns.
    kurtosis : of the steps in time (`difference_kurtosis`), to be compared with that of real rows.
    """

    manifold: ManifoldScores
    mmd: SampleDistance
    energy: SampleDistance
    correlation: CorrelationError
    marginal_error: float
    kurtosis: float

    def as_dict(self) -> dict[str, float]:
        return {
            "coverage": self.manifold.coverage,
            "precision": self.manifold.precision,
            "recall": self.manifold.recall,
            "density": self.manifold.density,
            "mmd": self.mmd.value,
            "mmd_p_value": self.mmd.p_value,
            "energy": self.energy.value,
            "energy_p_value": self.energy.p_value,
            "correlation_features": self.correlation.features,
            "correlation_channels": self.correlation.channels,
            "correlation_times": self.correlation.times,
            "marginal_error": self.marginal_error,
            "kurtosis": self.kurtosis,
        }


@dataclass(frozen=True)
class Evaluation:
    """The scores of generated samples beside held-out ones; `str()` gives a table, `as_dict()` the numbers by name.

    Attributes
    ----------
    cost : |forest - .5| + |memorization - .5| + (1 - coverage) / 2 + |authenticity - 1| / 2. 0 is perfect; a second real sample
        of some hundred rows costs about .1.
    forest : TwoSample, a forest's accuracy between generated and held-out rows.
    memorization : TwoSample, a forest's accuracy from the distances to training rows alone.
    nearest_neighbor : TwoSample, the leave-one-out nearest neighbour's accuracy.
    authenticity : Authenticity: ratio and share, copies.
    similarity : Similarity: manifold, mmd, energy, correlation, marginal_error, kurtosis.
    real_similarity : Similarity of as many training rows to the held-out ones: what the best generator gets.
    membership : MembershipInference: whether the generated rows tell which rows they were made from.
    downstream : DownstreamAccuracy, where labels were given.
    """

    cost: float
    forest: TwoSample
    memorization: TwoSample
    nearest_neighbor: TwoSample
    authenticity: Authenticity
    similarity: Similarity
    real_similarity: Similarity
    membership: MembershipInference
    downstream: DownstreamAccuracy | None

    @property
    def coverage(self) -> float:
        """Share of held-out rows with a generated row nearer than their 5th nearest held-out neighbour."""
        return self.similarity.manifold.coverage

    @property
    def trusted(self) -> bool:
        """Whether both judges of the cost told noise from data; False where no self-check was asked for."""
        return self.forest.trusted and self.memorization.trusted

    def as_dict(self) -> dict[str, float]:
        """Every score as a number, by name, in the order of the table."""
        judged = {
            "cost": self.cost,
            "forest": self.forest.accuracy,
            "memorization": self.memorization.accuracy,
            "coverage": self.coverage,
            "authenticity": self.authenticity.ratio,
            "copies": self.authenticity.copies,
            "authentic_share": self.authenticity.share,
            "nearest_neighbor": self.nearest_neighbor.accuracy,
            **{f"attack_{name}": attack.auc for name, attack in self.membership.attacks.items()},
        }
        last = {} if self.downstream is None else {"downstream": self.downstream.synthetic}
        return {**judged, **self.similarity.as_dict(), **last}

    def real(self) -> dict[str, float]:
        """The same of real rows: measured where training rows can stand in for generated ones, else what is perfect."""
        perfect = {
            "forest": 0.5,
            "memorization": 0.5,
            "authenticity": 1.0,
            "copies": COPIES,
            "authentic_share": self.authenticity.held_out_share,
            "nearest_neighbor": 0.5,
            **{f"attack_{name}": 0.5 for name in self.membership.attacks},
        }
        last = {} if self.downstream is None else {"downstream": self.downstream.real}
        return {**perfect, **self.real_similarity.as_dict(), **last}

    def __str__(self) -> str:
        real = self.real()
        lines = [f"{'':24s}{'generated':>10s}{'real':>10s}"]
        for name, value in self.as_dict().items():
            if not math.isnan(value):
                lines.append(f"{name:24s}{value:10.4f}" + (f"{real[name]:10.4f}" if name in real else ""))
        for judge in (self.forest, self.memorization, self.nearest_neighbor):
            if not (judge.trusted or math.isnan(judge.control_accuracy)):
                lines.append(f"Not to be trusted: {judge.judge} (tells {judge.control_accuracy:.2f} of noise and data apart)")
        return "\n".join([*lines, *textwrap.wrap(self.membership.verdict, 100)])


@one_blas_thread()
def evaluate(
    generated: ArrayLike,
    train: ArrayLike,
    held_out: ArrayLike,
    *,
    y: ArrayLike | None = None,
    y_train: ArrayLike | None = None,
    y_held_out: ArrayLike | None = None,
    groups_train: ArrayLike | None = None,
    groups_held_out: ArrayLike | None = None,
    n_max: int = 300,
    self_check: bool = True,
    random_state: int = 0,
) -> Evaluation:
    """All quick scores of generated samples, beside real ones that the generator never saw.

        cost = |forest - .5| + |memorization - .5| + (1 - coverage) / 2 + |authenticity - 1| / 2

    Parameters
    ----------
    generated, train, held_out : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least six rows
        each; not changed. Distances are in standard deviations of the training columns, none below a tenth of the median one.
    y, y_train, y_held_out : labels of the three, all or none: train on synthetic, test on real (on all rows).
    groups_train, groups_held_out : the subject of every real row, both or none: for `membership_inference`, whose attacks count
        subjects, and want all generated rows that are given away.
    n_max : of more held-out rows, as many are drawn, and of the generated rows no more than there are held-out ones. The
        training rows are always all looked at. The cost depends on these numbers a little: compare at the same ones. With
        some hundred rows it moves by .03 or more from draw to draw: take the mean over several `random_state`.
    self_check : let every judge show that it tells noise from data. Doubles the time.
    random_state : int; the same arguments give the same result on one machine.

    Returns
    -------
    Evaluation

    Warns `JudgeWarning` where a judge of the cost cannot tell noise from data. Raises TypeError or ValueError for arrays that
    cannot be used, before any work; ImportError where scikit-learn is missing.

    Source: every score's own function in this module.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((180, 4)).cumsum(axis=1)
    >>> train, held_out, generated = x[:60], x[60:120], x[120:]
    >>> bool(evaluate(generated, train, held_out).cost < 0.5 < evaluate(train, train, held_out).cost)
    True
    """
    n_max = _checks.count(n_max, "n_max", minimum=K + 1)
    seed = _checks.seed(random_state, "random_state")
    self_check = _checks.flag(self_check, "self_check")
    arrays = {"generated": generated, "train": train, "held_out": held_out}
    (made, known, held), shape = read(arrays, min_samples=K + 1)
    labels = _labels((made, held, known), y, y_held_out, y_train)
    membership = membership_inference(
        generated, train, held_out, groups_train=groups_train, groups_held_out=groups_held_out, random_state=seed
    )

    downstream = downstream_of((made, held, known), labels, "forest", seed) if labels else None
    held = thin(held, n_max, seed, "held_out")
    made = thin(made, len(held), seed, "generated")
    second = thin(known, len(held), seed, "train")
    scaled = Units.of(known)
    a, b, points = scaled(held), scaled(made), scaled(known)
    settings: dict[str, Any] = {"seed": seed, "self_check": self_check}
    values = classifier_result(partial(forest, seed), a, b, cv=CV, judge="forest", **settings)
    memory = memorization_of(a, b, points, cv=CV, **settings)
    authentic = authenticity_of(b, points, a)
    similarity = _similarity(held, made, scaled, shape, seed)
    cost = abs(values.accuracy - 0.5) + abs(memory.accuracy - 0.5)
    cost += (1 - similarity.manifold.coverage) / 2 + abs(authentic.ratio - 1) / 2
    warn_untrusted(values, memory)
    if downstream is not None:
        warn_useless(downstream)
    return Evaluation(
        cost=cost,
        forest=values,
        memorization=memory,
        nearest_neighbor=one_nearest_neighbor_of(a, b, **settings),
        authenticity=authentic,
        similarity=similarity,
        real_similarity=_similarity(held, second, scaled, shape, seed),
        membership=membership,
        downstream=downstream,
    )


def _similarity(held: Float, other: Float, scaled: Units, shape: tuple[int, ...], seed: int) -> Similarity:
    a, b = scaled(held), scaled(other)
    return Similarity(
        manifold=manifold_of(a, b, K),
        mmd=mmd_of(a, b, length=None, n_permutations=N_PERMUTATIONS, seed=seed),
        energy=energy_of(a, b, n_permutations=N_PERMUTATIONS, seed=seed),
        correlation=correlation_of(held, other, shape, seed),
        marginal_error=marginal_of(a, b),
        kurtosis=kurtosis_of(other, shape) if shape[-1] > 1 else math.nan,
    )


def _labels(
    rows: tuple[Float, Float, Float], y: ArrayLike | None, y_held_out: ArrayLike | None, y_train: ArrayLike | None
) -> list[NDArray[Any]] | None:
    """Labels of generated, held-out and training rows, or None if there are none."""
    values = {"y": y, "y_held_out": y_held_out, "y_train": y_train}
    missing = [name for name, value in values.items() if value is None]
    if len(missing) == len(values):
        return None
    if missing:
        raise ValueError(f"y, y_train and y_held_out go together; got no {' and no '.join(missing)} (pass all three, or none)")
    return read_labels(values, rows, tested="y_held_out")
