"""The Gaussian base: every candidate against an independent formula, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import FactorAnalysis

from dualwalk._nodepath import gaussian_base as gb
from dualwalk._nodepath.path import build_path, correlation, dependence, edge_statistics, spanning_tree


def factor_rows(rng: np.random.Generator, n: int, d: int, k: int = 2) -> np.ndarray:
    loading = np.random.default_rng(7).standard_normal((d, k))
    z = rng.standard_normal((n, k)) @ loading.T + rng.standard_normal((n, d))
    return z / np.sqrt((loading**2).sum(1) + 1)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (40, 70)])
def test_ledoit_wolf_is_scikit_learns(rng: np.random.Generator, n: int, d: int) -> None:
    z = factor_rows(rng, n, d)
    covariance, _ = ledoit_wolf(z, assume_centered=True)
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(gb.ledoit_wolf(z), covariance / np.outer(scale, scale), atol=1e-12)


def test_factor_analysis_is_as_likely_as_scikit_learns(rng: np.random.Generator) -> None:
    z = factor_rows(rng, 300, 12)
    z /= np.sqrt((z**2).mean(0))
    z -= z.mean(0)
    theirs = FactorAnalysis(2, max_iter=2000, tol=1e-8).fit(z).get_covariance()
    ours = gb.factor_analysis(z, 2, gb._leading(correlation(z), z, 2))
    scale = np.sqrt(np.diag(theirs))
    best = gb.gaussian_log_ratio(theirs / np.outer(scale, scale), z).mean()
    assert abs(gb.gaussian_log_ratio(ours, z).mean() - best) < 0.02


def test_bayes_net_finds_a_chain(rng: np.random.Generator) -> None:
    r = 0.8
    z = np.empty((20_000, 6))
    z[:, 0] = rng.standard_normal(len(z))
    for t in range(1, 6):
        z[:, t] = r * z[:, t - 1] + np.sqrt(1 - r * r) * rng.standard_normal(len(z))
    truth = r ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    for n_parents in (1, 2):
        np.testing.assert_allclose(gb.bayes_net(correlation(z), n_parents), truth, atol=0.04)


def test_log_ratio_is_the_ratio_of_densities(rng: np.random.Generator) -> None:
    z = factor_rows(rng, 30, 5)
    base = gb.ledoit_wolf(z)
    expected = multivariate_normal(np.zeros(5), base).logpdf(z) - multivariate_normal(np.zeros(5)).logpdf(z)
    np.testing.assert_allclose(gb.gaussian_log_ratio(base, z), expected, atol=1e-10)


@pytest.mark.parametrize(("n", "d"), [(6, 2), (6, 40), (80, 10)])
def test_every_candidate_is_a_correlation_matrix(rng: np.random.Generator, n: int, d: int) -> None:
    z = rng.standard_normal((n, d))
    z[:, 0] = 0.0  # a column that never varies among these rows
    names = []
    for name, matrix in gb.candidates(z):
        names.append(name)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
        np.testing.assert_allclose(np.diag(matrix), 1.0)
        assert np.linalg.eigvalsh(matrix).min() > -1e-9, name
        np.testing.assert_allclose(next(gb.candidates(z, only=name))[1], matrix, atol=1e-12)
    assert len(set(names)) == len(names)


def test_choice_is_the_best_held_out_and_beats_ledoit_wolf_where_columns_are_many(rng: np.random.Generator) -> None:
    train, validation = factor_rows(rng, 120, 60), factor_rows(rng, 60, 60)
    base = gb.choose_base([(train, validation)])
    scores = {name: gb.gaussian_log_ratio(matrix, validation).mean() for name, matrix in gb.candidates(train)}
    assert base.name == max(scores, key=scores.__getitem__)
    assert base.score == pytest.approx(scores[base.name])
    assert scores[base.name] > scores["ledoit-wolf"] + 1


def test_singular_base_falls_back(rng: np.random.Generator) -> None:
    z = np.repeat(rng.standard_normal((30, 1)), 3, axis=1)
    assert np.isfinite(gb.choose_base([(z[:20], z[20:]), (z[10:], z[:10])]).score)
    np.linalg.cholesky(gb.fit_base("ledoit-wolf", z))


def test_spanning_tree_has_the_largest_weight(rng: np.random.Generator) -> None:
    weight = rng.random((9, 9))
    weight += weight.T
    np.fill_diagonal(weight, 0.0)
    order, parents = spanning_tree(weight, 3)
    assert sorted(order) == list(range(9))
    assert weight[order[1:], parents[:, 0]].sum() == pytest.approx(-minimum_spanning_tree(-weight).sum())
    for k, row in enumerate(parents):
        known = row[row >= 0]
        assert len(known) == min(3, k + 1)
        assert set(known) <= set(order[: k + 1])


def test_dependence_sees_signs_that_are_lost(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 4000))
    z = np.column_stack([a, 0.9 * a * rng.choice([-1, 1], 4000) + 0.4 * b, b])
    weight = dependence(z)
    assert weight[0, 1] > 0.5 > 5 * weight[0, 2]


def test_conditionals_are_regressions_on_all_earlier_columns(rng: np.random.Generator) -> None:
    z = factor_rows(rng, 50, 7)
    columns = np.array([0, 2, 3, 4, 6])
    base = gb.ledoit_wolf(z[:, columns])
    tree = spanning_tree(dependence(z[:, columns]))
    path = build_path(z, columns, tree, base)
    order = tree[0]
    data = path.data(z, np.float64)
    for k in range(1, len(order)):
        past, new = order[:k], order[k]
        weight = np.linalg.solve(base[np.ix_(past, past)], base[past, new])
        np.testing.assert_allclose(data.context[k - 1, 1], z[:, columns[past]] @ weight, atol=1e-12)
        assert path.scale[k - 1] ** 2 == pytest.approx(1 - weight @ base[past, new])
        np.testing.assert_array_equal(data.child[k - 1], z[:, columns[new]])
    expected = [np.corrcoef(z[:, p], np.abs(z[:, c]))[0, 1] for p, c in zip(path.parent, path.column, strict=True)]
    np.testing.assert_allclose(edge_statistics(z, path.parent, path.column)[:, 2], expected)
    np.testing.assert_allclose(data.statistics[:, 0], np.log(path.scale))
