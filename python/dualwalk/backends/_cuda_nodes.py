"""The node networks' jobs on the device: the same as _reference_nodes.py and _reference_terms.py, in CUDA (`csrc/cuda/nodes`).

The arrays of NodeData, the networks and the batches are CuPy's; `codes`, learning rates and temperatures may be NumPy's, and are
sent there like the numbers of a call. Nodes and rows of a batch are not looked at before they are used: they must be in range.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _device
from ._reference_nodes import StepPlan

__all__ = [
    "contrastive_slopes",
    "contrastive_terms",
    "density_slopes",
    "density_terms",
    "node_parts",
    "score_contrastive",
    "score_density",
    "train_contrastive",
    "train_density",
    "train_networks",
]

Array = Any  # CuPy's ndarray, which has no types
FRESH = (-np.inf, 0.0, 0.0, 0.0)  # `Run.progress` at the start: best score, checks since, steps taken, whether it has stopped


class Run(NamedTuple):
    """One network on its way: its data and state on the device, and how its checks go.

    `train` and `validation` are `node_parts`. `weights`, `first`, `second`, `best` (W,) and `progress` (4,) float64 change;
    `best` are the weights at the best check.
    """

    train: tuple[Array, Array, Array, Array]
    validation: tuple[Array, Array, Array, Array]
    weights: Array
    first: Array
    second: Array
    best: Array
    progress: Array
    shown: int  # validation rows that a check looks at
    n_shifts: int  # 0 for a density network


def train_networks(
    runs: list[Run],
    batches: list[tuple[Array, Array, Array]],
    count: int,
    plan: StepPlan,
    *,
    check_every: int,
    patience: int,
) -> None:
    """The next steps of several networks of one kind and shape at once, in one launch: batches, checks and early stopping as in
    `_nodepath/training.py`, with no word from the host.

    Each of `batches` holds a run's nodes (T, b), rows (T, r) and flips (T, b). A run that has stopped stays as it is. The bits of
    a run do not depend on those that go along.
    """
    parts = [(*run[:7], *batch, run.shown, run.n_shifts) for run, batch in zip(runs, batches, strict=True)]
    _train(parts, count, plan, runs[0].weights.dtype, runs[0].n_shifts > 0, (check_every, patience))


def train_density(
    weights: Array,
    first: Array,
    second: Array,
    count: int,
    data: Any,
    nodes: Array,
    rows: Array,
    flips: Array,
    plan: StepPlan,
    n_threads: int,
) -> None:
    run = (node_parts(data), None, weights, first, second, None, None, nodes, rows, flips, 0, 0)
    _train([run], count, plan, weights.dtype, False, (0, 0))


def train_contrastive(
    weights: Array,
    first: Array,
    second: Array,
    count: int,
    data: Any,
    nodes: Array,
    rows: Array,
    flips: Array,
    plan: StepPlan,
    n_threads: int,
) -> None:
    run = (node_parts(data), None, weights, first, second, None, None, nodes, rows, flips, 0, plan.n_shifts)
    _train([run], count, plan, weights.dtype, True, (0, 0))


def _train(runs: list[Any], count: int, plan: StepPlan, dtype: Any, contrastive: bool, checks: tuple[int, int]) -> None:
    rates, steps = np.asarray(plan.rates, np.float64), count + 1.0 + np.arange(len(plan.rates))
    keep, move, widen = 1 - rates * plan.weight_decay, rates / (1 - 0.9**steps), 1 / np.sqrt(1 - 0.999**steps)
    moves = _device.to_device(np.ascontiguousarray(np.stack([keep, move, widen], axis=1), dtype))
    _device.kernels().train_nodes(runs, moves, plan.gradient_norm, plan.base, contrastive, *checks, _device.here())


def score_density(weights: Array, data: Any, n_rows: int, n_threads: int) -> Array:
    return _score(weights, data, n_rows, 0, False)


def score_contrastive(weights: Array, data: Any, n_rows: int, plan: StepPlan, n_threads: int) -> Array:
    return _score(weights, data, n_rows, plan.n_shifts, plan.base)


def _score(weights: Array, data: Any, n_rows: int, n_shifts: int, base: bool) -> Array:
    """The score as a 0-d array: nobody waits for it here."""
    xp = _device.cupy()
    value = xp.empty((), np.float64)
    _device.kernels().score_nodes(
        xp.ascontiguousarray(weights), node_parts(data), n_rows, n_shifts, base, value, _device.here()
    )
    return value


def density_terms(weights: Array, data: Any, grid: Array, alphas: Any, n_threads: int) -> Array:
    return _terms(weights, data, grid, alphas, (False, False))


def contrastive_terms(weights: Array, data: Any, grid: Array, alphas: Any, base: bool, n_threads: int) -> Array:
    return _terms(weights, data, grid, alphas, (True, base))


def _terms(weights: Array, data: Any, grid: Array, alphas: Any, kind: tuple[bool, bool]) -> Array:
    xp = _device.cupy()
    terms = xp.empty((len(alphas), *data.child.shape), data.child.dtype)
    arrays = (xp.ascontiguousarray(grid), xp.ascontiguousarray(xp.asarray(alphas), np.float64), terms)
    _device.kernels().node_terms(xp.ascontiguousarray(weights), node_parts(data), *arrays, None, None, *kind, _device.here())
    return terms


def density_slopes(weights: Array, data: Any, grid: Array, alpha: float, n_threads: int) -> tuple[Array, Array, Array]:
    return _slopes(weights, data, grid, alpha, (False, False))


def contrastive_slopes(
    weights: Array, data: Any, grid: Array, alpha: float, base: bool, n_threads: int
) -> tuple[Array, Array, Array]:
    return _slopes(weights, data, grid, alpha, (True, base))


def _slopes(weights: Array, data: Any, grid: Array, alpha: float, kind: tuple[bool, bool]) -> tuple[Array, Array, Array]:
    xp = _device.cupy()
    dtype = data.child.dtype
    terms, by_child, by_context = (xp.empty(part.shape, dtype) for part in (data.child, data.child, data.context))
    arrays = (xp.ascontiguousarray(grid), xp.full(1, alpha, np.float64), terms, by_child, by_context)
    _device.kernels().node_terms(xp.ascontiguousarray(weights), node_parts(data), *arrays, *kind, _device.here())
    return terms, by_child, by_context


def node_parts(data: Any) -> tuple[Array, Array, Array, Array]:
    """The arrays of NodeData as the kernels take them."""
    xp = _device.cupy()
    child, context, statistics = (xp.ascontiguousarray(part) for part in (data.child, data.context, data.statistics))
    return child, context, statistics, xp.ascontiguousarray(xp.asarray(data.codes), np.uint8)
