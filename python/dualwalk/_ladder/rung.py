"""One rung of the ladder: how a new sample is made from a start, from local (few neighbours) to global (all rows)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._neighbors import nearest_neighbors
from ..duals.local import noise_weights, weighted_rows
from ..normal_scores import TIED_BELOW, NormalScores
from .covariance import NoiseModel, PooledNoise

Float = NDArray[np.float64]

# The variance match never changes a column by more than this.
SMALLEST_GAIN, LARGEST_GAIN = 0.5, 1.6
ROWS_AT_A_TIME = 4096


@dataclass(frozen=True)
class Rung:
    """What the walk does: see the attributes of the same names of `dualwalk.sampler.Choice`."""

    space: str = "scores"
    n_neighbors: int | None = 20
    time: float = math.log(2.0)
    pooled_noise: float = 0.0
    variance_match: bool = False

    def __str__(self) -> str:
        reach = "all rows" if self.n_neighbors is None else f"{self.n_neighbors} neighbours"
        noise = f", pooled noise {self.pooled_noise:g}" if self.n_neighbors is None else ""
        matched = ", variance matched" if self.variance_match else ""
        return f"{reach}{noise}, {self.space}{matched}"


class _StandardScores:
    """Columns to mean 0 and variance 1; tied columns come back on the nearest observed level."""

    def _fit_rows(self, rows: Float) -> Float:
        self._mean = rows.mean(axis=0)
        deviation = rows.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        self._levels: dict[int, Float] = {}
        ordered = np.sort(rows, axis=0)
        n_distinct = 1 + np.count_nonzero(ordered[1:] != ordered[:-1], axis=0)
        for j in np.flatnonzero(n_distinct < TIED_BELOW * len(rows)):
            self._levels[int(j)] = np.unique(ordered[:, j])
        scores: Float = (rows - self._mean) / self._deviation
        return scores

    def _values(self, scores: Float) -> Float:
        values: Float = scores * self._deviation + self._mean
        for j, levels in self._levels.items():
            values[:, j] = levels[np.searchsorted(0.5 * levels[1:] + 0.5 * levels[:-1], values[:, j])]
        return values


class Walker:
    """Training rows in one space with their neighbours: makes new rows at any rung of the ladder."""

    def __init__(self, rows: Float, feature_shape: tuple[int, ...], space: str, model: NoiseModel) -> None:
        self._space = NormalScores() if space == "scores" else _StandardScores()
        self.points = self._space._fit_rows(rows)
        self._shape = feature_shape
        self._model = model
        self._ordered: NDArray[np.intp] | None = None
        self._noise: PooledNoise | None = None
        self._gains: dict[Rung, Float] = {}

    @property
    def noise(self) -> PooledNoise:
        if self._noise is None:
            n = len(self.points)
            centred = self.points - self.points.mean(axis=0)
            self._noise = PooledNoise(centred * math.sqrt(n / (n - 1)), self._shape, self._model)
        return self._noise

    def neighbors(self, k: int) -> NDArray[np.intp]:
        """(n, k + 1): every row itself and its k nearest, at most all others."""
        if self._ordered is None or self._ordered.shape[1] < min(k + 1, len(self.points)):
            self._ordered = nearest_neighbors(self.points, max(k, 160))
        return self._ordered[:, : k + 1]

    def generate(self, rung: Rung, starts: NDArray[np.intp], stream: np.random.Generator) -> Float:
        """New rows, one from every start, in the units of the training rows."""
        parts = [self._walk(rung, starts[part], stream) for part in _blocks(len(starts))]
        return np.concatenate(parts) if parts else np.empty((0, self.points.shape[1]))

    def _walk(self, rung: Rung, starts: NDArray[np.intp], stream: np.random.Generator) -> Float:
        z = self._local(rung, starts, stream) if rung.n_neighbors is not None else self._global(rung, len(starts), stream)
        if rung.variance_match:
            center = self.points.mean(axis=0)
            z = center + self._gain(rung) * (z - center)
        return self._space._values(z)

    def _local(self, rung: Rung, starts: NDArray[np.intp], stream: np.random.Generator) -> Float:
        """m + e^-t (z - m) + sqrt(1 - e^-2t) N^T eps / sqrt(K), written as weights on the neighbourhood's rows."""
        assert rung.n_neighbors is not None
        index = self.neighbors(rung.n_neighbors)[starts]
        decay = math.exp(-rung.time)
        weights = noise_weights(len(index), index.shape[1], stream)
        weights *= math.sqrt(1.0 - decay**2)
        weights += (1.0 - decay) / index.shape[1]
        weights[:, 0] += decay  # the start is its own first neighbour
        return weighted_rows(weights, index, self.points)

    def _global(self, rung: Rung, n_rows: int, stream: np.random.Generator) -> Float:
        """The same with all rows as one neighbourhood and t = infinity, part of the noise from the pooled covariance."""
        z = np.tile(self.points.mean(axis=0), (n_rows, 1))
        if rung.pooled_noise < 1.0:
            weights = noise_weights(n_rows, len(self.points), stream)
            z += math.sqrt(1.0 - rung.pooled_noise) * (weights @ self.points)
        if rung.pooled_noise > 0.0:
            z += math.sqrt(rung.pooled_noise) * self.noise.draw(n_rows, stream)
        return z

    def _gain(self, rung: Rung) -> Float:
        """Per column: the factor that gives generated points the training points' variance (closed form, local rungs)."""
        if rung not in self._gains:
            assert rung.n_neighbors is not None
            z, index = self.points, self.neighbors(rung.n_neighbors)
            n, size = index.shape
            decay = math.exp(-rung.time)
            centred = z - z.mean(axis=0)
            local_mean = weighted_rows(np.full(index.shape, 1.0 / size), index, centred)
            times_used = np.bincount(index.ravel(), minlength=n).astype(np.float64)
            within = (times_used @ centred**2 - size * (local_mean**2).sum(axis=0)) / (n * (size - 1))
            variance = ((local_mean + decay * (centred - local_mean)) ** 2).mean(axis=0) + (1.0 - decay**2) * within
            wanted = (centred**2).mean(axis=0)
            ratio = np.divide(wanted, variance, out=np.ones_like(wanted), where=variance > 1e-12)
            self._gains[rung] = np.clip(np.sqrt(ratio), SMALLEST_GAIN, LARGEST_GAIN)
        return self._gains[rung]


def balanced_starts(candidates: NDArray[np.intp], n_rows: int, stream: np.random.Generator) -> NDArray[np.intp]:
    """n_rows starts by whole permutations of the candidates: each serves equally often, give or take one."""
    n_rounds = -(-n_rows // len(candidates))
    rounds = [stream.permutation(candidates) for _ in range(n_rounds)]
    return np.concatenate(rounds)[:n_rows] if rounds else candidates[:0]


def _blocks(n_rows: int) -> Iterator[slice]:
    return (slice(begin, begin + ROWS_AT_A_TIME) for begin in range(0, n_rows, ROWS_AT_A_TIME))
