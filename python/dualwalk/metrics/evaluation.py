"""All quick scores of generated samples in one call, with the cost that sums them up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from .. import _checks
from .._blas import one_blas_thread
from ._rows import Units, read, thin
from .judging import TwoSample, classifier_result, warn_untrusted
from .nearness import Authenticity, ManifoldScores, authenticity_of, manifold_of
from .two_sample import forest, memorization_of, one_nearest_neighbor_of

K = 5
CV = 5


@dataclass(frozen=True)
class Evaluation:
    """The scores of generated samples beside held-out ones; `str()` gives a table.

    Attributes
    ----------
    cost : float, |forest - .5| + |memorization - .5| + (1 - coverage) / 2 + |authenticity - 1| / 2: 0 is perfect, a second
        real sample of some hundred rows costs about .1.
    forest : TwoSample, a forest's accuracy between generated and held-out rows.
    memorization : TwoSample, a forest's accuracy from the distances to training rows alone.
    nearest_neighbor : TwoSample, the leave-one-out nearest neighbour's accuracy.
    manifold : ManifoldScores: precision, recall, density, coverage.
    authenticity : Authenticity: ratio and share, copies.
    trusted : whether the forest and the memorization judge told noise from data.
    """

    cost: float
    forest: TwoSample
    memorization: TwoSample
    nearest_neighbor: TwoSample
    manifold: ManifoldScores
    authenticity: Authenticity

    @property
    def trusted(self) -> bool:
        return self.forest.trusted and self.memorization.trusted

    def as_dict(self) -> dict[str, float]:
        """Every score as a number under one short name, in the order of the table."""
        return {
            "cost": self.cost,
            "forest": self.forest.accuracy,
            "memorization": self.memorization.accuracy,
            "coverage": self.manifold.coverage,
            "authenticity": self.authenticity.ratio,
            "copies": self.authenticity.copies,
            "nearest_neighbor": self.nearest_neighbor.accuracy,
            "precision": self.manifold.precision,
            "recall": self.manifold.recall,
            "density": self.manifold.density,
            "authentic_share": self.authenticity.share,
        }

    def __str__(self) -> str:
        return "\n".join(f"{name:18s} {value:9.3f}" for name, value in self.as_dict().items())


@one_blas_thread()
def evaluate(
    generated: ArrayLike,
    train: ArrayLike,
    held_out: ArrayLike,
    *,
    n_max: int = 300,
    self_check: bool = True,
    random_state: int = 0,
) -> Evaluation:
    """All quick scores of generated samples, beside real ones that the generator never saw.

        cost = |forest - .5| + |memorization - .5| + (1 - coverage) / 2 + |authenticity - 1| / 2

    Parameters
    ----------
    generated, train, held_out : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least six rows
        each; not changed. Everything is measured in standard deviations of the training columns, none below a tenth of the
        median one.
    n_max : of more held-out rows, as many are drawn, and of the generated rows no more than there are held-out ones. The
        training rows are always all looked at. The cost depends on these numbers a little: compare at the same ones.
    self_check : let every judge show that it tells noise from data. Doubles the time.
    random_state : int; the same arguments give the same result on one machine.

    Returns
    -------
    Evaluation

    Warns `JudgeWarning` where a judge of the cost cannot tell noise from data. Raises TypeError or ValueError for arrays that
    cannot be used, before any work; ImportError where scikit-learn is missing.

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
    (made, known, held), _ = read({"generated": generated, "train": train, "held_out": held_out}, min_samples=K + 1)
    scaled = Units.of(known)
    known = scaled(known)
    held = scaled(thin(held, n_max, seed, "held_out"))
    made = scaled(thin(made, len(held), seed, "generated"))
    settings: dict[str, Any] = {"seed": seed, "self_check": self_check}
    values = classifier_result(partial(forest, seed), held, made, cv=CV, judge="forest", **settings)
    memory = memorization_of(held, made, known, cv=CV, **settings)
    neighbor = one_nearest_neighbor_of(held, made, **settings)
    manifold = manifold_of(held, made, K)
    authentic = authenticity_of(made, known, held)
    warn_untrusted(values, memory)
    cost = abs(values.accuracy - 0.5) + abs(memory.accuracy - 0.5) + (1 - manifold.coverage) / 2 + abs(authentic.ratio - 1) / 2
    return Evaluation(cost, values, memory, neighbor, manifold, authentic)
