"""The strongest edges between columns: maximum spanning forests of tiles, and of forests put together.

Edges are ranked by weight, then by column numbers, so that no two are equal and the spanning tree of all of them is one and the
same, in whatever parts it is looked for: an edge that is not in its part's forest is the weakest of a cycle there, so it is in
no tree of the whole. A tile of 1024 x 1024 edges leaves at most 2047.

Forests are found by Boruvka's rounds: every component takes its best edge, and what hangs together is one component then.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct

Singles = NDArray[np.float32]
Columns = NDArray[np.int64]
Keys = NDArray[np.uint64]

_LOW = np.uint64(2**32 - 1)


class Edges(NamedTuple):
    """Edges of `weight` (m,) > 0 between columns `first` < `second`, (m,) each."""

    weight: Singles
    first: Columns
    second: Columns


def forest_of_tile(strength: Singles, first_row: int, first_column: int) -> Edges:
    """The maximum spanning forest of a tile, whose rows and columns count from these column numbers on.

    Of a panel with itself (first_row == first_column) the upper triangle counts. Entries of 0 are no edges.
    """
    width = strength.shape[1]
    key = _keys(strength if first_row != first_column else np.triu(strength))
    numbers = [first_row + np.arange(len(strength)), first_column + np.arange(width)]
    vertices, place = np.unique(np.concatenate(numbers), return_inverse=True)
    component = np.arange(len(vertices))  # of every vertex
    rows, columns = np.split(place, [len(strength)])  # components that the axes of `key` stand for
    chosen = [np.empty(0, dtype=np.uint64)]
    while True:
        best = np.zeros(len(vertices), dtype=np.uint64)
        best[rows] = key.max(axis=1)
        best[columns] = np.maximum(best[columns], key.max(axis=0))
        taken = distinct(best[best > 0])
        if not len(taken):
            break
        chosen.append(taken)
        row, column = _place(taken, width)
        component = _joined(component, place[row], place[len(strength) + column])
        key, rows, columns = _contracted(key, rows, columns, component)
    keys = np.concatenate(chosen)
    row, column = _place(keys, width)
    return Edges(_weight(keys), numbers[0][row], numbers[1][column])


def forest_of_edges(parts: list[Edges]) -> Edges:
    """The maximum spanning forest of the edges of all `parts` together, best first; an edge may come more than once."""
    weight, first, second = (np.concatenate(values) for values in zip(*parts, strict=True))
    n_columns = int(second.max(initial=-1)) + 1
    order = np.lexsort((second, first, -weight))
    weight, first, second = weight[order], first[order], second[order]
    component = np.arange(n_columns)
    left = np.arange(len(weight))
    kept = np.zeros(len(weight), dtype=bool)
    while True:
        a, b = component[first[left]], component[second[left]]
        apart = a != b
        left, a, b = left[apart], a[apart], b[apart]
        if not len(left):
            return Edges(weight[kept], first[kept], second[kept])
        best = np.full(n_columns, len(weight))
        for end in (a, b):
            mine = np.full(n_columns, len(weight))
            mine[end[::-1]] = left[::-1]  # of entries for one place the last is kept: the best edge
            best = np.minimum(best, mine)
        taken = distinct(best[best < len(weight)])
        kept[taken] = True
        component = _joined(component, first[taken], second[taken])


def _keys(strength: Singles) -> Keys:
    """One number an edge, the better the larger, no two alike: the bits of the weight, then its place counted backwards."""
    key = np.empty(strength.shape, dtype=np.uint64)
    np.left_shift(strength.view(np.uint32), np.uint64(32), out=key)
    key |= _backwards(strength.shape)
    return np.multiply(key, strength > 0, out=key)


@lru_cache(maxsize=4)
def _backwards(shape: tuple[int, int]) -> Keys:
    place = _LOW - np.arange(shape[0] * shape[1], dtype=np.uint64).reshape(shape)
    place.setflags(write=False)  # it is shared
    return place


def _place(keys: Keys, width: int) -> tuple[Columns, Columns]:
    place = (_LOW - (keys & _LOW)).astype(np.int64)
    return place // width, place % width


def _weight(keys: Keys) -> Singles:
    return (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)


def _joined(component: Columns, first: Columns, second: Columns) -> Columns:
    """The components, named by one of their vertices, after edges from vertices `first` to `second`."""
    a, b = component[first], component[second]
    root = np.arange(len(component))
    while True:
        a, b = root[a], root[b]
        apart = a != b
        if not apart.any():
            return root[component]
        a, b = a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))  # the larger name gives way
        while not np.array_equal(root, higher := root[root]):
            root = higher


def _contracted(key: Keys, rows: Columns, columns: Columns, component: Columns) -> tuple[Keys, Columns, Columns]:
    """`key` with one row and one column a component, the best edge of each pair, 0 inside a component; and what these stand for.

    Rows come back as columns: both are joined along the second axis, where they lie side by side.
    """
    for _ in range(2):
        names = component[columns]
        order = np.argsort(names, kind="stable")
        columns, starts = np.unique(names[order], return_index=True)
        key = np.ascontiguousarray(np.maximum.reduceat(key[:, order], starts, axis=1).T)
        rows, columns = columns, rows
    key[rows[:, None] == columns] = 0
    return key, rows, columns
