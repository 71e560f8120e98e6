"""The kernel benchmarks run, at their smallest, and what the machine can do is measured."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk import backends

MEMORY = ("read", "write", "write_streaming", "copy", "copy_streaming")


def aligned(n: int, dtype: type) -> np.ndarray:
    """Ones from a cache line on."""
    size = n * np.dtype(dtype).itemsize
    bytes_ = np.ones(size + 64, np.uint8)
    start = -bytes_.ctypes.data % 64
    array = bytes_[start : start + size].view(dtype)
    array[:] = 1
    return array


@pytest.fixture
def core() -> object:
    reason = backends.why_not("native")
    if reason is not None:
        pytest.skip(reason)
    return backends.module("native")._core


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n", [1, 1000, 1 << 16])
def test_limits_are_positive_and_do_what_they_say(core, dtype, n_threads, n):
    x = np.linspace(0.5, 1.0, n, dtype=dtype)
    for name in MEMORY:
        out = aligned(n, dtype)
        rate = core.limit(name, x, out, 1e-3, n_threads)
        assert np.isfinite(rate)
        assert rate > 0 or n == 1
        block = 8 * 64 // x.itemsize  # at every level a share is whole blocks of this many numbers, or smaller ones
        done = n // n_threads // block * block
        if name.startswith("copy"):
            np.testing.assert_array_equal(out[:done], x[:done])
        if name.startswith("write"):
            np.testing.assert_array_equal(out[:done], x[0])
    assert core.limit("multiply_add", x, None, 1e-3, n_threads) > 0


def test_limits_refuse_what_they_cannot_measure(core):
    x = np.ones(64, np.float32)
    for arguments in (("nothing", x, x.copy()), ("copy", x, None), ("write", x, np.ones(3, np.float32)), ("read", x[:0], None)):
        with pytest.raises(ValueError, match=r"dualwalk\._core"):
            core.limit(*arguments, 1e-3, 1)
