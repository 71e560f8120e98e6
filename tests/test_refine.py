"""Refinement inside clusters: the mixture is a dual function, and held-out rows decide whether it counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from dualwalk._refine.choice import Refinement, blend, choose_refinement
from dualwalk._refine.mixture import GaussianMixture, Recipe, fit_mixture, k_means

D = 4


@pytest.fixture
def mixture(rng):
    mean = rng.normal(0, 0.7, (3, D))
    root = rng.normal(0, 0.4, (3, D, D)) + np.eye(D)
    return GaussianMixture(np.log([0.5, 0.3, 0.2]), mean, np.linalg.cholesky(root @ root.transpose(0, 2, 1)))


def log_ratio(mixture, z, columns):
    """From the definition, for some of the columns alone."""
    parts = [
        share + multivariate_normal(mean[columns], (factor @ factor.T)[np.ix_(columns, columns)]).logpdf(z[:, columns])
        for share, mean, factor in zip(mixture.log_share, mixture.mean, mixture.factor, strict=True)
    ]
    return logsumexp(parts, axis=0) - multivariate_normal(np.zeros(len(columns))).logpdf(z[:, columns])


def test_value_is_the_log_ratio_of_densities(mixture, rng):
    z = rng.standard_normal((7, D))
    np.testing.assert_allclose(mixture.value(z), log_ratio(mixture, z, list(range(D))))
    order = np.array([2, 0, 3, 1])
    cumulative = mixture.cumulative(z, order)
    for k in range(D):
        np.testing.assert_allclose(cumulative[:, k], log_ratio(mixture, z, order[: k + 1]))


def refinement(mixture):
    return Refinement(Recipe(3, "means", "none", 0.5), mixture, 0.3, 0.1)


def test_gradients_are_finite_differences(mixture, rng):
    z, slope = rng.standard_normal((5, D)), rng.standard_normal(D)
    blended = refinement(mixture)
    value, gradient = blended.value_and_gradient(z, np.tanh(z @ slope), (1 - np.tanh(z @ slope) ** 2)[:, None] * slope)
    np.testing.assert_allclose(value, blended.value(z, np.tanh(z @ slope)))
    np.testing.assert_allclose(mixture.value_and_gradient(z)[0], mixture.value(z))
    for column in range(D):
        step = 1e-5 * np.eye(D)[column]
        up, down = (blended.value(x, np.tanh(x @ slope)) for x in (z + step, z - step))
        np.testing.assert_allclose(gradient[:, column], (up - down) / 2e-5, atol=1e-7)


def test_terms_sum_to_the_refined_value(mixture, rng):
    z, terms, order = rng.standard_normal((6, D)), rng.normal(0, 0.5, (6, D)), np.array([3, 1, 0, 2])
    terms[:, 3] = 0
    blended = refinement(mixture)
    refined = blended.terms(z, order, terms)
    np.testing.assert_allclose(refined.sum(axis=1), blended.value(z, terms.sum(axis=1)))
    first = blend(np.zeros(6), log_ratio(mixture, z, [3]), 0.3)
    np.testing.assert_allclose(refined[:, 3], first)


def test_a_blend_costs_no_more_than_its_weight():
    assert blend(np.array([1.0]), np.array([-np.inf]), 0.2) == pytest.approx(1 + np.log(0.8))
    assert blend(np.array([1.0]), np.array([1.0]), 0.2) == pytest.approx(1.0)


@pytest.mark.parametrize("start", ["means", "shells"])
@pytest.mark.parametrize("target", ["none", "common"])
def test_more_steps_never_fit_worse_without_shrinkage(rng, start, target):
    z = rng.standard_normal((120, D)) * np.where(rng.random((120, 1)) < 0.5, 0.4, 1.3)
    fits = [fit_mixture(z, Recipe(2, start, target, 1e-6), n_steps=n).value(z).mean() for n in (1, 4, 16, 60)]
    assert (np.diff(fits) > -2e-3).all(), "priors aside, expectation-maximization climbs"
    again = fit_mixture(z, Recipe(2, start, target, 1e-6), n_steps=4).value(z).mean()
    assert again == fits[1]


def test_k_means_finds_far_clusters_and_bears_equal_rows(rng):
    truth = np.repeat([0, 1, 2], 20)
    labels = k_means(np.array([[-9.0, 0], [9, 0], [0, 15]])[truth] + rng.standard_normal((60, 2)), 3, 0)
    assert len(set(zip(truth.tolist(), labels.tolist(), strict=True))) == 3
    assert k_means(np.zeros((10, 2)), 3, 0).shape == (10,)


def clustered(n, rng, d=10):
    """Two clusters whose correlations have opposite signs: no column tells, all together do."""
    kind = rng.random(n) < 0.5
    common = rng.standard_normal((n, 1))
    signs = np.where(np.arange(d) % 2, 1.0, np.where(kind[:, None], 1.0, -1.0))
    return 0.75**0.5 * common * signs + 0.5 * rng.standard_normal((n, d))


def parts_of(z, f, n_parts=2):
    held = len(z) // 6
    rows = np.arange(len(z))
    cut = [(np.setdiff1d(rows, test), test) for test in (rows[k * held : (k + 1) * held] for k in range(n_parts))]
    return [(z[train], z[test], f[test]) for train, test in cut]


def test_clusters_are_found_and_worth_what_new_rows_say(rng):
    z, new = clustered(400, rng), clustered(4000, rng)
    found = choose_refinement(parts_of(z, np.zeros(400)), z, seed=1)
    assert found is not None
    assert found.recipe.n_clusters >= 2
    gain = found.value(new, np.zeros(len(new)))
    assert gain.mean() == pytest.approx(found.gain, abs=0.6)
    assert gain.mean() > 2.0
    again = choose_refinement(parts_of(z, np.zeros(400)), z, seed=1)
    np.testing.assert_array_equal(again.mixture.mean, found.mixture.mean)


def test_the_refined_dual_is_normalized_under_the_product_of_marginals(rng):
    z = clustered(400, rng, 3)
    found = choose_refinement(parts_of(z, np.zeros(400)), z)
    assert found is not None
    independent = rng.standard_normal((200_000, 3))
    f = found.value(independent, np.zeros(len(independent)))
    assert np.exp(f).mean() == pytest.approx(1, abs=5 * np.exp(f).std() / 200_000**0.5)


@pytest.mark.parametrize("seed", range(3))
def test_what_the_path_knows_already_needs_none(seed):
    rng = np.random.default_rng(seed)
    d, n, r = 8, 300, 0.6
    z = rng.standard_normal((n, d))
    for k in range(1, d):
        z[:, k] = r * z[:, k - 1] + np.sqrt(1 - r * r) * z[:, k]
    residual = z[:, 1:] - r * z[:, :-1]
    truth = 0.5 * (z[:, 1:] ** 2 - residual**2 / (1 - r * r) - np.log(1 - r * r)).sum(axis=1)
    assert choose_refinement(parts_of(z, truth), z) is None
    assert choose_refinement(parts_of(rng.standard_normal((n, d)), np.zeros(n)), z) is None


def test_few_rows_or_many_columns_are_left_alone(rng):
    few, wide = clustered(60, rng), clustered(400, rng, 257)
    assert choose_refinement(parts_of(few, np.zeros(60)), few) is None
    assert choose_refinement(parts_of(wide, np.zeros(400)), wide) is None
