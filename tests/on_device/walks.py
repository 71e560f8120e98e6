"""What tests of walks on the device share: plans on both sides, and how results are compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualwalk.backends import reference
from on_device.kit import Device

KINDS = ["plain", "target", "noise in a box", "preconditioned", "preconditioned to a target", "own span"]
TOLERANCE = {np.dtype(np.float32): 2e-4, np.dtype(np.float64): 1e-10}


def plan_of(kind: str, dual: Any, x: np.ndarray, covariance: Any, dtype: Any, n_steps: int = 5) -> reference.WalkPlan:
    """A walk of this kind on the host, recorded."""
    around = dual.value(x.astype(np.float64))
    target = noise = low = high = shape = None
    if kind == "target":
        target = (around + np.linspace(0.0, 0.3, len(x))).astype(dtype)
    if kind == "noise in a box":
        noise, low, high = 0.3, np.full(x.shape[1], -0.75, dtype), np.full(x.shape[1], 0.7, dtype)
    if "preconditioned" in kind or kind == "own span":
        shape = covariance
        noise = None if "target" in kind else 0.5
        target = (around + 0.1).astype(dtype) if "target" in kind else None
    trajectory = np.full((len(x), n_steps + 1, x.shape[1]), np.nan, dtype)
    return reference.WalkPlan(n_steps, 0.02, noise or 0.0, 1e-3, target, low, high, 2**40 + 4, trajectory, 1, shape)


def on_device(device: Device, plan: reference.WalkPlan, covariance: Any) -> reference.WalkPlan:
    """The same plan with its arrays on the device."""
    put = [None if part is None else device.put(part) for part in (plan.target, plan.low, plan.high, plan.trajectory)]
    target, low, high, trajectory = put
    shape = None if plan.preconditioner is None else covariance
    return reference.WalkPlan(
        plan.n_steps, plan.step_size, plan.noise, plan.tolerance, target, low, high, plan.seed, trajectory, 1, shape
    )


def compare(device: Device, ours: Any, expected: Any, x0: np.ndarray, *, exact: bool) -> None:
    """Both are (x, trajectory, state); without `exact` a walk may stop a step earlier or later."""
    (x, trajectory, state), (wanted_x, wanted_trajectory, wanted) = ours, expected
    tolerance = TOLERANCE[x0.dtype]
    far = tolerance * max(1.0, float(np.abs(wanted_x - x0).max()))
    np.testing.assert_allclose(device.get(x), wanted_x, rtol=0, atol=far)
    np.testing.assert_allclose(device.get(trajectory), wanted_trajectory, rtol=0, atol=far)
    np.testing.assert_array_equal(device.get(trajectory)[:, -1], device.get(x))
    np.testing.assert_allclose(device.get(state.f), wanted.f, rtol=5 * tolerance, atol=x0.shape[1] * tolerance)
    if exact:
        np.testing.assert_array_equal(device.get(state.n_steps), wanted.n_steps)
        np.testing.assert_array_equal(device.get(state.reached), wanted.reached)
