"""One rung of the ladder: how a new sample is made from a start, from local (few neighbours) to global (all rows)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .. import _device, backends
from .._arrays import distinct
from .._random import generator
from .._threads import parallel_ranges, resolve_n_threads
from ..normal_scores import NormalScores, tied_columns
from .covariance import NoiseModel, PooledNoise
from .marginals import Marginals, Smoothing, observed_levels
from .neighborhoods import Neighborhoods

Float = NDArray[np.float64]
Index = NDArray[np.intp]

SMALLEST_BLOCK, LARGEST_BLOCK = 24, 1024
ROWS_AT_A_TIME = 4096
POOL = 2048
WORDS_AT_A_TIME = 2**16  # of a stream that is moved on
ROWS_AT_ONCE = 64  # of a global rung, by one thread: always the same ones in one matrix product
ROWS_ON_DEVICE = 1024  # of a global rung at once, there
WORK_A_THREAD = 2**24  # multiply-adds of it that are worth a thread


@dataclass(frozen=True)
class Rung:
    """What the walk does: see the attributes of the same names of `dualwalk.sampler.Choice`."""

    space: str = "scores"
    n_neighbors: int | None = 20
    time: float = math.log(2.0)
    pooled_noise: float = 0.0
    metric: str = "distance"
    balanced: bool = True

    def __str__(self) -> str:
        if self.n_neighbors is None:
            return f"all rows, pooled noise {self.pooled_noise:g}, {self.space}"
        near = "" if self.metric == "distance" else f" by {self.metric} distance"
        kept = "nothing" if math.isinf(self.time) else f"{math.exp(-self.time):.2g}"
        return f"{self.n_neighbors} neighbours{near}, {kept} of the start kept, {self.space}"


@dataclass(frozen=True)
class Shared:
    """What all rungs of a fit share, chosen before them: the covariance of pooled noise and the marginals' smoothing."""

    noise: NoiseModel = field(default_factory=NoiseModel)
    smoothing: Smoothing = field(default_factory=Smoothing)


class _StandardScores:
    """Columns to mean 0 and variance 1; tied columns come back on the nearest observed level."""

    def _fit_rows(self, rows: Float) -> Float:
        self._mean = rows.mean(axis=0)
        deviation = rows.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        self._levels: dict[int, Float] = {}
        self._ordered: Float | None = None  # on a device, where columns are looked up side by side
        ordered = np.sort(rows, axis=0)
        self._tied = tied_columns(ordered)
        if _device.is_on_device(rows):
            self._ordered = ordered
        else:
            for j in np.flatnonzero(self._tied):
                self._levels[int(j)] = distinct(ordered[:, j])
        scores: Float = (rows - self._mean) / self._deviation
        return scores

    def _values(self, scores: Float) -> Float:
        values: Float = scores * self._deviation + self._mean
        if self._ordered is not None:
            return np.where(self._tied, observed_levels(values, self._ordered), values)
        for j, levels in self._levels.items():
            values[:, j] = levels[np.searchsorted(0.5 * levels[1:] + 0.5 * levels[:-1], values[:, j])]
        return values


class Walker:
    """Training rows in one space with their neighbours: makes new rows at any rung of the ladder."""

    def __init__(self, rows: Float, feature_shape: tuple[int, ...], space: str, shared: Shared) -> None:
        self._rows = rows
        self.shared = shared
        self._marginals: Marginals | None = None
        self._standard = _StandardScores() if space == "standard" else None
        self.points = NormalScores()._fit_rows(rows) if self._standard is None else self._standard._fit_rows(rows)
        self._shape = feature_shape
        self._neighborhoods = Neighborhoods(self.points)
        self._noise: PooledNoise | None = None

    @property
    def noise(self) -> PooledNoise:
        if self._noise is None:
            n = len(self.points)
            centred = self.points - self.points.mean(axis=0)
            self._noise = PooledNoise(centred * math.sqrt(n / (n - 1)), self._shape, self.shared.noise)
        return self._noise

    def generate(
        self,
        rung: Rung,
        starts: Index,
        stream: np.random.Generator,
        *,
        among: Index | None = None,
        block: int | None = None,
        balanced: bool = True,
        before: int = 0,
        only: slice | None = None,
    ) -> Float:
        """New rows, one from every start, in the units of the training rows.

        A balanced rung works on whole blocks (of `block` rows): what is missing to one starts from other rows, and is left out
        in the end. `among`: the rows whose marginals the new rows shall have, and that starts come from (all if None).
        balanced=False: every row on its own, by its ranks in a pool of others.

        `only`: these rows alone, with the bits that they have among all; the stream moves as if all were made. `starts` may
        then leave out the call's first rows, `before` of them, but for those of a block that is needed.
        """
        members = np.arange(len(self.points)) if among is None else among
        marginals = self._marginals_of(among) if rung.balanced else None
        if marginals is not None and not balanced:
            pool_starts = balanced_starts(members, POOL, generator(0, "pool"))
            pool = np.sort(self._walk(rung, pool_starts, generator(0, "pool", "walk")), axis=0)
            return marginals.placed(self._walk(rung, starts, stream), pool, stream)
        wanted = only or slice(0, len(starts))
        rows = np.empty_like(self.points, shape=(wanted.stop - wanted.start, self.points.shape[1]))
        size = block or self.block_of(rung, among)
        self._skip_blocks(rung, -(-before // size), size, stream)
        for part in _blocks(len(starts), size, -before % size):
            own = starts[part]
            fill = balanced_starts(members, size - len(own), stream) if rung.balanced else members[:0]
            here = slice(max(part.start, wanted.start), min(part.stop, wanted.stop))
            if here.start >= here.stop:
                self._skip_blocks(rung, 1, size, stream)
                continue
            made = self._block(rung, np.concatenate([own, fill]), stream, marginals)
            rows[here.start - wanted.start : here.stop - wanted.start] = made[here.start - part.start : here.stop - part.start]
        return rows

    def block_of(self, rung: Rung, among: Index | None) -> int:
        """How many rows of one call are made together."""
        return block_size(len(self.points) if among is None else len(among)) if rung.balanced else ROWS_AT_A_TIME

    def _block(self, rung: Rung, starts: Index, stream: np.random.Generator, marginals: Marginals | None) -> Float:
        points = self._walk(rung, starts, stream)
        if marginals is not None:
            return marginals.balanced(points, stream)
        assert self._standard is not None
        return self._standard._values(points)

    @staticmethod
    def _skip_blocks(rung: Rung, count: int, size: int, stream: np.random.Generator) -> None:
        """Take from the stream what `_block` takes: a word for the walk's seed, and one for a balanced row's place in its quantile."""
        words = count * (1 + size if rung.balanced else 1)
        for begin in range(0, words, WORDS_AT_A_TIME):
            stream.random(min(WORDS_AT_A_TIME, words - begin))

    def _marginals_of(self, among: Index | None) -> Marginals:
        if among is not None:
            return Marginals(self._rows[_device.beside(among, self._rows)], self._shape, self.shared.smoothing)
        if self._marginals is None:
            self._marginals = Marginals(self._rows, self._shape, self.shared.smoothing)
        return self._marginals

    def _walk(self, rung: Rung, starts: Index, stream: np.random.Generator) -> Float:
        if rung.n_neighbors is None:
            return self._global(rung, len(starts), stream)
        return self._local(rung, starts, stream)

    def _local(self, rung: Rung, starts: NDArray[np.intp], stream: np.random.Generator) -> Float:
        """m + e^-t (z - m) + sqrt(1 - e^-2t) N^T eps / sqrt(K); the start is its own first neighbour."""
        assert rung.n_neighbors is not None
        index = self._neighborhoods.of(starts, rung.n_neighbors, rung.metric)
        seed = int(stream.integers(2**63))
        job = backends.job("relax_local", None, self.points)
        z: Float = job(self.points, index, math.exp(-rung.time), seed, resolve_n_threads())
        return z

    def _global(self, rung: Rung, n_rows: int, stream: np.random.Generator) -> Float:
        """The same with all rows as one neighbourhood and t = infinity, part of the noise from the pooled covariance.

        That is the rows' own covariance but for its shrinkage, so one draw from the rows serves both.
        """
        seed = int(stream.integers(2**63))
        of_target = rung.pooled_noise * self.noise.shrinkage if rung.pooled_noise > 0.0 else 0.0
        n, d = self.points.shape
        z, draw_normals = np.empty_like(self.points, shape=(n_rows, d)), backends.job("draw_normals", None, self.points)
        there = _device.is_on_device(self.points)
        size = ROWS_ON_DEVICE if there else ROWS_AT_ONCE

        def draw(begin: int, end: int) -> None:
            for first in range(begin * size, min(end * size, n_rows), size):
                part = z[first : first + size]
                white = draw_normals(seed, first, len(part), n + (d if of_target > 0.0 else 0))
                weights = white[:, :n] - white[:, :n].mean(axis=1, keepdims=True)
                weights *= math.sqrt((1.0 - of_target) / (n - 1))
                weights += 1.0 / n
                np.matmul(weights, self.points, out=part)
                if of_target > 0.0:
                    part += math.sqrt(of_target) * self.noise.color_target(white[:, n:])

        grain = max(1, WORK_A_THREAD // (size * n * d))
        parallel_ranges(draw, -(-n_rows // size), 1 if there else resolve_n_threads(), grain=grain)
        return z


def balanced_starts(candidates: NDArray[np.intp], n_rows: int, stream: np.random.Generator) -> NDArray[np.intp]:
    """n_rows starts by whole permutations of the candidates: each serves equally often, give or take one."""
    n_rounds = -(-n_rows // len(candidates))
    rounds = [stream.permutation(candidates) for _ in range(n_rounds)]
    return np.concatenate(rounds)[:n_rows] if rounds else candidates[:0]


def block_size(n: int) -> int:
    """Rows that are balanced together: all n, some rounds of few, or a part of very many."""
    return -(-SMALLEST_BLOCK // n) * n if n < SMALLEST_BLOCK else min(n, LARGEST_BLOCK)


def _blocks(n_rows: int, size: int, first: int = 0) -> Iterator[slice]:
    return (slice(begin, min(begin + size, n_rows)) for begin in range(first, n_rows, size))
