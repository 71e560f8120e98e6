"""The ladder fitted: rungs chosen on the training rows, one for all rows or one for every class, and rows made with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._arrays import distinct
from .._random import generator
from .choice import Choice, Progress, Ticker, Tried
from .classes import CLUSTER_SIZE, MOST_CLUSTERS, SMALLEST_CLASS, Verdict, climb_classes, compare, find_clusters, small_class
from .criterion import LARGE_DATA, MANY_ROWS, SMALL_DATA, partition
from .rounds import skip_rounds
from .rung import Rung, Shared, Walker, balanced_starts
from .search import GLOBAL_RUNGS, LOCAL_RUNGS, N_REFINEMENTS, Candidate, Ladder, choose_shared

Float = NDArray[np.float64]
Index = NDArray[np.intp]


class Part(NamedTuple):
    """Training rows (indices, sorted) that share a walker and a rung."""

    members: Index
    walker: Walker
    rung: Rung


class Window(NamedTuple):
    """The rows of a call that are wanted, counted from the first of the starts that go with them.

    These starts come after `rounds` permutations of `candidates`.
    """

    rows: slice
    rounds: int
    candidates: Index


@dataclass(frozen=True)
class FittedLadder:
    """What was chosen, and everything that making rows needs.

    parts : the walkers; part_of_code (n_classes,) tells which makes the rows of a class where no label is asked for,
        part_of_label where one is
    choices : {label: Choice}, {None: choice} without labels
    n_neighbors : of the local dual functions round a row
    codes : the classes (or clusters) of the training rows
    """

    choice: Choice
    choices: dict[Any, Choice]
    criteria: list[Tried]
    verdict: Verdict | None
    parts: list[Part]
    part_of_code: Index
    part_of_label: Index
    n_neighbors: int
    codes: Index

    def generate(
        self, starts: Index, seed: int, *, labelled: bool, balanced: bool = True, window: Window | None = None
    ) -> Float:
        """A new row from every start (an index of a training row); with a `window`, its rows alone."""
        codes = self.codes[starts]
        part_of_row = self.part_of(codes, labelled)
        points = self.parts[0].walker.points
        wanted = slice(0, len(starts)) if window is None else window.rows
        rows = np.empty_like(points, shape=(wanted.stop - wanted.start, points.shape[1]))
        for p, part in enumerate(self.parts):
            stream = generator(seed, "noise", p)
            before = 0 if window is None else window.rounds * self.rows_a_round(p, window.candidates, labelled)
            for places, among in self._shares(part, codes, part_of_row == p, labelled):
                local = np.searchsorted(part.members, starts[places])
                only = slice(*np.searchsorted(places, (wanted.start, wanted.stop)).tolist())
                made = part.walker.generate(part.rung, local, stream, among=among, balanced=balanced, before=before, only=only)
                if len(made) == len(rows):
                    return made  # copying it would cost a tenth of making it
                rows[_device.beside(places[only] - wanted.start, rows)] = made
        return rows

    def generate_between(
        self, candidates: Index, n: int, rows: slice, stream: np.random.Generator, seed: int, *, labelled: bool
    ) -> Float:
        """`rows` of generate(balanced_starts(candidates, n, stream), seed, labelled=labelled), made alone, with the same bits.

        `candidates` are all rows, or with `labelled` those of one class. Memory is taken for these rows, not for n; of what
        lies before them only the random numbers are drawn.
        """
        size = len(candidates)
        begin, end = self._rounds(candidates, rows, labelled)
        skip_rounds(stream, candidates, begin)
        starts = balanced_starts(candidates, min(end * size, n) - begin * size, stream)
        window = Window(slice(rows.start - begin * size, rows.stop - begin * size), begin, candidates)
        return self.generate(starts, seed, labelled=labelled, window=window)

    def _rounds(self, candidates: Index, rows: slice, labelled: bool) -> tuple[int, int]:
        """The first round of starts, and the one after the last, that hold every block which `rows` touch."""
        first, last = rows.start // len(candidates), -(-rows.stop // len(candidates))
        begin, end = first, last
        for p, part in enumerate(self.parts):
            each = self.rows_a_round(p, candidates, labelled)
            if each:
                size = part.walker.block_of(part.rung, candidates if labelled else None)
                begin = min(begin, first * each // size * size // each)
                end = max(end, -(-(-(-last * each // size) * size) // each))
        return begin, end

    def part_of(self, codes: Index, labelled: bool) -> Index:
        """The number of the part that makes rows of these classes."""
        return (self.part_of_label if labelled else self.part_of_code)[codes]

    def rows_a_round(self, p: int, candidates: Index, labelled: bool) -> int:
        """How many of the starts `candidates` part p walks from."""
        return int(np.count_nonzero(self.part_of(self.codes[candidates], labelled) == p))

    def _shares(
        self, part: Part, codes: Index, mine: NDArray[np.bool_], labelled: bool
    ) -> Iterator[tuple[Index, Index | None]]:
        """Rows that are made together, and the members of the part that they share their marginals with (None: all of them)."""
        if not (labelled and part.rung.balanced):
            if mine.any():
                yield np.flatnonzero(mine), None
            return
        for code in distinct(codes[mine]):
            yield np.flatnonzero(mine & (codes == code)), np.flatnonzero(self.codes[part.members] == code)


def fit_local(rows: Float, feature_shape: tuple[int, ...], codes: Index, n_neighbors: int) -> FittedLadder:
    """K neighbours and t = ln 2 for all rows; nothing is chosen."""
    rung, shared = Rung(n_neighbors=n_neighbors), Shared()
    parts = [fitted_part(rows, feature_shape, np.arange(len(rows)), rung, shared)]
    part_of_code = np.zeros(len(distinct(codes)), dtype=np.intp)
    choice = Choice.of(rung, shared, "all rows")
    return FittedLadder(choice, {None: choice}, [], None, parts, part_of_code, part_of_code, n_neighbors, codes)


def fit_ladder(
    rows: Float,
    feature_shape: tuple[int, ...],
    codes: Index,
    groups: Index | None,
    seed: int,
    *,
    name_of: Callable[[int | None], Any],
    clusters: bool = True,
    progress: Progress | None = None,
) -> FittedLadder:
    """Climb the ladder of all rows, and those of the classes; `name_of` turns a class's code into its label.

    Rows without labels are put into clusters (unless clusters=False), which are tried as classes are: clusters with ladders
    and marginals of their own are a stratified sample of what is there.
    """
    n, n_classes = len(rows), int(codes.max()) + 1
    per_ladder = len(LOCAL_RUNGS) + len(GLOBAL_RUNGS) + N_REFINEMENTS
    n_parts = n_classes if n_classes > 1 else min(MOST_CLUSTERS, n // CLUSTER_SIZE) if n <= MANY_ROWS else 0
    tick = Ticker(progress, 1 + per_ladder * (1 + n_parts))
    tick("covariance shared by all rows")
    shared = choose_shared(rows, feature_shape, seed, groups)
    stratify = codes if n_classes > 1 else None
    clustered = clusters and n_classes == 1 and 2 * CLUSTER_SIZE <= n <= MANY_ROWS
    if clustered:
        codes = find_clusters(rows, min(MOST_CLUSTERS, n // CLUSTER_SIZE), seed)
        name_of = _cluster_name
    n_partitions = 2 if rows.size < SMALL_DATA else 1
    folds = [f for p in range(n_partitions) for f in partition(n, seed, p, labels=stratify, groups=groups)]
    if rows.size > LARGE_DATA:
        folds = folds[:3]
    ladder = Ladder(rows, feature_shape, folds, shared, seed, groups=groups)
    pooled = ladder.climb(tick)
    tried = list(ladder.candidates)
    verdict: Verdict | None = None
    rungs: dict[int, Candidate] = {}
    if n_classes > 1 or clustered:
        rungs, class_tried = climb_classes(rows, feature_shape, codes, folds, seed, groups, tick)
        tried.extend(class_tried)
        if rungs:
            verdict = compare(rows, feature_shape, codes, pooled, rungs, seed, groups, labelled=not clustered)
            if verdict.pooled <= verdict.per_class:
                rungs = {}
    if clustered and not rungs:
        codes = np.zeros(n, dtype=np.intp)
    criteria = [Tried.of(candidate, name_of(candidate.label)) for candidate in tried]
    of_all = [candidate for candidate in criteria if candidate.label is None]
    choice = Choice.best(pooled, "all rows", of_all)
    everyone = fitted_part(rows, feature_shape, np.arange(n), pooled.rung, shared)
    fitted = _with_classes(rows, feature_shape, codes, rungs, shared, choice, everyone, criteria, name_of, clustered)
    result = FittedLadder(
        fitted.choice,
        fitted.choices,
        criteria,
        verdict,
        fitted.parts,
        fitted.part_of_code,
        fitted.part_of_label,
        pooled.rung.n_neighbors or n - 1,
        codes,
    )
    tick.finish()
    return result


def _cluster_name(code: int | None) -> str | None:
    return None if code is None else f"cluster {code + 1}"


class _Classes(NamedTuple):
    choice: Choice
    choices: dict[Any, Choice]
    parts: list[Part]
    part_of_code: Index
    part_of_label: Index


def _with_classes(
    rows: Float,
    feature_shape: tuple[int, ...],
    codes: Index,
    rungs: dict[int, Candidate],
    shared: Shared,
    choice: Choice,
    everyone: Part,
    criteria: list[Tried],
    name_of: Callable[[int | None], Any],
    clustered: bool,
) -> _Classes:
    """Which part makes the rows of which class; `rungs` is empty where all rows share one ladder.

    A class too small for a ladder keeps to itself where its label is asked for, or where every class has its own rung.
    """
    sizes = np.bincount(codes)
    part_of_code = np.zeros(len(sizes), dtype=np.intp)
    if len(sizes) == 1:
        return _Classes(choice, {None: choice}, [everyone], part_of_code, part_of_code)
    part_of_label = part_of_code.copy()
    parts = [everyone]
    of_class = dict.fromkeys(range(len(sizes)), choice)
    for code, size in enumerate(sizes):
        if code in rungs:
            part = fitted_part(rows, feature_shape, np.flatnonzero(codes == code), rungs[code].rung, rungs[code].shared)
            of_code = [candidate for candidate in criteria if candidate.label == name_of(code)]
            of_class[code] = Choice.best(rungs[code], "clusters" if clustered else "classes", of_code)
        elif not clustered and (rungs or size < SMALLEST_CLASS):
            part = fitted_part(rows, feature_shape, *small_class(codes, code), shared)
            of_class[code] = Choice.of(part.rung, shared, "classes")
        else:
            continue
        part_of_label[code] = len(parts)
        parts.append(part)
    if rungs:
        part_of_code = part_of_label
        choice = of_class[int(np.argmax(sizes))]
    return _Classes(choice, {name_of(code): c for code, c in of_class.items()}, parts, part_of_code, part_of_label)


def fitted_part(rows: Float, feature_shape: tuple[int, ...], members: Index, rung: Rung, shared: Shared) -> Part:
    return Part(members, Walker(rows[_device.beside(members, rows)], feature_shape, rung.space, shared), rung)
