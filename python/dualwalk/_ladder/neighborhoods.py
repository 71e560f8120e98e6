"""The neighbours of a training row: by distance, or by distance relative to the sizes of both rows.

Quiet series lie near the centre, and near everything: the plain neighbours of a loud series are quiet ones. The relative
distance |x - y|^2 / (|x| |y|) = 2 cosh(log |x| / |y|) - 2 cos(x, y), sizes and angle seen from the centre, puts series of
like size together, however loud they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._arrays import distinct
from .._neighbors import smallest, squared_distances, squared_lengths

Float = NDArray[np.float64]
Index = NDArray[np.intp]

METRICS = ("distance", "relative")
MOST_NEIGHBORS = 160  # of the ladder: found together
ALL_AT_ONCE = 4000  # rows; of more of them, neighbours are looked for only where a walk starts
BLOCK = 2**23  # distances at a time: 64 MiB


class Neighborhoods:
    """Nearest neighbours among `points` (n, d), found once a row and metric."""

    def __init__(self, points: Float) -> None:
        self._points = points
        centred = points - points.mean(axis=0)
        length = np.sqrt(squared_lengths(centred))
        longest = length.max()
        self._length = np.maximum(length, 1e-9 * np.where(longest > 0, longest, 1.0))
        self._found: dict[str, Index] = {}
        self._known: dict[str, NDArray[np.bool_]] = {}

    def of(self, starts: Index, k: int, metric: str) -> Index:
        """(len(starts), k + 1): every start itself and its k nearest others (at most all), nearest first."""
        size = min(max(k, MOST_NEIGHBORS) + 1, len(self._points))
        if metric not in self._found or self._found[metric].shape[1] < size:
            self._found[metric] = np.empty_like(self._points, dtype=np.intp, shape=(len(self._points), size))
            self._known[metric] = np.zeros(len(self._points), dtype=np.bool_)
        known = self._known[metric]
        everyone = len(self._points) <= ALL_AT_ONCE
        missing = np.flatnonzero(~known) if everyone else distinct(starts[~known[starts]])
        block = max(1, BLOCK // len(self._points))
        for begin in range(0, len(missing), block):
            rows = missing[begin : begin + block]
            self._found[metric][_device.beside(rows, self._points)] = self._nearest(rows, metric, size)
            known[rows] = True
        return self._found[metric][_device.beside(starts, self._points), : k + 1]

    def _nearest(self, rows: Index, metric: str, size: int) -> Index:
        own = (_device.beside(np.arange(len(rows)), self._points), _device.beside(rows, self._points))
        between = squared_distances(self._points[own[1]], self._points)
        if metric == "relative":
            between /= self._length  # the start's own length changes no order
        between[own] = -1.0  # a duplicate must not come before the row itself
        return smallest(between, size)
