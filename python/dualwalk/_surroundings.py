"""Local dual functions round given rows: their values over the training rows, and what a movement owes to which feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _device
from ._ladder.covariance import ledoit_wolf_shrinkage
from ._lazy import cached_property
from ._neighbors import nearest_neighbors
from .duals.local import LocalDual
from .normal_scores import NormalScores
from .walks import WalkResult, walk

Float = NDArray[np.float64]
Index = NDArray[np.intp]

MOST_NEIGHBORS = 80  # a factor has K + 1 rows of d numbers for every walk
BLOCK, BLOCK_ON_DEVICE = 32, 256  # neighbourhoods at a time
LEAST_SHRINKAGE, MOST_SHRINKAGE = 0.05, 0.95
N_SHRINKAGE_SAMPLES = 32


@dataclass(frozen=True)
class Attribution:
    """What a movement did, feature by feature, and which training rows are near its end.

    movement : shaped like X, the change of each feature in the units of X
    f_change : shaped like X, in nats; sums over a sample to f_to - f_from
    f_from, f_to : (n_samples,) the local dual function at both ends, in nats
    neighbors : (n_samples, k) indices of the training rows nearest to the end, nearest first
    distances : (n_samples, k) to them, in units of each column's standard deviation
    """

    movement: Float
    f_change: Float
    f_from: Float
    f_to: Float
    neighbors: Index
    distances: Float


class Surroundings:
    """The local dual function round any row: made of its nearest training rows, a training row itself left out.

    Leaving it out puts training rows and new rows on one footing: f of a row does not profit from the row's own presence.
    """

    def __init__(self, rows: Float, n_neighbors: int, own_dual: Any = None) -> None:
        self._rows = rows
        self._own_dual = own_dual  # the user's, of normal scores: walks go on it
        self._scores = NormalScores()
        self.points = self._scores._fit_rows(rows)
        self.n_neighbors = max(1, min(n_neighbors, MOST_NEIGHBORS, len(rows) - 2))

    @cached_property
    def shrinkage(self) -> float:
        """`local_shrinkage` of the training rows."""
        return local_shrinkage(self.points, self.neighbors)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest f of the training rows, each in the neighbourhood that leaves it out (or of the user's dual)."""
        own = self._own_dual
        asarray = _device.namespace(self.points).asarray
        values = self._values(self.points) if own is None else asarray(own.value_and_gradient(self.points)[0])
        low, high = _device.floats(values.min(), values.max())
        return low, high

    def value(self, rows: Float) -> Float:
        """f of every row (in data units), each in its own neighbourhood."""
        return self._values(self.scores(rows))

    def _values(self, z: Float) -> Float:
        blocks = _blocks(z)
        return np.concatenate([self.dual(block).value(block) for block in blocks]) if blocks else z[:, 0]

    def scores(self, rows: Float) -> Float:
        return self._scores._scores(rows)

    def neighbors(self, z: Float) -> Index:
        """(n, K + 1): the nearest training rows of every row of z, rows equal to it left out."""
        size = self.n_neighbors + 1
        nearest = nearest_neighbors(self.points, size, z)
        first = nearest[:, 0]
        same = (self.points[first] == z).all(axis=1)
        return np.where(same[:, None], nearest[:, 1 : size + 1], nearest[:, :size])

    def dual(self, z: Float) -> LocalDual:
        """A stack: row r's own neighbourhood."""
        return LocalDual(self.points, self.neighbors(z), shrinkage=self.shrinkage)

    def walk(self, rows: Float, shaped: Callable[[Float], NDArray[Any]], **settings: Any) -> WalkResult:
        """`dualwalk.walk` from rows in data units, and back: in scores, in units of each neighbourhood's deviations."""
        z = self.scores(rows)
        if self._own_dual is None:
            local = self.dual(z)
            unit, dual = local.deviation, local.in_deviations()
        else:
            unit, dual = np.ones_like(z), self._own_dual
        result = walk(dual, z / unit, **settings)
        x = shaped(self.values(result.x * unit))
        trajectory = result.trajectory
        if trajectory is not None:
            points = trajectory * unit[:, None, :]
            trajectory = shaped(self.values(points.reshape(-1, points.shape[-1])).reshape(points.shape))
        return result._replace(x=x, trajectory=trajectory)

    def values(self, z: Float) -> Float:
        """Scores back to data units."""
        return self._scores._values(z)

    def attribute(self, path: Float) -> tuple[Float, Float, Float, Float]:
        """Movement, change of f by feature, f at both ends; path is (n, n_points, d) in data units."""
        blocks = [self._attribute(block) for block in _blocks(path)]
        movement, change, f_from, f_to = (np.concatenate(part) for part in zip(*blocks, strict=True))
        return movement, change, f_from, f_to

    def _attribute(self, path: Float) -> tuple[Float, Float, Float, Float]:
        """On each straight piece the mean gradient is that of its two ends, because f is quadratic: the integral is exact."""
        z = self.scores(path.reshape(-1, path.shape[-1])).reshape(path.shape)
        dual = self.dual(z[:, 0])
        f_from, gradient = dual.value_and_gradient(z[:, 0])
        change = np.zeros_like(z[:, 0])
        f_to = f_from
        for before, after in pairwise(z.swapaxes(0, 1)):
            f_to, following = dual.value_and_gradient(after)
            change += (after - before) * 0.5 * (gradient + following)
            gradient = following
        return path[:, -1] - path[:, 0], change, f_from, f_to


def local_shrinkage(points: Float, neighbors: Callable[[Float], Index]) -> float:
    """Ledoit and Wolf's share, the mean over the neighbourhoods of some points, with columns of unit variance."""
    picks = np.linspace(0, len(points) - 1, min(N_SHRINKAGE_SAMPLES, len(points))).astype(np.intp)
    picks = _device.beside(picks, points)
    shares = []
    for members in neighbors(points[picks]):
        local = points[members] - points[members].mean(axis=0)
        deviation = local.std(axis=0)
        shares.append(ledoit_wolf_shrinkage(local / np.where(deviation > 1e-9, deviation, 1.0)))
    return float(np.clip(np.mean(shares), LEAST_SHRINKAGE, MOST_SHRINKAGE))


def _blocks(rows: Float) -> list[Float]:
    size = BLOCK_ON_DEVICE if _device.is_on_device(rows) else BLOCK
    return [rows[begin : begin + size] for begin in range(0, len(rows), size)]
