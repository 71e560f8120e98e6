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


def run_walks(
    kernel: Callable[..., Any], x: NDArray[Any], plan: WalkPlan, work: int, lanes: int, *dual: NDArray[Any]
) -> WalkState:
    """Call the kernel on ranges of groups of `lanes` walks and a few steps at a time; `work` is that of one walk and step."""
    n_walks, n_features = x.shape
    f, taken = np.full(n_walks, np.nan), np.zeros(n_walks, np.int64)
    reached, going = np.zeros(n_walks, np.bool_), np.ones(n_walks, np.bool_)
    nothing = read_only(np.empty(0, x.dtype))
    target, low, high = (nothing if part is None else read_only(part) for part in (plan.target, plan.low, plan.high))
    trajectory = np.empty((0, 0, 0), x.dtype) if plan.trajectory is None else plan.trajectory
    noise = plan.noise * np.sqrt(2 * plan.step_size)
    numbers = (plan.n_steps, float(plan.step_size), float(noise), float(plan.tolerance), np.uint64(plan.seed))
    state = (x, f, taken, reached, going, trajectory)
    work += WORK_A_NORMAL * n_features if noise else 4 * n_features
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
                kernel(walks, start, stop, begin, end, numbers, *state, target, low, high, *dual)

            parallel_ranges(take_steps, groups, plan.n_threads)
            walks, begin = walks[going[walks]], end
    if plan.trajectory is not None:  # a walk that stopped repeats its last point
        for number in np.flatnonzero(taken < plan.n_steps):
            trajectory[number, taken[number] + 1 :] = x[number]
    return WalkState(f, taken, reached)


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
