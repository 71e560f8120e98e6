"""Distances between rows and nearest neighbours, by one matrix product; on a device for arrays that are there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _device

Float = NDArray[np.float64]

MANY = 1000  # columns from which on a partition is quicker than sorting them all


def squared_distances(a: Float, b: Float) -> Float:
    """|a_i - b_j|^2 for all pairs of rows, (len(a), len(b)); rounding never makes one negative."""
    squares = a @ b.T
    squares *= -2.0
    squares += squared_lengths(a)[:, None]
    squares += squared_lengths(b)
    return np.maximum(squares, 0.0, out=squares)


def squared_lengths(rows: Float) -> Float:
    """|row|^2 of every row, (n,)."""
    there = _device.is_on_device(rows)  # where einsum works through much Python before it begins
    lengths: Float = (rows * rows).sum(axis=1) if there else np.einsum("ij,ij->i", rows, rows)
    return lengths


def nearest_neighbors(points: Float, k: int, queries: Float | None = None) -> NDArray[np.intp]:
    """Indices (n, k + 1) of every point itself and its k nearest others, nearest first; exact ties go to the lower index.

    With `queries`, the k + 1 nearest points of every query, (len(queries), k + 1).
    """
    n_nearest = min(k + 1, len(points))
    rows = points if queries is None else queries
    xp = _device.namespace(rows)
    nearest: NDArray[np.intp] = xp.empty((len(rows), n_nearest), dtype=np.intp)
    block = max(1, 2**24 // max(1, len(points)))  # at most 128 MiB of distances at a time
    for begin in range(0, len(rows), block):
        squares = squared_distances(rows[begin : begin + block], points)
        if queries is None:
            own = xp.arange(len(squares))
            squares[own, begin + own] = -1.0  # a duplicate must not come before the point itself
        nearest[begin : begin + block] = smallest(squares, n_nearest)
    return nearest


def smallest(squares: Float, k: int) -> NDArray[np.intp]:
    """Columns of the k smallest values of every row, smallest first, equal ones by column: (n, k)."""
    if squares.shape[1] < MANY or _device.is_on_device(squares):  # CuPy partitions by sorting
        return np.argsort(squares, axis=1, kind="stable")[:, :k]
    found = np.sort(np.argpartition(squares, k - 1, axis=1)[:, :k], axis=1)
    values = np.take_along_axis(squares, found, axis=1)
    smallest = np.take_along_axis(found, np.argsort(values, axis=1, kind="stable"), axis=1)
    n_candidates = np.count_nonzero(squares <= values.max(axis=1)[:, None], axis=1)
    tied = np.flatnonzero(n_candidates > k)  # the partition takes any of the equal ones
    if len(tied):
        smallest[tied] = np.argsort(squares[tied], axis=1, kind="stable")[:, :k]
    return smallest


def column_scale(rows: Float) -> Float:
    """The standard deviation of every column, at least a tenth of the median of the positive ones (1 if none is).

    Distances between samples are taken in these units: a nearly constant column does not dominate them.
    """
    return at_least_of_median(rows.std(axis=0), 0.1)


def at_least_of_median(deviation: Float, share: float) -> Float:
    """Deviations (d,), none below this share of the median of the positive ones; 1 where none is positive."""
    ordered = np.sort(np.where(deviation > 0, deviation, np.inf))
    n = np.count_nonzero(deviation > 0)
    median = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    return np.maximum(deviation, np.where(n > 0, share * median, 1.0))
