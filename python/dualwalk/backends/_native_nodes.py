"""The compiled jobs of the node networks: the same as _reference_nodes.py and _reference_terms.py, in C++ (`csrc/cpu`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ._reference_nodes import StepPlan

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
    return _terms(weights, data, grid, alphas, (False, False), n_threads)


def contrastive_terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], base: bool, n_threads: int
) -> NDArray[np.floating]:
    return _terms(weights, data, grid, alphas, (True, base), n_threads)


def _terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], kind: tuple[bool, bool], n_threads: int
) -> NDArray[np.floating]:
    terms = np.empty((len(alphas), *data.child.shape), data.child.dtype)
    arrays = (np.ascontiguousarray(grid), np.ascontiguousarray(alphas, np.float64), terms)
    _core.node_terms(np.ascontiguousarray(weights), *_parts(data), *arrays, None, None, *kind, n_threads)
    return terms


def density_slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    return _slopes(weights, data, grid, alpha, (False, False), n_threads)


def contrastive_slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, base: bool, n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    return _slopes(weights, data, grid, alpha, (True, base), n_threads)


def _slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, kind: tuple[bool, bool], n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    child, context, statistics, codes = _parts(data)
    terms, by_child, by_context = (np.empty_like(part) for part in (child, child, context))
    arrays = (np.ascontiguousarray(grid), np.array([alpha], np.float64), terms[None], by_child, by_context)
    _core.node_terms(np.ascontiguousarray(weights), child, context, statistics, codes, *arrays, *kind, n_threads)
    return terms, by_child, by_context
