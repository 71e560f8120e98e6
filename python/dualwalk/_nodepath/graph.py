"""The dependence graph: which column comes when, what it leans on most, and how many nats it carries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _checks


@dataclass(frozen=True)
class DependenceGraph:
    """A forest over the columns: every column's main parent, and the nats that the column adds to the divergence.

    `order` (d,) int: the column numbers in the order of the chain rule, each once; columns that never vary come last.
    `parents` (d,) int, BY COLUMN NUMBER: the earlier column that column c leans on most, -1 for a root.
    `nats` (d,) float64, by column number: the mean of column c's term of f over held-out rows, what c shares with all earlier
    columns. They add up to the held-out divergence. The edge (parents[c], c) carries nats[c]; a root's are 0, unless they are
    means over several paths that start elsewhere.

    An edge is the best single witness of a dependence, not a cause: a column may lean on several, and its nats are those of
    its whole context.

    Raises ValueError where the three do not belong together.

    >>> graph = DependenceGraph(np.array([1, 0, 2]), np.array([1, -1, 0]), np.array([0.5, 0.0, 0.2]))
    >>> graph.edges()
    array([[1, 0],
           [0, 2]])
    >>> graph.ancestors(2)
    [0, 1]
    """

    order: NDArray[np.intp]
    parents: NDArray[np.intp]
    nats: NDArray[np.float64]

    def __post_init__(self) -> None:
        d = len(self.order)
        if not (np.shape(self.order) == np.shape(self.parents) == np.shape(self.nats) == (d,)):
            shapes = np.shape(self.order), np.shape(self.parents), np.shape(self.nats)
            raise ValueError(f"order, parents and nats must have one entry a column; got shapes {shapes} (pass (d,) each)")
        if not np.array_equal(np.sort(self.order), np.arange(d)):
            raise ValueError(f"order must hold every column number once; got {self.order} (pass a permutation of 0 to {d - 1})")
        place = np.empty(d, dtype=np.intp)
        place[self.order] = np.arange(d)
        child = np.flatnonzero(self.parents >= 0)
        if d and (self.parents.min() < -1 or self.parents.max() >= d or (place[self.parents[child]] >= place[child]).any()):
            raise ValueError(
                f"parents must be earlier in order than their columns, or -1; got {self.parents} for the order {self.order} (-1 is "
                "for a root)"
            )

    @property
    def n_features(self) -> int:
        """The number of columns."""
        return len(self.order)

    def edges(self, min_nats: float = -math.inf) -> NDArray[np.intp]:
        """(parent, child) of every edge (of those that carry more than `min_nats`), in the order of the chain rule: (n_edges, 2)."""
        if not (isinstance(min_nats, float) and min_nats == -math.inf):
            min_nats = _checks.real(min_nats, "min_nats")
        child = self.order[(self.parents[self.order] >= 0) & (self.nats[self.order] > min_nats)]
        return np.stack([self.parents[child], child], axis=1)

    def ancestors(self, column: int) -> list[int]:
        """The chain of parents from `column` up to its root, nearest first."""
        column = _checks.count(column, "column", limit=self.n_features)
        chain = []
        while (column := int(self.parents[column])) >= 0:
            chain.append(column)
        return chain

    def between_groups(self, groups: NDArray[np.intp]) -> NDArray[np.float64]:
        """Nats of all edges from a parent of group a (row) to a child of group b (column), such as channels: (g, g).

        `groups` (d,) int from 0: the group of every column. The sum is that of the nats of all columns with a parent.
        """
        labels = _arrays.as_numpy(groups, "groups")
        if labels.shape != self.order.shape or labels.dtype.kind not in "iu" or (labels < 0).any():
            got = (
                f"shape {labels.shape} and dtype {labels.dtype}"
                if labels.dtype.kind not in "iu" or labels.size == 0
                else (f"shape {labels.shape}, from {labels.min()}")
            )
            raise ValueError(
                f"groups must hold a group, from 0, for each of {self.n_features} columns; got {got} (number the groups 0, 1, ...)"
            )
        labels = labels.astype(np.intp)
        n_groups = int(labels.max(initial=-1)) + 1
        total = np.zeros((n_groups, n_groups))
        child = np.flatnonzero(self.parents >= 0)
        np.add.at(total, (labels[self.parents[child]], labels[child]), self.nats[child])
        return total
