"""The compiled CPU kernels behind the table: the same jobs as reference.py, in C++ (`csrc/cpu`)."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ._native_nodes import (
    contrastive_slopes,
    contrastive_terms,
    density_slopes,
    density_terms,
    score_contrastive,
    score_density,
    train_contrastive,
    train_density,
)
from ._native_panels import pack_lines, pack_panels, packed_once
from .reference import LONGEST_CHAIN, OPERATIONS, AnnealPlan, WalkPlan, WalkState

__all__ = [
    "anneal_mixture",
    "balance_columns",
    "contrastive_slopes",
    "contrastive_terms",
    "density_slopes",
    "density_terms",
    "draw_integers",
    "draw_normals",
    "log_mean_exp",
    "log_mean_exp_segments",
    "mean_log_sigmoid",
    "permute_marginals",
    "philox",
    "relax_local",
    "score_contrastive",
    "score_density",
    "train_contrastive",
    "train_density",
    "walk_local",
    "walk_mixture",
    "walk_mlp",
]

if os.environ.get("DUALWALK_SIMD"):  # a lower level than the best, for tests and comparisons
    _core.select_level(os.environ["DUALWALK_SIMD"])

philox = _core.philox
log_mean_exp = _core.log_mean_exp
log_mean_exp_segments = _core.log_mean_exp_segments
mean_log_sigmoid = _core.mean_log_sigmoid
draw_normals = _core.draw_normals


def draw_integers(seed: int, operation: int, copy: int, block: int, bounds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return _core.draw_integers(seed, operation, copy, block, np.ascontiguousarray(bounds, np.uint32))


def permute_marginals(
    x: NDArray[Any],
    block_of_column: NDArray[np.int32],
    method: str,
    seed: int,
    out: NDArray[Any],
    n_threads: int,
    longest: int = LONGEST_CHAIN,
) -> None:
    _core.permute_marginals(x, block_of_column, OPERATIONS[method], seed, out, n_threads, longest)


_Arrays: TypeAlias = list[NDArray[Any]]


def _shape(plan: WalkPlan, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any] | None] | None:
    """The arrays of the plan's preconditioner."""
    if plan.preconditioner is None:
        return None
    factor, diagonal = plan.preconditioner.factor, plan.preconditioner.diagonal
    return np.ascontiguousarray(factor, dtype), np.ascontiguousarray(diagonal, dtype) if diagonal.any() else None


def walk_mlp(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    sources = (*dual.weights, *dual.biases)
    parts = packed_once(sources, ("mlp", x.dtype), lambda: _mlp(dual, x.dtype))
    return WalkState(*_core.walk_mlp(x, *parts, plan, _shape(plan, x.dtype)))


def _mlp(dual: Any, dtype: np.dtype[Any]) -> tuple[list[int], _Arrays, _Arrays, _Arrays, NDArray[Any]]:
    """Widths; the hidden layers' matrices and their transposes in panels; biases and the last layer's weights in lines."""
    *hidden, last = dual.weights
    width = [dual.n_features, *(len(weight) for weight in dual.weights)]
    forward = [pack_panels(weight, dtype) for weight in hidden]
    backward = [pack_panels(weight.T, dtype) for weight in hidden]
    return width, forward, backward, [pack_lines(bias, dtype) for bias in dual.biases], pack_lines(last[0], dtype)


def walk_local(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    mean, curvature, factor, constant = (
        np.ascontiguousarray(part, x.dtype) for part in (dual.mean, dual.curvature, dual.factor, dual.constant)
    )
    return WalkState(*_core.walk_local(x, mean, curvature, factor, constant, plan, _shape(plan, x.dtype)))


_Mixture: TypeAlias = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], float, float]


def _mixture(dual: Any, times: NDArray[np.float64], dtype: np.dtype[Any]) -> _Mixture:
    """Axes in panels, there and back, then the tables of these times in lines, with centres as what to add to axes x."""
    forward, backward = packed_once((dual.axes,), ("mixture", dtype), lambda: _axes(dual.axes, dtype))
    centres, precisions, log_scales = dual.tables(times)
    tables = pack_lines(-centres, dtype), pack_lines(precisions, dtype), np.ascontiguousarray(log_scales, dtype)
    return forward, backward, *tables, dual.pull, dual.constant


def _axes(axes: NDArray[np.float64], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Axes (K, d, d), one a column, as products need them: (K times whole lines of d, d), and (d, K d)."""
    d = axes.shape[1]
    rows = pack_lines(axes, dtype).transpose(0, 2, 1).reshape(-1, d)
    return pack_panels(rows, dtype), pack_panels(axes.transpose(1, 0, 2).reshape(d, -1), dtype)


def walk_mixture(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    return WalkState(*_core.walk_mixture(x, *_mixture(dual, np.array([dual.time]), x.dtype), plan, _shape(plan, x.dtype)))


def anneal_mixture(dual: Any, x: NDArray[Any], plan: AnnealPlan) -> WalkState:
    return WalkState(*_core.anneal_mixture(x, *_mixture(dual, plan.times, x.dtype), plan))


def relax_local(
    points: NDArray[Any], neighbors: NDArray[np.intp], decay: float, seed: int, n_threads: int
) -> NDArray[np.floating]:
    rows, index = np.ascontiguousarray(points), np.ascontiguousarray(neighbors, np.int64)
    return _core.relax_local(rows, index, decay, seed, n_threads)


def balance_columns(
    points: NDArray[Any], place: NDArray[np.float64], table: NDArray[Any], tied: NDArray[np.bool_], n_threads: int
) -> NDArray[np.floating]:
    rows, quantiles = np.ascontiguousarray(points, table.dtype), np.ascontiguousarray(table)
    return _core.balance_columns(rows, np.ascontiguousarray(place), quantiles, np.ascontiguousarray(tied), n_threads)
