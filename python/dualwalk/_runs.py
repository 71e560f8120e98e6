"""Runs of equal values in sorted columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _device


def runs(ordered: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first and the last place of the run of equal values that each entry of sorted columns (n, d) is in, both (n, d)."""
    xp = _device.namespace(ordered)
    n = len(ordered)
    index = xp.arange(n)[:, None]
    new = ordered[1:] != ordered[:-1]
    edge = xp.ones((1, ordered.shape[1]), dtype=bool)
    first = _running(np.maximum, np.where(np.concatenate([edge, new]), index, 0))
    last = _running(np.minimum, np.where(np.concatenate([new, edge]), index, n - 1)[::-1])[::-1]
    return first, last


def _running(extreme: np.ufunc, x: Any) -> Any:
    """extreme.accumulate(x, axis=0); CuPy has none, there each of log2(n) passes reaches twice as far."""
    if not _device.is_on_device(x):
        return extreme.accumulate(x, axis=0)
    distance = 1
    while distance < len(x):
        x = np.concatenate([x[:distance], extreme(x[distance:], x[:-distance])])
        distance *= 2
    return x
