"""One fold of the node estimator: base, path, training, temperature; and which rows play which part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from . import _random
from ._gaussian_base import choose_base, fit_base
from ._node_density import Mixture, normalized
from ._node_path import build_path, dependence, spanning_tree
from ._node_training import TrainingPlan, train_nodes
from .duals.node import FittedPath

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ALPHAS = tuple(round(0.1 * k, 1) for k in range(13))  # 0 to 1.2
_VALIDATION_SHARE = 0.15
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
        held = max(1, round(_VALIDATION_SHARE * len(rest)))
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
    trained = train_nodes(
        path.data(train), path.data(validation), n_members=n_fits, seed=seed, path=("fold", fold), plan=plan, report=report
    )
    fitted = FittedPath(path, trained.weights, 1.0, grid[path.column], base.name)
    alpha = choose_alpha(fitted, validation)
    return replace(fitted, path=build_path(both, columns, tree, fit_base(base.name, both[:, columns])), alpha=alpha)


def choose_alpha(fitted: FittedPath, validation: Floats) -> float:
    """The temperature with the largest mean f on the validation rows; 0 where no dependence holds up."""
    shown = min(len(validation), max(16, _ALPHA_PAIRS // len(fitted.path.column)))
    total = np.zeros(len(ALPHAS))
    for nodes, _, pairs, network in fitted.blocks(fitted.path.data(validation[:shown])):
        mixture = Mixture.of(network, pairs)
        grid = fitted.grid[nodes].astype(pairs.child.dtype)
        at_child, on_grid = mixture.log_ratio(pairs.child), mixture.log_ratio_on(grid)
        for k, alpha in enumerate(ALPHAS):
            if alpha:
                total[k] += normalized(alpha, at_child, on_grid).sum(dtype=np.float64)
    return ALPHAS[int(total.argmax())]
