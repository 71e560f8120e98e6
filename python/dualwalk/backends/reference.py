"""The specification: every job as the plainest NumPy that defines it. Other backends are tested against this file.

Random draws come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with
key = seed and counter = (row // 4, column block, copy, operation): a draw depends on what it is for, never on who draws it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._reference_draws import LOW, NOISE, RENOISE, RESAMPLE, SHIFT, SHUFFLE, WORD, normals, philox
from ._reference_nodes import StepPlan, score_contrastive, score_density, train_contrastive, train_density
from ._reference_sampling import balance_columns, draw_normals, relax_local
from ._reference_scalar import silu_and_slope
from ._reference_terms import contrastive_slopes, contrastive_terms, density_slopes, density_terms
from ._reference_walk import AnnealPlan, WalkPlan, WalkState, anneal, dual_at, walk

__all__ = [
    "NOISE",
    "OPERATIONS",
    "RENOISE",
    "RESAMPLE",
    "SHIFT",
    "SHUFFLE",
    "AnnealPlan",
    "StepPlan",
    "WalkPlan",
    "WalkState",
    "anneal",
    "anneal_mixture",
    "balance_columns",
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

OPERATIONS = {"shuffle": SHUFFLE, "resample": RESAMPLE, "shift": SHIFT}


def _words(seed: int, operation: int, copy: int, block: int, rows: NDArray[np.int64], attempt: int) -> NDArray[np.uint64]:
    counter = np.empty((len(rows), 4), np.uint32)
    counter[:] = (0, block, copy, operation | attempt << 8)
    counter[:, 0] = rows >> 2
    words: NDArray[np.uint64] = philox(counter, seed)[np.arange(len(rows)), rows & 3].astype(np.uint64)
    return words


def draw_integers(seed: int, operation: int, copy: int, block: int, bounds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """For each row i an exactly uniform integer in [0, bounds[i]): multiply and take the high word, reject the biased few.

    (Lemire, "Fast random integer generation in an interval", 2019.) A rejected row draws again at the next attempt number.
    """
    bound = np.asarray(bounds, np.uint64)
    rows = np.arange(len(bound))
    product = _words(seed, operation, copy, block, rows, 0) * bound
    threshold = (np.uint64(2**32) - bound) % np.maximum(bound, np.uint64(1))
    attempt, pending = 1, np.flatnonzero((product & LOW) < threshold)
    while len(pending):
        product[pending] = _words(seed, operation, copy, block, pending, attempt) * bound[pending]
        pending = pending[(product[pending] & LOW) < threshold[pending]]
        attempt += 1
    return (product >> WORD).astype(np.uint32)


def permutation(seed: int, method: str, copy: int, block: int, n_rows: int) -> NDArray[np.int64]:
    """The source row of every output row of one column block in one copy."""
    operation = OPERATIONS[method]
    if method == "resample":
        return draw_integers(seed, operation, copy, block, np.full(n_rows, n_rows, np.uint32)).astype(np.int64)
    if method == "shift":
        shift = 0 if n_rows < 2 else 1 + int(draw_integers(seed, operation, copy, block, np.array([n_rows - 1], np.uint32))[0])
        return (np.arange(n_rows) + shift) % max(n_rows, 1)
    partner = draw_integers(seed, operation, copy, block, np.arange(1, n_rows + 1, dtype=np.uint32)).tolist()
    source = list(range(n_rows))  # Fisher-Yates from the inside out
    for row, other in enumerate(partner):
        source[row] = source[other]
        source[other] = row
    return np.array(source, np.int64)


def permute_marginals(
    x: NDArray[Any], block_of_column: NDArray[np.int32], method: str, seed: int, out: NDArray[Any], n_threads: int
) -> None:
    """Write into `out` `(n_copies, n_rows, n_columns)` copies of x with the rows of every column block rearranged."""
    for block in np.unique(block_of_column):
        columns = np.flatnonzero(block_of_column == block)
        for copy in range(len(out)):
            source = permutation(seed, method, copy, int(block), len(x))
            out[copy][:, columns] = x[np.ix_(source, columns)]


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
