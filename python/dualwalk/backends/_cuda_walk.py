"""What every walk on the device takes besides its dual: arrays for the ends, and the preconditioner's."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _device
from ._reference_walk import WalkPlan, WalkState

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
