"""Dependence of all pairs of columns, and the order that follows: against Gaussian truths, and in whatever parts it is looked for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import dualwalk as dw
from dualwalk._dependence.forest import Edges, forest_of_edges, forest_of_tile
from dualwalk._dependence.order import prim_order, strongest, together
from dualwalk._dependence.tiles import TILE, panels, tile
from dualwalk._nodepath.path import dependence, spanning_tree

WIDE = 2 * TILE + 300


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """Columns in 40 groups, a constant one and two that are alike among them."""
    rng = np.random.default_rng(2)
    group = rng.integers(0, 40, WIDE)
    X = rng.standard_normal((60, 40))[:, group] + rng.uniform(0.3, 3, WIDE) * rng.standard_normal((60, WIDE))
    X[:, 1500] = 7.0
    X[:, 2000] = X[:, 3]
    return X


def kruskal(weight: np.ndarray) -> set[tuple[int, int]]:
    """The maximum spanning forest by the definition: edges by weight, then columns; taken where they join two components."""
    a, b = np.triu_indices(len(weight), 1)
    component, kept = list(range(len(weight))), set()
    for k in np.lexsort((b, a, -weight[a, b])):
        i, j = int(a[k]), int(b[k])
        if weight[i, j] > 0 and component[i] != component[j]:
            kept.add((i, j))
            component = [component[j] if c == component[i] else c for c in component]
    return kept


@pytest.mark.parametrize("r", [-0.9, 0.0, 0.3, 0.7])
def test_strength_of_gaussian_pairs(r):
    a, b = np.random.default_rng(0).standard_normal((2, 40_000))
    X = np.column_stack([a, r * a + np.sqrt(1 - r * r) * b])
    sizes = (r * np.arcsin(r) + np.sqrt(1 - r * r) - 1) / (np.pi / 2 - 1)
    np.testing.assert_allclose(dw.dependence_matrix(X), np.hypot(r, sizes) * (1 - np.eye(2)), atol=0.02)


def test_a_monotone_map_of_columns_changes_nothing():
    X = np.random.default_rng(0).standard_normal((100, 3, 4)).cumsum(axis=2)
    np.testing.assert_array_equal(dw.dependence_matrix(np.exp(X)), dw.dependence_matrix(X.reshape(100, 12)))


def test_lost_signs_are_seen():
    rng = np.random.default_rng(1)
    z = rng.standard_normal(2000)
    assert dw.dependence_matrix(np.column_stack([z, z * rng.choice([-1, 1], 2000)]))[0, 1] > 0.95


def test_the_matrix_is_that_of_the_estimator(wide):
    z = dw.NormalScores().fit_transform(wide)
    matrix = dw.dependence_matrix(wide, n_threads=1)
    np.testing.assert_allclose(matrix, dependence(z), atol=2e-6)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(matrix, dw.dependence_matrix(wide, n_threads=3))
    assert not matrix[1500].any()


def test_the_order_is_that_of_the_estimator(wide):
    X = np.delete(wide, [1500, 2000], axis=1)  # without ties there is one order by any rule
    found = dw.dependence_order(X)
    order, parent = spanning_tree(dw.dependence_matrix(X))
    np.testing.assert_array_equal(found.order, order)
    np.testing.assert_array_equal(found.parents[order[1:]], order[parent])
    assert found.parents[order[0]] == -1
    assert found.strengths[order[0]] == 0


def test_the_tree_is_the_same_in_other_parts(wide):
    """With two columns alike: their edges have one weight, and the lower column numbers go first."""
    first, units = dw.dependence_order(wide), panels(wide)
    blocks = [
        strongest(units[:2], units[:2], 0, 0),
        strongest(units[2:], units[2:], 2 * TILE, 2 * TILE),
        strongest(units[:2], units[2:], 0, 2 * TILE),
    ]
    for parts in (blocks, [together(blocks[::-1])], [together(blocks[1:]), blocks[0]]):
        other = prim_order(together(parts))
        for a, b in zip(vars(first).values(), vars(other).values(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert first.order[-1] == 1500
    assert first.parents[1500] == -1
    np.testing.assert_array_equal(np.sort(first.order), np.arange(WIDE))
    child = np.flatnonzero(first.parents >= 0)
    np.testing.assert_array_equal(first.strengths[child], dw.dependence_matrix(wide)[first.parents[child], child])


def test_a_chain_is_found():
    rng = np.random.default_rng(5)
    shuffled = rng.permutation(60)
    X = np.empty((4000, 60))
    X[:, shuffled] = rng.standard_normal((4000, 60)).cumsum(axis=1)
    found = dw.dependence_order(X)
    position = np.empty(60, dtype=int)
    position[shuffled] = np.arange(60)
    child = found.order[1:]
    assert (np.abs(position[child] - position[found.parents[child]]) == 1).all()


@pytest.mark.parametrize("n_levels", [2, 5, 1000])
def test_forests_with_ties_and_holes(n_levels):
    """Weights of few levels, zeros among them: the forest of the definition, from tiles of any size."""
    rng = np.random.default_rng(n_levels)
    weight = rng.integers(0, n_levels, (30, 30)).astype(np.float32) * (rng.random((30, 30)) < 0.4)
    weight = np.triu(weight, 1) + np.triu(weight, 1).T
    expected = kruskal(weight)
    for size in (30, 13, 1):
        starts = range(0, 30, size)
        tiles = [forest_of_tile(weight[i : i + size, j : j + size].copy(), i, j) for i in starts for j in starts if i <= j]
        edges = forest_of_edges(tiles)
        assert set(zip(edges.first.tolist(), edges.second.tolist(), strict=True)) == expected
        np.testing.assert_array_equal(edges.weight, weight[edges.first, edges.second])
        twice = forest_of_edges([edges, edges])
        np.testing.assert_array_equal(twice, edges)
    n_components = connected_components(coo_array(weight))[0]
    assert len(expected) == 30 - n_components


def test_no_edges_at_all():
    nothing = forest_of_tile(np.zeros((3, 4), dtype=np.float32), 0, 3)
    assert isinstance(nothing, Edges)
    assert not len(forest_of_edges([nothing]).weight)
    found = dw.dependence_order(np.ones((10, 3)))
    assert found.order.tolist() == [0, 1, 2]
    assert found.parents.tolist() == [-1] * 3


def test_a_tile_is_alike_from_both_sides_of_the_diagonal():
    unit = panels(np.random.default_rng(0).standard_normal((50, TILE + 1)))
    assert [u.shape for u in unit] == [(2, TILE, 50), (2, 1, 50)]
    np.testing.assert_allclose(tile(unit[0], unit[1]), tile(unit[1], unit[0]).T, atol=1e-6)


def test_arrays_that_begin_at_any_byte():
    X = np.random.default_rng(0).standard_normal((50, 1100))
    crooked = np.frombuffer(b"x" + X.tobytes(), dtype=np.uint8)[1:].view(X.dtype).reshape(X.shape)
    unit = panels(X)[0]
    crooked_unit = np.frombuffer(b"x" + unit.tobytes(), dtype=np.uint8)[1:].view(unit.dtype).reshape(unit.shape)
    assert not crooked.flags.aligned
    assert not crooked_unit.flags.aligned
    np.testing.assert_array_equal(dw.dependence_matrix(crooked), dw.dependence_matrix(X))
    np.testing.assert_array_equal(tile(crooked_unit, crooked_unit), tile(unit, unit))


@pytest.mark.parametrize("compute", [dw.dependence_matrix, dw.dependence_order])
def test_what_cannot_be_used(compute):
    with pytest.raises(ValueError, match="at least 8 samples; got 7"):
        compute(np.zeros((7, 3)))
    with pytest.raises(ValueError, match="X must be finite"):
        compute(np.full((9, 3), np.nan))
    with pytest.raises(TypeError, match="real numbers"):
        compute(np.zeros((9, 3), dtype=complex))
