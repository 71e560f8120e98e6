"""The path: order, contexts and their gradients, triples, ties, and the noise of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.stats import norm, rankdata

from dualwalk._nodepath import features
from dualwalk._nodepath.conditionals import Dense, Sparse
from dualwalk._nodepath.gaussian_base import correlation
from dualwalk._nodepath.path import CODES, MEAN, N_CONTEXT, PAIR, PARENT, SIZE, NodePath, dependence, fit_path, spanning_tree
from dualwalk._nodepath.rank_noise import resampled_scores
from dualwalk._nodepath.screen import Triples, screen_triples
from dualwalk._nodepath.tables import choose_tables, count_tables
from dualwalk._nodepath.ties import tie_blur, tie_share

D = 6


def some_path(rng: np.random.Generator) -> tuple[NodePath, np.ndarray]:
    z = rng.standard_normal((40, D))
    z[:, 1:] += 0.7 * z[:, :-1]
    order = np.array([2, 0, 4, 1, 5])  # column 3 is not on the path
    sizes = Sparse(np.array([[0], [0], [1], [0], [2]]), np.array([[0.0], [0.4], [0.3], [0.2], [-0.3]]), np.full(5, 0.9))
    triples = Triples(np.array([3, 4]), np.array([1, 2]), np.array([0, 1]), np.array([0.4, -0.3]))
    return fit_path(z, order, np.array([0, 1, 1, 2]), Dense.of(correlation(z[:, order])), sizes, triples), z


def test_spanning_tree_has_the_largest_weight(rng: np.random.Generator) -> None:
    weight = rng.random((9, 9))
    weight += weight.T
    np.fill_diagonal(weight, 0.0)
    order, parent = spanning_tree(weight)
    assert sorted(order) == list(range(9))
    assert (parent <= np.arange(8)).all()
    assert weight[order[1:], order[parent]].sum() == pytest.approx(-minimum_spanning_tree(-weight).sum())


def test_dependence_sees_signs_that_are_lost(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 4000))
    z = np.column_stack([a, 0.9 * a * rng.choice([-1, 1], 4000) + 0.4 * b, b])
    weight = dependence(z)
    assert weight[0, 1] > 0.5 > 5 * weight[0, 2]


def test_contexts_say_what_they_promise(rng: np.random.Generator) -> None:
    path, z = some_path(rng)
    data = path.data(z, np.float64)
    ordered = z[:, path.order]
    np.testing.assert_array_equal(data.child, ordered[:, 1:].T)
    np.testing.assert_array_equal(data.context[:, PARENT], z[:, path.parent_column].T)
    np.testing.assert_allclose(data.context[:, MEAN], path.base.mean(ordered)[:, 1:].T)
    residual = (ordered - path.base.mean(ordered)) / path.base.scale
    np.testing.assert_allclose(data.context[2, SIZE], 0.2 * features.size(residual[:, 0]))
    product = ordered[:, 1] * ordered[:, 0]
    np.testing.assert_allclose(data.context[2, PAIR], np.sign(product) * np.sqrt(np.abs(product)))
    nearer = np.sign(product) * np.minimum(np.abs(ordered[:, 1]), np.abs(ordered[:, 0]))
    np.testing.assert_allclose(data.context[2, PAIR + 1 :], np.tanh([2 * nearer, 8 * nearer]))
    assert (data.context[:2, PAIR:] == 0).all()
    assert data.context.shape[1] == N_CONTEXT
    assert len(CODES) == N_CONTEXT + data.statistics.shape[1]


def test_pull_is_the_gradient_of_the_contexts(rng: np.random.Generator) -> None:
    path, z = some_path(rng)
    data = path.data(z, np.float64)
    by_child, by_context = rng.standard_normal(data.child.shape), rng.standard_normal(data.context.shape)

    def total(rows: np.ndarray) -> np.ndarray:
        view = path.data(rows, np.float64)
        return (by_child * view.child).sum(0) + (by_context * view.context).sum((0, 1))

    gradient = path.pull(z, by_child, by_context)
    for column in range(D):
        ahead, behind = z.copy(), z.copy()
        ahead[:, column] += 1e-6
        behind[:, column] -= 1e-6
        np.testing.assert_allclose(gradient[:, column], (total(ahead) - total(behind)) / 2e-6, atol=1e-4, rtol=1e-4)
    assert (gradient[:, 3] == 0).all()


def test_statistics_are_orthonormal_moments(rng: np.random.Generator) -> None:
    z = rng.standard_normal(200_000)
    place, spread = features.cosines(z)
    moments = np.cov(np.stack([place, spread, features.size(z)]))
    np.testing.assert_allclose(np.diag(moments), 1.0, atol=0.02)
    assert abs(moments[0, 1]) < 0.01
    np.testing.assert_allclose(features.normal_cdf(z[:1000]), norm.cdf(z[:1000]), atol=1e-7)


def test_screen_finds_sign_triples_and_no_others(rng: np.random.Generator) -> None:
    z = rng.standard_normal((400, 30))
    z[:, 2::3] = np.abs(z[:, 2::3]) * np.sign(z[:, 0::3] * z[:, 1::3])
    triples = screen_triples(z)
    np.testing.assert_array_equal(triples.child, np.arange(2, 30, 3))
    np.testing.assert_array_equal(np.sort([triples.first, triples.second], axis=0), [np.arange(0, 30, 3), np.arange(1, 30, 3)])
    assert (triples.correlation > 0.3).all()


def test_screen_has_few_false_hits(rng: np.random.Generator) -> None:
    assert sum(len(screen_triples(rng.standard_normal((150, 25))).child) for _ in range(60)) <= 3


@given(st.lists(st.integers(0, 4), min_size=3, max_size=30))
def test_tie_share_counts_pairs(values: list[int]) -> None:
    n = len(values)
    pairs = sum(values[i] == values[j] for i in range(n) for j in range(n) if i != j)
    assert tie_share(np.array(values, dtype=float)[:, None])[0] == pytest.approx(pairs / (n * (n - 1)))


def test_values_that_occur_once_are_not_blurred() -> None:
    z = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 3.0], [3.0, 4.0], [3.0, 7.0]])
    np.testing.assert_allclose(tie_blur(z), [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])


def test_resampled_scores_are_mid_ranks_among_the_rows_drawn(rng: np.random.Generator) -> None:
    z = rng.standard_normal((25, 3))
    z[:10, 2] = 0.5  # ties keep their score
    weight, scores = resampled_scores(z, rng)
    assert weight.sum() == 25
    drawn = np.repeat(np.arange(25), weight)
    expected = norm.ppf((rankdata(z[drawn], axis=0) - 0.5) / 25)
    np.testing.assert_allclose(scores[drawn, :2], expected[:, :2], atol=1e-9)
    np.testing.assert_allclose(scores[drawn, 2], np.where(drawn < 10, 0.5, expected[:, 2]), atol=1e-9)


def test_tables_are_conditional_log_ratios(rng: np.random.Generator) -> None:
    every = np.column_stack([rng.integers(0, 3, 300), rng.integers(0, 2, 300), rng.standard_normal(300)]).astype(float)
    every[:120, 2] = 0.0  # an inflated column: one atom and the rest
    found = count_tables(every[:200], every, np.array([0, 1]), 3.0)
    assert found is not None
    np.testing.assert_array_equal(found.node, [0, 1])
    for table, place in zip(found.log_ratio, found.child.tolist(), strict=True):
        values = found.values[place]
        share = np.array([(every[:, place] == value).mean() for value in values])
        share = np.append(share, 1 - share.sum())
        np.testing.assert_allclose(np.exp(table) @ share, 1.0)
    counts = np.histogram2d(every[:200, 0], every[:200, 1], bins=(3, 2))[0]
    q = np.array([(every[:, 1] == value).mean() for value in (0, 1)])
    expected = np.log((counts + 3 * q) / (counts.sum(1, keepdims=True) + 3) / q)
    np.testing.assert_allclose(found.log_ratio[0][:3, :2], expected)
    a, b = every[5, :2].astype(int)
    assert found.terms(every[5:6])[0, 0] == pytest.approx(expected[a, b])


def test_tables_are_chosen_where_counts_say_more_and_not_where_nothing_depends(rng: np.random.Generator) -> None:
    bit = rng.integers(0, 2, (400, 1))
    noisy = np.where(rng.random((400, 3)) < 0.1, 1 - bit, bit).astype(float)
    parent, nothing = np.array([0, 0]), np.zeros((2, 100))
    recipe = choose_tables([(noisy[:300], noisy[300:], nothing)], noisy, parent)
    assert recipe is not None
    chosen = recipe.counted(noisy[:300], noisy, parent)
    assert chosen is not None
    assert chosen.blend(noisy, np.zeros((2, 400)))[0].mean() > 0.2
    shuffled = rng.permuted(noisy, axis=0)
    recipe = choose_tables([(shuffled[:300], shuffled[300:], nothing)], shuffled, parent)
    few = None if recipe is None else recipe.counted(shuffled[:300], shuffled, parent)
    assert few is None or np.abs(few.blend(shuffled, np.zeros((2, 400)))[0]).mean() < 0.05
    continuous = rng.standard_normal((400, 3))
    assert choose_tables([(continuous[:300], continuous[300:], nothing)], continuous, parent) is None
