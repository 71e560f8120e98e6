"""How new a row is: its distance to the training rows, and draws repeated until every row is new enough."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._lazy import cached_property
from .._neighbors import column_scale, squared_distances
from .nearness import told, too_near

Float = NDArray[np.float64]
Index = NDArray[np.intp]

BLOCK = 2**22  # distances at a time: 32 MiB
N_TYPICAL = 2000  # rows that tell the typical distance, where there are more
# Draws for a row that is not new enough yet, round by round: nearly always the first is, and after 193 there is no hope.
DRAWS = (1, 1, 2, 4, 8, 16, 32, 64, 64)


class CopiedSamplesWarning(UserWarning):
    """Generated rows are copies of training rows, or too many of them are near-copies."""


@dataclass(frozen=True)
class SampleInfo:
    """What `sample(..., return_info=True)` tells of every new row; all arrays are (n,), and in the memory that the rows are in.

    str() tells in plain words how near the rows come to real ones, and says TOO NEAR where they do. That is a matter of
    distances; whether rows tell who the training rows belong to is asked by `metrics.membership_inference`.

    f : the local dual function at the new row, made of its own nearest training rows, in nats
    nearest : index of the nearest training row
    distance : to it, in units of each column's standard deviation (at least a tenth of the median one)
    novelty : that distance over the median distance of a training row to its nearest other one (of another group where groups
        were given): 1 is what a new real row shows, 0 is a copy
    start : index of the training row that the walk started from
    label : the new row's label; None where fit got none
    n_rejected : how many draws `min_novelty` refused, an int
    subject : the group (subject, recording) of the nearest training row; None where fit got no groups
    training_novelty : (n_training,), the same of the training rows, each to its nearest other one; of 2000 where there are more
    """

    f: Float
    nearest: Index
    distance: Float
    novelty: Float
    start: Index
    label: NDArray[Any] | None
    n_rejected: int
    subject: NDArray[Any] | None
    training_novelty: Float

    @property
    def too_near(self) -> str | None:
        """Why the rows come too near to training rows, in words; None where they do not."""
        return too_near(*map(_device.to_host, (self.novelty, self.training_novelty)))

    def __str__(self) -> str:
        novelty, real, nearest = map(_device.to_host, (self.novelty, self.training_novelty, self.nearest))
        return told(novelty, real, nearest, None if self.subject is None else _device.to_host(self.subject))


class Distances:
    """Distances to the training rows, in units of each column's standard deviation."""

    def __init__(self, rows: Float, groups: Index | None) -> None:
        self._center, self._scale = rows.mean(axis=0), column_scale(rows)
        self._training = self._scaled(rows)
        self._own = _device.beside(np.arange(len(rows)) if groups is None else groups, rows)

    def _scaled(self, rows: Float) -> Float:
        scaled: Float = (rows - self._center) / self._scale
        return scaled

    def nearest(self, rows: Float, k: int = 1) -> tuple[Index, Float]:
        """The k nearest training rows of every row, nearest first, and their distances: (n, k) each."""
        scaled = self._scaled(rows)
        index = np.empty_like(scaled, dtype=np.intp, shape=(len(rows), k))
        distance = np.empty_like(scaled, shape=(len(rows), k))
        for part in self._blocks(len(rows)):
            between = squared_distances(scaled[part], self._training)
            if k == 1:
                index[part] = between.argmin(axis=1)[:, None]
            else:
                index[part] = np.argsort(between, axis=1, kind="stable")[:, :k]
            for j in range(k):  # from the differences: the matrix product rounds near copies
                distance[part, j] = np.sqrt(((scaled[part] - self._training[index[part, j]]) ** 2).sum(axis=1))
        return index, distance

    def nearest_one(self, rows: Float) -> tuple[Index, Float]:
        """The nearest training row of every row and its distance, (n,) each."""
        index, distance = self.nearest(rows)
        return index[:, 0], distance[:, 0]

    def among_training(self, members: Index | None = None) -> Float:
        """Every (or every named) training row's distance to its nearest other one, of another group where there are groups."""
        of = _device.beside(np.arange(len(self._training)) if members is None else members, self._training)
        distance = np.empty_like(self._training, shape=(len(of),))
        for part in self._blocks(len(of)):
            asked = of[part]
            between = squared_distances(self._training[asked], self._training)
            between[self._own[asked][:, None] == self._own] = np.inf
            nearest = self._training[between.argmin(axis=1)]
            distance[part] = np.sqrt(((self._training[asked] - nearest) ** 2).sum(axis=1))
        return distance

    @cached_property
    def _usual(self) -> Float:
        n = len(self._training)
        return self.among_training(np.arange(n) if n <= N_TYPICAL else np.linspace(0, n - 1, N_TYPICAL).astype(np.intp))

    @cached_property
    def typical(self) -> float:
        """The median distance of a training row to its nearest other one."""
        return _device.floats(np.median(self._usual))[0]

    @property
    def training_novelty(self) -> Float:
        """The novelty of training rows, each to its nearest other one: of 2000 where there are more."""
        return self.novelty(self._usual)

    def novelty(self, distance: Float) -> Float:
        """Distances over the typical one."""
        return distance / self.typical if self.typical > 0 else np.where(distance > 0, np.inf, 0.0)

    def _blocks(self, n_rows: int) -> list[slice]:
        size = max(1, BLOCK // len(self._training))
        return [slice(begin, begin + size) for begin in range(0, n_rows, size)]


def refill(
    rows: Float, starts: Index, min_novelty: float, distances: Distances, redraw: Callable[[Index, int], tuple[Float, Index]]
) -> int:
    """Replace, in place, every row (and its start) that is not new enough by later draws; returns how many were refused.

    `redraw(starts, k)` makes round k's candidates, one for each of the rows that started there. `starts` are in the host's
    memory; of rows on a device, the novelty of each is read back.
    """
    short = np.flatnonzero(_novelty(rows, distances) < min_novelty)
    n_rejected = len(short)
    seen: list[Float] = []
    for k, n_draws in enumerate(DRAWS):
        if not len(short):
            return n_rejected
        made, began = redraw(np.repeat(starts[short], n_draws), k)
        novelty = _novelty(made, distances).reshape(len(short), n_draws)
        seen.append(novelty.ravel())
        good = novelty >= min_novelty
        found, first = good.any(axis=1), good.argmax(axis=1)
        picked = np.flatnonzero(found) * n_draws + first[found]
        rows[_device.beside(short[found], rows)] = made[_device.beside(picked, made)]
        starts[short[found]] = began[picked]
        n_rejected += int(first[found].sum()) + n_draws * int((~found).sum())
        short = short[~found]
    if len(short):
        drawn = np.concatenate(seen)
        raise ValueError(
            f"min_novelty must be within the sampler's reach; got {min_novelty:g}, and {len(short)} of {len(rows)} rows still "
            f"fell short after {1 + sum(DRAWS)} draws each (redrawn rows have a novelty of {np.median(drawn):.3g} in the median "
            f"and {drawn.max():.3g} at most; pass a smaller one, or fit with groups= if rows of X repeat each other)"
        )
    return n_rejected


def warn_if_copied(novelty: Float, training_novelty: Float) -> None:
    """Warn the caller of `sample` where new rows come too near to training rows."""
    reason = too_near(*map(_device.to_host, (novelty, training_novelty)))
    if reason is not None:
        warnings.warn(
            f"new rows are near-copies: {reason}. Walk further (walk='auto', 'mixture' or 'renoised'), pass min_novelty=, or pass "
            "groups to fit where several training rows are of one subject.",
            CopiedSamplesWarning,
            stacklevel=4,  # past sample and its decorator
        )


def _novelty(rows: Float, distances: Distances) -> Float:
    novelty: Float = _device.to_host(distances.novelty(distances.nearest_one(rows)[1]))
    return novelty
