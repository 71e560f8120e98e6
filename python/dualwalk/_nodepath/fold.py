"""One fold of the node estimator: base, path, training, temperature; and which rows play which part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .. import _random
from ..backends import job
from ..duals.node import FittedPath
from .gaussian_base import choose_base, fit_base
from .network import NodeData
from .path import NodePath, build_path, dependence, spanning_tree
from .training import TrainingPlan, train_nodes

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ALPHAS = tuple(round(0.1 * k, 1) for k in range(13))  # 0 to 1.2
_VALIDATION_SHARE = 0.15
_MOST_SPLITS = 3
_FEW_VALIDATION_ROWS = 8
_ALPHA_PAIRS = 24_000  # at most as many (node, row) pairs decide on the temperature


def folds(n: int, cv: int, seed: int) -> list[tuple[Rows, Rows]]:
    """(other, test) rows of every fold, shuffled: each row is a test row once. Fewer than 2 `cv` rows: n // 2 folds."""
    count = min(cv, n // 2)
    shuffled = _random.generator(seed, "folds").permutation(n)
    result = []
    for k in range(count):
        rest = np.concatenate([shuffled[j::count] for j in range(count) if j != k])
        result.append((_random.generator(seed, "fold", k, "split").permutation(rest), shuffled[k::count]))
    return result


def splits(rest: Rows, n_fits: int) -> tuple[list[tuple[Rows, Rows]], Rows]:
    """(train, validation) rows for up to 3 groups of members, and the core: the rows that all of them are trained on.

    Each group holds out another 15 %, so that the average of the members has seen every row and their temperature is judged
    on more of them.
    """
    held = max(2, round(_VALIDATION_SHARE * len(rest)))
    count = max(1, min(n_fits, _MOST_SPLITS, len(rest) // (2 * held)))
    result = []
    for k in range(count):
        mine = slice(k * held, (k + 1) * held)
        result.append((np.delete(rest, mine), rest[mine]))
    return result, rest[count * held :]


def fit_fold(
    z: Floats,
    columns: Rows,
    grid: Floats,
    rest: Rows,
    *,
    n_fits: int,
    seed: int,
    fold: int,
    plan: TrainingPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> FittedPath:
    """Learn the path through `columns` (two or more) of normal scores `z` from the rows `rest`.

    `grid` (n_features, n_quantiles) holds every column's marginal. Order and parents come from the rows that no member
    validates on; a member's Gaussian base and edge statistics come from its own training rows, and those that test rows
    meet from all of `rest`.
    """
    parts, core = splits(rest, n_fits)
    inner = z[:, columns]
    base = choose_base([(inner[train], inner[held]) for train, held in parts])
    tree = spanning_tree(dependence(inner[core]))
    blurred = z + tie_blur(z) * _random.generator(seed, "fold", fold, "blur").standard_normal(z.shape)
    trained: list[FittedPath] = []
    for k, (train, held) in enumerate(parts):
        path = build_path(z[train], columns, tree, fit_base(base.name, inner[train]))
        nodes = train_nodes(
            _nodes(path, z[train], blurred[train]),
            _nodes(path, z[held], blurred[held]),
            n_members=len(range(k, n_fits, len(parts))),
            seed=seed,
            path=("fold", fold, "split", k),
            plan=plan,
            report=None if report is None else partial(_report_part, report, k, len(parts)),
        )
        trained.append(FittedPath(path, nodes.weights, 1.0, grid[path.column], base.name))
    alpha = choose_alpha([(fitted, z[held]) for fitted, (_, held) in zip(trained, parts, strict=True)])
    path = build_path(z[rest], columns, tree, fit_base(base.name, inner[rest]))
    weights = np.concatenate([fitted.weights for fitted in trained])
    return FittedPath(path, weights, alpha, grid[path.column], base.name)


def _report_part(report: Callable[[float], None], part: int, n_parts: int, share: float) -> None:
    report((part + share) / n_parts)


def tie_blur(z: Floats) -> Floats:
    """How far to blur each value of `z` (n_rows, n_columns), as a standard deviation: 0 for values that occur once.

    A density would otherwise grow without bound on a value that occurs often. A third of the distance to the nearest other
    value keeps neighbours apart; the sum over the marginal's own values then makes a probability of the density.
    """
    order = np.argsort(z, axis=0, kind="stable")
    values = np.take_along_axis(z, order, axis=0)
    new = np.diff(values, axis=0) > 0
    n = len(z)
    index = np.broadcast_to(np.arange(n)[:, None], z.shape)
    edge = np.ones((1, z.shape[1]), dtype=bool)
    first = np.maximum.accumulate(np.where(np.vstack([edge, new]), index, 0), axis=0)
    last = np.minimum.accumulate(np.where(np.vstack([new, edge]), index, n - 1)[::-1], axis=0)[::-1]
    padded = np.vstack([np.full_like(edge, -np.inf, dtype=float), values, np.full_like(edge, np.inf, dtype=float)])
    below = values - np.take_along_axis(padded, first, axis=0)
    above = np.take_along_axis(padded, last + 2, axis=0) - values
    gap = np.minimum(below, above)
    gap[(first == last) | ~np.isfinite(gap)] = 0.0
    blur = np.empty_like(z)
    np.put_along_axis(blur, order, gap / 3, axis=0)
    return blur


def _nodes(path: NodePath, z: Floats, blurred: Floats) -> NodeData:
    """The nodes' view of rows `z`, their own values blurred; what they are told of their past is not."""
    data = path.data(z)
    return replace(data, child=np.ascontiguousarray(blurred.T[path.column], dtype=data.child.dtype))


def choose_alpha(held_out: list[tuple[FittedPath, Floats]]) -> float:
    """The temperature with the largest mean f over rows held out by each of some paths; 0 where no dependence holds up.

    With fewer than 8 such rows, that mean must also exceed its standard error.
    """
    f = np.concatenate([_tempered(fitted, rows) for fitted, rows in held_out], axis=1)
    best = int(f.mean(axis=1).argmax())
    count = f.shape[1]
    if count < _FEW_VALIDATION_ROWS and f[best].mean() <= f[best].std(ddof=1) / np.sqrt(count):
        return 0.0
    return ALPHAS[best]


def _tempered(fitted: FittedPath, rows: Floats) -> Floats:
    """f of (at most so many of the) rows at every temperature: (n_alphas, n_rows)."""
    shown = min(len(rows), max(16, _ALPHA_PAIRS // len(fitted.path.column)))
    data = fitted.path.data(rows[:shown])
    grid = fitted.grid.astype(data.child.dtype)
    terms = job("density_terms")(fitted.weights, data, grid, np.array(ALPHAS), 1)
    return np.asarray(terms.sum(axis=1, dtype=np.float64))
