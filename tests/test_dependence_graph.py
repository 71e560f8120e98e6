"""The dependence graph as arrays: a forest in the order of the chain rule, whose nats add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwalk._nodepath.graph import DependenceGraph


def random_forest(d: int, seed: int) -> DependenceGraph:
    rng = np.random.default_rng(seed)
    order = rng.permutation(d)
    parents, nats = np.full(d, -1), np.zeros(d)
    for k in range(1, d):
        if rng.random() < 0.9:
            parents[order[k]] = order[rng.integers(k)]
            nats[order[k]] = rng.normal(0.3, 0.2)
    return DependenceGraph(order, parents, nats)


@given(st.integers(0, 12), st.integers(0, 99))
def test_edges_and_ancestors_follow_the_order(d, seed):
    graph = random_forest(d, seed)
    place = {column: k for k, column in enumerate(graph.order.tolist())}
    edges = graph.edges()
    assert edges.shape == ((graph.parents >= 0).sum(), 2)
    assert [place[child] for child in edges[:, 1]] == sorted(place[child] for child in edges[:, 1])
    assert len(graph.edges(0.2)) == (graph.nats > 0.2).sum()
    for column in range(d):
        chain = [column, *graph.ancestors(column)]
        assert [place[c] for c in chain] == sorted((place[c] for c in chain), reverse=True)
        assert graph.parents[chain[-1]] == -1


@given(st.integers(1, 12), st.integers(0, 99))
def test_nats_between_groups_add_up(d, seed):
    graph = random_forest(d, seed)
    groups = np.random.default_rng(seed).integers(0, 4, d)
    total = graph.between_groups(groups)
    assert total.shape == (groups.max() + 1, groups.max() + 1)
    assert total.sum() == pytest.approx(graph.nats.sum(), abs=1e-12)
    for parent, child in graph.edges():
        total[groups[parent], groups[child]] -= graph.nats[child]
    np.testing.assert_allclose(total, 0, atol=1e-12)


def test_what_is_no_forest_is_refused():
    order, nats = np.array([1, 0]), np.zeros(2)
    with pytest.raises(ValueError, match="parents must be earlier in order"):
        DependenceGraph(order, np.array([-1, 0]), nats)
    with pytest.raises(ValueError, match="parents must be earlier in order"):
        DependenceGraph(order, np.array([2, -1]), nats)
    with pytest.raises(ValueError, match="order must hold every column number once"):
        DependenceGraph(np.array([1, 1]), np.array([1, -1]), nats)
    with pytest.raises(ValueError, match="one entry a column"):
        DependenceGraph(order, np.array([1, -1]), np.zeros(3))
    with pytest.raises(ValueError, match="groups must hold a group"):
        DependenceGraph(order, np.array([1, -1]), nats).between_groups(np.array([0.0, 1.0]))
