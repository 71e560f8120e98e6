"""One fold of one term: the base, the critics on top of it and their strength, all chosen on rows held out inside the fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _random
from .base import EllipticalBase, fit_elliptical, scatter, seen_columns
from .critic import Critic, CriticPlan, train_critic
from .features import MOST_COLUMNS, Features
from .student import GAUSSIAN
from .term import BlockTerm, Reduction, log_ratio

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Split = tuple[Rows, Rows]  # train, validation

SHRINKAGE = (0.0, 0.05, 0.2, 0.5, 0.8)
RANKS = (0, 1, 2, 3, 5, 8, 12, 20, 40)
DEGREES = (1.0, 2.0, 3.0, 5.0, 8.0, 15.0)
STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.25)

_VALIDATION_SHARE = 0.15
_N_SPLITS = 3
_ENOUGH_ROWS = 240  # validation rows that settle the choice of a base
_WIDEST = 128  # columns of a block that are looked at one by one
_GRID_ROWS = 1024
_CHOICE_PAIRS = 1 << 16
_CANONICAL = 16  # directions that stand for a wide block's columns
_LEAST_GAIN = 0.3  # a critic that improves the base by less than this share of the best one's gain is left out


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


def splits(rest: Rows) -> tuple[list[Split], Rows]:
    """Up to 3 (train, validation) splits of `rest`, each holding out another 15 %, and the rows that all are trained on."""
    held = max(4, round(_VALIDATION_SHARE * len(rest)))
    count = max(1, min(_N_SPLITS, len(rest) // (2 * held)))
    parts = [(np.delete(rest, slice(k * held, (k + 1) * held)), rest[k * held : (k + 1) * held]) for k in range(count)]
    return parts, rest[count * held :]


def reduction(z: Floats, columns: Rows) -> Reduction:
    """A block's columns, or the leading principal components of rows `z` where there are too many, of variance 1."""
    widest = min(_WIDEST, len(z) // 2)
    if len(columns) <= max(widest, 8):
        return Reduction(columns, None)
    part = z[:, columns]
    _, size, directions = np.linalg.svd(part - part.mean(axis=0), full_matrices=False)
    kept = min(widest, int((size > 1e-6 * size[0]).sum()))
    return Reduction(columns, np.ascontiguousarray(directions[:kept].T * (np.sqrt(len(z)) / size[:kept])))


def fit_term(
    z: Floats,
    columns: tuple[Rows, Rows],
    rest: Rows,
    *,
    seed: int,
    path: tuple[int | str, ...],
    plan: CriticPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[BlockTerm, Rows]:
    """The term of the second block's `columns` against the first's, learned from the rows `rest` of normal scores `z`.

    Also returns the rows that every critic was trained on.
    """
    plan = plan or CriticPlan()
    parts, core = splits(rest)
    blocks = (reduction(z[core], columns[0]), reduction(z[core], columns[1]))
    x, y = (block.of(z) for block in blocks)
    choice = choose_base(x, y, parts)
    critics, strength = _train_critics(x, y, parts, choice, seed, path, plan, report)
    base = _fit(x[rest], y[rest], choice)
    grid = rest if len(rest) <= _GRID_ROWS else _random.generator(seed, *path, "grid").permutation(rest)[:_GRID_ROWS]
    return BlockTerm(blocks, base, critics, strength, np.ascontiguousarray(y[grid])), core


def _fit(x: Floats, y: Floats, choice: Choice) -> EllipticalBase:
    matrix, n_first = _scatter(x, y, choice.degrees, choice.lifted)
    return fit_elliptical(matrix, n_first, choice.degrees, choice.shrinkage, lifted=choice.lifted).cut(choice.rank)


def _scatter(x: Floats, y: Floats, degrees: float, lifted: bool) -> tuple[Floats, int]:
    """The scatter matrix of what a base sees of both blocks, and how many of its columns are the first block's."""
    first, second = (seen_columns(part, degrees, lifted) for part in (x, y))
    return scatter(np.hstack([first, second]), degrees), first.shape[1]


def choose_base(x: Floats, y: Floats, parts: list[Split]) -> Choice:
    """The base with the largest mean log-ratio on validation rows: Gaussian, Gaussian lifted, or Student of some degrees.

    Shrinkage and rank are settled for the Gaussian; the others take its shrinkage, and Student bases a rank near its own.
    """
    used, rows = [], 0
    for part in parts:
        used.append(part)
        rows += len(part[1])
        if rows >= _ENOUGH_ROWS:
            break
    most = min(x.shape[1], y.shape[1])
    width = x.shape[1] + y.shape[1]
    few = len(used[0][0]) < 4 * width
    plain = _best(x, y, used, GAUSSIAN, False, SHRINKAGE if few else SHRINKAGE[:3], _ranks(most))
    near = sorted({0, *(rank for rank in (1, 2, plain.rank) if rank <= most)})
    others = [_best(x, y, used, degrees, False, (plain.shrinkage,), near) for degrees in DEGREES]
    if width <= _WIDEST:
        others.append(_best(x, y, used, GAUSSIAN, True, (max(plain.shrinkage, SHRINKAGE[1]),), _ranks(2 * most)))
    best = max([plain, *others], key=lambda choice: choice.score)
    return best if best.holds_up else _NOTHING


def _ranks(most: int) -> list[int]:
    return sorted({*(rank for rank in RANKS if rank < most), most})


def _best(
    x: Floats, y: Floats, parts: list[Split], degrees: float, lifted: bool, shrinkages: tuple[float, ...], ranks: list[int]
) -> Choice:
    """The best shrinkage and rank for a kind of base."""
    values: list[list[Floats]] = [[] for _ in range(len(shrinkages) * len(ranks))]
    for train, held in parts:
        matrix, n_first = _scatter(x[train], y[train], degrees, lifted)
        grid = train[: max(64, _CHOICE_PAIRS // len(held))]
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


def _train_critics(
    x: Floats,
    y: Floats,
    parts: list[Split],
    choice: Choice,
    seed: int,
    path: tuple[int | str, ...],
    plan: CriticPlan,
    report: Callable[[float], None] | None,
) -> tuple[tuple[Critic, ...], float]:
    """Critics on as many splits: plain inputs, rich inputs, and once more the better of both; none if neither helps."""
    trained: list[tuple[Critic, float, EllipticalBase, Split]] = []
    for k, (train, held) in enumerate(parts):
        if k == 2 and max(gain for _, gain, _, _ in trained) <= 0:
            break
        rich = k == 1 or (k == 2 and trained[1][1] > trained[0][1])
        base = _fit(x[train], y[train], choice)
        critic, gain = train_critic(
            base,
            _features(x[train], y[train], rich),
            (x[train], y[train]),
            (x[held], y[held]),
            _random.generator(seed, *path, "critic", k),
            plan=plan,
            report=None if report is None else lambda share, k=k: report((k + share) / len(parts)),  # type: ignore[misc]
        )
        trained.append((critic, gain, base, (train, held)))
    most = max(gain for _, gain, _, _ in trained)
    kept = [entry for entry in trained if entry[1] > _LEAST_GAIN * most]
    if most <= 0 or not kept:
        return (), 0.0
    strength = _strength(x, y, kept)
    return (tuple(critic for critic, _, _, _ in kept), strength) if strength else ((), 0.0)


def _features(x: Floats, y: Floats, rich: bool) -> tuple[Features, Features]:
    """Inputs of both blocks' networks; a wide block is seen through its leading canonical directions."""
    directions: list[Floats | None] = [None, None]
    if max(x.shape[1], y.shape[1]) > MOST_COLUMNS:
        base = fit_elliptical(scatter(np.hstack([x, y]), GAUSSIAN), x.shape[1], GAUSSIAN, SHRINKAGE[2])
        for block, part in enumerate((x, y)):
            if part.shape[1] > MOST_COLUMNS:
                directions[block] = np.ascontiguousarray((base.whiten[block] @ base.directions[block])[:, :_CANONICAL])
    return Features(x.shape[1], directions[0], rich), Features(y.shape[1], directions[1], rich)


def _strength(x: Floats, y: Floats, trained: list[tuple[Critic, float, EllipticalBase, Split]]) -> float:
    """The factor on the critics with the largest mean log-ratio over the rows each of them held out.

    It is 0 unless that is better than no critic by more than a standard error.
    """
    values: list[list[Floats]] = [[] for _ in (0.0, *STRENGTHS)]
    for critic, _, base, (train, held) in trained:
        grid = train[: max(64, _CHOICE_PAIRS // len(held))]
        first, second = base.side(x[held], 0), base.side(y[held], 1)
        own, others = base.values(first, second), base.pairs(first, base.side(y[grid], 1))
        g = critic.products(x[held], 0)
        own_part = np.einsum("ij,ij->i", g, critic.products(y[held], 1))
        others_part = g @ critic.products(y[grid], 1).T
        for some, strength in zip(values, (0.0, *STRENGTHS), strict=True):
            some.append(log_ratio(own + strength * own_part, others + strength * others_part))
    f = np.array([np.concatenate(some) for some in values])
    best = int(f.mean(axis=1).argmax())
    gain = f[best] - f[0]
    return (0.0, *STRENGTHS)[best] if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)) else 0.0
