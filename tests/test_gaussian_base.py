"""The Gaussian base: every candidate against an independent formula, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import FactorAnalysis

from dualwalk._nodepath import gaussian_base as gb
from dualwalk._nodepath.conditionals import Conditionals, Dense, LowRank, Sparse, independent, log_ratio
from dualwalk._nodepath.greedy_net import GreedyNet


def factor_rows(rng: np.random.Generator, n: int, d: int, k: int = 2) -> np.ndarray:
    loading = np.random.default_rng(7).standard_normal((d, k))
    z = rng.standard_normal((n, k)) @ loading.T + rng.standard_normal((n, d))
    return z / np.sqrt((loading**2).sum(1) + 1)


def chain_rows(rng: np.random.Generator, n: int, d: int, r: float) -> np.ndarray:
    z = np.empty((n, d))
    z[:, 0] = rng.standard_normal(n)
    for t in range(1, d):
        z[:, t] = r * z[:, t - 1] + np.sqrt(1 - r * r) * rng.standard_normal(n)
    return z


def log_ratio_of(correlation: np.ndarray, z: np.ndarray) -> np.ndarray:
    d = z.shape[1]
    return multivariate_normal(np.zeros(d), correlation).logpdf(z) - multivariate_normal(np.zeros(d)).logpdf(z)


def regressions(correlation: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Conditional means and scales of every column on all earlier ones, one least-squares problem each."""
    mean, scale = np.zeros_like(z), np.ones(z.shape[1])
    for k in range(1, z.shape[1]):
        weight = np.linalg.solve(correlation[:k, :k], correlation[:k, k])
        mean[:, k] = z[:, :k] @ weight
        scale[k] = np.sqrt(1 - weight @ correlation[:k, k])
    return mean, scale


@pytest.mark.parametrize(("n", "d"), [(60, 8), (40, 70)])
def test_ledoit_wolf_is_scikit_learns(rng: np.random.Generator, n: int, d: int) -> None:
    z = factor_rows(rng, n, d)
    _, weight = ledoit_wolf(z, assume_centered=True)
    assert gb.ledoit_wolf(z) == pytest.approx(weight, rel=0.02)  # theirs does not take the columns for scaled


def test_factor_analysis_is_as_likely_as_scikit_learns(rng: np.random.Generator) -> None:
    z = factor_rows(rng, 300, 12)
    z /= np.sqrt((z**2).mean(0))
    z -= z.mean(0)
    theirs = FactorAnalysis(2, max_iter=2000, tol=1e-8).fit(z).get_covariance()
    scale = np.sqrt(np.diag(theirs))
    best = log_ratio_of(theirs / np.outer(scale, scale), z).mean()
    rows = gb.Rows(z)
    for inner in (rows.sample, None):  # through columns and through rows
        ours = LowRank.of(*gb.factor_analysis(rows.unit, inner, 2, rows.spectrum))
        assert abs(log_ratio(ours, z).mean() - best) < 0.03


@pytest.mark.parametrize(("n", "d"), [(60, 9), (20, 45)])
def test_shrinkage_is_scored_as_it_is_fitted(rng: np.random.Generator, n: int, d: int) -> None:
    rows, held = gb.Rows(factor_rows(rng, n, d)), factor_rows(rng, 30, d)
    values, vectors = rows.spectrum
    np.testing.assert_allclose((vectors * values) @ vectors.T, rows.sample, atol=1e-10)
    for share in gb.SHRINKAGE:
        fitted = gb.fit_candidate(f"shrinkage {share:g}", rows)
        assert gb._shrunk_log_ratio(share, rows, held) == pytest.approx(log_ratio(fitted, held).mean())


def test_dense_and_low_rank_are_regressions_on_all_earlier_columns(rng: np.random.Generator) -> None:
    z = rng.standard_normal((30, 7))
    loading, unique = rng.uniform(-0.6, 0.6, (7, 2)), np.zeros(7)
    unique[:] = 1 - (loading**2).sum(1)
    correlation = loading @ loading.T + np.diag(unique)
    mean, scale = regressions(correlation, z)
    for form in (Dense.of(correlation), LowRank.of(loading, unique)):
        np.testing.assert_allclose(form.mean(z), mean, atol=1e-10)
        np.testing.assert_allclose(form.scale, scale, atol=1e-10)
        np.testing.assert_allclose(log_ratio(form, z), log_ratio_of(correlation, z), atol=1e-9)


@pytest.mark.parametrize(
    "form",
    [
        Dense(np.tril(np.arange(25.0).reshape(5, 5), -1), np.ones(5)),
        Sparse(
            np.array([[0, 0], [0, 0], [1, 0], [1, 2], [0, 3]]), np.array([[0, 0], [2, 0], [1, 3], [4, 1], [1, 1.0]]), np.ones(5)
        ),
        LowRank(np.arange(10.0).reshape(5, 2), np.arange(10.0)[::-1].reshape(5, 2), np.ones(5)),
    ],
    ids=["dense", "sparse", "low rank"],
)
def test_pull_is_the_transpose_of_mean_and_columns_see_earlier_ones_only(rng: np.random.Generator, form: Conditionals) -> None:
    a, b = rng.standard_normal((2, 4, 5))
    assert (form.mean(a) * b).sum() == pytest.approx((a * form.pull(b)).sum())
    for column in range(5):
        later = a.copy()
        later[:, column:] += 1.0
        np.testing.assert_allclose(form.mean(later)[:, : column + 1], form.mean(a)[:, : column + 1])


def test_greedy_net_finds_the_chain_and_nothing_else(rng: np.random.Generator) -> None:
    z = chain_rows(rng, 5000, 12, 0.8)
    net = GreedyNet.grow(gb.correlation(z), len(z), 4).significant(5.0)
    assert net.parents.shape[1] == 1
    np.testing.assert_array_equal(net.parents[1:, 0], np.arange(11))
    np.testing.assert_allclose(net.weights[1:, 0], 0.8, atol=0.03)
    np.testing.assert_allclose(net.scale[1:], 0.6, atol=0.02)


def test_greedy_choice_is_the_largest_partial_correlation(rng: np.random.Generator) -> None:
    z = factor_rows(rng, 100, 9)
    sample = gb.correlation(z)
    net = GreedyNet.grow(sample, 100, 3)
    for column in range(1, 9):
        chosen: list[int] = []
        for step in range(min(3, column)):
            partial = {}
            for other in set(range(column)) - set(chosen):
                precision = np.linalg.inv(sample[np.ix_([column, other, *chosen], [column, other, *chosen])])
                partial[other] = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
            best = max(partial, key=lambda other: abs(partial[other]))
            assert net.parents[column, step] == best
            assert net.partial[column, step] == pytest.approx(partial[best])
            chosen.append(best)
        assert (net.partial[column, len(chosen) :] == 0).all()


def test_greedy_net_in_blocks_of_columns_is_the_same(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = gb.correlation(factor_rows(rng, 60, 40))
    whole = GreedyNet.grow(sample, 60, 5)
    monkeypatch.setattr("dualwalk._nodepath.greedy_net._BLOCK", 1)
    parts = GreedyNet.grow(sample, 60, 5)
    np.testing.assert_array_equal(whole.parents, parts.parents)
    np.testing.assert_allclose(whole.partial, parts.partial)


@pytest.mark.parametrize(("n", "d"), [(6, 2), (6, 40), (80, 10)])
def test_every_candidate_is_a_density(rng: np.random.Generator, n: int, d: int) -> None:
    z = rng.standard_normal((n, d))
    z[:, 0] = 0.0  # a column that never varies among these rows
    rows = gb.Rows(z)
    names = gb.names(n, d)
    assert len(set(names)) == len(names)
    assert "independent" in names
    for name in names:
        try:
            conditionals = gb.fit_candidate(name, rows)
        except np.linalg.LinAlgError:
            assert gb._share(name, rows) is not None
            continue
        assert (conditionals.scale > 0).all(), name
        assert (conditionals.scale < 1.5).all(), name
        assert np.isfinite(log_ratio(conditionals, z)).all(), name


def test_choice_is_the_best_held_out_and_beats_ledoit_wolf_where_columns_are_many(rng: np.random.Generator) -> None:
    train, held = factor_rows(rng, 120, 60), factor_rows(rng, 60, 60)
    name, (fitted,) = gb.choose_base([(train, held)])
    rows = gb.Rows(train)
    scores = {key: log_ratio(gb.fit_candidate(key, rows), held).mean() for key in gb.names(*train.shape)}
    assert name == max(scores, key=scores.__getitem__)
    assert log_ratio(fitted, held).mean() == pytest.approx(scores[name])
    assert scores[name] > scores["ledoit-wolf"] + 1


def test_independent_columns_choose_independence_or_next_to_nothing(rng: np.random.Generator) -> None:
    z = rng.standard_normal((150, 30))
    name, (fitted,) = gb.choose_base([(z[:120], z[120:])])
    assert abs(log_ratio(fitted, rng.standard_normal((2000, 30))).mean()) < 0.5, name
    assert (log_ratio(independent(30), z) == 0).all()


def test_singular_candidates_are_left_out(rng: np.random.Generator) -> None:
    z = np.repeat(rng.standard_normal((30, 1)), 3, axis=1)
    name, fitted = gb.choose_base([(z[:20], z[20:]), (z[10:], z[:10])])
    assert len(fitted) == 2
    assert np.isfinite(log_ratio(gb.fit_base(name, z), z)).all()
    assert (gb.fit_base("shrinkage 0", z).scale == 1).all()  # singular
