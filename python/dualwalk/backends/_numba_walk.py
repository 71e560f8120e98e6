# mypy: disable-error-code="no-untyped-def"
"""What walks in Numba share: short compiled calls, between which Ctrl-C is heard, the step rule and the noise.

What is carried from one call to the next is only x and the state of each walk, so results do not depend on where they are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_scalar import jit, normal_pair, philox_words, read_only
from .reference import NOISE, WalkPlan, WalkState

WORK_A_CALL = 200_000_000  # multiply-adds of one thread between two looks at Ctrl-C: at most 0.1 s
WORK_A_NORMAL = 30  # multiply-adds that take as long as one number of noise
GOES, REACHED, LOST = 0, 1, 2
_OPERATION = np.uint64(NOISE)


def run_walks(kernel: Callable[..., Any], x: NDArray[Any], plan: WalkPlan, work: int, lanes: int, *dual: Any) -> WalkState:
    """Call the kernel on ranges of groups of `lanes` walks and a few steps at a time; `work` is that of one walk and step."""
    n_walks, n_features = x.shape
    f, taken = np.full(n_walks, np.nan), np.zeros(n_walks, np.int64)
    reached, going = np.zeros(n_walks, np.bool_), np.ones(n_walks, np.bool_)
    nothing = read_only(np.empty(0, x.dtype))
    target, low, high = (nothing if part is None else read_only(part) for part in (plan.target, plan.low, plan.high))
    shape = _shape_arrays(plan.preconditioner, x.dtype)
    trajectory = np.empty((0, 0, 0), x.dtype) if plan.trajectory is None else plan.trajectory
    noise = plan.noise * np.sqrt(2 * plan.step_size)
    numbers = (plan.n_steps, float(plan.step_size), float(noise), float(plan.tolerance), np.uint64(plan.seed))
    state = (x, f, taken, reached, going, trajectory)
    work += WORK_A_NORMAL * n_features if noise else 4 * n_features
    work += 3 * n_features * shape[0].shape[1]
    budget = plan.n_threads * max(WORK_A_CALL // work, lanes)  # walk-steps of one round of calls
    for first in range(0, n_walks, budget):
        walks = np.arange(first, min(first + budget, n_walks))
        if plan.trajectory is not None:
            trajectory[walks, 0] = x[walks]
        begin = 0
        while begin <= plan.n_steps and len(walks):
            groups = -(-len(walks) // lanes)
            end = begin + max(1, min(budget // (groups * lanes), plan.n_steps + 1 - begin))

            def take_steps(start: int, stop: int, walks: NDArray[Any] = walks, begin: int = begin, end: int = end) -> None:
                kernel(walks, start, stop, begin, end, numbers, *state, target, low, high, *shape, *dual)

            parallel_ranges(take_steps, groups, plan.n_threads)
            walks, begin = walks[going[walks]], end
    if plan.trajectory is not None:  # a walk that stopped repeats its last point
        for number in np.flatnonzero(taken < plan.n_steps):
            trajectory[number, taken[number] + 1 :] = x[number]
    return WalkState(f, taken, reached)


def _shape_arrays(preconditioner: Any, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The factor (B, R, d) of a preconditioner and its diagonal (B, d); empty where there is none."""
    if preconditioner is None:
        return read_only(np.empty((0, 0, 0), dtype)), read_only(np.empty((0, 0), dtype))
    diagonal = preconditioner.diagonal if preconditioner.diagonal.any() else np.empty((0, 0))
    return read_only(np.ascontiguousarray(preconditioner.factor, dtype)), read_only(np.ascontiguousarray(diagonal, dtype))


@jit()
def n_normals(n_features, factors, diagonals):
    """Numbers of noise of one walk and step."""
    if len(factors) == 0:
        return n_features
    return factors.shape[1] + (n_features if len(diagonals) > 0 else 0)


@jit(fastmath=frozenset({"contract", "reassoc"}))  # sums side by side; NaN and infinity mean what they do in any order
def dot(a, b):
    total = a.dtype.type(0)
    for j in range(len(a)):
        total += a[j] * b[j]
    return total


@jit()
def precondition(number, factors, diagonals, g, out):
    """out = C g for one walk; returns g . C g."""
    place = 0 if len(factors) == 1 else number
    total = np.float64(0)
    for j in range(len(g)):
        out[j] = diagonals[place, j] * g[j] if len(diagonals) > 0 else 0
    if len(diagonals) > 0:
        total = np.float64(dot(out, g))
    for k in range(factors.shape[1]):
        row = factors[place, k]
        inner = dot(row, g)
        total += np.float64(inner) * np.float64(inner)
        for j in range(len(g)):
            out[j] += inner * row[j]
    return total


@jit()
def noise_of(seed, number, step, factors, diagonals, normals, out):
    """One step's noise of one walk: standard normal, or of the preconditioner's covariance."""
    normals_of(seed, number, step, normals)
    kind = out.dtype.type
    if len(factors) == 0:
        for j in range(len(out)):
            out[j] = kind(normals[j])
        return
    place, n_factors = 0 if len(factors) == 1 else number, factors.shape[1]
    for j in range(len(out)):
        out[j] = np.sqrt(diagonals[place, j]) * kind(normals[n_factors + j]) if len(diagonals) > 0 else 0
    for k in range(n_factors):
        weight, row = kind(normals[k]), factors[place, k]
        for j in range(len(out)):
            out[j] += weight * row[j]


@jit()
def step_factor(f, squared, number, step_size, tolerance, target):
    """The factor on the gradient for this step, and whether the walk goes on."""
    if not (np.isfinite(f) and np.isfinite(squared)):
        return 0.0, LOST
    if len(target) == 0:
        return step_size, GOES
    gap = np.float64(target[number]) - f
    if abs(gap) <= tolerance:
        return 0.0, REACHED
    size = min(step_size, abs(gap) / squared) if squared > 0 else step_size  # never past the target by the linear prediction
    return (-size if gap < 0 else size), GOES


@jit()
def normals_of(seed, walk, step, out):
    """The standard normal noise of one walk and step; out has a whole number of fours."""
    for group in range(len(out) // 4):
        w0, w1, w2, w3 = philox_words(np.uint64(group), np.uint64(step), np.uint64(walk), _OPERATION, seed)
        out[4 * group], out[4 * group + 1] = normal_pair(w0, w1)
        out[4 * group + 2], out[4 * group + 3] = normal_pair(w2, w3)
