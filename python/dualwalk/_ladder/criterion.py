"""How well generated rows replace rows that were held out: the criterion by which the ladder's rung is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._arrays import distinct
from .._lazy import cached_property
from .._neighbors import column_scale, squared_distances
from .._random import generator

Float = NDArray[np.float64]
Index = NDArray[np.intp]

N_FOLDS = 5
RANKS = (0, 1, 4)  # the nearest, second and fifth nearest fit row
COVERAGE_RANK = 5
ENERGY_WEIGHT, ENERGY_CAP = 0.27, 3.4
SMALL_DATA, LARGE_DATA = 1e5, 2e5  # fewer numbers than this: two partitions into folds; more: three folds of one
MANY_ROWS, N_HELD = 1500, 400  # more rows than this: one fold, so many rows of it held out
ROWS_AT_A_TIME, ROWS_ON_DEVICE = 256, 2048  # compared with all others
NUMBERS_ON_DEVICE = 2**27  # distances of all folds together, there


@dataclass(frozen=True)
class Fold:
    """Indices of the rows to fit on and of the rows held out."""

    fit: Index
    held: Index


@dataclass(frozen=True)
class Score:
    """The criterion (lower is better) and its parts."""

    criterion: float
    energy_distance: float
    coverage: float
    authenticity: float


def partition(n: int, seed: int, *path: int | str, labels: Index | None = None, groups: Index | None = None) -> list[Fold]:
    """Five folds. Whole groups are held out; without groups, every class is spread over the folds evenly.

    Of very many rows one fold says enough, with a part of its rows (groups, as they come) held out.
    """
    stream = generator(seed, "folds", *path)
    if n > MANY_ROWS:
        return [_large_fold(n, stream, groups)]
    fold = np.empty(n, dtype=np.intp)
    if groups is not None:
        sizes = np.bincount(groups)
        shuffled = stream.permutation(len(sizes))
        filled = np.zeros(min(N_FOLDS, len(sizes)), dtype=np.intp)
        fold_of_group = np.empty(len(sizes), dtype=np.intp)
        for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:  # large groups first, each to the emptiest fold
            emptiest = int(np.argmin(filled))
            fold_of_group[group] = emptiest
            filled[emptiest] += sizes[group]
        fold = fold_of_group[groups]
    else:
        order = stream.permutation(n)
        if labels is not None:
            order = order[np.argsort(labels[order], kind="stable")]
        fold[order] = np.arange(n) % N_FOLDS
    folds = [Fold(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(N_FOLDS)]
    return [f for f in folds if len(f.held) and len(f.fit)]


def _large_fold(n: int, stream: np.random.Generator, groups: Index | None) -> Fold:
    order = stream.permutation(n)
    if groups is not None:  # by whole groups, in an order of their own
        order = np.argsort(stream.permutation(int(groups.max()) + 1)[groups], kind="stable")
    if groups is None:
        return Fold(np.sort(order[N_HELD:]), np.sort(order[:N_HELD]))
    n_groups = np.cumsum(np.diff(groups[order], prepend=groups[order[0]]) != 0)
    last = min(n_groups[N_HELD], n_groups[-1] - 1)
    return Fold(np.sort(order[n_groups > last]), np.sort(order[n_groups <= last])[:N_HELD])


def restrict(folds: Sequence[Fold], members: Index) -> list[Fold]:
    """The same folds within the rows `members` (sorted), indexed from 0; folds that are left empty or too small go."""
    inside = []
    for fold in folds:
        fit, held = (np.flatnonzero(np.isin(members, part)) for part in (fold.fit, fold.held))
        if len(held) and len(fit) >= 2:
            inside.append(Fold(fit, held))
    return inside


class Criterion:
    """Compare generated rows with held-out rows, both seen from the rows that were fitted on.

        .27 sqrt(min(E, 3.4)) + (1 - coverage) / 2 + |authenticity - 1| / 2

    E is the energy distance between the vectors of log distances to the 1st, 2nd and 5th nearest fit row, in units of their
    standard deviation over the held-out rows. Coverage is the share of held-out rows with a generated row nearer than their
    5th nearest real row (of another group). Authenticity is the median distance of generated rows to the nearest fit row
    over that of held-out rows: 0 for copies.

    Rows on a device are compared there, and a score is read back as a few numbers; the folds stay in the host's memory.
    """

    def __init__(self, rows: Float, folds: Sequence[Fold], groups: Index | None = None) -> None:
        self._scale = column_scale(rows)
        self._center = rows.mean(axis=0)  # a distance by matrix product loses digits to a common offset
        self._rows = (rows - self._center) / self._scale
        self.folds = list(folds)
        self._groups = groups
        self._places = [(_device.beside(fold.fit, rows), _device.beside(fold.held, rows)) for fold in self.folds]
        self._floor = 1e-4 * np.sqrt(int(np.count_nonzero(np.ptp(rows, axis=0))) + 1.0)

    @cached_property
    def _radius(self) -> Float:
        """Distance of every held-out row to the 5th nearest other row, or row of another group; NaN for the rest.

        Of very many rows only the held-out ones count: as many as are generated, as where all are held out in turn.
        """
        held = distinct(np.concatenate([fold.held for fold in self.folds]))
        others = np.arange(len(self._rows)) if len(self._rows) <= MANY_ROWS else held
        own = np.arange(len(self._rows)) if self._groups is None else self._groups
        held, others, own = (_device.beside(index, self._rows) for index in (held, others, own))
        radius: Float = np.full_like(self._rows[:, 0], np.nan)
        for part in _blocks(held):
            rows = held[part]
            distances = np.sqrt(squared_distances(self._rows[rows], self._rows[others]))
            distances[own[rows][:, None] == own[others]] = np.inf
            available = np.isfinite(distances).sum(axis=1)
            place = np.clip(available, 1, COVERAGE_RANK) - 1
            radius[rows] = np.take_along_axis(np.sort(distances, axis=1), place[:, None], axis=1)[:, 0]
        return radius

    @cached_property
    def _reference(self) -> Float:
        return np.concatenate([self._features(self._rows[held], fit) for fit, held in self._places])

    @cached_property
    def _reference_nearness(self) -> float:
        """The median log distance of held-out rows to the nearest fit row."""
        return _device.floats(np.median(self._reference[:, 0]))[0]

    @cached_property
    def _reference_scale(self) -> Float:
        deviation = self._reference.std(axis=0)
        return np.where(deviation > 1e-9, deviation, 1.0)

    @cached_property
    def _reference_spread(self) -> float:
        return _device.floats(_mean_distance(self._reference / self._reference_scale, None))[0]

    def _features(self, rows: Float, fitted: Index) -> Float:
        """Log distances to the 1st, 2nd and 5th nearest of the rows fitted on; from few rows, to the last one there is."""
        ranks = [min(rank, len(fitted) - 1) for rank in RANKS]
        fit = self._rows[fitted]
        logs = np.empty_like(rows, shape=(len(rows), len(ranks)))
        for part in _blocks(rows):
            logs[part] = self._logs(squared_distances(rows[part], fit), ranks)
        return logs

    def _logs(self, squares: Float, ranks: Sequence[int]) -> Float:
        """Logs of the distances of these ranks, by row, from squared distances."""
        ordered = np.partition(squares, sorted(set(ranks)), axis=1)
        logs: Float = np.log(np.sqrt(np.stack([ordered[:, rank] for rank in ranks], axis=1)) + self._floor)
        return logs

    def __call__(self, generated: Sequence[Float]) -> Score:
        """`generated`: for every fold, rows made from its fit rows alone."""
        # About twice as many vectors as rows in all: the energy distance needs no more.
        share = max(1, 2 * len(self._rows) // len(self.folds))
        features, covered = (self._together if self._can_go_together(generated) else self._one_by_one)(generated, share)
        if not features:
            return Score(np.inf, np.inf, 0.0, 0.0)
        seen = np.concatenate(features)
        a, b = self._reference / self._reference_scale, seen / self._reference_scale
        parts = (_mean_distance(a, b), _mean_distance(b, None), np.median(seen[:, 0]))
        between, within, nearness, *shares = _device.floats(*parts, *covered)
        energy = max(0.0, 2.0 * between - self._reference_spread - within)
        coverage = float(np.mean(shares))
        authenticity = float(np.exp(nearness - self._reference_nearness))
        criterion = ENERGY_WEIGHT * np.sqrt(min(energy, ENERGY_CAP)) + (1 - coverage) / 2 + abs(authenticity - 1) / 2
        return Score(float(criterion), energy, coverage, authenticity)

    def _one_by_one(self, generated: Sequence[Float], share: int) -> tuple[list[Float], list[Any]]:
        """Features of the first `share` rows of every fold, and what part of its held-out rows is covered."""
        features: list[Float] = []
        covered: list[Any] = []
        for (fit, held), made in zip(self._places, generated, strict=True):
            if len(made) == 0:
                covered.append(0.0)
                continue
            scaled = (made - self._center) / self._scale
            features.append(self._features(scaled[:share], fit))
            nearest = squared_distances(self._rows[held], scaled).min(axis=1)
            covered.append((np.sqrt(nearest) < self._radius[held]).mean())
        return features, covered

    def _can_go_together(self, generated: Sequence[Float]) -> bool:
        sizes = {len(made) for made in generated}
        return (
            _device.is_on_device(self._rows)
            and len(sizes) == 1
            and 0 < len(generated) * max(sizes) * len(self._rows) <= NUMBERS_ON_DEVICE
            and min(len(fold.fit) for fold in self.folds) > max(RANKS)
        )

    def _together(self, generated: Sequence[Float], share: int) -> tuple[list[Float], list[Any]]:
        """`_one_by_one` of folds of like size, by one matrix product: on a device a launch costs more than a fold."""
        scaled = (np.concatenate(generated) - self._center) / self._scale
        squares = squared_distances(scaled, self._rows).reshape(len(generated), -1, len(self._rows))
        fitted, held = self._masks
        near = np.where(fitted[:, None], squares[:, :share], np.inf)
        features = self._logs(near.reshape(-1, len(self._rows)), RANKS)
        covered = (np.sqrt(squares.min(axis=1)) < self._radius) & held
        return [features], list(covered.sum(axis=1) / held.sum(axis=1))

    @cached_property
    def _masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows (n_folds, n) are fitted on and which are held out."""
        masks = np.zeros((2, len(self.folds), len(self._rows)), dtype=np.bool_)
        for k, fold in enumerate(self.folds):
            masks[0, k, fold.fit], masks[1, k, fold.held] = True, True
        fitted, held = _device.beside(masks, self._rows)
        return fitted, held


def _blocks(rows: Any) -> list[slice]:
    size = ROWS_ON_DEVICE if _device.is_on_device(rows) else ROWS_AT_A_TIME
    return [slice(begin, begin + size) for begin in range(0, len(rows), size)]


def _mean_distance(a: Float, b: Float | None) -> Any:
    """Mean Euclidean distance between rows of a and b, or between different rows of a; summed in blocks."""
    other = a if b is None else b
    total: Any = 0.0
    size = ROWS_ON_DEVICE if _device.is_on_device(a) else 512
    for begin in range(0, len(a), size):
        block = a[begin : begin + size]
        squares = np.zeros_like(a, shape=(len(block), len(other)))
        for j in range(a.shape[1]):  # few columns: differences are exact where the matrix product is not
            squares += np.subtract.outer(block[:, j], other[:, j]) ** 2
        total = total + np.sqrt(squares).sum()
    return total / (len(a) * len(b) if b is not None else max(1, len(a) * (len(a) - 1)))
