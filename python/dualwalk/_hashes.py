"""Hashes of rows on a device: equal rows have equal ones, others have not, but for one chance in 2**64 a pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _device

_GOLDEN, _FIRST, _SECOND = (np.uint64(word) for word in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def row_hashes(rows: NDArray[np.float64]) -> NDArray[np.uint64]:
    """One word for each of `rows` (n, d), CuPy's: (n,). Sums of whole numbers, so the same in any order of adding.

    Every value's bits are mixed with its column's number by the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
    """
    columns = _device.namespace(rows).arange(1, rows.shape[1] + 1, dtype=np.uint64)
    word = (rows + 0.0).view(np.uint64)  # the sum turns -0 into 0, which equals it
    word = _mixed(word + columns * _GOLDEN)
    total: NDArray[np.uint64] = _mixed(word + _GOLDEN).sum(axis=1, dtype=np.uint64)
    return total


def _mixed(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))
