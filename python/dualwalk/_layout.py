"""Where the nodes of a dependence graph stand in a picture: arithmetic only, no drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._nodepath.graph import DependenceGraph

Floats = NDArray[np.float64]


def grid_places(feature_shape: tuple[int, int]) -> Floats:
    """(time, channel) of every column of series: (d, 2)."""
    channel, time = np.divmod(np.arange(feature_shape[0] * feature_shape[1]), feature_shape[1])
    return np.stack([time, channel], axis=1).astype(np.float64)


def tree_places(graph: DependenceGraph) -> Floats:
    """A tidy forest, roots on the left: x is the depth, y tells siblings apart, a parent stands amid its children: (d, 2).

    Columns without any edge stand in a row of their own below the trees.
    """
    d = graph.n_features
    children: list[list[int]] = [[] for _ in range(d)]
    depth = np.zeros(d)
    for column in graph.order.tolist():
        parent = int(graph.parents[column])
        if parent >= 0:
            children[parent].append(column)
            depth[column] = depth[parent] + 1
    size = np.ones(d)
    for column in graph.order[::-1].tolist():  # children come later in the order than their parents
        size[column] = max(1, sum(size[child] for child in children[column]))
    top = np.zeros(d)
    reach = 0.0
    for column in graph.order.tolist():
        if graph.parents[column] < 0 and children[column]:
            top[column] = reach
            reach += size[column]
        place = top[column]
        for child in sorted(children[column], key=lambda child: -graph.nats[child]):
            top[child] = place
            place += size[child]
    y = top.copy()
    for column in graph.order[::-1].tolist():
        if children[column]:
            y[column] = np.mean([y[child] for child in children[column]])
    alone = [column for column in graph.order.tolist() if graph.parents[column] < 0 and not children[column]]
    depth[alone], y[alone] = np.arange(len(alone)), reach
    return np.stack([depth, y], axis=1)


def arcs(start: Floats, end: Floats, bulge: float) -> Floats:
    """Curves from `start` to `end` (m, 2), bent to one side by up to `bulge`, the more the longer they are: (m, 17, 2).

    Neighbours, at a distance of 1, are joined by a straight line.
    """
    along = np.linspace(0, 1, 17)[None, :, None]
    way = end - start
    length = np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    aside = np.stack([way[:, 1], -way[:, 0]], axis=1) / length * bulge * (1 - 1 / np.maximum(length, 1))
    return np.asarray(start[:, None] + along * way[:, None] + 4 * along * (1 - along) * aside[:, None])
