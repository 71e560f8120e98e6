"""Which base describes two blocks: Gaussian, Gaussian lifted or Student t, of which shrinkage and rank, by validation rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .base import EllipticalBase, fit_elliptical, scatter, seen_columns
from .student import GAUSSIAN
from .term import log_ratio

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Split = tuple[Rows, Rows]  # train, validation

SHRINKAGE = (0.0, 0.05, 0.2, 0.5, 0.8)
RANKS = (0, 1, 2, 3, 5, 8, 12, 20, 40)
DEGREES = (1.0, 2.0, 3.0, 5.0, 8.0, 15.0)

ENOUGH_ROWS = 240  # validation rows that settle a choice
_WIDEST_LIFTED = 128  # columns of both blocks; a lifted base has twice as many
_PAIRS = 1 << 16


@dataclass(frozen=True)
class Choice:
    """What kind of base, and its log-ratios on validation rows."""

    degrees: float
    lifted: bool
    shrinkage: float
    rank: int
    values: Floats = field(repr=False)

    @property
    def score(self) -> float:
        return float(self.values.mean())

    def beats(self, other: Choice) -> bool:
        """Is this one better by more than the standard error of the difference, row by row?"""
        gain = self.values - other.values
        return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def fit_choice(x: Floats, y: Floats, choice: Choice) -> EllipticalBase:
    """The chosen kind of base, fitted to rows (x, y)."""
    moments, n_first = _moments(x, y, choice.degrees, choice.lifted)
    return fit_elliptical(moments, n_first, choice.degrees, choice.shrinkage, lifted=choice.lifted).cut(choice.rank)


def _moments(x: Floats, y: Floats, degrees: float, lifted: bool) -> tuple[tuple[Floats, Floats], int]:
    """Centre and scatter of what a base sees of both blocks, and how many of its columns are the first block's."""
    first, second = (seen_columns(part, degrees, lifted) for part in (x, y))
    return scatter(np.hstack([first, second]), degrees), first.shape[1]


def choose_base(x: Floats, y: Floats, parts: list[Split]) -> list[Choice]:
    """The base with the largest mean log-ratio on validation rows: Gaussian, Gaussian lifted, or Student of some degrees.

    A less plain kind, or a stronger shrinkage, must beat the plainer by more than a standard error: the midpoint of held-out
    and training mean takes away what is learned too much, not what is held back. If a lifted base wins, the best of the
    others comes second: a critic may get further from there. Shrinkage and rank are settled for the Gaussian; the others
    take its shrinkage, and Student bases a rank near its own.
    """
    used, rows = [], 0
    for part in parts:
        used.append(part)
        rows += len(part[1])
        if rows >= ENOUGH_ROWS:
            break
    most = min(x.shape[1], y.shape[1])
    width = x.shape[1] + y.shape[1]
    few = len(used[0][0]) < 4 * width
    plain = _best(x, y, used, GAUSSIAN, False, SHRINKAGE if few else SHRINKAGE[:3], _ranks(most))
    near = sorted({0, *(rank for rank in (1, 2, plain.rank) if rank <= most)})
    students = [_best(x, y, used, degrees, False, (plain.shrinkage,), near) for degrees in DEGREES]
    student = max(students, key=lambda choice: choice.score)
    best = student if student.beats(plain) else plain
    nothing = Choice(GAUSSIAN, False, plain.shrinkage, 0, np.zeros(len(plain.values)))
    choices = [best if best.beats(nothing) else nothing]
    if width <= _WIDEST_LIFTED:
        lifted = _best(x, y, used, GAUSSIAN, True, (max(plain.shrinkage, SHRINKAGE[1]),), _ranks(2 * most))
        if lifted.beats(choices[0]):
            choices.insert(0, lifted)
    return choices


def _ranks(most: int) -> list[int]:
    return sorted({*(rank for rank in RANKS if rank < most), most})


def _best(
    x: Floats, y: Floats, parts: list[Split], degrees: float, lifted: bool, shrinkages: tuple[float, ...], ranks: list[int]
) -> Choice:
    """The best shrinkage and rank for a kind of base."""
    values: list[list[Floats]] = [[] for _ in range(len(shrinkages) * len(ranks))]
    for train, held in parts:
        moments, n_first = _moments(x[train], y[train], degrees, lifted)
        grid = train[: max(64, _PAIRS // len(held))]
        for i, shrinkage in enumerate(shrinkages):
            full = fit_elliptical(moments, n_first, degrees, shrinkage, lifted=lifted)
            for j, rank in enumerate(ranks):
                values[i * len(ranks) + j].append(_values(full.cut(rank), x, y, held, grid))
    chosen: Choice | None = None
    for i, shrinkage in enumerate(shrinkages):
        f = np.array([np.concatenate(some) for some in values[i * len(ranks) : (i + 1) * len(ranks)]])
        best = int(f.mean(axis=1).argmax())
        choice = Choice(degrees, lifted, shrinkage, ranks[best], f[best])
        if chosen is None or choice.beats(chosen):
            chosen = choice
    assert chosen is not None
    return chosen


def _values(base: EllipticalBase, x: Floats, y: Floats, held: Rows, grid: Rows) -> Floats:
    """f of the rows `held`, normalized over the rows `grid`."""
    if base.rank == 0 and np.isinf(base.degrees):
        return np.zeros(len(held))
    first, second = base.side(x[held], 0), base.side(y[held], 1)
    return log_ratio(base.values(first, second), base.pairs(first, base.side(y[grid], 1)))
