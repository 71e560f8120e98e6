"""One fold of the node estimator: base, path, training, temperature; and which rows play which part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import _random
from ._gaussian_base import choose_base, fit_base
from ._node_density import Mixture, normalized
from ._node_path import NodeData, NodePath, build_path, dependence, spanning_tree
from ._node_training import TrainingPlan, train_nodes
from .duals.node import FittedPath

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ALPHAS = tuple(round(0.1 * k, 1) for k in range(13))  # 0 to 1.2
_VALIDATION_SHARE = 0.15
_FEW_VALIDATION_ROWS = 8
_ALPHA_PAIRS = 24_000  # at most as many (node, row) pairs decide on the temperature


def folds(n: int, cv: int, seed: int) -> list[tuple[Rows, Rows, Rows]]:
    """(train, validation, test) rows of every fold: each row is a test row once, 15 % of the others are for validation.

    With fewer than 2 `cv` rows there are n // 2 folds.
    """
    count = min(cv, n // 2)
    shuffled = _random.generator(seed, "folds").permutation(n)
    result = []
    for k in range(count):
        rest = np.concatenate([shuffled[j::count] for j in range(count) if j != k])
        rest = _random.generator(seed, "fold", k, "split").permutation(rest)
        held = max(2, round(_VALIDATION_SHARE * len(rest)))
        result.append((rest[held:], rest[:held], shuffled[k::count]))
    return result


def fit_fold(
    z: Floats,
    columns: Rows,
    grid: Floats,
    rows: tuple[Rows, Rows],
    *,
    n_fits: int,
    seed: int,
    fold: int,
    plan: TrainingPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> FittedPath:
    """Learn the path through `columns` (two or more) of normal scores `z` from the (train, validation) `rows`.

    `grid` (n_features, n_quantiles) holds every column's marginal. Order, parents and the network come from the training
    rows; the Gaussian base and the edge statistics that test rows meet are recomputed with the validation rows.
    """
    train, validation = z[rows[0]], z[rows[1]]
    both = np.concatenate([train, validation])
    base = choose_base(train[:, columns], validation[:, columns])
    tree = spanning_tree(dependence(train[:, columns]))
    path = build_path(train, columns, tree, base.correlation)
    blur = tie_blur(train) * _random.generator(seed, "fold", fold, "blur").standard_normal(train.shape)
    blur_held = tie_blur(validation) * _random.generator(seed, "fold", fold, "blur held").standard_normal(validation.shape)
    trained = train_nodes(
        _blurred(path, train, blur),
        _blurred(path, validation, blur_held),
        n_members=n_fits,
        seed=seed,
        path=("fold", fold),
        plan=plan,
        report=report,
    )
    fitted = FittedPath(path, trained.weights, 1.0, grid[path.column], base.name)
    alpha = choose_alpha(fitted, validation)
    return replace(fitted, path=build_path(both, columns, tree, fit_base(base.name, both[:, columns])), alpha=alpha)


def tie_blur(z: Floats) -> Floats:
    """How far to blur each value of `z` (n_rows, n_columns), as a standard deviation: 0 for values that occur once.

    A density would otherwise grow without bound on a value that occurs often. A sixth of the distance to the nearest other
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
    np.put_along_axis(blur, order, gap / 6, axis=0)
    return blur


def _blurred(path: NodePath, z: Floats, blur: Floats) -> NodeData:
    """The nodes' view of `z`, their own values blurred; what they are told of their past is not."""
    data = path.data(z)
    return replace(data, child=data.child + blur.T[path.column].astype(data.child.dtype))


def choose_alpha(fitted: FittedPath, validation: Floats) -> float:
    """The temperature with the largest mean f on the validation rows; 0 where no dependence holds up.

    With fewer than 8 validation rows, that mean must also exceed its standard error.
    """
    shown = min(len(validation), max(16, _ALPHA_PAIRS // len(fitted.path.column)))
    f = np.zeros((len(ALPHAS), shown))
    for nodes, rows, pairs, network in fitted.blocks(fitted.path.data(validation[:shown])):
        mixture = Mixture.of(network, pairs)
        grid = fitted.grid[nodes].astype(pairs.child.dtype)
        at_child, on_grid = mixture.log_ratio(pairs.child), mixture.log_ratio_on(grid)
        for k, alpha in enumerate(ALPHAS):
            if alpha:
                terms = normalized(alpha, at_child, on_grid)
                f[k, rows] += terms.reshape(len(grid), -1).sum(axis=0, dtype=np.float64)
    best = int(f.mean(axis=1).argmax())
    if shown < _FEW_VALIDATION_ROWS:
        error = f[best].std(ddof=1) / np.sqrt(shown) if shown > 1 else np.inf
        return ALPHAS[best] if f[best].mean() > error else 0.0
    return ALPHAS[best]
