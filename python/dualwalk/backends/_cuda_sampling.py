"""What a sampled block of rows is made of, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _device

Array = Any  # CuPy's ndarray, which has no types


def relax_local(points: Array, neighbors: Array, decay: float, seed: int, n_threads: int) -> Array:
    xp = _device.cupy()
    rows, index = xp.ascontiguousarray(points), xp.ascontiguousarray(neighbors, np.int64)
    out = xp.empty((len(index), rows.shape[1]), rows.dtype)
    _device.kernels().relax_local(rows, index, decay, seed, out, _device.here())
    return out


def balance_columns(points: Array, place: Array, table: Array, tied: Array, n_threads: int) -> Array:
    xp = _device.cupy()
    rows, quantiles = xp.ascontiguousarray(points, table.dtype), xp.ascontiguousarray(table)
    values = xp.empty_like(rows)
    levels, steps = xp.ascontiguousarray(place, np.float64), xp.ascontiguousarray(tied, np.bool_)
    _device.kernels().balance_columns(rows, levels, quantiles, steps, values, _device.here())
    return values
