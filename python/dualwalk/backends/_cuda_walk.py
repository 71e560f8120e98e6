"""What every walk on the device takes besides its dual; and the walk on a dual that is the caller's own code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _device
from ._reference_walk import WalkPlan, WalkState, dual_at

Array = Any  # CuPy's ndarray, which has no types


def ends(n_walks: int) -> WalkState:
    """A state for a kernel to fill."""
    xp = _device.cupy()
    return WalkState(xp.empty(n_walks, np.float64), xp.empty(n_walks, np.int64), xp.empty(n_walks, np.bool_))


def shape_arrays(plan: WalkPlan, dtype: np.dtype[Any]) -> tuple[Array, Array | None] | None:
    """The arrays (factor, diagonal) of the plan's preconditioner, which is on the device."""
    shape = plan.preconditioner
    if shape is None:
        return None
    xp = _device.cupy()
    diagonal = xp.ascontiguousarray(shape.diagonal, dtype) if shape.n_normals > shape.factor.shape[1] else None
    return xp.ascontiguousarray(shape.factor, dtype), diagonal


def walk_any(dual: Any, x: Array, plan: WalkPlan) -> WalkState:
    """reference.walk on the device, for any dual whose value_and_gradient takes CuPy's arrays: all rows at every step.

    Which walks have ended only the device knows, and nothing here waits for it: their rows are evaluated and left as they are.
    """
    xp = _device.cupy()
    n_walks, n_features = x.shape
    shape, every = plan.preconditioner, np.arange(n_walks)
    f, taken = xp.full(n_walks, np.nan), xp.zeros(n_walks, np.int64)
    reached, going = xp.zeros(n_walks, np.bool_), xp.ones(n_walks, np.bool_)
    if plan.trajectory is not None:
        plan.trajectory[:, 0] = x
    with np.errstate(all="ignore"):
        for step in range(plan.n_steps + 1):
            value, slope = dual_at(dual, x, every, n_walks)
            f = xp.where(going, value, f)
            gradient = slope if shape is None else shape.apply(slope)
            squared = xp.einsum("ij,ij->i", slope, gradient)
            keep, size = xp.isfinite(value) & xp.isfinite(squared), plan.step_size
            if plan.target is not None:
                gap = plan.target - value
                near = going & keep & (xp.abs(gap) <= plan.tolerance)
                reached, keep = reached | near, keep & ~near
                size = xp.copysign(xp.fmin(plan.step_size, xp.abs(gap) / squared), gap)[:, None]
            going = going & keep
            if step == plan.n_steps:
                break
            moved = x + size * gradient
            if plan.noise:
                white = step_noise(plan.seed, step, (n_walks, n_features if shape is None else shape.n_normals), x.dtype)
                moved += plan.noise * math.sqrt(2 * plan.step_size) * (white if shape is None else shape.color(white))
            if plan.low is not None:
                moved = xp.clip(moved, plan.low, plan.high)
            x[...] = xp.where(going[:, None], moved, x)
            taken += going
            if plan.trajectory is not None:
                plan.trajectory[:, step + 1] = x
    return WalkState(f, taken, reached)


def step_noise(seed: int, step: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    """Standard normals (n_walks, n_normals) of one step: the draws of every walk."""
    out = _device.cupy().empty(shape, dtype)
    _device.kernels().draw_step_noise(seed, step, out, _device.here())
    return out
