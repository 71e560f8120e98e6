"""One ladder for all rows, or one for every class: the training folds decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._arrays import distinct
from .._random import generator
from .._refine.mixture import k_means
from ..normal_scores import NormalScores
from .criterion import Criterion, Fold, partition, restrict
from .rung import Rung, Walker, balanced_starts
from .search import Candidate, Ladder, choose_shared

Float = NDArray[np.float64]
Index = NDArray[np.intp]

SMALLEST_CLASS = 8  # rows; smaller classes are left to the pooled ladder
SMALLEST_FIT = 6
MOST_CLUSTERS, CLUSTER_SIZE = 8, 35  # rows without labels are put into at most so many, of so many rows on average


@dataclass(frozen=True)
class Verdict:
    """Mean of the criterion over the whole set and within classes, on fresh folds: for pooled rows and for rows per class."""

    pooled: float
    per_class: float


def climb_classes(
    rows: Float,
    feature_shape: tuple[int, ...],
    codes: Index,
    folds: list[Fold],
    seed: int,
    groups: Index | None,
    tick: Callable[[str], None],
) -> tuple[dict[int, Candidate], list[Candidate]]:
    """The best rung of every class that is large enough for a ladder of its own, and all that was tried."""
    rungs: dict[int, Candidate] = {}
    tried: list[Candidate] = []
    for code in range(int(codes.max()) + 1):
        members = np.flatnonzero(codes == code)
        inside = restrict(folds, members)
        if len(members) < SMALLEST_CLASS or len(inside) < 2 or min(len(fold.fit) for fold in inside) < SMALLEST_FIT:
            continue
        own_groups = None if groups is None else groups[members]
        own_rows = rows[_device.beside(members, rows)]
        shared = choose_shared(own_rows, feature_shape, seed, own_groups)
        ladder = Ladder(own_rows, feature_shape, inside, shared, seed, groups=own_groups, label=code)
        rungs[code] = ladder.climb(partial(_announce, tick, code))
        tried.extend(ladder.candidates)
    return rungs, tried


def _announce(tick: Callable[[str], None], code: int, text: str) -> None:
    tick(f"class {code + 1}: {text}")


def find_clusters(rows: Float, n_clusters: int, seed: int) -> Index:
    """Codes of k-means clusters of the rows' normal scores."""
    labels: Index = _device.to_host(k_means(NormalScores()._fit_rows(rows), n_clusters, seed))
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def small_class(codes: Index, code: int) -> tuple[Index, Rung]:
    """Rows and rung for a class too small for a ladder: all of the class as one neighbourhood, half of the start kept.

    Standardized columns, because a handful of ranks would tie every new value to the observed ones; and only the class's
    own rows, because in the ranks of all rows the noise of a small class leaps into the others. One or two rows say nothing
    about their class's spread: they borrow their nearest neighbours among all rows.
    """
    members = np.flatnonzero(codes == code)
    if len(members) < 3:
        return np.arange(len(codes)), Rung("standard", 2, balanced=False)
    return members, Rung("standard", len(members) - 1, balanced=False)


def compare(
    rows: Float,
    feature_shape: tuple[int, ...],
    codes: Index,
    pooled: Candidate,
    rungs: dict[int, Candidate],
    seed: int,
    groups: Index | None,
    *,
    labelled: bool,
) -> Verdict:
    """Score both ways of making labelled rows on folds that neither ladder was chosen on.

    Pooled rows carry the label of their start. Rows that wander into another class look fine among all rows and wrong
    within their class, so with labels the criterion within classes counts as much as the one over the whole set.
    """
    n = len(rows)
    folds = partition(n, seed, "verdict", labels=codes, groups=groups)
    pooled_rows, class_rows = [], []  # one a fold: new rows and their labels
    for k, fold in enumerate(folds):
        stream = generator(seed, "verdict", k)
        starts = balanced_starts(np.arange(len(fold.fit)), n, stream)
        fold_codes = codes[fold.fit]
        labels = fold_codes[starts]
        made = np.empty_like(rows, shape=(n, rows.shape[1]))
        everyone = Walker(rows[_device.beside(fold.fit, rows)], feature_shape, pooled.rung.space, pooled.shared)
        if not labelled:
            made = everyone.generate(pooled.rung, starts, stream)
        for code in distinct(labels) if labelled else ():
            places = np.flatnonzero(labels == code)
            made[_device.beside(places, rows)] = everyone.generate(
                pooled.rung, starts[places], stream, among=np.flatnonzero(fold_codes == code)
            )
        pooled_rows.append((made, labels))
        own = made.copy()
        for code, best in rungs.items():
            members = fold.fit[codes[fold.fit] == code]
            places = np.flatnonzero(labels == code)
            if len(members) < SMALLEST_FIT or len(places) == 0:
                continue
            stream = generator(seed, "verdict", k, code)
            starts = balanced_starts(np.arange(len(members)), len(places), stream)
            walker = Walker(rows[_device.beside(members, rows)], feature_shape, best.rung.space, best.shared)
            own[_device.beside(places, rows)] = walker.generate(best.rung, starts, stream)
        class_rows.append((own, labels))
    whole = Criterion(rows, folds, groups)
    over_all = [whole([made for made, _ in side]).criterion for side in (pooled_rows, class_rows)]
    if not labelled:
        return Verdict(*over_all)
    totals = [0.5 * criterion for criterion in over_all]
    n_judged = sum(int((codes == code).sum()) for code in rungs)
    for code in rungs:
        members = np.flatnonzero(codes == code)
        used = [k for k, fold in enumerate(folds) if len(restrict([fold], members))]
        own_groups = None if groups is None else groups[members]
        within = Criterion(rows[_device.beside(members, rows)], restrict(folds, members), own_groups)
        for side, made_rows in enumerate((pooled_rows, class_rows)):
            inside = [
                part[_device.beside(np.flatnonzero(labels == code), rows)] for part, labels in (made_rows[k] for k in used)
            ]
            totals[side] += 0.5 * within(inside).criterion * len(members) / n_judged
    return Verdict(*totals)
