"""What a fitted DualSampler says about its choice: the choice, everything that was tried, and progress while trying."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from .rung import Rung, Shared
from .search import Candidate

Parts = Literal["all rows", "classes", "clusters", "channels"]
OWN = {
    "all rows": "",
    "classes": ", every class its own",
    "clusters": ", every cluster its own",
    "channels": ", every channel its own",
}
Progress = Callable[[int, int, str], None]


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
    metric: str
    criterion: float
    energy_distance: float
    coverage: float
    authenticity: float
    label: Any

    @classmethod
    def of(cls, candidate: Candidate, label: Any) -> Self:
        r, s = candidate.rung, candidate.score
        parts = (s.criterion, s.energy_distance, s.coverage, s.authenticity)
        return cls(r.space, r.n_neighbors, r.time, r.pooled_noise, r.metric, *parts, label)

    def __str__(self) -> str:
        whose = "" if self.label is None else f"{self.label}: "
        parts = f"coverage {self.coverage:.2f}, authenticity {self.authenticity:.2f}"
        return f"{whose}{_words(self)}: {self.criterion:.3f} ({parts})"


@dataclass(frozen=True)
class Choice:
    """What `fit` chose, how far a walk reaches, and in which space; str() tells it in a line, `why` with what was tried.

    space : "scores" (normal scores) or "standard" (standardized columns)
    n_neighbors : neighbours of the start that the local dual function is made of; None for all rows
    time : length of the walk in relaxation times (ln 2 keeps half of the start's offset; inf forgets it)
    metric : of the neighbours, "distance" or "relative" (to the sizes of both rows)
    pooled_noise : share of the noise that comes from the shared (shrunk) covariance; 1 is a Gaussian copula
    covariance : what that covariance is shrunk to and how far (by held-out likelihood)
    marginals : how the columns of a channel share their quantiles (by the held-out CRPS)
    parts : "all rows", or "classes", "clusters" or (independent) "channels" that have a choice each (`choices_`)
    criterion : its criterion on the folds (lower is better; about .05 to .2 where samples are good), None if nothing was tried
    candidates : everything that was tried on this ladder, with its criterion; the best first (`criteria_`: on all ladders)
    """

    space: str
    n_neighbors: int | None
    time: float
    pooled_noise: float
    metric: str
    covariance: str
    marginals: str
    parts: Parts
    criterion: float | None
    candidates: tuple[Tried, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, rung: Rung, shared: Shared, parts: Parts) -> Self:
        """Without a ladder: nothing was tried."""
        return cls._of(rung, shared, parts, None, ())

    @classmethod
    def best(cls, candidate: Candidate, parts: Parts, tried: Iterable[Tried]) -> Self:
        """The winner of a ladder, and all that was tried on it."""
        ordered = tuple(sorted(tried, key=lambda other: other.criterion))
        return cls._of(candidate.rung, candidate.shared, parts, candidate.score.criterion, ordered)

    @classmethod
    def _of(cls, rung: Rung, shared: Shared, parts: Parts, criterion: float | None, tried: tuple[Tried, ...]) -> Self:
        shares = (rung.pooled_noise, rung.metric, str(shared.noise), str(shared.smoothing))
        return cls(rung.space, rung.n_neighbors, rung.time, *shares, parts, criterion, tried)

    def __str__(self) -> str:
        chosen = "" if self.criterion is None else f", criterion {self.criterion:.3f}"
        return f"{_words(self)}{OWN[self.parts]}{chosen}"

    @property
    def per_class(self) -> bool:
        """Whether every class that is large enough has a choice of its own."""
        return self.parts == "classes"

    @property
    def why(self) -> str:
        """The choice in sentences and what it beat, a line each."""
        shared = f"covariance: {self.covariance} (held-out likelihood); {self.marginals} (held-out CRPS)"
        return "\n".join([str(self), shared, *(f"  {candidate}" for candidate in self.candidates)])


def _words(of: Choice | Tried) -> str:
    return str(Rung(of.space, of.n_neighbors, of.time, of.pooled_noise, of.metric))


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
