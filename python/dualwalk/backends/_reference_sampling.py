"""What a sampled block of rows is made of: noise, the exact walk of local duals, and columns brought to their marginals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._reference_draws import normals

NUMBERS = 2**22  # of gathered rows at a time


def draw_normals(seed: int, first: int, n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """The standard normals (n_rows, n_columns) of rows first, first + 1, ..."""
    return normals(seed, np.arange(first, first + n_rows), 0, n_columns)


def relax_local(
    points: NDArray[Any], neighbors: NDArray[np.intp], decay: float, seed: int, n_threads: int
) -> NDArray[np.floating]:
    """The Ornstein-Uhlenbeck walk from points[neighbors[:, 0]], each in the Gaussian of its neighbourhood: (m, d) like points.

    With e the K + 1 rows of points at neighbors[r], and eps the normals of (row r, step 0),

        z_r = mean e + decay (e_0 - mean e) + sqrt(1 - decay^2) sum_k (eps_k - mean eps) e_k / sqrt(K).
    """
    n_rows, n_members = neighbors.shape
    weights = normals(seed, np.arange(n_rows), 0, n_members)
    weights -= weights.mean(axis=1, keepdims=True)
    weights *= np.sqrt((1.0 - decay**2) / max(1, n_members - 1))
    weights += (1.0 - decay) / n_members
    weights[:, 0] += decay
    z = np.empty((n_rows, points.shape[1]), points.dtype)
    block = max(1, NUMBERS // max(1, n_members * points.shape[1]))
    for begin in range(0, n_rows, block):
        part = slice(begin, begin + block)
        z[part] = np.einsum("rk,rkj->rj", weights[part], points[neighbors[part]].astype(np.float64))
    return z


def balance_columns(
    points: NDArray[Any], place: NDArray[np.float64], table: NDArray[Any], tied: NDArray[np.bool_], n_threads: int
) -> NDArray[np.floating]:
    """Values (m, d) of the table's dtype: in every column, rank r of m takes the table's quantile at (r + place[row]) / m.

    Ranks of equal points go by row, NaN is last. The table (n, d) holds the quantiles at (k + 1/2) / n; between two of them a
    column is interpolated, or takes the nearer one if it is tied, the upper one from half way on.
    """
    m, n = len(points), len(table)
    values = np.empty(points.shape, table.dtype)
    rows = np.argsort(points, axis=0, kind="stable")
    for j, (order, column) in enumerate(zip(rows.T, table.T, strict=True)):
        position = np.clip((np.arange(m) + place[order]) / m * n - 0.5, 0.0, n - 1.0)
        lower = np.minimum(position.astype(np.intp), max(n - 2, 0))
        share = position - lower
        low, high = column[lower], column[np.minimum(lower + 1, n - 1)]
        values[order, j] = np.where(share >= 0.5, high, low) if tied[j] else low + share * (high - low)
    return values
