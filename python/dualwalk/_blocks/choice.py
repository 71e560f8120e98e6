"""Which base describes two blocks: Gaussian, Gaussian lifted or Student t, of which shrinkage and rank, by validation rows."""

from __future__ import annotations

from dataclasses import dataclass

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
    """What kind of base, and its mean log-ratio on validation rows with the standard error of that mean."""

    degrees: float
    lifted: bool
    shrinkage: float
    rank: int
    score: float
    error: float

    @property
    def holds_up(self) -> bool:
        """Is there anything to see, beyond what the luck of the validation rows makes of nothing?"""
        return self.score > self.error


_NOTHING = Choice(GAUSSIAN, False, 0.5, 0, 0.0, 0.0)


def fit_choice(x: Floats, y: Floats, choice: Choice) -> EllipticalBase:
    """The chosen kind of base, fitted to rows (x, y)."""
    matrix, n_first = _scatter(x, y, choice.degrees, choice.lifted)
    return fit_elliptical(matrix, n_first, choice.degrees, choice.shrinkage, lifted=choice.lifted).cut(choice.rank)


def _scatter(x: Floats, y: Floats, degrees: float, lifted: bool) -> tuple[Floats, int]:
    """The scatter matrix of what a base sees of both blocks, and how many of its columns are the first block's."""
    first, second = (seen_columns(part, degrees, lifted) for part in (x, y))
    return scatter(np.hstack([first, second]), degrees), first.shape[1]


def choose_base(x: Floats, y: Floats, parts: list[Split]) -> list[Choice]:
    """The base with the largest mean log-ratio on validation rows: Gaussian, Gaussian lifted, or Student of some degrees.

    If a lifted one wins, the best of the others comes second: a critic may get further from there. Shrinkage and rank are settled for the Gaussian; the others take its shrinkage, and Student bases a rank near its own.
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
    straight = [plain, *(_best(x, y, used, degrees, False, (plain.shrinkage,), near) for degrees in DEGREES)]
    best = max(straight, key=lambda choice: choice.score)
    if width <= _WIDEST_LIFTED:
        lifted = _best(x, y, used, GAUSSIAN, True, (max(plain.shrinkage, SHRINKAGE[1]),), _ranks(2 * most))
        if lifted.score > best.score and lifted.holds_up:
            return [lifted, best if best.holds_up else _NOTHING]
    return [best if best.holds_up else _NOTHING]


def _ranks(most: int) -> list[int]:
    return sorted({*(rank for rank in RANKS if rank < most), most})


def _best(
    x: Floats, y: Floats, parts: list[Split], degrees: float, lifted: bool, shrinkages: tuple[float, ...], ranks: list[int]
) -> Choice:
    """The best shrinkage and rank for a kind of base."""
    values: list[list[Floats]] = [[] for _ in range(len(shrinkages) * len(ranks))]
    for train, held in parts:
        matrix, n_first = _scatter(x[train], y[train], degrees, lifted)
        grid = train[: max(64, _PAIRS // len(held))]
        for i, shrinkage in enumerate(shrinkages):
            full = fit_elliptical(matrix, n_first, degrees, shrinkage, lifted=lifted)
            for j, rank in enumerate(ranks):
                values[i * len(ranks) + j].append(_values(full.cut(rank), x, y, held, grid))
    f = np.array([np.concatenate(some) for some in values])
    best = int(f.mean(axis=1).argmax())
    i, j = divmod(best, len(ranks))
    error = float(f[best].std(ddof=1) / np.sqrt(f.shape[1]))
    return Choice(degrees, lifted, shrinkages[i], ranks[j], float(f[best].mean()), error)


def _values(base: EllipticalBase, x: Floats, y: Floats, held: Rows, grid: Rows) -> Floats:
    """f of the rows `held`, normalized over the rows `grid`."""
    if base.rank == 0 and np.isinf(base.degrees):
        return np.zeros(len(held))
    first, second = base.side(x[held], 0), base.side(y[held], 1)
    return log_ratio(base.values(first, second), base.pairs(first, base.side(y[grid], 1)))
