# mypy: disable-error-code="no-untyped-def"
"""Columns brought to their marginals in Numba: see _reference_sampling.py, and csrc/cpu/sampling/balance.hpp for the same way to sort.

A column's entry is one number: its value with the row in the last bits of the mantissa. Many columns are sorted side by side by
a network that never branches; only runs of values that differ in those bits alone are left to put in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_scalar import jit, read_only

COLUMNS = 16  # side by side: whole vectors on every processor, and 1000 rows of them in the second cache
_LARGEST = float(np.finfo(np.float64).max)


def balance_columns(
    points: NDArray[Any], place: NDArray[np.float64], table: NDArray[Any], tied: NDArray[np.bool_], n_threads: int
) -> NDArray[np.floating]:
    given = [read_only(np.ascontiguousarray(part)) for part in (points, place, table, tied)]
    values = np.empty(points.shape, table.dtype)

    def work(begin: int, end: int) -> None:
        _balance_columns(*given, values, begin, end)

    if values.size:
        parallel_ranges(work, -(-values.shape[1] // COLUMNS), n_threads)
    return values


@jit()
def _balance_columns(points, place, table, tied, values, begin, end):
    """Blocks begin .. end - 1 of COLUMNS columns each."""
    m, d = points.shape
    row_bits = np.int64(1)
    while row_bits < m:
        row_bits *= 2
    row_bits -= 1
    keys, rows = np.empty(m * COLUMNS), np.empty(m, np.int64)
    for block in range(begin, end):
        first = block * COLUMNS
        count = min(COLUMNS, d - first)
        for row in range(m):
            for c in range(COLUMNS):
                value = np.float64(points[row, first + min(c, count - 1)])
                keys[row * COLUMNS + c] = _with_row(value, row, row_bits)
        _sort_columns(keys, m)
        for c in range(count):
            _settle(points, first + c, keys[c::COLUMNS], rows, row_bits)
            _take_quantiles(table, first + c, tied[first + c], rows, place, values)


@jit(inline=True)
def _with_row(value, row, row_bits):
    """NaN last, -0 like 0; rows of negative values count down, so that equal values are in the order of their rows."""
    value = _LARGEST if np.isnan(value) else min(max(value, -_LARGEST), _LARGEST) + 0.0
    bits = np.float64(value).view(np.int64)
    return np.int64((bits & ~row_bits) | (((bits >> 63) ^ np.int64(row)) & row_bits)).view(np.float64)


@jit()
def _exchange(low, high):
    """The smaller of two to `low`, the larger to `high`; equal ones stay where they are."""
    for i in range(len(low)):
        a, b = low[i], high[i]
        low[i] = min(a, b)
        high[i] = max(b, a)


@jit()
def _sort_columns(keys, m):
    """Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M) for any m."""
    if m < 2:
        return
    top = 1
    while 2 * top < m:
        top *= 2
    p = top
    while p > 0:
        q, first, distance = top, 0, p
        while True:
            for begin in range(first, m - distance, 2 * p):
                end = min(begin + p, m - distance)
                _exchange(
                    keys[begin * COLUMNS : end * COLUMNS], keys[(begin + distance) * COLUMNS : (end + distance) * COLUMNS]
                )
            if q == p:
                break
            distance = q - p
            q //= 2
            first = p
        p //= 2


@jit()
def _settle(points, column, keys, rows, row_bits):
    """The rows of one column in order; runs of alike keys by the values themselves, NaN last, equal ones by row."""
    m = len(keys)
    for r in range(m):
        bits = np.float64(keys[r]).view(np.int64)
        rows[r] = (bits ^ (bits >> 63)) & row_bits
    begin = 0
    while begin < m:
        end = begin + 1
        head = _without_row(keys[begin], row_bits)
        while end < m and _without_row(keys[end], row_bits) == head:
            end += 1
        if end - begin > 1:
            run = np.sort(rows[begin:end])
            given = np.empty(end - begin, points.dtype)
            for r in range(end - begin):
                given[r] = points[run[r], column]
            order = np.argsort(given, kind="mergesort")  # the stable one
            for r in range(end - begin):
                rows[begin + r] = run[order[r]]
        begin = end


@jit(inline=True)
def _without_row(key, row_bits):
    return np.int64(np.float64(key).view(np.int64) & ~row_bits).view(np.float64)


@jit()
def _take_quantiles(table, column, tied, rows, place, values):
    m, n = len(rows), len(table)
    for rank in range(m):
        row = rows[rank]
        position = min(max((rank + place[row]) / m * n - 0.5, 0.0), n - 1.0)
        lower: Any = min(np.int64(position), max(n - 2, 0))
        share = position - lower
        low, high = np.float64(table[lower, column]), np.float64(table[min(lower + 1, n - 1), column])
        if tied:
            values[row, column] = high if share >= 0.5 else low
        else:
            values[row, column] = low + share * (high - low)
