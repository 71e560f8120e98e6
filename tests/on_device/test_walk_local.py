"""Walks on local duals on the device: those of the reference, whatever lies where and in whatever order threads run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import cupy_on_host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dualwalk as dw
from dualwalk._neighbors import column_scale, nearest_neighbors
from dualwalk.backends import cuda, reference
from dualwalk.duals.local import LocalDual
from dualwalk.duals.local_covariance import LocalCovariance
from on_device.kit import Device
from on_device.walks import KINDS, compare, on_device, plan_of


def check(device: Device, size: tuple[int, int, int], kind: str, dtype: Any, *, shared: bool, rng: np.random.Generator) -> None:
    n_walks, d, k = size
    points = rng.standard_normal((3 * k + 5, d))
    others = np.argsort(rng.random((n_walks, len(points))), axis=1)[:, : k + 1]
    neighbors = others[0] if shared else others
    shrinkage = 0.0 if kind == "own span" else 0.2
    dual, covariance = LocalDual(points, neighbors, shrinkage=0.4), LocalCovariance(points, others, shrinkage=shrinkage)
    here = LocalDual(device.put(points), neighbors, shrinkage=0.4)
    here_covariance = LocalCovariance(device.put(points), device.put(others), shrinkage=shrinkage)
    x0 = rng.uniform(-0.7, 0.7, (n_walks, d)).astype(dtype)
    expected = x0.astype(np.float64)
    plan = plan_of(kind, dual, x0, covariance, np.float64)
    wanted = reference.walk(dual, expected, plan)
    x, run = device.put(x0), on_device(device, plan_of(kind, dual, x0, covariance, dtype), here_covariance)
    launches = device.kernels.n_launches() if device.emulated else 0
    transfers = cupy_on_host.n_transfers
    state = cuda.walk_local(here, x, run)
    if device.emulated:
        assert device.kernels.n_launches() == launches + 1
        assert cupy_on_host.n_transfers == transfers
    exact = dtype == np.float64 or "target" not in kind
    compare(device, (x, run.trajectory, state), (expected, plan.trajectory, wanted), x0, exact=exact)


# one walk, one feature, one neighbour; a last group of rows and of features that is not full; more features than threads
@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 3), (2, 62, 10), (2, 150, 20)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_walks_are_those_of_the_reference(device: Device, size: Any, kind: str, dtype: Any, rng: np.random.Generator) -> None:
    check(device, size, kind, dtype, shared=size[0] == 3, rng=rng)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shared", [6000, 600])  # bytes: vectors fit but factors do not, nothing fits
def test_little_memory(device: Device, kind: str, dtype: Any, shared: int, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("a GPU has the memory it has")
    device.kernels.set_device(multiprocessors=1, shared=shared)
    check(device, (4, 70, 20), kind, dtype, shared=False, rng=rng)


@pytest.mark.parametrize("kind", ["noise in a box", "preconditioned", "preconditioned to a target"])
def test_no_barrier_is_missing(device: Device, any_order: str, kind: str, rng: np.random.Generator) -> None:
    check(device, (2, 70, 9), kind, np.float64, shared=False, rng=rng)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 5),
    st.integers(1, 80),
    st.integers(1, 9),
    st.sampled_from(KINDS),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_size(device: Device, n: int, d: int, k: int, kind: str, wide: bool, shared: bool, seed: int) -> None:
    dtype = np.float64 if wide else np.float32
    check(device, (n, d, k), kind, dtype, shared=shared, rng=np.random.default_rng(seed))


def test_a_walk_does_not_depend_on_the_others(device: Device, rng: np.random.Generator) -> None:
    points = device.put(rng.standard_normal((30, 40)))
    neighbors = np.argsort(rng.random((6, 30)), axis=1)[:, :8]
    x0 = rng.uniform(-0.7, 0.7, (6, 40)).astype(np.float32)
    whole = LocalDual(points, neighbors, shrinkage=0.3)
    plan = reference.WalkPlan(7, 0.02, 0.0, 1e-3, None, None, None, 3, None, 1)
    x, part = device.put(x0), device.put(x0[[4, 1]])
    cuda.walk_local(whole, x, plan)
    cuda.walk_local(whole.select(device.put([4, 1])), part, plan)
    np.testing.assert_array_equal(device.get(x)[[4, 1]], device.get(part))


def test_a_walk_that_leaves_the_numbers_stops_there(device: Device, rng: np.random.Generator) -> None:
    points = rng.standard_normal((20, 9))
    neighbors = np.arange(16).reshape(2, 8)
    dual, here = LocalDual(points, neighbors, shrinkage=0.05), LocalDual(device.put(points), neighbors, shrinkage=0.05)
    x0 = np.stack([dual.mean[0], 3 + dual.mean[1]])
    plan = reference.WalkPlan(30, 1e60, 0.0, 1e-3, None, None, None, 3, None, 1)
    expected, x = x0.copy(), device.put(x0)
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = reference.walk(dual, expected, plan)
    state = cuda.walk_local(here, x, plan)
    assert not np.isfinite(wanted.f).all()
    np.testing.assert_array_equal(device.get(state.n_steps)[1], wanted.n_steps[1])
    np.testing.assert_array_equal(np.isfinite(device.get(state.f)), np.isfinite(wanted.f))


def test_duals_are_those_of_the_host(device: Device, rng: np.random.Generator) -> None:
    points, x = rng.standard_normal((25, 6)), rng.standard_normal((3, 6))
    neighbors = np.argsort(rng.random((3, 25)), axis=1)[:, :9]
    dual, here = (
        LocalDual(points, neighbors, shrinkage=0.3),
        LocalDual(device.put(points), device.put(neighbors), shrinkage=0.3),
    )
    for on_host, there in [(dual, here), *((dual.density(base), here.density(base)) for base in ("marginals", "normal"))]:
        for wanted, ours in zip(on_host.value_and_gradient(x), there.value_and_gradient(device.put(x)), strict=True):
            np.testing.assert_allclose(device.get(ours), wanted, rtol=1e-9, atol=1e-12)
    for wanted, ours in zip(dual.reachable(x, 0.3, None, None), here.reachable(device.put(x), 0.3, None, None), strict=True):
        np.testing.assert_allclose(device.get(ours), wanted, rtol=1e-9)
    wanted = dual.in_deviations().diffuse(x, 0.5, np.random.default_rng(1))
    ours = here.in_deviations().diffuse(device.put(x), 0.5, np.random.default_rng(1))
    np.testing.assert_allclose(device.get(ours), wanted, rtol=1e-9, atol=1e-12)


def test_a_density_without_end_is_an_error_there_too(device: Device, rng: np.random.Generator) -> None:
    points = 0.1 * rng.standard_normal((25, 2)) @ np.array([[1.0, 0.9], [0.0, 0.3]])
    here = LocalDual(device.put(points), np.arange(25), shrinkage=0.02)
    with pytest.raises(ValueError, match="grows without bound"):
        LocalDual(points, np.arange(25), shrinkage=0.02).density("normal")
    with pytest.raises(ValueError, match="grows without bound"):
        here.density("normal")


def test_points_of_the_host_are_refused(device: Device, rng: np.random.Generator) -> None:
    points = rng.standard_normal((12, 3))
    on_host, here = LocalDual(points, np.arange(12), shrinkage=0.3), LocalDual(device.put(points), np.arange(12), shrinkage=0.3)
    with pytest.raises(ValueError, match="x must be on the CUDA device"):
        here.value(points)
    with pytest.raises(ValueError, match="x must be in the host's memory"):
        on_host.value(device.put(points))


def test_one_matrix_for_all_walks(device: Device, rng: np.random.Generator) -> None:
    root = rng.standard_normal((4, 4))
    matrix = root @ root.T + np.eye(4)
    here, vectors = LocalCovariance.from_matrix(device.put(matrix)), rng.standard_normal((5, 4))
    np.testing.assert_allclose(device.get(here.apply(device.put(vectors))), vectors @ matrix, rtol=1e-9)
    assert here.largest == pytest.approx(np.linalg.eigvalsh(matrix)[-1])
    with pytest.raises(ValueError, match="positive definite"):
        LocalCovariance.from_matrix(device.put(-matrix))


def test_the_public_function_walks_there(device: Device, rng: np.random.Generator) -> None:
    points, x0 = rng.standard_normal((30, 5)), rng.uniform(-0.5, 0.5, (3, 5))
    neighbors = np.argsort(rng.random((3, 30)), axis=1)[:, :9]
    dual, here = LocalDual(points, neighbors, shrinkage=0.4), LocalDual(device.put(points), neighbors, shrinkage=0.4)
    covariance, there = LocalCovariance(points, neighbors), LocalCovariance(device.put(points), neighbors)
    for settings_of in ({"noise": 1.0, "seed": 1, "base": "marginals"}, {"target": 0.2, "record": True}):
        wanted = dw.walk(dual, x0, n_steps=6, step_size=0.05, preconditioner=covariance, **settings_of)
        ours = dw.walk(here, device.put(x0), n_steps=6, step_size=0.05, preconditioner=there, **settings_of)
        for mine, theirs in zip(ours, wanted, strict=True):
            if theirs is not None:
                np.testing.assert_allclose(device.get(mine), theirs, rtol=1e-8, atol=1e-10)
    with pytest.raises(ValueError, match="x0 must be on the CUDA device"):
        dw.walk(here, x0, n_steps=1, step_size=0.1)
    with pytest.raises(ValueError, match="target cannot be reached"):
        dw.walk(here, device.put(x0), n_steps=2, step_size=1e-3, target=1e4)


def test_neighbors_are_those_of_the_host(device: Device, rng: np.random.Generator) -> None:
    points, queries = np.round(2 * rng.standard_normal((40, 3))), np.round(2 * rng.standard_normal((5, 3)))  # ties are exact
    np.testing.assert_array_equal(device.get(nearest_neighbors(device.put(points), 6)), nearest_neighbors(points, 6))
    ours = nearest_neighbors(device.put(points), 6, device.put(queries))
    np.testing.assert_array_equal(device.get(ours), nearest_neighbors(points, 6, queries))
    points[:, 1] = 2.0
    np.testing.assert_allclose(device.get(column_scale(device.put(points))), column_scale(points), rtol=1e-12)
    assert device.get(column_scale(device.put(np.ones((4, 2))))).tolist() == [1.0, 1.0]
