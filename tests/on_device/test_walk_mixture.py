"""Walks on mixtures on the device: those of the reference, in tiles of either size, whatever lies in the workspace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import cupy_on_host

from dualwalk.backends import cuda, reference
from dualwalk.duals.local_covariance import LocalCovariance
from dualwalk.duals.mixture import MixtureDual
from on_device.kit import Device
from on_device.walks import KINDS, compare, on_device, plan_of


def numbers(n_components: int, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and factors of a mixture."""
    factors = 0.4 * rng.standard_normal((n_components, d, d)) / np.sqrt(d) + 0.8 * np.eye(d)
    return rng.uniform(0.5, 1.5, n_components), rng.standard_normal((n_components, d)), factors


def check(device: Device, size: tuple[int, int, int], kind: str, dtype: Any, rng: np.random.Generator) -> None:
    n_walks, d, n_components = size
    weights, means, factors = numbers(n_components, d, rng)
    points = rng.standard_normal((12, d))
    neighbors = np.argsort(rng.random((n_walks, 12)), axis=1)[:, :6]
    neighbors = neighbors[0] if kind == "own span" else neighbors
    shrinkage = 0.0 if kind == "own span" else 0.2
    dual, covariance = MixtureDual(weights, means, factors=factors), LocalCovariance(points, neighbors, shrinkage=shrinkage)
    here = MixtureDual(*(device.put(part) for part in (weights, means)), factors=device.put(factors))
    here_covariance = LocalCovariance(device.put(points), neighbors, shrinkage=shrinkage)
    x0 = rng.uniform(-0.7, 0.7, (n_walks, d)).astype(dtype)
    expected = x0.astype(np.float64)
    plan = plan_of(kind, dual, x0, covariance, np.float64)
    wanted = reference.walk(dual, expected, plan)
    x, run = device.put(x0), on_device(device, plan_of(kind, dual, x0, covariance, dtype), here_covariance)
    state = cuda.walk_mixture(here, x, run)
    compare(
        device,
        (x, run.trajectory, state),
        (expected, plan.trajectory, wanted),
        x0,
        exact=dtype == np.float64 or "target" not in kind,
    )


# one walk, one feature, one component; a last tile that is not full; columns that are not whole groups
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 3), (9, 19, 2)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_walks_are_those_of_the_reference(device: Device, size: Any, kind: str, dtype: Any, rng: np.random.Generator) -> None:
    check(device, size, kind, dtype, rng)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", ["large tiles", "workspace"])
def test_large_tiles_and_little_memory(device: Device, kind: str, dtype: Any, memory: str, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("a GPU has the memory it has")
    device.kernels.set_device(multiprocessors=1, shared=232448 if memory == "large tiles" else 900 * np.dtype(dtype).itemsize)
    check(device, (75, 50, 2) if memory == "large tiles" else (40, 30, 2), kind, dtype, rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_walk_does_not_depend_on_the_others(device: Device, dtype: Any, rng: np.random.Generator) -> None:
    """The same bits in a large tile and in a small one."""
    if device.emulated:
        device.kernels.set_device(multiprocessors=1)
    weights, means, factors = numbers(2, 50, rng)
    here = MixtureDual(*(device.put(part) for part in (weights, means)), factors=device.put(factors))
    x0 = rng.standard_normal((75, 50)).astype(dtype)
    plan = reference.WalkPlan(4, 0.05, 0.3, 1e-3, None, None, None, 3, None, 1)
    many, few = device.put(x0), device.put(x0[:9])
    cuda.walk_mixture(here, many, plan)
    cuda.walk_mixture(here, few, plan)
    np.testing.assert_array_equal(device.get(many)[:9], device.get(few))


@pytest.mark.parametrize("kind", ["noise in a box", "preconditioned", "preconditioned to a target"])
@pytest.mark.parametrize("size", [(9, 21, 2), (75, 50, 2)])  # a small tile, a large one
def test_no_barrier_is_missing(device: Device, any_order: str, kind: str, size: Any, rng: np.random.Generator) -> None:
    if device.emulated:
        device.kernels.set_device(multiprocessors=1)
    check(device, size, kind, np.float64, rng)


def test_launches_and_transfers(device: Device, rng: np.random.Generator) -> None:
    """A walk is one launch, and copies nothing."""
    if not device.emulated:
        pytest.skip("counted on the emulated device")
    weights, means, factors = numbers(2, 9, rng)
    here = MixtureDual(*(device.put(part) for part in (weights, means)), factors=device.put(factors))
    x = device.put(rng.standard_normal((5, 9)))
    launches, transfers = device.kernels.n_launches(), cupy_on_host.n_transfers
    cuda.walk_mixture(here, x, reference.WalkPlan(4, 0.05, 0.3, 1e-3, None, None, None, 3, None, 1))
    assert device.kernels.n_launches() == launches + 1
    assert cupy_on_host.n_transfers == transfers
