"""One fold of one term: the base, the critics on top of it and their strength, all chosen on rows held out inside the fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _random
from .base import EllipticalBase, fit_elliptical, scatter
from .critic import Critic, CriticPlan, train_critic
from .features import MOST_COLUMNS, Features
from .student import GAUSSIAN, student_scores
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
    """A base's degrees of freedom, shrinkage and rank, and its mean log-ratio on validation rows."""

    degrees: float
    shrinkage: float
    rank: int
    score: float


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
    matrix = _scatter(x, y, choice.degrees)
    return fit_elliptical(matrix, x.shape[1], choice.degrees, choice.shrinkage).cut(choice.rank)


def _scatter(x: Floats, y: Floats, degrees: float) -> Floats:
    return scatter(np.hstack([student_scores(x, degrees), student_scores(y, degrees)]), degrees)


def choose_base(x: Floats, y: Floats, parts: list[Split]) -> Choice:
    """The base with the largest mean log-ratio on validation rows: first shrinkage and rank, then degrees of freedom."""
    used, rows = [], 0
    for part in parts:
        used.append(part)
        rows += len(part[1])
        if rows >= _ENOUGH_ROWS:
            break
    most = min(x.shape[1], y.shape[1])
    ranks = sorted({*(rank for rank in RANKS if rank < most), most})
    few = len(used[0][0]) < 4 * (x.shape[1] + y.shape[1])
    best = _best(x, y, used, GAUSSIAN, SHRINKAGE if few else SHRINKAGE[:3], ranks)
    near = sorted({0, best.rank, *(rank for rank in ranks if rank in (1, 2))})
    students = [_best(x, y, used, degrees, (best.shrinkage,), near) for degrees in DEGREES]
    return max([best, *students], key=lambda choice: choice.score)


def _best(x: Floats, y: Floats, parts: list[Split], degrees: float, shrinkages: tuple[float, ...], ranks: list[int]) -> Choice:
    """The best shrinkage and rank for given degrees of freedom."""
    scores = np.zeros((len(shrinkages), len(ranks)))
    for train, held in parts:
        matrix = _scatter(x[train], y[train], degrees)
        grid = train[: max(64, _CHOICE_PAIRS // len(held))]
        for i, shrinkage in enumerate(shrinkages):
            full = fit_elliptical(matrix, x.shape[1], degrees, shrinkage)
            for j, rank in enumerate(ranks):
                scores[i, j] += len(held) * _score(full.cut(rank), x, y, held, grid)
    i, j = divmod(int(scores.argmax()), len(ranks))
    total = sum(len(held) for _, held in parts)
    return Choice(degrees, shrinkages[i], ranks[j], float(scores[i, j]) / total)


def _score(base: EllipticalBase, x: Floats, y: Floats, held: Rows, grid: Rows) -> float:
    if base.rank == 0 and np.isinf(base.degrees):
        return 0.0
    first, second = base.side(x[held], 0), base.side(y[held], 1)
    return float(log_ratio(base.values(first, second), base.pairs(first, base.side(y[grid], 1))).mean())


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
            (_features(base, 0, rich), _features(base, 1, rich)),
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


def _features(base: EllipticalBase, block: int, rich: bool) -> Features:
    """Inputs of a block's network; a wide block is seen through its leading canonical directions."""
    width = len(base.whiten[block])
    directions = None
    if width > MOST_COLUMNS:
        directions = np.ascontiguousarray((base.whiten[block] @ base.directions[block])[:, :_CANONICAL])
    return Features(width, directions, rich)


def _strength(x: Floats, y: Floats, trained: list[tuple[Critic, float, EllipticalBase, Split]]) -> float:
    """The factor on the critics with the largest mean log-ratio over the rows each of them held out; 0 if none helps."""
    totals = np.zeros(1 + len(STRENGTHS))
    for critic, _, base, (train, held) in trained:
        grid = train[: max(64, _CHOICE_PAIRS // len(held))]
        first, second = base.side(x[held], 0), base.side(y[held], 1)
        own, others = base.values(first, second), base.pairs(first, base.side(y[grid], 1))
        g = critic.products(x[held], 0)
        own_part = np.einsum("ij,ij->i", g, critic.products(y[held], 1))
        others_part = g @ critic.products(y[grid], 1).T
        for k, strength in enumerate((0.0, *STRENGTHS)):
            totals[k] += log_ratio(own + strength * own_part, others + strength * others_part).sum()
    return (0.0, *STRENGTHS)[int(totals.argmax())]
