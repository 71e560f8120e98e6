"""Fits and kernels with threads of their own inside joblib's workers, which are processes or threads: the bits of before."""

from __future__ import annotations

import pytest
from extras import needs

from dualwalk import backends

from .kit import kernels, small_fits, uses

joblib = needs("joblib")


def work(name: str) -> list[bytes]:
    return kernels(name, 3, 40) + uses(*small_fits())


@pytest.mark.parametrize("workers", ["loky", "multiprocessing", "threading"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers(workers: str) -> None:
    names = [name for name in ("native", "reference") if backends.why_not(name) is None]
    alone = [work(name) for name in names]  # the parent's threads run now
    found = joblib.Parallel(n_jobs=2, backend=workers)(joblib.delayed(work)(name) for name in 2 * names)
    assert found == 2 * alone


def test_workers_in_workers() -> None:
    """Threads of joblib that each fit, in a process of joblib."""
    alone = work("reference")
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(inner)() for _ in range(2))
    assert found == [[alone, alone]] * 2


def inner() -> list[list[bytes]]:
    result: list[list[bytes]] = joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(work)("reference") for _ in "ab")
    return result
