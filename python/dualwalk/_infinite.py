"""Dependence without noise: continuous columns that determine each other, whose divergence is infinite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    continuous = columns[tie_share(z[:, columns]) < _MOST_TIES]
    ranks: dict[bytes, list[int]] = {}
    for column in continuous:
        values = z[:, column] if z[np.abs(z[:, column]).argmax(), column] > 0 else -z[:, column]
        ranks.setdefault(np.argsort(np.argsort(values, kind="stable"), kind="stable").tobytes(), []).append(int(column))
    groups = [tuple(group) for group in ranks.values() if len(group) > 1]
    single = np.array([group[0] for group in ranks.values()], dtype=np.intp)
    if not groups and 2 < len(single) <= min(_MOST_COLUMNS, len(rows) // 2):
        unit = rows[:, single] - rows[:, single].mean(axis=0)
        unit /= np.sqrt((unit**2).mean(axis=0))
        values, vectors = np.linalg.eigh(unit.T @ unit / len(rows))
        if values[0] < _ROUNDING:
            groups.append(tuple(int(c) for c in single[np.abs(vectors[:, 0]) > 1e-6]))
    return tuple(groups)
