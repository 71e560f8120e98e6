"""What a fitted DualSampler says about its choice: the choice, everything that was tried, and progress while trying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from .rung import Rung
from .search import Candidate

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Choice:
    """What `fit` chose: how far a walk reaches, and in which space.

    space : "scores" (normal scores) or "standard" (standardized columns)
    n_neighbors : neighbours of the start that the local dual function is made of; None for all rows
    time : length of the walk in relaxation times (ln 2 keeps half of the start's offset; inf forgets it)
    pooled_noise : share of the noise that comes from the shared (shrunk, separable) covariance; 1 is a Gaussian copula
    variance_match : whether every column is stretched to the training rows' variance
    per_class : whether every class that is large enough has a choice of its own (`DualSampler.choices_`)
    criterion : its criterion on the folds (lower is better; about .05 to .2 where samples are good), None if nothing was tried
    """

    space: str
    n_neighbors: int | None
    time: float
    pooled_noise: float
    variance_match: bool
    per_class: bool
    criterion: float | None

    @classmethod
    def of(cls, rung: Rung, per_class: bool, criterion: float | None) -> Self:
        return cls(rung.space, rung.n_neighbors, rung.time, rung.pooled_noise, rung.variance_match, per_class, criterion)

    def __str__(self) -> str:
        rung = Rung(self.space, self.n_neighbors, self.time, self.pooled_noise, self.variance_match)
        chosen = "" if self.criterion is None else f", criterion {self.criterion:.3f}"
        return f"{rung}{', every class its own' if self.per_class else ''}{chosen}"


@dataclass(frozen=True)
class Tried:
    """One candidate of the ladder: what it was, its criterion and the parts of it.

    energy_distance : between the nearness of generated and of held-out rows to the rows fitted on (0 is perfect)
    coverage : share of held-out rows with a generated one as near as their 5th nearest real row (1 is perfect)
    authenticity : median distance of generated to fitted rows over that of held-out rows (1 is perfect, 0 is copies)
    label : the class whose ladder the candidate belongs to, None for the ladder of all rows
    criterion : .27 sqrt(min(energy_distance, 3.4)) + (1 - coverage) / 2 + |authenticity - 1| / 2
    """

    space: str
    n_neighbors: int | None
    time: float
    pooled_noise: float
    variance_match: bool
    criterion: float
    energy_distance: float
    coverage: float
    authenticity: float
    label: Any

    @classmethod
    def of(cls, candidate: Candidate, label: Any) -> Self:
        r, s = candidate.rung, candidate.score
        parts = (s.criterion, s.energy_distance, s.coverage, s.authenticity)
        return cls(r.space, r.n_neighbors, r.time, r.pooled_noise, r.variance_match, *parts, label)


class Ticker:
    """Counts the steps of a fit for the caller's progress function."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, text: str) -> None:
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total, text)
        self._done += 1

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(self._total, self._total, "fitted")
