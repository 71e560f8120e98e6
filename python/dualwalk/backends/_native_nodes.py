"""The compiled jobs of the node networks: the same as _reference_nodes.py and _reference_terms.py, in C++ (`csrc/cpu`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ._reference_nodes import StepPlan
from ._reference_terms import contrastive_slopes, contrastive_terms, density_slopes

__all__ = [
    "contrastive_slopes",
    "contrastive_terms",
    "density_slopes",
    "density_terms",
    "score_contrastive",
    "score_density",
    "train_contrastive",
    "train_density",
]


def _parts(data: Any) -> tuple[NDArray, NDArray, NDArray, NDArray[np.uint8]]:
    child, context, statistics = (np.ascontiguousarray(part) for part in (data.child, data.context, data.statistics))
    return child, context, statistics, np.ascontiguousarray(data.codes, np.uint8)


def train_density(
    weights: NDArray,
    first: NDArray,
    second: NDArray,
    count: int,
    data: Any,
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    plan: StepPlan,
    n_threads: int,
) -> None:
    _train(weights, first, second, count, data, nodes, rows, flips, plan._replace(n_shifts=0), n_threads)


def train_contrastive(
    weights: NDArray,
    first: NDArray,
    second: NDArray,
    count: int,
    data: Any,
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    plan: StepPlan,
    n_threads: int,
) -> None:
    _train(weights, first, second, count, data, nodes, rows, flips, plan, n_threads)


def _train(
    weights: NDArray,
    first: NDArray,
    second: NDArray,
    count: int,
    data: Any,
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    plan: StepPlan,
    n_threads: int,
) -> None:
    child, context, statistics, codes = _parts(data)
    rates = np.ascontiguousarray(plan.rates, np.float64)
    _core.train_nodes(
        *(weights, first, second, count, child, context, statistics, codes, nodes, rows, flips, rates),
        *(plan.weight_decay, plan.gradient_norm, plan.n_shifts, plan.base, n_threads),
    )


def score_density(weights: NDArray, data: Any, n_rows: int, n_threads: int) -> float:
    return _core.score_nodes(np.ascontiguousarray(weights), *_parts(data), n_rows, 0, False, n_threads)


def score_contrastive(weights: NDArray, data: Any, n_rows: int, plan: StepPlan, n_threads: int) -> float:
    return _core.score_nodes(np.ascontiguousarray(weights), *_parts(data), n_rows, plan.n_shifts, plan.base, n_threads)


def density_terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], n_threads: int
) -> NDArray[np.floating]:
    terms = np.empty((len(alphas), *data.child.shape), data.child.dtype)
    arrays = (np.ascontiguousarray(grid), np.ascontiguousarray(alphas, np.float64), terms)
    _core.node_terms(np.ascontiguousarray(weights), *_parts(data), *arrays, None, None, False, False, n_threads)
    return terms
