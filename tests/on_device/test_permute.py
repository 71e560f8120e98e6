"""permute_marginals on the device: the integers of the reference on every path, and the public function with CuPy's arrays."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dualwalk as dw
from dualwalk.backends import cuda, reference
from dualwalk.marginals import METHODS
from on_device.kit import Device

DTYPES = ("?", "u1", "i2", "i4", "f4", "f8", "c16")  # items of 1, 2, 4, 8 and 16 bytes
LAYOUTS = ("C", "F", "reversed rows", "reversed columns", "strided")
LONGEST = reference.LONGEST_CHAIN


def some(shape: tuple[int, ...], dtype: str = "f4", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, shape).astype(dtype)


def laid_out(device: Device, x: np.ndarray, layout: str) -> Any:
    """x on the device, lying in memory as `layout` says."""
    if layout == "F":
        return device.put(np.ascontiguousarray(x.T)).T
    if layout == "reversed rows":
        return device.put(np.ascontiguousarray(x[::-1]))[::-1]
    if layout == "reversed columns":
        return device.put(np.ascontiguousarray(x[..., ::-1]))[..., ::-1]
    if layout == "strided":
        return device.put(np.repeat(x, 3, axis=-1))[..., 1::3]
    return device.put(x)


def check(
    device: Device,
    x: np.ndarray,
    block: Any,
    method: str,
    n_copies: int,
    *,
    longest: int = LONGEST,
    seed: int = 4,
    layout: str = "C",
) -> None:
    """The device and the reference make the same copies of x."""
    labels = np.asarray(block, np.int32)
    expected = np.empty((n_copies, len(x), x[0].size), x.dtype)
    reference.permute_marginals(x.reshape(len(x), -1), labels, method, seed, expected, 1, longest)
    out = device.xp.empty((n_copies, *x.shape), x.dtype)
    cuda.permute_marginals(laid_out(device, x, layout), device.put(labels), method, seed, out, 1, longest)
    np.testing.assert_array_equal(device.get(out).reshape(expected.shape), expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_device_is_the_reference(device: Device, data: st.DataObject) -> None:
    shape = (
        data.draw(st.integers(1, 40), label="rows"),
        *data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=2), label="columns"),
    )
    n_columns = int(np.prod(shape[1:]))
    labels = data.draw(
        st.one_of(st.none(), st.lists(st.integers(0, 5), min_size=n_columns, max_size=n_columns)), label="blocks"
    )
    check(
        device,
        some(shape, data.draw(st.sampled_from(DTYPES), label="dtype")),
        np.arange(n_columns) if labels is None else labels,
        data.draw(st.sampled_from(METHODS), label="method"),
        data.draw(st.integers(1, 3), label="copies"),
        longest=data.draw(st.one_of(st.just(LONGEST), st.integers(1, 40)), label="longest"),
        seed=data.draw(st.integers(0, 2**64 - 1), label="seed"),
        layout=data.draw(st.sampled_from(LAYOUTS), label="layout"),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("n_rows", "n_columns", "n_copies", "dtype"),
    [
        (67, 70, 11, "f4"),  # three panels, more copies than warps
        (130, 33, 2, "f8"),  # the last panel is one column
        (9, 5, 40, "f4"),  # narrow panels, whose columns several lanes share
        (45, 6, 3, "u1"),
        (8, 3, 2, "c16"),
        (1, 40, 3, "f4"),
        (2, 1, 3, "i2"),
    ],
)
def test_panels(device: Device, any_order: str, method: str, n_rows: int, n_columns: int, n_copies: int, dtype: str) -> None:
    check(device, some((n_rows, n_columns), dtype), np.arange(n_columns), method, n_copies)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shared", [512, 2048, 8192, 20000])
@pytest.mark.parametrize("n_copies", [1, 5])
def test_panels_of_any_width(device: Device, method: str, shared: int, n_copies: int) -> None:
    """Devices with less memory have narrower panels, then read x where it lies; so do more rows where there is more memory."""
    if not device.emulated:
        pytest.skip("a GPU's shared memory is what it is")
    device.kernels.set_device(shared=shared)
    check(device, some((203, 37)), np.arange(37), method, n_copies)
    check(device, some((203, 9), "f8"), np.arange(9) // 2, method, n_copies, layout="F")


@pytest.mark.parametrize("n_rows", [1700, 3000, 7000])
def test_rows_that_do_not_fit_beside_their_chains(device: Device, n_rows: int) -> None:
    for method in METHODS:
        check(device, some((n_rows, 9)), np.arange(9), method, 2)
    if n_rows == 1700:  # bytes alone: 32 columns a warp, and x read where it lies
        check(device, some((n_rows, 33), "u1"), np.arange(33), "shuffle", 1, layout="F")


@pytest.mark.parametrize("longest", [1, 2, 7, 64, 400])
def test_dealt_rows(device: Device, any_order: str, longest: int) -> None:
    """Empty buckets, buckets of a row, two chunks of a list, and lists of several columns and copies in one tile."""
    check(device, some((401, 7)), np.arange(7) // 2, "shuffle", 6, longest=longest)
    if longest in (7, 400):
        check(device, some((4097 + 600, 2)), [3, 5], "shuffle", 2, longest=longest)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(4001, 2), (50_001, 1)])
def test_chains_longer_than_shared_memory(device: Device, n_rows: int, n_columns: int) -> None:
    """One chain of all rows, and 16 buckets of some 3125, where shared memory has room for chains of 3072."""
    if not device.emulated:
        pytest.skip("a GPU's shared memory is what it is")
    device.kernels.set_device(shared=6144)
    check(device, some((n_rows, n_columns), "i4"), np.arange(n_columns), "shuffle", 1, longest=min(n_rows, 50_000))


def test_the_border_between_one_chain_and_buckets(device: Device) -> None:
    for n_rows in (50, 51):
        check(device, some((n_rows, 40)), np.arange(40), "shuffle", 2, longest=50)


@pytest.mark.large
@pytest.mark.parametrize("n_rows", [LONGEST, LONGEST + 1])
def test_the_longest_chain(device: Device, n_rows: int) -> None:
    check(device, np.arange(3 * n_rows, dtype=np.int32).reshape(n_rows, 3), [0, 1, 1], "shuffle", 1)


def test_all_permutations_are_as_likely(device: Device) -> None:
    """The integers are the reference's, whose tests say more; this one stands by itself."""
    n_copies = 2400
    out = device.get(dw.permute_marginals(device.put(np.arange(4)[:, None]), n_copies=n_copies, seed=5))[..., 0]
    counts = [int((out == p).all(axis=1).sum()) for p in itertools.permutations(range(4))]
    assert sum(counts) == n_copies
    assert sum((count - n_copies / 24) ** 2 / (n_copies / 24) for count in counts) < 49.7  # 99.9 %, 23 degrees of freedom


# ---- the public function


@pytest.mark.parametrize("method", METHODS)
def test_cupy_in_cupy_out(device: Device, method: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((50, 3, 4)).astype(np.float32)
    on_device = device.put(x)
    options: dict[str, Any] = {"n_copies": 3, "method": method, "seed": 9}
    result = dw.permute_marginals(on_device, **options)
    assert result.shape == (3, 50, 3, 4)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(device.get(result), dw.permute_marginals(x, **options))
    np.testing.assert_array_equal(device.get(on_device), x)
    one = dw.permute_marginals(on_device, method=method, seed=9, backend="cuda")
    np.testing.assert_array_equal(device.get(one), device.get(result)[0])


@pytest.mark.parametrize("labels", [[7, 7, -2, 0], [[1], [2], [2], [1]], [True, False, False, True]])
def test_labels_of_blocks_from_either_memory(device: Device, labels: list[Any], rng: np.random.Generator) -> None:
    x = rng.standard_normal((30, 4, 5))
    label = np.array(labels) if np.ndim(labels) == 1 else np.repeat(labels, 5, axis=1)
    expected = dw.permute_marginals(x, blocks=label, seed=1)
    for given_labels in (label, device.put(label)):
        np.testing.assert_array_equal(device.get(dw.permute_marginals(device.put(x), blocks=given_labels, seed=1)), expected)


def test_out_is_filled_and_returned(device: Device, rng: np.random.Generator) -> None:
    x = device.put(rng.standard_normal((20, 5)))
    out = device.xp.empty((3, 20, 5), np.float64)
    assert dw.permute_marginals(x, n_copies=3, seed=0, out=out) is out
    np.testing.assert_array_equal(device.get(out), device.get(dw.permute_marginals(x, n_copies=3, seed=0)))


@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (0, 0), (4, 0, 2)])
def test_nothing_to_permute(device: Device, shape: tuple[int, ...]) -> None:
    x = device.xp.empty(shape, np.float32)
    assert dw.permute_marginals(x, seed=0).shape == shape
    assert dw.permute_marginals(x, n_copies=2, seed=0, method="shift").shape == (2, *shape)
    assert dw.permute_marginals(x, seed=0, blocks=device.xp.empty(int(np.prod(shape[1:])), np.int64)).shape == shape
    assert dw.permute_marginals(device.put(np.ones((4, 3))), n_copies=0, seed=0).shape == (0, 4, 3)


def test_nothing_moves_between_the_memories(device: Device, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("counted by the emulator only")
    from cuda_host import cupy_on_host

    x, labels = device.put(rng.standard_normal((40, 6))), device.put(np.array([0, 1, 1, 2, 0, 2]))
    before = cupy_on_host.n_transfers
    for method in METHODS:
        dw.permute_marginals(x, n_copies=2, method=method, seed=0)
        dw.permute_marginals(x, blocks=labels, method=method, seed=0)
    assert cupy_on_host.n_transfers == before


def test_memories_do_not_mix(device: Device) -> None:
    host, there = np.arange(20.0).reshape(10, 2), device.put(np.arange(20.0).reshape(10, 2))
    with pytest.raises(TypeError, match=r"out must be a CuPy array; got ndarray \(pass cupy.empty"):
        dw.permute_marginals(there, seed=0, out=np.empty((10, 2)))
    with pytest.raises(TypeError, match=r"out must be a NumPy array; got an array on a CUDA device \(pass np.empty"):
        dw.permute_marginals(host, seed=0, out=device.xp.empty((10, 2)))
    with pytest.raises(TypeError, match=r"blocks must be in the host's memory.*blocks.get\(\)"):
        dw.permute_marginals(host, seed=0, blocks=device.put(np.array([0, 1])))
    with pytest.raises(ValueError, match="works in the host's memory"):
        dw.permute_marginals(there, seed=0, backend="reference")
    with pytest.raises(ValueError, match="takes arrays on a CUDA device"):
        dw.permute_marginals(host, seed=0, backend="cuda")


def test_bad_input_is_refused_before_out_is_touched(device: Device) -> None:
    x = device.put(np.arange(20.0).reshape(10, 2))
    out = device.put(np.full((10, 2), -1.0))

    def call(**options: object) -> None:
        dw.permute_marginals(**{"x": x, "out": out, "seed": 0, **options})  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"got shape \(10,\).*x\[:, None\]"):
        call(x=x[:, 0])
    with pytest.raises(TypeError, match="got dtype complex128"):
        call(x=x.astype(complex))
    with pytest.raises(ValueError, match=r"'shuffle'.*got 'sort'"):
        call(method="sort")
    with pytest.raises(TypeError, match="integer labels; got dtype float64"):
        call(blocks=device.put(np.array([0.0, 1.0])))
    with pytest.raises(ValueError, match=r"one label a feature.*got shape \(3,\)"):
        call(blocks=device.put(np.array([0, 1, 2])))
    with pytest.raises(ValueError, match=r"out must have shape \(10, 2\)"):
        call(out=device.xp.empty((2, 10)))
    with pytest.raises(ValueError, match="dtype float32"):
        call(out=device.xp.empty((10, 2), np.float32))
    with pytest.raises(ValueError, match="C-contiguous and writeable; got an array with strides"):
        call(out=device.xp.empty((2, 10)).T)
    with pytest.raises(ValueError, match="must not overlap"):
        call(out=x)
    assert (device.get(out) == -1).all()
