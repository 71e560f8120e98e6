"""Walks on local duals whose arrays are on the device."""

from __future__ import annotations

from typing import Any

from .. import _device
from ._cuda_walk import Array, ends, shape_arrays
from ._reference_walk import WalkPlan, WalkState


def walk_local(dual: Any, x: Array, plan: WalkPlan) -> WalkState:
    xp = _device.cupy()
    parts = [xp.ascontiguousarray(part, x.dtype) for part in (dual.mean, dual.curvature, dual.factor, dual.constant)]
    state = ends(len(x))
    _device.kernels().walk_local(x, *parts, plan, shape_arrays(plan, x.dtype), tuple(state), _device.here())
    return state
