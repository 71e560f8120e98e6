"""The specification: every job as the plainest NumPy that defines it. Other backends are tested against this file.

Random draws come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with
key = seed and counter = (row // 4, column block, copy, operation): a draw depends on what it is for, never on who draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._reference_nodes import StepPlan, score_contrastive, score_density, train_contrastive, train_density
from ._reference_scalar import silu_and_slope
from ._reference_terms import contrastive_slopes, contrastive_terms, density_slopes, density_terms

__all__ = [
    "OPERATIONS",
    "StepPlan",
    "WalkPlan",
    "WalkState",
    "contrastive_slopes",
    "contrastive_terms",
    "density_slopes",
    "density_terms",
    "draw_integers",
    "dual_at",
    "log_mean_exp",
    "mean_log_sigmoid",
    "normals",
    "permutation",
    "permute_marginals",
    "philox",
    "score_contrastive",
    "score_density",
    "silu_and_slope",
    "train_contrastive",
    "train_density",
    "walk",
    "walk_local",
    "walk_mlp",
]

SHUFFLE, RESAMPLE, SHIFT, NOISE = 1, 2, 3, 4
OPERATIONS = {"shuffle": SHUFFLE, "resample": RESAMPLE, "shift": SHIFT}
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)


def philox(counter: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]:
    """Philox4x32-10 of counters `(..., 4)` under a 64-bit key: four random words each, uint32 `(..., 4)`."""
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> _WORD) ^ c1 ^ np.uint64(k0), p1 & _LOW, (p0 >> _WORD) ^ c3 ^ np.uint64(k1), p0 & _LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1).astype(np.uint32)


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
    attempt, pending = 1, np.flatnonzero((product & _LOW) < threshold)
    while len(pending):
        product[pending] = _words(seed, operation, copy, block, pending, attempt) * bound[pending]
        pending = pending[(product[pending] & _LOW) < threshold[pending]]
        attempt += 1
    return (product >> _WORD).astype(np.uint32)


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


def normals(seed: int, walks: NDArray[np.int64], step: int, n_features: int) -> NDArray[np.float64]:
    """Standard normal noise `(len(walks), n_features)` of one step, by Box and Muller on Philox words.

    Counter (feature // 4, step, walk, NOISE); words 0 and 1 make features 0 and 1 of the four, words 2 and 3 the others.
    """
    groups = -(-n_features // 4)
    counter = np.empty((len(walks), groups, 4), np.uint32)
    counter[:] = (0, step, 0, NOISE)
    counter[..., 0] = np.arange(groups)
    counter[..., 2] = walks[:, None]
    uniform = (philox(counter, seed).astype(np.float64) + 0.5) * 2.0**-32
    radius, angle = np.sqrt(-2 * np.log(uniform[..., 0::2])), 2 * np.pi * uniform[..., 1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    return pairs.reshape(len(walks), 4 * groups)[:, :n_features]


@dataclass
class WalkPlan:
    """The settings of one batch of walks, checked and in the dtype of x."""

    n_steps: int
    step_size: float
    noise: float
    tolerance: float
    target: NDArray[Any] | None  # (n_walks,)
    low: NDArray[Any] | None  # (n_features,), together with high
    high: NDArray[Any] | None
    seed: int
    trajectory: NDArray[Any] | None  # (n_walks, n_steps + 1, n_features), filled by the walk
    n_threads: int


class WalkState(NamedTuple):
    """Where a batch of walks ended: f (float64), steps taken (int64), target reached (bool), each (n_walks,)."""

    f: NDArray[np.float64]
    n_steps: NDArray[np.int64]
    reached: NDArray[np.bool_]


def walk(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    """Walk every row of x in place along the dual's gradient; the definition for every backend, and the loop for any dual.

    A step is x += alpha g + noise sqrt(2 step_size) normal, clipped to the bounds. Without a target alpha = step_size; with
    one, alpha = sign(target - f) min(step_size, |target - f| / |g|^2), and a walk stops once |target - f| <= tolerance.
    A walk whose f or gradient is not finite stops where it is.
    """
    n_walks, n_features = x.shape
    f, taken = np.full(n_walks, np.nan), np.zeros(n_walks, np.int64)
    reached, going = np.zeros(n_walks, bool), np.arange(n_walks)
    if plan.trajectory is not None:
        plan.trajectory[:] = x[:, None]
    for step in range(plan.n_steps + 1):
        value, gradient = dual_at(dual, x[going], going, n_walks)
        f[going] = value
        squared = np.einsum("ij,ij->i", gradient, gradient)
        size = np.full(len(going), plan.step_size)
        keep = np.isfinite(value) & np.isfinite(squared)
        if plan.target is not None:
            gap = plan.target[going].astype(np.float64) - value
            reached[going] = keep & (np.abs(gap) <= plan.tolerance)
            keep &= ~reached[going]
            with np.errstate(divide="ignore", invalid="ignore"):
                size = np.copysign(np.fmin(plan.step_size, np.abs(gap) / squared), gap)
        going, gradient, size = going[keep], gradient[keep], size[keep]
        if step == plan.n_steps or len(going) == 0:
            break
        moved = x[going] + size[:, None] * gradient
        if plan.noise:
            moved += plan.noise * np.sqrt(2 * plan.step_size) * normals(plan.seed, going, step, n_features)
        if plan.low is not None:
            moved = np.clip(moved, plan.low, plan.high)
        x[going] = moved
        taken[going] += 1
        if plan.trajectory is not None:
            plan.trajectory[going, step + 1 :] = x[going][:, None]
    return WalkState(f, taken, reached)


def dual_at(dual: Any, x: NDArray[Any], walks: NDArray[np.int64], n_walks: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """f and its gradient at rows that belong to these walks; a dual with a state for each walk is told which."""
    at = dual.select(walks) if len(walks) < n_walks and hasattr(dual, "select") else dual
    value, gradient = at.value_and_gradient(x)
    value, gradient = np.asarray(value), np.asarray(gradient)
    if value.shape != (len(x),) or gradient.shape != x.shape:
        raise ValueError(
            f"dual.value_and_gradient(x) must return f of shape {(len(x),)} and a gradient of shape {x.shape}; "
            f"got {value.shape} and {gradient.shape} (return one number and one gradient row for each row of x)"
        )
    return value, gradient


walk_mlp = walk_local = walk
