"""Dependence without noise: continuous columns that determine each other, whose divergence is infinite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _device
from ._hashes import row_hashes
from ._nodepath.ties import tie_share

Floats = NDArray[np.float64]

_MOST_TIES = 0.01  # share of equal pairs of rows from which a column is one of levels: its information is finite
_MOST_COLUMNS = 512  # looked at for a linear combination
_ROUNDING = 1e-10


class InfiniteDivergenceWarning(UserWarning):
    """Some columns determine others exactly: the divergence is infinite, and named so."""


def determined_columns(rows: Floats, z: Floats, columns: NDArray[np.intp]) -> tuple[tuple[int, ...], ...]:
    """Groups of continuous columns that determine each other: the same ranks, or an exact linear combination.

    `z` are the normal scores of `rows` (n, d); `columns` those that vary. At most one linear combination is named.
    """
    continuous = columns[_device.to_host(tie_share(z[:, _device.beside(columns, z)])) < _MOST_TIES]
    ranks: dict[bytes, list[int]] = {}
    key = _rank_hashes(z, continuous) if _device.is_on_device(z) else (_rank_bytes(z[:, column]) for column in continuous)
    for column, same in zip(continuous.tolist(), key, strict=True):
        ranks.setdefault(same, []).append(column)
    groups = [tuple(group) for group in ranks.values() if len(group) > 1]
    single = np.array([group[0] for group in ranks.values()], dtype=np.intp)
    if not groups and 2 < len(single) <= min(_MOST_COLUMNS, len(rows) // 2):
        chosen = rows[:, _device.beside(single, rows)]
        # by a power of two, which changes no digit: squares of very large or small numbers are none
        chosen = chosen * np.exp2(-np.clip(np.round(np.log2(np.abs(chosen).max(axis=0))), -1000, 1000))
        unit = chosen - chosen.mean(axis=0)
        unit /= np.sqrt((unit**2).mean(axis=0))
        values, vectors = np.linalg.eigh(unit.T @ unit / len(rows))
        if values[0] < _ROUNDING:
            groups.append(tuple(single[_device.to_host(np.abs(vectors[:, 0]) > 1e-6)].tolist()))
    return tuple(groups)


def _rank_bytes(z: Floats) -> bytes:
    """The ranks of one column (n,), turned so that its value of largest size is positive."""
    values = z if z[np.abs(z).argmax()] > 0 else -z
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").tobytes()


def _rank_hashes(z: Floats, columns: NDArray[np.intp]) -> list[bytes]:
    """A word for the same ranks of each of some columns of `z` (n, d), all columns at once on a device."""
    z = z[:, _device.beside(columns, z)]
    peak = np.take_along_axis(z, np.abs(z).argmax(axis=0)[None], axis=0)
    order = np.argsort(np.where(peak > 0, z, -z), axis=0, kind="stable")
    ranks = np.empty_like(z)
    np.put_along_axis(ranks, order, _device.namespace(z).arange(len(z), dtype=np.float64)[:, None], axis=0)
    hashes = _device.to_host(row_hashes(_device.namespace(z).ascontiguousarray(ranks.T)))
    return [word.tobytes() for word in hashes]
