"""Walks on local duals on the device: those of the reference, whatever lies where and in whatever order threads run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualwalk.backends import cuda, reference
from dualwalk.duals.local import LocalDual
from dualwalk.duals.local_covariance import LocalCovariance
from on_device.kit import Device

TOLERANCE = {np.float32: 2e-4, np.float64: 1e-10}
KINDS = ["plain", "target", "noise in a box", "preconditioned", "preconditioned to a target", "own span"]


def problem(n_walks: int, d: int, k: int, *, shared: bool, rng: np.random.Generator) -> tuple[Any, Any, Any, np.ndarray]:
    """Points, neighbours of the dual, neighbours of the preconditioner, starts."""
    points = rng.standard_normal((3 * k + 5, d))
    neighbors = np.argsort(rng.random((n_walks, len(points))), axis=1)[:, : k + 1]
    return points, neighbors[0] if shared else neighbors, neighbors, rng.uniform(-0.7, 0.7, (n_walks, d))


def plan_of(kind: str, dual: LocalDual, x: np.ndarray, covariance: Any, dtype: Any, n_steps: int = 5) -> reference.WalkPlan:
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
    put = [None if part is None else device.put(part) for part in (plan.target, plan.low, plan.high, plan.trajectory)]
    target, low, high, trajectory = put
    shape = None if plan.preconditioner is None else covariance
    return reference.WalkPlan(
        plan.n_steps, plan.step_size, plan.noise, plan.tolerance, target, low, high, plan.seed, trajectory, 1, shape
    )


def check(device: Device, size: tuple[int, int, int], kind: str, dtype: Any, *, shared: bool, rng: np.random.Generator) -> None:
    points, neighbors, others, x0 = problem(*size, shared=shared, rng=rng)
    x0 = x0.astype(dtype)
    shrinkage = 0.0 if kind == "own span" else 0.2
    dual, covariance = LocalDual(points, neighbors, shrinkage=0.4), LocalCovariance(points, others, shrinkage=shrinkage)
    here = LocalDual(device.put(points), neighbors, shrinkage=0.4)
    here_covariance = LocalCovariance(device.put(points), others, shrinkage=shrinkage)
    expected = x0.astype(np.float64)
    plan = plan_of(kind, dual, x0, covariance, np.float64)
    wanted = reference.walk(dual, expected, plan)
    x = device.put(x0)
    run = on_device(device, plan_of(kind, dual, x0, covariance, dtype), here_covariance)
    state = cuda.walk_local(here, x, run)
    far = np.abs(expected - x0).max()
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(device.get(x), expected, rtol=0, atol=tolerance * max(1.0, far))
    np.testing.assert_allclose(device.get(run.trajectory), plan.trajectory, rtol=0, atol=tolerance * max(1.0, far))
    np.testing.assert_array_equal(device.get(run.trajectory)[:, -1], device.get(x))
    np.testing.assert_allclose(device.get(state.f), wanted.f, rtol=5 * tolerance, atol=size[1] * tolerance)
    if dtype == np.float64 or "target" not in kind:
        np.testing.assert_array_equal(device.get(state.n_steps), wanted.n_steps)
        np.testing.assert_array_equal(device.get(state.reached), wanted.reached)


# one walk, one feature, one neighbour; a last group of rows and of features that is not full; more features than threads
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 3), (2, 62, 10), (2, 150, 20)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_walks_are_those_of_the_reference(device: Device, size: Any, kind: str, dtype: Any, rng: np.random.Generator) -> None:
    check(device, size, kind, dtype, shared=size[0] == 3, rng=rng)
