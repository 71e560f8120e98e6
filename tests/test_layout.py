"""Where nodes stand: nobody on another's place, parents left of and amid their children."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dualwalk._layout import arcs, grid_places, tree_places
from dualwalk._nodepath.graph import DependenceGraph


@given(st.integers(1, 30), st.integers(0, 99))
def test_tree(d, seed):
    rng = np.random.default_rng(seed)
    order, parents = rng.permutation(d), np.full(d, -1)
    for k in range(1, d):
        if rng.random() < 0.85:
            parents[order[k]] = order[rng.integers(k)]
    graph = DependenceGraph(order, parents, rng.random(d))
    places = tree_places(graph)
    assert len({tuple(place) for place in places.round(9).tolist()}) == d
    for parent in range(d):
        children = np.flatnonzero(parents == parent)
        if len(children):
            np.testing.assert_allclose(places[children, 0], places[parent, 0] + 1)
            assert places[parent, 1] == places[children, 1].mean()
    tree = np.flatnonzero((parents >= 0) | np.isin(np.arange(d), parents))
    for depth in np.unique(places[tree, 0]):
        assert (np.diff(np.sort(places[tree][places[tree, 0] == depth, 1])) > 0.999).all(), "levels are not crowded"


def test_grid_is_time_by_channel():
    np.testing.assert_array_equal(grid_places((2, 3)), [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]])


def test_arcs_start_and_end_and_bend_no_farther_than_told():
    start, end = np.array([[0.0, 0], [1, 1]]), np.array([[1.0, 0], [1, 9]])
    curves = arcs(start, end, 0.5)
    np.testing.assert_allclose(curves[:, 0], start)
    np.testing.assert_allclose(curves[:, -1], end)
    assert np.abs(curves[0, :, 1]).max() == 0, "neighbours are joined by a straight line"
    assert 0.3 < np.abs(curves[1, :, 0] - 1).max() <= 0.5
