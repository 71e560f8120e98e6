"""Channels that do not depend on each other are walked apart: each group of them has a ladder and starts of its own.

A series whose channels are independent needs no row that has them all: n rows of c channels are n^c combinations. Whether
they are is asked of the data's own divergence from the product of its channels, by a permutation test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._random import generator
from ..independence import independence_test
from .choice import Choice, Progress, Tried
from .classes import Verdict
from .fit import FittedLadder, fit_ladder
from .rung import balanced_starts

Float = NDArray[np.float64]
Index = NDArray[np.intp]

FEWEST_ROWS, MOST_ROWS = 50, 1000  # fewer rows cannot tell; of more, so many do
MOST_CHANNELS, N_GROUPS = 6, 2  # more channels are walked in so many groups, each about as much work as all at once
QUICK, THOROUGH = 19, 199  # permutations: most dependence stands out from the first ones
SURE = 0.9  # of the largest statistic that so many permutations can give
SMALLEST_P = 0.01


def channels_are_apart(rows: Float, feature_shape: tuple[int, ...], seed: int, groups: Index | None = None) -> bool:
    """Whether a permutation test finds no dependence between channels (p above .01); one row of a group takes part."""
    if groups is not None:
        rows = rows[_device.beside(np.unique(groups, return_index=True)[1], rows)]
    if len(feature_shape) != 2 or feature_shape[0] < 2 or len(rows) < FEWEST_ROWS:
        return False
    if not bool(np.ptp(rows, axis=0).any()):
        return False
    stream = generator(seed, "apart")
    some = rows
    if len(rows) > MOST_ROWS:
        some = rows[_device.beside(stream.permutation(len(rows))[:MOST_ROWS], rows)]
    blocks = np.repeat(np.arange(feature_shape[0]), feature_shape[1])
    quick = independence_test(some, blocks=blocks, n_permutations=QUICK, random_state=stream)
    if quick.statistic > SURE * math.sqrt(QUICK):
        return False
    found = independence_test(some, blocks=blocks, n_permutations=THOROUGH, random_state=stream)
    return bool(found.p_value > SMALLEST_P)


@dataclass(frozen=True)
class ApartLadders:
    """A ladder for every group of channels; groups (columns of the rows) are made from starts of their own.

    The attributes are those of `FittedLadder`, whose place it takes.
    """

    choice: Choice
    choices: dict[Any, Choice]
    criteria: list[Tried]
    verdict: Verdict | None
    n_neighbors: int
    groups: list[slice]
    ladders: list[FittedLadder]

    def generate(self, starts: Index, seed: int, *, labelled: bool, balanced: bool = True) -> Float:
        """A new row from every start; the first group of channels starts there, the others at rows of their own."""
        points = self.ladders[0].parts[0].walker.points
        rows = np.empty_like(points, shape=(len(starts), self.groups[-1].stop))
        n = len(self.ladders[0].codes)
        for g, (columns, ladder) in enumerate(zip(self.groups, self.ladders, strict=True)):
            stream = generator(seed, "starts", g)
            others = balanced_starts(np.arange(n), len(starts), stream) if balanced else stream.integers(n, size=len(starts))
            own = starts if g == 0 else others.astype(np.intp)
            made = ladder.generate(own, self._seed_of(seed, g), labelled=labelled, balanced=balanced)
            rows[:, columns] = made
        return rows

    def generate_between(
        self, candidates: Index, n: int, rows: slice, stream: np.random.Generator, seed: int, *, labelled: bool
    ) -> Float:
        """`rows` of what `generate` makes of balanced starts from `stream`, made alone."""
        streams = [stream, *(generator(seed, "starts", g) for g in range(1, len(self.groups)))]
        parts = [
            ladder.generate_between(candidates, n, rows, own, self._seed_of(seed, g), labelled=labelled)
            for g, (ladder, own) in enumerate(zip(self.ladders, streams, strict=True))
        ]
        joined: Float = _device.namespace(parts[0]).concatenate(parts, axis=1)
        return joined

    @staticmethod
    def _seed_of(seed: int, g: int) -> int:
        return int(generator(seed, "group", g).integers(2**63))


def fit_apart(
    rows: Float, feature_shape: tuple[int, ...], groups: Index | None, seed: int, progress: Progress | None = None
) -> ApartLadders:
    """A ladder for every channel, or for two groups of more than six; `groups` are those of the rows."""
    n_channels, n_times = feature_shape
    edges = np.linspace(0, n_channels, (n_channels if n_channels <= MOST_CHANNELS else N_GROUPS) + 1).astype(np.intp)
    columns, ladders = [], []
    choices: dict[Any, Choice] = {}
    criteria: list[Tried] = []
    no_classes = np.zeros(len(rows), dtype=np.intp)
    for g, (first, last) in enumerate(pairwise(edges)):
        columns.append(slice(int(first) * n_times, int(last) * n_times))
        name = f"channel {first + 1}" if last == first + 1 else f"channels {first + 1} to {last}"
        shape = (int(last - first), n_times)
        data = (rows[:, columns[-1]], shape, no_classes, groups, seed)
        ladder = fit_ladder(*data, name_of=lambda _: None, clusters=False, progress=_share_of(progress, g, len(edges) - 1))
        ladders.append(ladder)
        choices[name] = replace(ladder.choice, parts="channels")
        criteria += [replace(tried, label=name) for tried in ladder.criteria if tried.label is None]
    first_choice = next(iter(choices.values()))
    n_neighbors = max(ladder.n_neighbors for ladder in ladders)
    return ApartLadders(first_choice, choices, criteria, None, n_neighbors, columns, ladders)


def _share_of(progress: Progress | None, part: int, n_parts: int) -> Progress | None:
    """Progress of one of several parts of equal work; only the last one reports the end."""
    if progress is None:
        return None

    def report(done: int, total: int, text: str) -> None:
        if done < total or part == n_parts - 1:
            progress(part * total + done, n_parts * total, text)

    return report
