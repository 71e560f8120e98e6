# mypy: disable-error-code="no-untyped-def"
"""Noise and the exact walk of local duals in Numba: see _reference_sampling.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_scalar import jit, read_only
from ._numba_walk import normals_of

ROWS = 64  # worth a thread


def draw_normals(seed: int, first: int, n_rows: int, n_columns: int) -> NDArray[np.float64]:
    padded = np.empty((n_rows, (n_columns + 3) // 4 * 4))
    _draw_normals(np.uint64(seed), first, padded)
    return np.ascontiguousarray(padded[:, :n_columns])


@jit()
def _draw_normals(seed, first, out):
    for row in range(len(out)):
        normals_of(seed, first + row, 0, out[row])


def relax_local(
    points: NDArray[Any], neighbors: NDArray[np.intp], decay: float, seed: int, n_threads: int
) -> NDArray[np.floating]:
    rows, index = read_only(np.ascontiguousarray(points)), read_only(np.ascontiguousarray(neighbors, np.intp))
    z = np.empty((len(index), rows.shape[1]), rows.dtype)

    def work(begin: int, end: int) -> None:
        _relax_local(rows, index, float(decay), np.uint64(seed), z, begin, end)

    parallel_ranges(work, len(index), n_threads, grain=ROWS)
    return z


@jit()
def _relax_local(points, neighbors, decay, seed, z, begin, end):
    n_members = neighbors.shape[1]
    weights = np.empty((n_members + 3) // 4 * 4)
    kind = points.dtype.type
    noise = np.sqrt((1.0 - decay * decay) / max(1, n_members - 1))
    for row in range(begin, end):
        normals_of(seed, row, 0, weights)
        mean = weights[:n_members].mean()
        for k in range(n_members):
            weights[k] = noise * (weights[k] - mean) + (1.0 - decay) / n_members
        weights[0] += decay
        out = z[row]
        out[:] = 0
        whole = n_members // 4 * 4
        for k in range(0, whole, 4):
            w0, w1, w2, w3 = kind(weights[k]), kind(weights[k + 1]), kind(weights[k + 2]), kind(weights[k + 3])
            r0, r1 = points[neighbors[row, k]], points[neighbors[row, k + 1]]
            r2, r3 = points[neighbors[row, k + 2]], points[neighbors[row, k + 3]]
            for j in range(len(out)):
                out[j] += w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j]
        for k in range(whole, n_members):
            weight, one = kind(weights[k]), points[neighbors[row, k]]
            for j in range(len(out)):
                out[j] += weight * one[j]
