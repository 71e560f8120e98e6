"""relax_local and balance_columns on the device: the reference's numbers, ties, NaN and long columns included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_host import cupy_on_host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualwalk.backends import cuda, reference
from on_device.kit import Device

examples = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = ["normal", "few levels", "constant", "zeros of both signs", "not finite", "tiny", "backwards"]


def columns_of(kind: str, m: int, d: int, rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal((m, d))
    kinds = {
        "normal": noise,
        "few levels": np.round(noise),
        "constant": np.full((m, d), -1.3),
        "zeros of both signs": np.where(noise < 0, -0.0, 0.0),
        "not finite": np.where(
            rng.random((m, d)) < 0.3, np.inf, np.where(noise < 0, np.nan, np.where(noise < 1, -np.inf, noise))
        ),
        "tiny": noise * 5e-324 * rng.integers(0, 9, (m, d)),
        "backwards": np.sort(noise, axis=0)[::-1],
    }
    return kinds[kind]


def check_balance(device: Device, m: int, n: int, d: int, kind: str, dtype: Any, rng: np.random.Generator) -> int:
    """How many launches it took."""
    points, place = columns_of(kind, m, d, rng).astype(dtype), rng.random(m)
    table, tied = np.sort(rng.standard_normal((n, d)), axis=0).astype(dtype), rng.random(d) < 0.3
    inputs = [device.put(part) for part in (points, place, table, tied)]
    launches = device.kernels.n_launches() if device.emulated else 0
    transfers = cupy_on_host.n_transfers
    made = cuda.balance_columns(*inputs, 1)
    assert cupy_on_host.n_transfers == transfers
    # every operation rounds as the reference's does
    np.testing.assert_array_equal(device.get(made), reference.balance_columns(points, place, table, tied, 1))
    return device.kernels.n_launches() - launches if device.emulated else 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [1, 2, 3, 64, 65, 300])
def test_columns_are_balanced_as_the_reference_does(
    device: Device, kind: str, dtype: Any, m: int, rng: np.random.Generator
) -> None:
    assert check_balance(device, m, 40, 3, kind, dtype, rng) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("m", [65, 128, 250, 300])  # pieces of 64, or 32: a last one that is alone or not full
def test_columns_longer_than_shared_memory(device: Device, kind: str, dtype: Any, m: int, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("a GPU has the memory it has")
    device.kernels.set_device(shared=512)
    assert check_balance(device, m, 40, 3, kind, dtype, rng) > 1


def test_long_columns(device: Device, rng: np.random.Generator) -> None:
    if device.emulated:
        pytest.skip("too long for the emulated device")
    check_balance(device, 100_003, 512, 3, "few levels", np.float32, rng)
    check_balance(device, 100_003, 512, 3, "normal", np.float64, rng)


def test_no_barrier_is_missing(device: Device, any_order: str, rng: np.random.Generator) -> None:
    check_balance(device, 150, 30, 2, "few levels", np.float32, rng)
    check_relax(device, 9, 35, 41, 0.4, np.float64, rng)


@examples
@given(st.integers(1, 90), st.integers(1, 30), st.integers(1, 6), st.sampled_from(KINDS), st.booleans(), st.integers(0, 99))
def test_any_columns(device: Device, m: int, n: int, d: int, kind: str, wide: bool, seed: int) -> None:
    check_balance(device, m, n, d, kind, np.float64 if wide else np.float32, np.random.default_rng(seed))


def test_nothing_to_balance(device: Device) -> None:
    table, tied = device.put(np.zeros((10, 3))), device.put([False, True, False])
    assert cuda.balance_columns(device.put(np.empty((0, 3))), device.put(np.empty(0)), table, tied, 1).shape == (0, 3)
    nothing = device.put(np.empty((10, 0))), device.put(np.empty(0, bool))
    assert cuda.balance_columns(device.put(np.empty((4, 0))), device.put(np.ones(4)), *nothing, 1).shape == (4, 0)


def check_relax(
    device: Device, n_rows: int, n_members: int, d: int, decay: float, dtype: Any, rng: np.random.Generator
) -> None:
    points = rng.standard_normal((max(20, n_members), d)).astype(dtype)
    neighbors = np.argsort(rng.random((n_rows, len(points))), axis=1)[:, :n_members]
    inputs = device.put(points), device.put(neighbors)
    launches = device.kernels.n_launches() if device.emulated else 0
    transfers = cupy_on_host.n_transfers
    made = cuda.relax_local(*inputs, decay, 2**63 - 5, 1)
    if device.emulated:
        assert device.kernels.n_launches() == launches + 1
        assert cupy_on_host.n_transfers == transfers
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    assert made.dtype == dtype
    wanted = reference.relax_local(points, neighbors, decay, 2**63 - 5, 1)
    np.testing.assert_allclose(device.get(made), wanted, rtol=tolerance, atol=3 * tolerance)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 2, 1), (5, 21, 130), (3, 130, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("memory", [232448, 64])  # bytes: weights in shared memory, or in the workspace
def test_rows_are_relaxed_as_the_reference_does(
    device: Device, size: Any, dtype: Any, memory: int, rng: np.random.Generator
) -> None:
    if device.emulated:
        device.kernels.set_device(multiprocessors=1, shared=memory)
    check_relax(device, *size, 0.6, dtype, rng)


@examples
@given(
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_rows(device: Device, n_rows: int, n_members: int, d: int, decay: float, wide: bool, seed: int) -> None:
    check_relax(device, n_rows, n_members, d, decay, np.float64 if wide else np.float32, np.random.default_rng(seed))


def test_no_rows(device: Device) -> None:
    nobody = device.put(np.empty((0, 3), np.int64))
    assert cuda.relax_local(device.put(np.zeros((4, 2))), nobody, 0.5, 1, 1).shape == (0, 2)
