"""Scores without a judge: against formulas written out, closed forms, and what must come out by symmetry."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from dualwalk import metrics

UNIT = np.array([[-1.0], [1.0]])  # training rows of deviation 1: distances as they are


def units(d: int) -> np.ndarray:
    return np.repeat(UNIT, d, axis=1)


def test_importing_loads_no_framework():
    program = "import sys, dualwalk.metrics; print([m for m in ('sklearn', 'torch', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


# -- manifold and authenticity -------------------------------------------------------------------------------------------


def test_manifold_scores_by_hand():
    real, made = np.array([[0.0], [1.0], [3.0], [10.0]]), np.array([[0.5], [2.5], [2.75], [50.0]])
    # k = 1: balls of real rows have radii 1, 1, 2, 7 and hold (strictly) {.5}, {.5}, {2.5, 2.75}, {}
    # balls of generated rows have radii 2, .25, .25, 47.25 and hold {0, 1}, {}, {}, {3? no: 47 < 47.25, 10}
    found = metrics.manifold_scores(real, made, k=1, train=UNIT)
    assert found.coverage == 3 / 4
    assert found.precision == 3 / 4
    assert found.density == 4 / 4 / 1
    assert found.recall == 4 / 4


@given(st.integers(7, 40), st.integers(7, 40), st.integers(1, 6), st.integers(0, 99))
def test_manifold_scores_are_their_definition(n, m, k, seed):
    rng = np.random.default_rng(seed)
    real, made = rng.standard_normal((n, 3)), 1.3 * rng.standard_normal((m, 3))
    radius, made_radius = (np.sort(cdist(x, x), axis=1)[:, k] for x in (real, made))
    between = cdist(real, made)
    inside = between < radius[:, None]
    found = metrics.manifold_scores(real, made, k=k, train=units(3))
    assert found.precision == pytest.approx(inside.any(axis=0).mean())
    assert found.coverage == pytest.approx(inside.any(axis=1).mean())
    assert found.density == pytest.approx(inside.sum() / (k * m))
    assert found.recall == pytest.approx((between < made_radius).any(axis=1).mean())


def test_coverage_and_density_of_a_second_real_sample(rng):
    n, k = 100, 5
    found = [metrics.manifold_scores(*rng.standard_normal((2, n, 4)), k=k) for _ in range(60)]
    # Naeem et al. 2020: a ball of a real row is empty if its k nearest of the n - 1 + n other rows are all real ones.
    empty = np.prod([(n - 1 - i) / (2 * n - 1 - i) for i in range(k)])
    assert np.mean([f.coverage for f in found]) == pytest.approx(1 - empty, abs=0.01)
    assert np.mean([f.density for f in found]) == pytest.approx(1.0, abs=0.04)


def test_authenticity_by_hand():
    train, held = np.array([[0.0], [1.0], [4.0]]), np.array([[0.5], [1.9], [6.9]])
    made = np.array([[0.1], [1.5], [4.2], [-2.0]])
    # distances to train: held .5, .9, 2.9; generated .1, .5, .2, 2; train rows' own: 1, 1, 3
    found = metrics.authenticity(made, train, held)
    assert found.ratio == pytest.approx(0.35 / 0.9)
    assert found.share == 1 / 4
    assert found.held_out_share == 0 / 3
    assert found.copies == 3 / 4, "below .54, the 5 % quantile of .5, .9, 2.9"


def test_authenticity_of_copies_noise_and_new_rows(rng):
    train, held, new = rng.standard_normal((3, 300, 4))
    copies = metrics.authenticity(train, train, held)
    assert copies.ratio < 1e-6
    assert copies.copies == 1.0
    assert copies.share == 0.0
    assert metrics.authenticity(5 * new, train, held).ratio > 3
    fresh = metrics.authenticity(new, train, held)
    assert fresh.ratio == pytest.approx(1.0, abs=0.15)
    assert fresh.copies == pytest.approx(0.05, abs=0.06)
    assert fresh.share == pytest.approx(fresh.held_out_share, abs=0.12)


def test_rows_that_all_have_doubles_in_training(rng):
    levels = rng.integers(0, 2, (200, 2)).astype(float)
    assert metrics.authenticity(levels[:100], levels, levels[100:]).ratio == pytest.approx(1.0)
    assert metrics.authenticity(levels[:100] + 0.5, levels, levels[100:]).ratio == np.inf


# -- kernels -------------------------------------------------------------------------------------------------------------


def test_distances_are_their_definition(rng):
    x, y = rng.standard_normal((7, 2)), rng.standard_normal((5, 2)) + 0.5
    length = 0.8

    def mean(a: np.ndarray, b: np.ndarray, k) -> float:
        pairs = [k(p, q) for i, p in enumerate(a) for j, q in enumerate(b) if a is not b or i != j]
        return float(np.mean(pairs))

    def gauss(p, q):
        return np.exp(-((p - q) ** 2).sum() / (2 * length**2))

    def dist(p, q):
        return np.linalg.norm(p - q)

    expected = mean(x, x, gauss) + mean(y, y, gauss) - 2 * mean(x, y, gauss)
    found = metrics.mmd(x, y, length=length, train=units(2))
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert float(found) == found.value
    expected = 2 * mean(x, y, dist) - mean(x, x, dist) - mean(y, y, dist)
    assert metrics.energy_distance(x, y, train=units(2)).value == pytest.approx(expected, abs=1e-12)


def test_mmd_of_two_gaussians_in_closed_form(rng):
    d, shift, length = 3, 0.7, 1.5
    x, y = rng.standard_normal((2, 1000, d))
    y[:, 0] += shift
    overlap = (length**2 / (length**2 + 2)) ** (d / 2)  # mean of the kernel between two rows of one Gaussian
    expected = 2 * overlap * (1 - np.exp(-(shift**2) / (2 * (length**2 + 2))))
    assert metrics.mmd(x, y, length=length, train=units(d), n_permutations=0).value == pytest.approx(expected, abs=0.008)


def test_energy_distance_of_two_gaussians_in_closed_form(rng):
    shift = 1.0

    def mean_distance(m: float) -> float:  # |Z| of Z ~ N(m, 2)
        return 2 / np.sqrt(np.pi) * np.exp(-(m**2) / 4) + m * (1 - 2 * stats.norm.cdf(-m / np.sqrt(2)))

    x, y = rng.standard_normal((2, 1000, 1))
    found = metrics.energy_distance(x, y + shift, train=UNIT, n_permutations=0)
    assert found.value == pytest.approx(2 * mean_distance(shift) - 2 * mean_distance(0), abs=0.08)
    assert np.isnan(found.p_value)


@pytest.mark.parametrize("distance", [metrics.mmd, metrics.energy_distance])
def test_permutation_test_is_exact_and_sees_a_shift(distance, rng):
    p = np.array([distance(*rng.standard_normal((2, 20, 3)), n_permutations=19).p_value for _ in range(200)])
    assert p.min() >= 1 / 20
    assert (p <= 0.2).mean() == pytest.approx(0.2, abs=0.1)
    assert p.mean() == pytest.approx(0.525, abs=0.07)
    values = [distance(*rng.standard_normal((2, 20, 3)), n_permutations=0).value for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200), "unbiased"
    x, y = rng.standard_normal((2, 50, 3))
    assert distance(x, y + 1).p_value == 1 / 200


def test_rows_of_one_point_are_no_distance_apart():
    same = np.ones((4, 2))
    assert metrics.mmd(same, same).value == 0.0
    assert metrics.mmd(same, same).p_value == 1.0
    assert metrics.energy_distance(same, same).value == 0.0


# -- moments -------------------------------------------------------------------------------------------------------------


def test_correlation_error_is_its_definition(rng):
    mix = rng.standard_normal((2, 12, 12))
    a, b = (rng.standard_normal((n, 12)) @ m for n, m in zip((40, 60), mix, strict=True))
    a3, b3 = a.reshape(-1, 3, 4), b.reshape(-1, 3, 4)
    found = metrics.correlation_error(a3, b3)
    above = np.triu_indices(12, 1)
    assert found.features == pytest.approx(np.abs(np.corrcoef(a.T) - np.corrcoef(b.T))[above].mean())
    above = np.triu_indices(3, 1)
    pooled = [
        np.corrcoef(np.concatenate(list(x.transpose(1, 2, 0).transpose(0, 2, 1)), axis=None).reshape(3, -1)) for x in (a3, b3)
    ]
    assert found.channels == pytest.approx(np.abs(pooled[0] - pooled[1])[above].mean())

    def autocorrelation(x: np.ndarray, channel: int, lag: int) -> float:
        centered = x[:, channel] - x[:, channel].mean()
        return np.mean(centered[:, lag:] * centered[:, : 4 - lag]) / np.mean(centered**2)

    each = [abs(autocorrelation(a3, c, lag) - autocorrelation(b3, c, lag)) for c in range(3) for lag in (1, 2, 3)]
    assert found.times == pytest.approx(np.mean(each))
    scaled = metrics.correlation_error(a3 * 3 + 1, b3 * 3 + 1)
    assert (scaled.features, scaled.channels, scaled.times) == pytest.approx((found.features, found.channels, found.times))


def test_correlation_error_known_answers():
    signs = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])  # uncorrelated
    same = np.repeat(signs[:, :1], 2, axis=1)
    assert metrics.correlation_error(signs, same).features == pytest.approx(1.0)
    assert metrics.correlation_error(same, same * [1, -1]).features == pytest.approx(2.0)
    assert np.isnan(metrics.correlation_error(signs, same).channels), "a table has no channels"
    constant = same * [1, 0] + [0, 0.1]
    assert metrics.correlation_error(same, constant).features == pytest.approx(1.0), "a constant has no correlation"
    wave = np.tile([1.0, -1.0], (4, 1, 6)) * signs[:, :1, None]  # lag l: (-1)^l
    still = np.ones((4, 1, 12)) * signs[:, :1, None]  # 1 at every lag
    assert metrics.correlation_error(wave, still).times == pytest.approx(np.mean([2, 0] * 5 + [2]))


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 99))
def test_marginal_error_is_the_wasserstein_distance(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, 3)), rng.gamma(1.0, size=(m, 3))
    scale = np.maximum(a.std(axis=0), 0.1 * np.median(a.std(axis=0)))
    expected = [stats.wasserstein_distance(a[:, j], b[:, j]) / scale[j] for j in range(3)]
    assert metrics.marginal_error(a, b) == pytest.approx(np.mean(expected))


def test_difference_kurtosis(rng):
    x = rng.standard_normal((50, 2, 9)) ** 3
    each = [stats.kurtosis(np.diff(x[:, c]), axis=None, fisher=False) for c in range(2)]
    assert metrics.difference_kurtosis(x) == pytest.approx(np.mean(each))
    assert metrics.difference_kurtosis(x[:, 0]) == pytest.approx(each[0]), "(n, n_times) is one channel"
    signs = np.cumsum(rng.choice([-1.0, 1.0], (400, 1, 9)), axis=2)
    assert metrics.difference_kurtosis(signs) == pytest.approx(1.0, abs=0.01)
    laplace = np.cumsum(rng.laplace(size=(3000, 1, 30)), axis=2)
    assert metrics.difference_kurtosis(laplace) == pytest.approx(6.0, abs=0.3)
    assert metrics.difference_kurtosis(np.concatenate([laplace, 0 * laplace], axis=1)) == pytest.approx(
        metrics.difference_kurtosis(laplace)
    )
    assert np.isnan(metrics.difference_kurtosis(0 * laplace))


# -- the boundary --------------------------------------------------------------------------------------------------------

PAIRS = [
    metrics.mmd,
    metrics.energy_distance,
    metrics.manifold_scores,
    metrics.correlation_error,
    metrics.marginal_error,
    metrics.nearest_neighbor_two_sample,
    metrics.classifier_two_sample,
]


@pytest.mark.parametrize("score", PAIRS)
def test_arguments_are_checked_by_name(score, rng):
    good = rng.standard_normal((20, 2, 3))
    bad = good.copy()
    bad[4, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"generated must be finite; got nan at index \(4, 1, 2\)"):
        score(good, bad)
    with pytest.raises(ValueError, match=r"real must be finite"):
        score(bad, good)
    with pytest.raises(ValueError, match=r"generated must have samples of the same shape as real, \(2, 3\); got \(3, 2\)"):
        score(good, good.reshape(20, 3, 2))
    with pytest.raises(ValueError, match=r"generated must have at least \d samples; got 1"):
        score(good, good[:1])
    with pytest.raises(ValueError, match=r"real must have at least \d samples; got 0"):
        score(good[:0], good)
    with pytest.raises(ValueError, match=r"real must have shape .* got shape \(3,\)"):
        score(good[0, 0], good)
    with pytest.raises(TypeError, match="real must hold real numbers"):
        score(good.astype(str), good)


@pytest.mark.parametrize("score", PAIRS[:-2])
def test_float32_shapes_and_inputs(score, rng):
    a, b = rng.standard_normal((2, 20, 2, 3)).astype(np.float32)
    before = a.copy(), b.copy()
    assert score(a, b) == score(a.astype(float), b.astype(float))
    if score is not metrics.correlation_error:
        assert score(a, b) == score(a.reshape(20, 6), b.reshape(20, 6))
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])


def test_numbers_are_checked(rng):
    x = rng.standard_normal((20, 3))
    with pytest.raises(ValueError, match="k must be at least 1"):
        metrics.manifold_scores(x, x, k=0)
    with pytest.raises(ValueError, match="k must be below the number of rows of either side, 20 and 5; got 6"):
        metrics.manifold_scores(x, x[:5], k=6)
    with pytest.raises(ValueError, match="length must be greater than 0"):
        metrics.mmd(x, x, length=0.0)
    with pytest.raises(ValueError, match="quantile must be below 1"):
        metrics.authenticity(x, x, x, quantile=1)
    with pytest.raises(ValueError, match="at least two times"):
        metrics.difference_kurtosis(x[:, :1])


def test_no_more_rows_than_asked_for_and_the_same_ones_for_a_seed(rng):
    a, b = rng.standard_normal((2, 500, 2))
    found = metrics.mmd(a, b, n_max=50, random_state=3)
    assert found == metrics.mmd(a, b, n_max=50, random_state=3)
    assert found.value != metrics.mmd(a, b, n_max=50, random_state=4).value
    assert found.value != metrics.mmd(a, b).value
