"""No call leaves memory behind: every kernel and every kind of error, in bytes of malloc and blocks of Python.

`python tests/leaks.py 10000` is what docs/trust/memory.md shows; here the calls are fewer.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator

import leaks
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc's mallinfo2")
N_CALLS = {"native": 300, "numba": 300, "reference": 30}
COMPILED = ("permute_marginals, shuffle", "log_mean_exp", "logistic", "train_density")  # Numba takes seconds for each
KEPT: list[np.ndarray] = []


@pytest.fixture(autouse=True, scope="module")
def _quick_collections() -> Iterator[None]:
    """What was there before is not looked through again at every `gc.collect`."""
    gc.freeze()
    yield
    gc.unfreeze()


def assert_nothing_left(name: str, n_calls: int) -> None:
    """Under 16 bytes a call, or half a block, where calls are many: caches settle, and pytest keeps a little for itself.

    A table of Python's own may grow just then, once: what leaks, leaks again.
    """
    for _ in range(3):
        n_bytes, n_blocks = leaks.left_behind((leaks.CALLS | leaks.LONG)[name], n_calls)
        if n_bytes < 16 + 4000 / n_calls and n_blocks < 0.5 + 100 / n_calls:
            return
    pytest.fail(f"{n_bytes} bytes and {n_blocks} blocks a call")


@pytest.mark.parametrize("name", leaks.CALLS)
def test_calls(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "numba" and name not in COMPILED:
        pytest.skip("compiled for this alone: `DUALWALK_BACKEND=numba python tests/leaks.py 10000` does")
    monkeypatch.setenv("DUALWALK_BACKEND", backend)
    assert_nothing_left(name, N_CALLS[backend])


@pytest.mark.parametrize("name", [name for name in leaks.LONG if name != "DualDivergence"])  # which takes seconds
def test_longer_jobs(name: str) -> None:
    assert_nothing_left(name, 6)


@pytest.mark.parametrize("leak", [lambda: KEPT.append(np.empty(8)), lambda: ctypes.CDLL(None).malloc(64)])
def test_a_leak_is_seen(leak: leaks.Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(leaks.CALLS, "leak", leak)
    with pytest.raises(pytest.fail.Exception, match="blocks a call"):
        assert_nothing_left("leak", 500)
    KEPT.clear()
