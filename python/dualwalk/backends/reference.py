"""The specification: every job as the plainest NumPy that defines it. Other backends are tested against this file.

Random draws come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with
key = seed and counter = (row // 4, column block, copy, operation): a draw depends on what it is for, never on who draws it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._reference_draws import NOISE, RENOISE, normals, philox
from ._reference_nodes import StepPlan, score_contrastive, score_density, train_contrastive, train_density
from ._reference_permute import (
    LONGEST_CHAIN,
    OPERATIONS,
    bucket_bits,
    draw_integers,
    permutation,
    permute_marginals,
)
from ._reference_sampling import balance_columns, draw_normals, relax_local
from ._reference_scalar import silu_and_slope
from ._reference_terms import contrastive_slopes, contrastive_terms, density_slopes, density_terms
from ._reference_walk import AnnealPlan, WalkPlan, WalkState, anneal, dual_at, walk

__all__ = [
    "LONGEST_CHAIN",
    "NOISE",
    "OPERATIONS",
    "RENOISE",
    "AnnealPlan",
    "StepPlan",
    "WalkPlan",
    "WalkState",
    "anneal",
    "anneal_mixture",
    "balance_columns",
    "bucket_bits",
    "contrastive_slopes",
    "contrastive_terms",
    "density_slopes",
    "density_terms",
    "draw_integers",
    "draw_normals",
    "dual_at",
    "log_mean_exp",
    "log_mean_exp_segments",
    "mean_log_sigmoid",
    "normals",
    "permutation",
    "permute_marginals",
    "philox",
    "relax_local",
    "score_contrastive",
    "score_density",
    "silu_and_slope",
    "train_contrastive",
    "train_density",
    "walk",
    "walk_local",
    "walk_mixture",
    "walk_mlp",
]


def log_mean_exp(
    f: NDArray[Any], weights: NDArray[Any] | None, gradient: NDArray[Any] | None, n_threads: int
) -> NDArray[np.float64]:
    """log sum_i w_i exp f_i / sum_i w_i along the middle axis of f `(n_outer, n, n_inner)`; its gradient goes into `gradient`.

    Columns of -inf give -inf and a zero gradient; entries of +inf give +inf and share the gradient by their weights. The sum is
    taken as that of exp(f) - 1 where that is small, which keeps the leading digits of results next to 0.
    """
    values = f.astype(np.float64)
    weight = np.ones_like(values) if weights is None else np.broadcast_to(weights.astype(np.float64), values.shape)
    carried = np.where(weight > 0, values, -np.inf)
    peak = carried.max(axis=1, keepdims=True)
    infinite = np.isinf(peak)
    base = np.where(infinite, 0, peak)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        terms = np.where(infinite, carried == np.inf, np.exp(carried - base)) * weight
        total, whole = terms.sum(axis=1, keepdims=True), weight.sum(axis=1, keepdims=True)
        over = (np.expm1(carried) * weight).sum(axis=1, keepdims=True) / whole
        result: NDArray[np.float64] = np.where(np.abs(over) < 0.5, np.log1p(over), peak + np.log(total / whole))
    if gradient is not None:
        np.divide(terms, np.where(total == 0, 1, total), out=gradient)
    return result[:, 0]


def log_mean_exp_segments(
    f: NDArray[Any],
    offsets: NDArray[np.int64],
    weights: NDArray[Any] | None,
    gradient: NDArray[Any] | None,
    n_threads: int,
) -> NDArray[np.float64]:
    """log_mean_exp of every segment f[offsets[k] : offsets[k + 1]]."""
    value = np.empty(len(offsets) - 1)
    for k, (start, stop) in enumerate(pairwise(offsets)):
        rows, weight, slopes = (None if a is None else a[None, start:stop, None] for a in (f, weights, gradient))
        assert rows is not None
        value[k] = log_mean_exp(rows, weight, slopes, n_threads)[0, 0]
    return value


def mean_log_sigmoid(f: NDArray[Any], sign: int, gradient: NDArray[Any] | None, n_threads: int) -> float:
    """mean_i log sigmoid(sign f_i) of a 1-D array, and its gradient."""
    signed = sign * f.astype(np.float64)
    small = np.exp(-np.abs(signed))
    if gradient is not None:
        gradient[:] = sign / len(f) * np.where(signed >= 0, small, 1) / (1 + small)
    return float(np.mean(np.minimum(signed, 0) - np.log1p(small)))


walk_mlp = walk_local = walk_mixture = walk
anneal_mixture = anneal
