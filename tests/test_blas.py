"""One BLAS thread inside the block, as many as before behind it, from several threads at once and after an error."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from dualwalk import _blas


def test_threads_are_restored() -> None:
    control = _blas._openblas()
    if control is None:
        pytest.skip("NumPy here does not bring OpenBLAS")
    get, set_ = control
    original = get()
    set_(2)
    before = get()  # 1 on a machine with one processor
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with _blas.one_blas_thread():
            entered.set()
            leave.wait(10)

    other = threading.Thread(target=hold)
    try:
        other.start()
        assert entered.wait(10)
        with pytest.raises(RuntimeError, match="inside"):
            fail_inside(get)
        assert get() == 1  # the other block goes on
        leave.set()
        other.join()
        assert get() == before
    finally:
        set_(original)


def fail_inside(get: Callable[[], int]) -> None:
    with _blas.one_blas_thread():
        assert get() == 1
        raise RuntimeError("inside")


def test_without_openblas_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blas, "_openblas", lambda: None)
    with _blas.one_blas_thread():
        pass
