"""The ladder of local duals: every rung is tried on the training rows' folds, and the best is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._random import generator
from ..normal_scores import NormalScores
from .covariance import choose_noise_model
from .criterion import MANY_ROWS, N_HELD, Criterion, Fold, Score
from .marginals import choose_smoothing
from .neighborhoods import METRICS
from .rung import Rung, Shared, Walker, balanced_starts

Float = NDArray[np.float64]
Index = NDArray[np.intp]

REACHES = (5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160)
LOCAL_RUNGS = tuple(Rung(n_neighbors=k, metric=metric) for metric in METRICS for k in REACHES)
GLOBAL_RUNGS = tuple(Rung(n_neighbors=None, time=math.inf, pooled_noise=w) for w in (0.0, 0.25, 0.5, 0.75, 1.0))
# A ladder is left when two rungs in a row are this much worse than the best so far: what follows is worse still.
HOPELESS = 0.15
# A walk that forgets its start, or standardized columns, must win by this much: the criterion's noise is as large, and rows
# that keep half of a start of their own owe less to the same neighbours, which a classifier notices and the criterion not.
MARGIN = 0.01
N_SHORTER = 4
N_REFINEMENTS = N_SHORTER + 1


def choose_shared(rows: Float, feature_shape: tuple[int, ...], seed: int, groups: Index | None = None) -> Shared:
    """The covariance of pooled noise and the marginals' smoothing, each by what it foretells of held-out rows."""
    some = np.arange(len(rows))
    if len(rows) > MANY_ROWS:
        some = generator(seed, "shared").permutation(some)[:MANY_ROWS]
    points = NormalScores()._fit_rows(rows[_device.beside(some, rows)])
    noise = choose_noise_model(points, feature_shape, seed, groups=None if groups is None else groups[some])
    return Shared(noise, choose_smoothing(rows, feature_shape, seed, groups))


@dataclass(frozen=True)
class Candidate:
    """A rung that was tried, what its ladder shares, and its score; `label`: the code of the ladder's class (None: all rows)."""

    rung: Rung
    shared: Shared
    score: Score
    label: int | None = None


class Ladder:
    """Rungs for one set of rows: builds the walkers of all folds once, and scores rungs on them."""

    def __init__(
        self,
        rows: Float,
        feature_shape: tuple[int, ...],
        folds: Sequence[Fold],
        shared: Shared,
        seed: int,
        *,
        groups: Index | None = None,
        label: int | None = None,
    ) -> None:
        self._rows = rows
        self._shape = feature_shape
        self._shared = shared
        self._seed = seed
        self._label = label
        self.criterion = Criterion(rows, folds, groups)
        self._walkers: dict[tuple[int, str], Walker] = {}
        self.candidates: list[Candidate] = []

    @property
    def folds(self) -> list[Fold]:
        return self.criterion.folds

    def ladders(self) -> list[list[Rung]]:
        """The rungs that every fold has rows enough for, one ladder a metric, the last one of all rows."""
        most = min(len(fold.fit) for fold in self.folds) - 2
        local = [[r for r in LOCAL_RUNGS if r.metric == metric and (r.n_neighbors or 0) <= most] for metric in METRICS]
        return [*local, list(GLOBAL_RUNGS)]

    def generate(self, rung: Rung, k: int, n_rows: int) -> Float:
        """n_rows new rows from the fit rows of fold k.

        Every rung of a fold draws from the same stream, so that rungs differ by what they do and not by luck.
        """
        fold = self.folds[k]
        if (k, rung.space) not in self._walkers:
            fit = self._rows[_device.beside(fold.fit, self._rows)]
            self._walkers[k, rung.space] = Walker(fit, self._shape, rung.space, self._shared)
        stream = generator(self._seed, "fold", k)
        starts = balanced_starts(np.arange(len(fold.fit)), n_rows, stream)
        return self._walkers[k, rung.space].generate(rung, starts, stream, block=n_rows)

    def try_rung(self, rung: Rung) -> Candidate:
        n = len(self._rows) if len(self._rows) <= MANY_ROWS else N_HELD
        score = self.criterion([self.generate(rung, k, n) for k in range(len(self.folds))])
        self.candidates.append(Candidate(rung, self._shared, score, self._label))
        return self.candidates[-1]

    def climb(self, tick: Callable[[str], None]) -> Candidate:
        """Climb every ladder, then refine the winner; return the best."""
        for rungs in self.ladders():
            self._climb(rungs, tick)
        best = self._best(self.candidates)
        if best.rung.n_neighbors is not None:
            # With the start forgotten there is more noise: fewer neighbours make as much.
            place = REACHES.index(best.rung.n_neighbors)
            shorter = REACHES[max(0, place + 1 - N_SHORTER) : place + 1]
            best = self._refine(best, [replace(best.rung, n_neighbors=k, time=math.inf) for k in shorter], tick)
        best = self._refine(best, [replace(best.rung, space="standard")], tick)
        self._walkers.clear()  # they hold a copy of the rows per fold
        return best

    def _climb(self, rungs: Sequence[Rung], tick: Callable[[str], None]) -> None:
        worse = 0
        for rung in rungs:
            tick(str(rung))
            criterion = self.try_rung(rung).score.criterion
            worse = worse + 1 if criterion > self._best(self.candidates).score.criterion + HOPELESS else 0
            if worse == 2 and rung.n_neighbors is not None:
                falling = len(self.candidates) > 1 and criterion < self.candidates[-2].score.criterion
                if not falling:
                    return
                worse = 1

    def _refine(self, best: Candidate, rungs: Sequence[Rung], tick: Callable[[str], None]) -> Candidate:
        tried = []
        for rung in rungs:
            tick(str(rung))
            tried.append(self.try_rung(rung))
        winner = self._best(tried)
        return winner if winner.score.criterion < best.score.criterion - MARGIN else best

    @staticmethod
    def _best(candidates: Sequence[Candidate]) -> Candidate:
        return min(candidates, key=lambda candidate: candidate.score.criterion)
