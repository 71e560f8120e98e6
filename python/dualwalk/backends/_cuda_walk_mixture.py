"""Walks on mixtures and annealing along their path, for duals whose arrays are on the device; annealing of any other dual."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _device
from ._cuda_walk import Array, ends, shape_arrays, step_noise
from ._reference_draws import RENOISE
from ._reference_walk import AnnealPlan, WalkPlan, WalkState, dual_at


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


def anneal_any(dual: Any, x: Array, plan: AnnealPlan) -> WalkState:
    """reference.anneal on the device, for any path of duals that take CuPy's arrays: all rows at every step, as in walk_any."""
    xp = _device.cupy()
    n_walks, angle, moves = len(x), plan.start_angle, plan.moves
    f, taken, going = xp.full(n_walks, np.nan), xp.zeros(n_walks, np.int64), xp.ones(n_walks, np.bool_)
    if plan.renoise:
        white = step_noise(plan.seed, RENOISE, x.shape, x.dtype)
        x[...] = math.cos(angle) * x + math.sin(angle) * white
    if plan.trajectory is not None:
        plan.trajectory[:, 0] = x
    foreseen = xp.zeros_like(x)
    with np.errstate(all="ignore"):
        for step, time in enumerate(plan.times):
            value, gradient = dual_at(dual.at(float(time)), x, np.arange(n_walks), n_walks)
            f = xp.where(going, value, f)
            if step == len(moves):
                break
            going = going & xp.isfinite(value) & xp.isfinite(gradient).all(axis=1)
            speed, cosine, sine, correction = map(float, moves[step])
            velocity = speed * gradient
            moved = cosine * x + sine * velocity + correction * (velocity - foreseen)
            foreseen = cosine * velocity - sine * x
            x[...] = xp.where(going[:, None], moved, x)
            taken += going
            if plan.trajectory is not None:
                plan.trajectory[:, step + 1] = x
    return WalkState(f, taken, xp.zeros(n_walks, np.bool_))


def _mixture(dual: Any, times: Array, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Axes there and back, then the tables of these times, with centres as what to add to axes x."""
    xp = _device.cupy()
    centres, precisions, log_scales = dual.tables(times)
    parts = (dual.axes, dual.axes.transpose(0, 2, 1), -centres, precisions, log_scales)
    return *(xp.ascontiguousarray(part, dtype) for part in parts), dual.pull, dual.constant
