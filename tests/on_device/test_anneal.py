"""Annealing on the device: that of the reference, tables of every step included, without a copy from the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import cupy_on_host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dualwalk as dw
from dualwalk.backends import cuda, reference
from dualwalk.duals.mixture import MixtureDual
from on_device.kit import Device
from on_device.walks import compare


def mixtures(device: Device, n_components: int, d: int, rng: np.random.Generator) -> tuple[MixtureDual, MixtureDual]:
    """The same one on the host and on the device."""
    factors = 0.4 * rng.standard_normal((n_components, d, d)) / np.sqrt(d) + 0.8 * np.eye(d)
    weights, means = rng.uniform(0.5, 1.5, n_components), rng.standard_normal((n_components, d))
    here = MixtureDual(device.put(weights), device.put(means), factors=device.put(factors))
    return MixtureDual(weights, means, factors=factors), here


def plan_of(trajectory: Any, *, renoise: bool = True, n_steps: int = 6) -> reference.AnnealPlan:
    return reference.AnnealPlan(np.linspace(0.8, 0.0, n_steps + 1), renoise, 2**40 + 7, trajectory, 1)


def check(device: Device, size: tuple[int, int, int], dtype: Any, *, renoise: bool, rng: np.random.Generator) -> None:
    n_walks, d, n_components = size
    dual, here = mixtures(device, n_components, d, rng)
    x0 = rng.standard_normal((n_walks, d)).astype(dtype)
    expected, plan = x0.astype(np.float64), plan_of(np.full((n_walks, 7, d), np.nan), renoise=renoise)
    wanted = reference.anneal(dual, expected, plan)
    x, run = device.put(x0), plan_of(device.put(np.full((n_walks, 7, d), np.nan), dtype), renoise=renoise)
    launches = device.kernels.n_launches() if device.emulated else 0
    transfers = cupy_on_host.n_transfers
    state = cuda.anneal_mixture(here, x, run)
    if device.emulated:
        assert device.kernels.n_launches() == launches + 1
        assert cupy_on_host.n_transfers == transfers
    compare(device, (x, run.trajectory, state), (expected, plan.trajectory, wanted), x0, exact=True)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 5, 3), (9, 19, 2)])
@pytest.mark.parametrize("renoise", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_annealing_is_that_of_the_reference(
    device: Device, size: Any, renoise: bool, dtype: Any, rng: np.random.Generator
) -> None:
    check(device, size, dtype, renoise=renoise, rng=rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", ["large tiles", "workspace"])
def test_large_tiles_and_little_memory(device: Device, dtype: Any, memory: str, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("a GPU has the memory it has")
    device.kernels.set_device(multiprocessors=1, shared=232448 if memory == "large tiles" else 900 * np.dtype(dtype).itemsize)
    check(device, (75, 50, 2) if memory == "large tiles" else (40, 30, 2), dtype, renoise=True, rng=rng)


def test_no_barrier_is_missing(device: Device, any_order: str, rng: np.random.Generator) -> None:
    check(device, (9, 21, 2), np.float64, renoise=True, rng=rng)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 99))
def test_any_size(device: Device, n: int, d: int, n_components: int, wide: bool, renoise: bool, seed: int) -> None:
    check(device, (n, d, n_components), np.float64 if wide else np.float32, renoise=renoise, rng=np.random.default_rng(seed))


def test_a_walk_that_is_no_number_stops_where_it_is(device: Device, rng: np.random.Generator) -> None:
    _, here = mixtures(device, 2, 3, rng)
    x0 = rng.standard_normal((5, 3))
    x0[2] = 1e200
    x, trajectory = device.put(x0), device.put(np.full((5, 7, 3), np.nan))
    state = cuda.anneal_mixture(here, x, plan_of(trajectory, renoise=False))
    assert device.get(state.n_steps).tolist() == [6, 6, 0, 6, 6]
    assert np.isfinite(device.get(state.f)).tolist() == [True, True, False, True, True]
    np.testing.assert_array_equal(device.get(x)[2], x0[2])
    np.testing.assert_array_equal(device.get(trajectory)[2], np.tile(x0[2], (7, 1)))


def test_duals_are_those_of_the_host(device: Device, rng: np.random.Generator) -> None:
    dual, here = mixtures(device, 3, 4, rng)
    x = rng.standard_normal((6, 4))
    for on_host, there in ((dual, here), (dual.at(0.4), here.at(0.4)), (dual.density("normal"), here.density("normal"))):
        for wanted, ours in zip(on_host.value_and_gradient(x), there.value_and_gradient(device.put(x)), strict=True):
            np.testing.assert_allclose(device.get(ours), wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(device.get(here.responsibilities(device.put(x))), dual.responsibilities(x), rtol=1e-9)
    with pytest.raises(ValueError, match="x must be on the CUDA device"):
        here.value(x)


def test_the_public_function_anneals_there(device: Device, rng: np.random.Generator) -> None:
    dual, here = mixtures(device, 2, 3, rng)
    x0 = rng.standard_normal((4, 3))
    wanted = dw.anneal(dual, x0, t_start=0.7, n_steps=5, seed=3, record=True)
    ours = dw.anneal(here, device.put(x0), t_start=0.7, n_steps=5, seed=3, record=True)
    for mine, theirs in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(device.get(mine), theirs, rtol=1e-9, atol=1e-12)
    assert dw.anneal(here, device.put(x0[:0]), t_start=0.7, n_steps=5, seed=3).x.shape == (0, 3)
    with pytest.raises(ValueError, match="x0 must be on the CUDA device"):
        dw.anneal(here, x0, t_start=0.7)
    with pytest.raises(ValueError, match="x0 must be in the host's memory"):
        dw.anneal(dual, device.put(x0), t_start=0.7)


class Path:
    """A path that is anyone's own code: a mixture's without its jobs."""

    def __init__(self, dual: MixtureDual) -> None:
        self.dual = dual

    def at(self, time: float) -> Path:
        return Path(self.dual.at(time))

    def value_and_gradient(self, x: Any) -> Any:
        return self.dual.value_and_gradient(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_path_is_annealed_there(device: Device, dtype: Any, rng: np.random.Generator) -> None:
    dual, here = mixtures(device, 2, 3, rng)
    x0 = rng.standard_normal((4, 3)).astype(dtype)
    wanted = dw.anneal(Path(dual), x0, t_start=0.7, n_steps=5, seed=3, record=True)
    ours = dw.anneal(Path(here), device.put(x0), t_start=0.7, n_steps=5, seed=3, record=True)
    assert ours.x.dtype == dtype
    for mine, theirs in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(device.get(mine), theirs, rtol=1e-9 if dtype == np.float64 else 1e-4, atol=1e-5)


@pytest.mark.parametrize("chosen", [{"n_components": 2, "shrinkage": 0.3}, {"n_components": 2}])
def test_a_mixture_is_fitted_there(device: Device, chosen: Any, rng: np.random.Generator) -> None:
    points = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 4)) + rng.choice([-2.0, 2.0], (60, 1))
    wanted = MixtureDual.fit(points, **chosen)
    ours = MixtureDual.fit(device.put(points), **chosen)
    x = rng.standard_normal((5, 4))
    np.testing.assert_allclose(device.get(ours.value(device.put(x))), wanted.value(x), rtol=1e-7, atol=1e-8)
