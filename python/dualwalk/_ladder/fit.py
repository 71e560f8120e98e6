"""The ladder fitted: rungs chosen on the training rows, one for all rows or one for every class, and rows made with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._random import generator
from ..normal_scores import NormalScores
from .choice import Choice, Progress, Ticker, Tried
from .classes import SMALLEST_CLASS, Verdict, climb_classes, compare, small_class
from .covariance import NoiseModel, choose_noise_model
from .criterion import SMALL_DATA, partition
from .rung import Rung, Walker
from .search import GLOBAL_RUNGS, LOCAL_RUNGS, N_REFINEMENTS, Candidate, Ladder

Float = NDArray[np.float64]
Index = NDArray[np.intp]


class Part(NamedTuple):
    """Training rows (indices, sorted) that share a walker and a rung."""

    members: Index
    walker: Walker
    rung: Rung


@dataclass(frozen=True)
class FittedLadder:
    """What was chosen, and everything that making rows needs.

    parts : the walkers; part_of_code (n_classes,) tells which makes the rows of a class where no label is asked for,
        part_of_label where one is
    choices : {label: Choice}, {None: choice} without labels
    n_neighbors : of the local dual functions round a row
    """

    choice: Choice
    choices: dict[Any, Choice]
    criteria: list[Tried]
    verdict: Verdict | None
    parts: list[Part]
    part_of_code: Index
    part_of_label: Index
    n_neighbors: int

    def generate(self, starts: Index, codes: Index, seed: int, *, labelled: bool) -> Float:
        """A new row from every start (an index of a training row); `codes` are the starts' classes."""
        part_of_row = (self.part_of_label if labelled else self.part_of_code)[codes]
        n_features = self.parts[0].walker.points.shape[1]
        rows = np.empty((len(starts), n_features))
        for p, part in enumerate(self.parts):
            places = np.flatnonzero(part_of_row == p)
            if len(places):
                local = np.searchsorted(part.members, starts[places])
                rows[places] = part.walker.generate(part.rung, local, generator(seed, "noise", p))
        return rows


def fit_local(rows: Float, feature_shape: tuple[int, ...], codes: Index, n_neighbors: int) -> FittedLadder:
    """K neighbours and t = ln 2 for all rows; nothing is chosen."""
    rung = Rung(n_neighbors=n_neighbors)
    parts = [_part(rows, feature_shape, np.arange(len(rows)), rung, NoiseModel("diagonal"))]
    part_of_code = np.zeros(len(np.unique(codes)), dtype=np.intp)
    choice = Choice.of(rung, False, None)
    return FittedLadder(choice, {None: choice}, [], None, parts, part_of_code, part_of_code, n_neighbors)


def fit_ladder(
    rows: Float,
    feature_shape: tuple[int, ...],
    codes: Index,
    groups: Index | None,
    seed: int,
    *,
    name_of: Callable[[int | None], Any],
    progress: Progress | None = None,
) -> FittedLadder:
    """Climb the ladder of all rows, and those of the classes where there are several; `name_of` turns a class's code into
    its label."""
    n, n_classes = len(rows), int(codes.max()) + 1
    per_ladder = len(LOCAL_RUNGS) + len(GLOBAL_RUNGS) + N_REFINEMENTS
    tick = Ticker(progress, 1 + per_ladder * (1 + (n_classes if n_classes > 1 else 0)))
    tick("covariance shared by all rows")
    model = choose_noise_model(NormalScores()._fit_rows(rows), feature_shape, seed)
    stratify = codes if n_classes > 1 else None
    n_partitions = 2 if rows.size < SMALL_DATA else 1
    folds = [f for p in range(n_partitions) for f in partition(n, seed, p, labels=stratify, groups=groups)]
    ladder = Ladder(rows, feature_shape, folds, model, seed, groups=groups)
    best_pooled = ladder.climb(tick)
    pooled = best_pooled.rung
    tried = list(ladder.candidates)
    verdict: Verdict | None = None
    rungs: dict[int, Candidate] = {}
    if n_classes > 1:
        rungs, class_tried = climb_classes(rows, feature_shape, codes, folds, model, seed, groups, tick)
        tried.extend(class_tried)
        if rungs:
            verdict = compare(rows, feature_shape, codes, pooled, rungs, model, seed, groups)
            if verdict.pooled <= verdict.per_class:
                rungs = {}
    criteria = [Tried.of(candidate, name_of(candidate.label)) for candidate in tried]
    choice = Choice.of(pooled, bool(rungs), best_pooled.score.criterion)
    everyone = _part(rows, feature_shape, np.arange(n), pooled, model)
    fitted = _with_classes(rows, feature_shape, codes, rungs, model, choice, everyone, name_of)
    result = FittedLadder(
        fitted.choice,
        fitted.choices,
        criteria,
        verdict,
        fitted.parts,
        fitted.part_of_code,
        fitted.part_of_label,
        pooled.n_neighbors or n - 1,
    )
    tick.finish()
    return result


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
    model: NoiseModel,
    choice: Choice,
    everyone: Part,
    name_of: Callable[[int | None], Any],
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
            part = _part(rows, feature_shape, np.flatnonzero(codes == code), rungs[code].rung, model)
            of_class[code] = Choice.of(part.rung, True, rungs[code].score.criterion)
        elif rungs or size < SMALLEST_CLASS:
            part = _part(rows, feature_shape, *small_class(codes, code), model)
            of_class[code] = Choice.of(part.rung, True, None)
        else:
            continue
        part_of_label[code] = len(parts)
        parts.append(part)
    if rungs:
        part_of_code = part_of_label
        choice = of_class[int(np.argmax(sizes))]
    return _Classes(choice, {name_of(code): c for code, c in of_class.items()}, parts, part_of_code, part_of_label)


def _part(rows: Float, feature_shape: tuple[int, ...], members: Index, rung: Rung, model: NoiseModel) -> Part:
    return Part(members, Walker(rows[members], feature_shape, rung.space, model), rung)
