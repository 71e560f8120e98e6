"""Rearranged rows: every order as likely as any other, and no column or copy tells about another; on every backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import backends
from dualwalk.backends.reference import LONGEST_CHAIN
from dualwalk.marginals import METHODS

from . import orders

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]

N_COPIES = {"native": 60_000, "numba": 20_000, "reference": 1_000}  # of nine columns: the reference draws in Python
N_LARGE = {"native": 600, "numba": 200, "reference": 16}


def by(backend: str, method: str, longest: int | None = None) -> orders.Draw:
    """The library's rearrangements of row numbers; `longest`: rows beyond it are dealt into buckets first."""

    def draw(n_copies: int, n_rows: int, n_columns: int, seed: int) -> orders.Integers:
        x = np.repeat(np.arange(n_rows)[:, None], n_columns, axis=1)
        if longest is None:
            return dw.permute_marginals(x, n_copies=n_copies, method=method, seed=seed, backend=backend)
        out, block = np.empty((n_copies, *x.shape), x.dtype), np.arange(n_columns, dtype=np.int32)
        backends.job("permute_marginals", backend)(x, block, method, seed, out, 1, longest)
        return out

    return draw


@pytest.mark.parametrize("method", METHODS)
def test_few_rows(backend: str, method: str, accept: Accept) -> None:
    accept(orders.exact(by(backend, method), method, 4 if method == "shift" else 3, N_COPIES[backend], 9, seed=11))


def test_every_order_of_five_rows(backend: str, accept: Accept) -> None:
    accept(orders.exact(by(backend, "shuffle"), "shuffle", 5, N_COPIES[backend], 9, seed=13))


@pytest.mark.parametrize(("n", "longest"), [(3, 1), (5, 2)])
def test_few_rows_dealt_into_buckets(backend: str, n: int, longest: int, accept: Accept) -> None:
    accept(orders.exact(by(backend, "shuffle", longest), "shuffle", n, N_COPIES[backend] // 2, 9, seed=17))


@pytest.mark.parametrize("n", [1_000, LONGEST_CHAIN + 8])
def test_many_rows(backend: str, n: int, accept: Accept) -> None:
    """One chain of swaps, and rows dealt into buckets first."""
    n_columns = N_LARGE[backend] if n == 1_000 else max(16, N_LARGE[backend] // 6)
    accept(orders.large(by(backend, "shuffle"), n, n_columns, seed=19))


def test_many_rows_drawn_or_shifted(backend: str, accept: Accept) -> None:
    accept(orders.drawn(by(backend, "resample"), 500, max(40, N_LARGE[backend]), seed=23))
    accept(orders.shifted(by(backend, "shift"), 33, 40 * N_LARGE[backend], seed=29))
