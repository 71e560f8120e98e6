"""The specification: every job as the plainest NumPy that defines it. Other backends are tested against this file.

Random draws come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with
key = seed and counter = (row // 4, column block, copy, operation): a draw depends on what it is for, never on who draws it.
"""

from __future__ import annotations

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
    """log sum_i w_i exp f_i / sum_i w_i of every row of f `(n_rows, n)`; its gradient goes into `gradient`.

    A row of -inf gives -inf and a zero gradient; entries of +inf give +inf and share the gradient by their weights.
    """
    values = f.astype(np.float64)
    weight = np.ones_like(values) if weights is None else np.broadcast_to(weights.astype(np.float64), values.shape)
    carried = np.where(weight > 0, values, -np.inf)
    peak = carried.max(axis=1, keepdims=True)
    infinite = np.isinf(peak)
    with np.errstate(invalid="ignore", over="ignore"):
        terms = np.where(infinite, carried == np.inf, np.exp(carried - np.where(infinite, 0, peak))) * weight
    terms = np.where(np.isnan(carried), np.nan, terms)
    total = terms.sum(axis=1, keepdims=True)
    if gradient is not None:
        np.divide(terms, np.where(total == 0, 1, total), out=gradient, casting="same_kind")
    with np.errstate(divide="ignore"):
        result: NDArray[np.float64] = (peak + np.log(total / weight.sum(axis=1, keepdims=True)))[:, 0]
    return result


def mean_log_sigmoid(f: NDArray[Any], sign: int, gradient: NDArray[Any] | None, n_threads: int) -> float:
    """mean_i log sigmoid(sign f_i) of a 1-D array, and its gradient."""
    signed = sign * f.astype(np.float64)
    small = np.exp(-np.abs(signed))
    if gradient is not None:
        gradient[:] = sign / len(f) * np.where(signed >= 0, small, 1) / (1 + small)
    return float(np.mean(np.minimum(signed, 0) - np.log1p(small)))


walk_mlp = walk_local = walk_mixture = walk
anneal_mixture = anneal
