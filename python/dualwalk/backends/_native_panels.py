"""Matrices as the compiled walks read them, packed once for a dual: its arrays are read-only, so what was packed stays right."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Packed = TypeVar("Packed")
Array = NDArray[Any]

_LINE_BYTES, _PANEL_BYTES = 64, 192  # as in csrc/cpu/simd/packed_matrix.hpp

# By the identity of the arrays something was packed from: those arrays (weakly) and what came out.
_kept: dict[tuple[Any, ...], tuple[tuple[weakref.ref[Array], ...], Any]] = {}


def whole_lines(n: int, dtype: np.dtype[Any]) -> int:
    """n numbers rounded up to whole cache lines."""
    return -(-n * dtype.itemsize // _LINE_BYTES) * (_LINE_BYTES // dtype.itemsize)


def _zeros_at_a_line(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Zeros that begin at a cache line."""
    n_bytes = math.prod(shape) * dtype.itemsize
    room = np.zeros(n_bytes + _LINE_BYTES, np.uint8)
    first = -room.ctypes.data % _LINE_BYTES
    return room[first : first + n_bytes].view(dtype).reshape(shape)


def pack_lines(rows: Array, dtype: np.dtype[Any]) -> Array:
    """The last axis filled up with zeros to whole lines."""
    out = np.zeros((*rows.shape[:-1], whole_lines(rows.shape[-1], dtype)), dtype)
    out[..., : rows.shape[-1]] = rows
    return out


def pack_panels(matrix: Array, dtype: np.dtype[Any]) -> Array:
    """A matrix (n_entries, n_columns) as panels of entries, each column by column, the last panel filled up with zeros."""
    n_entries, n_columns = matrix.shape
    width = _PANEL_BYTES // dtype.itemsize
    out = _zeros_at_a_line((-(-n_entries // width), n_columns, width), dtype)
    for panel, first in zip(out, range(0, n_entries, width), strict=True):
        rows = matrix[first : first + width]
        panel[:, : len(rows)] = rows.T
    return out


def packed_once(sources: tuple[Array, ...], kind: tuple[Any, ...], pack: Callable[[], Packed]) -> Packed:
    """`pack()`, kept as long as the source arrays live if none of them can be written."""
    if any(source.flags.writeable for source in sources):
        return pack()
    key = (*kind, *map(id, sources))
    found = _kept.get(key)
    if found is not None and all(ref() is source for ref, source in zip(found[0], sources, strict=True)):
        packed: Packed = found[1]
        return packed
    packed = pack()
    _kept[key] = (tuple(weakref.ref(source, lambda _: _kept.pop(key, None)) for source in sources), packed)
    return packed
