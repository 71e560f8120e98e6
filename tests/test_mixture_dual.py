"""MixtureDual against log densities written out directly, its gradient against differences, its fit against known mixtures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwalk.duals.mixture import MixtureDual


def random_mixture(n_components: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_components, d, d)) / np.sqrt(d)
    weights = rng.uniform(0.5, 1.5, n_components)
    return weights / weights.sum(), rng.normal(size=(n_components, d)), roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)


def log_normal(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    y = x - mean
    squares = np.einsum("nd,dn->n", y, np.linalg.solve(covariance, y.T))
    return -0.5 * (squares + np.linalg.slogdet(covariance)[1] + y.shape[1] * np.log(2 * np.pi))


@given(st.integers(1, 5), st.integers(1, 9), st.floats(0, 1), st.integers(0, 99))
def test_value_is_the_log_ratio_of_densities_at_every_time(n_components, d, t, seed):
    weights, means, covariances = random_mixture(n_components, d, seed)
    x = 1.5 * np.random.default_rng(seed).normal(size=(7, d))
    a, s = np.cos(np.pi * t / 2), np.sin(np.pi * t / 2)
    logs = [
        np.log(w) + log_normal(x, a * m, a**2 * c + s**2 * np.eye(d))
        for w, m, c in zip(weights, means, covariances, strict=True)
    ]
    log_p, log_q = np.logaddexp.reduce(logs), log_normal(x, np.zeros(d), np.eye(d))
    dual = MixtureDual(weights, means, covariances).at(t)
    np.testing.assert_allclose(dual.value(x), log_p - log_q, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dual.density("normal").value(x), log_p, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dual.responsibilities(x), np.exp(logs - log_p).T, atol=1e-9)


def test_one_component_is_the_closed_gaussian_log_ratio():
    """f of N(m, v) against N(0, 1) in one dimension: -log(v)/2 - (x - m)^2 / (2 v) + x^2 / 2."""
    x = np.linspace(-3, 3, 11)[:, None]
    dual = MixtureDual([2.0], [[0.5]], [[[0.25]]])
    np.testing.assert_allclose(dual.value(x), (np.log(2) - 2 * (x - 0.5) ** 2 + 0.5 * x**2)[:, 0])
    np.testing.assert_allclose(dual.gradient(x), -4 * (x - 0.5) + x)


@given(st.integers(1, 4), st.integers(1, 9), st.sampled_from([0.0, 0.1, 0.65, 1.0]), st.booleans(), st.integers(0, 99))
def test_gradient_is_the_slope_of_the_value(n_components, d, t, against_nothing, seed):
    dual = MixtureDual(*random_mixture(n_components, d, seed), time=t)
    dual = dual.density("normal") if against_nothing else dual
    x, step = np.random.default_rng(seed).normal(size=(5, d)), 1e-5
    slopes = np.stack([(dual.value(x + step * e) - dual.value(x - step * e)) / (2 * step) for e in np.eye(d)], axis=1)
    np.testing.assert_allclose(dual.gradient(x), slopes, rtol=1e-5, atol=1e-5)
    value, gradient = dual.value_and_gradient(x)
    np.testing.assert_array_equal(value, dual.value(x))
    np.testing.assert_array_equal(gradient, dual.gradient(x))


def test_exp_f_has_mean_one_over_noise_and_nothing_is_left_at_time_one():
    dual = MixtureDual([0.3, 0.7], [[-2.0], [1.0]], [[[0.1]], [[0.5]]])
    grid = np.linspace(-9, 9, 4001)[:, None]
    q = np.exp(-0.5 * grid[:, 0] ** 2) / np.sqrt(2 * np.pi)
    for t in (0.0, 0.2, 0.8, 1.0):
        assert np.sum(q * np.exp(dual.at(t).value(grid))) * (grid[1, 0] - grid[0, 0]) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(dual.at(1.0).value(grid), 0.0, atol=1e-9)
    np.testing.assert_allclose(dual.at(1.0).gradient(grid), 0.0, atol=1e-9)


def test_times_share_axes_and_factors_are_covariances(rng):
    weights, means, covariances = random_mixture(3, 6, 0)
    dual = MixtureDual(weights, means, factors=np.linalg.cholesky(covariances))
    assert dual.at(0.5).axes is dual.axes
    assert dual.at(0.5).at(0.0).time == 0.0
    x = rng.normal(size=(4, 6))
    np.testing.assert_allclose(dual.value(x), MixtureDual(5 * weights, means, covariances).value(x))
    assert dual.gradient(x.astype(np.float32)).dtype == np.float64
    assert (dual.n_features, dual.n_components) == (6, 3)
    assert dual.value(np.empty((0, 6))).shape == (0,)


def test_many_rows_are_what_each_row_is_alone(rng, monkeypatch):
    dual, x = MixtureDual(*random_mixture(3, 5, 1), time=0.3), rng.normal(size=(50, 5))
    whole = dual.value_and_gradient(x)
    monkeypatch.setattr("dualwalk.duals.mixture._VALUES_AT_ONCE", 7 * 15)
    for part, expected in zip(dual.value_and_gradient(x), whole, strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-12)


def test_fit_finds_two_clusters(rng):
    means = np.array([[-3.0, 0.0, 1.0], [3.0, 0.0, -1.0]])
    root = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 0.5]])
    points = means[rng.integers(0, 2, 800)] + rng.normal(size=(800, 3)) @ root.T
    dual = MixtureDual.fit(points, n_components=2, shrinkage=0.01)
    order = np.argsort(dual.means[:, 0])
    np.testing.assert_allclose(dual.means[order], means, atol=0.2)
    np.testing.assert_allclose(np.exp(dual.log_weights), 0.5, atol=0.05)
    covariances = np.einsum("kij,kj,klj->kil", dual.axes, dual.eigenvalues, dual.axes)
    np.testing.assert_allclose(covariances, np.stack([root @ root.T] * 2), atol=0.25)
    assert dual.candidates is None
    assert dual.log_weights.sum() < 0


def test_fit_chooses_by_held_out_likelihood(rng):
    centres = 4 * np.eye(3)
    points = centres[rng.integers(0, 3, 300)] + 0.5 * rng.normal(size=(300, 3))
    dual = MixtureDual.fit(points, random_state=1)
    assert dual.candidates is not None
    assert dual.n_components >= 3
    best = max(dual.candidates.values())
    assert best > max(value for (k, _, _), value in dual.candidates.items() if k == 1) + 1
    again = MixtureDual.fit(points, random_state=1)
    for name in ("log_weights", "means", "axes", "eigenvalues"):
        assert np.array_equal(getattr(again, name), getattr(dual, name))
    assert MixtureDual.fit(points, shrinkage=0.5).candidates.keys() <= {(k, 0.5, "none") for k in range(1, 17)}


def test_fit_does_not_depend_on_units_and_keeps_constant_columns(rng):
    points = rng.normal(size=(60, 4))
    points[:, 3] = 7.0
    scale = np.array([1.0, 100.0, 0.01, 1.0])
    dual, scaled = (MixtureDual.fit(p, n_components=2, shrinkage=0.5) for p in (points, points * scale))
    np.testing.assert_allclose(scaled.means[:, :3], (dual.means * scale)[:, :3], rtol=1e-6)
    assert np.abs(scaled.means[:, 3] - 7).max() < 0.5
    spread = np.einsum("kij,kj,kij->ki", dual.axes, dual.eigenvalues, dual.axes)
    assert spread[:, 3].max() < 1e-4


EYE = np.eye(2)[None]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0], [[0.0, 0.0]]), "covariances or factors must be given"),
        (([1.0, 1.0], [[0.0, 0.0]], EYE), r"weights and means must have shapes"),
        (([0.0], [[0.0, 0.0]], EYE), "weights must be positive; got 0"),
        (([1.0], [[0.0, np.nan]], EYE), "means must be finite"),
        (([1.0], [[0.0, 0.0]], np.eye(3)[None]), r"covariances must have shape \(1, 2, 2\); got \(1, 3, 3\)"),
        (([1.0], [[0.0, 0.0]], np.eye(2)), r"covariances must have 3 dimension\(s\)"),
        (([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.0, 1.0]]]), "covariances must be symmetric"),
        (([1.0], [[0.0, 0.0]], [[[1.0, 1.0], [1.0, 1.0]]]), "positive definite; got the eigenvalues .* for component 0"),
    ],
)
def test_bad_numbers(arguments, words):
    with pytest.raises(ValueError, match=words):
        MixtureDual(*arguments)


def test_bad_arguments(rng):
    dual = MixtureDual([1.0], [[0.0, 0.0]], EYE)
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\); got \(3, 3\)"):
        dual.value(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"time must be at most 1; got 1\.5"):
        dual.at(1.5)
    with pytest.raises(ValueError, match="time must be at least 0; got -1"):
        dual.at(-1)
    with pytest.raises(ValueError, match="base must be one of 'normal'; got 'marginals'"):
        dual.density("marginals")
    with pytest.raises(ValueError, match=r"factors must have shape \(1, 2, r\)"):
        MixtureDual([1.0], [[0.0, 0.0]], factors=np.zeros((1, 3, 2)))
    points = rng.normal(size=(20, 2))
    with pytest.raises(ValueError, match="n_components must be at most half the samples, 10; got 11"):
        MixtureDual.fit(points, n_components=11)
    with pytest.raises(ValueError, match="shrinkage must be at most 1; got 2"):
        MixtureDual.fit(points, shrinkage=2.0)
    with pytest.raises(ValueError, match=r"points must have shape \(n, d\)"):
        MixtureDual.fit(np.zeros((20, 2, 3)))
    with pytest.raises(ValueError, match="points must be finite"):
        MixtureDual.fit(np.full((20, 2), np.nan))
