"""Walks on mixtures and annealing along their path, for duals whose arrays are on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _device
from ._cuda_walk import Array, ends, shape_arrays
from ._reference_walk import AnnealPlan, WalkPlan, WalkState


def walk_mixture(dual: Any, x: Array, plan: WalkPlan) -> WalkState:
    state = ends(len(x))
    parts = _mixture(dual, _device.cupy().full(1, dual.time), x.dtype)
    _device.kernels().walk_mixture(x, parts, plan, shape_arrays(plan, x.dtype), tuple(state), _device.here())
    return state


def anneal_mixture(dual: Any, x: Array, plan: AnnealPlan) -> WalkState:
    xp = _device.cupy()
    # made there: times are equally spaced, so their ends say it all
    times = xp.linspace(float(plan.times[0]), float(plan.times[-1]), len(plan.times))
    turns = xp.ascontiguousarray(AnnealPlan(times, plan.renoise, plan.seed, None, 1).moves, x.dtype)
    state = ends(len(x))
    _device.kernels().anneal_mixture(x, _mixture(dual, times, x.dtype), turns, plan, tuple(state), _device.here())
    return state


def _mixture(dual: Any, times: Array, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Axes there and back, then the tables of these times, with centres as what to add to axes x."""
    xp = _device.cupy()
    centres, precisions, log_scales = dual.tables(times)
    parts = (dual.axes, dual.axes.transpose(0, 2, 1), -centres, precisions, log_scales)
    return *(xp.ascontiguousarray(part, dtype) for part in parts), dual.pull, dual.constant
