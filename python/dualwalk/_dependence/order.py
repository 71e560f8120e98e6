"""The columns in Prim's order along their strongest dependences."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .forest import Edges, forest_of_edges, forest_of_tile
from .tiles import TILE, Singles, pairs, tile

_UNIT = np.float32(2.0**23)  # strengths are summed as whole numbers of 2^-23, so that no sum depends on its order


@dataclass(frozen=True)
class DependenceOrder:
    """An order of d columns in which each leans on one before it: a maximum spanning tree, walked from its root.

    `order` (d,) int: column numbers, each once. It starts with the column of largest total strength, and goes on with the column
    of strongest edge to those before it; columns without any dependence, such as constant ones, come last.
    `parents` (d,) int, BY COLUMN NUMBER: the earlier column that a column is most strongly tied to, -1 for a root.
    `strengths` (d,) float32, by column number: of the edge to the parent, 0 for a root.
    """

    order: NDArray[np.int64]
    parents: NDArray[np.int64]
    strengths: Singles


class Strongest(NamedTuple):
    """What some tiles leave behind: the forest of their edges, and the total strength `total` of the columns `column` in them."""

    edges: Edges
    column: NDArray[np.int64]
    total: NDArray[np.float64]


def strongest(left: list[Singles], right: list[Singles], first_left: int, first_right: int) -> Strongest:
    """Of all tiles of two lists of panels, whose columns count from these numbers on; of a list with itself where they are equal."""
    alone = first_left == first_right
    by_row, by_column = (np.zeros(sum(panel.shape[1] for panel in side)) for side in (left, right))
    forests = []
    for i, j in pairs(len(left), None if alone else len(right)):
        strength = tile(left[i], right[j])
        forests.append(forest_of_tile(strength, first_left + i * TILE, first_right + j * TILE))
        strength = np.rint(np.multiply(strength, _UNIT, out=strength), out=strength)
        by_row[i * TILE : (i + 1) * TILE] += strength.sum(axis=1, dtype=np.float64)
        if not (alone and i == j):  # that tile is symmetric: its rows have said it all
            by_column[j * TILE : (j + 1) * TILE] += strength.sum(axis=0, dtype=np.float64)
    column = np.concatenate([first_left + np.arange(len(by_row)), first_right + np.arange(len(by_column))])
    return together([Strongest(forest_of_edges(forests), column, np.concatenate([by_row, by_column]))])


def together(parts: list[Strongest]) -> Strongest:
    """What several lots of tiles leave behind, as one."""
    column, place = np.unique(np.concatenate([part.column for part in parts]), return_inverse=True)
    weights = np.concatenate([part.total for part in parts])
    total = np.asarray(np.bincount(place, weights=weights), dtype=np.float64)
    edges = parts[0].edges if len(parts) == 1 else forest_of_edges([part.edges for part in parts])
    return Strongest(edges, column, total)


def prim_order(found: Strongest) -> DependenceOrder:
    """The order that all tiles together give."""
    d = len(found.column)
    near: list[list[tuple[float, int, int, int]]] = [
        [] for _ in range(d)
    ]  # edges best first: -weight, the two columns, the other
    for weight, a, b in zip(*(values.tolist() for values in found.edges), strict=True):
        near[a].append((-weight, a, b, b))
        near[b].append((-weight, a, b, a))
    order: list[int] = []
    parents, strengths = np.full(d, -1), np.zeros(d, dtype=np.float32)
    placed = np.zeros(d, dtype=bool)
    for root in np.argsort(-found.total, kind="stable").tolist():
        if placed[root]:
            continue
        placed[root] = True
        order.append(root)
        reach = near[root].copy()
        heapq.heapify(reach)
        while reach:
            weight, a, b, column = heapq.heappop(reach)
            if placed[column]:
                continue
            placed[column] = True
            order.append(column)
            parents[column], strengths[column] = a + b - column, -weight
            for edge in near[column]:
                heapq.heappush(reach, edge)
    return DependenceOrder(np.array(order), parents, strengths)
