"""Mutual information: against known values, its lower limit, invariances, and bad input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from dualwalk._estimator import SmallSampleWarning
from dualwalk._single.calibration import UnsupportedEstimateWarning
from dualwalk.information import MutualInformation, mutual_information


def estimate(x: np.ndarray, y: np.ndarray, **options: int) -> MutualInformation:
    return mutual_information(x, y, random_state=3, n_threads=1, **options)


def gaussian_pair(rng: np.random.Generator, n: int, r: float) -> tuple[np.ndarray, np.ndarray]:
    x = rng.standard_normal(n)
    return x, r * x + math.sqrt(1 - r * r) * rng.standard_normal(n)


def gaussian_f(x: np.ndarray, y: np.ndarray, r: float) -> np.ndarray:
    return -0.5 * math.log(1 - r * r) + (2 * r * x * y - r * r * (x * x + y * y)) / (2 * (1 - r * r))


def test_gaussian_pair(rng: np.random.Generator) -> None:
    x, y = gaussian_pair(rng, 1000, 0.8)
    found = estimate(x, y)
    oracle = gaussian_f(x, y, 0.8).mean()
    assert found.estimate == pytest.approx(oracle, abs=0.03)
    assert found.lower < oracle
    assert found.lower > oracle - 0.1
    assert found.values.shape == (1000,)
    assert found.held_out == pytest.approx(found.values.mean())
    assert found.lower == pytest.approx(found.held_out - 1.6448536 * found.se)
    assert found.estimate == pytest.approx((found.held_out + found.training) / 2, abs=0.005)


def test_ranks_are_all_that_matters(rng: np.random.Generator) -> None:
    x, y = gaussian_pair(rng, 300, 0.7)
    np.testing.assert_array_equal(estimate(x, y, cv=2).values, estimate(np.exp(3 * x), y**3, cv=2).values)


def test_many_columns_of_which_few_depend(rng: np.random.Generator) -> None:
    """Twenty columns a side, one pair of which depends: the truth is that pair's."""
    n, r = 800, 0.8
    x, y = rng.standard_normal((n, 20)), rng.standard_normal((n, 20))
    y[:, 7] = r * x[:, 3] + math.sqrt(1 - r * r) * y[:, 7]
    oracle = gaussian_f(x[:, 3], y[:, 7], r).mean()
    found = estimate(x, y)
    assert found.estimate == pytest.approx(oracle, abs=0.1)
    assert found.lower < oracle


def test_shared_scale_without_correlation(rng: np.random.Generator) -> None:
    """A Cauchy pair with identity scatter: log(8 pi) - 3 = .2242 nats, correlation none. (Czyz et al. 2023, appendix.)"""
    n = 2000
    rows = rng.standard_normal((n, 2)) / np.abs(rng.standard_normal((n, 1)))
    true = (
        -1.5 * np.log1p((rows**2).sum(axis=1)) - math.log(2 * math.pi) + np.log1p(rows**2).sum(axis=1) + 2 * math.log(math.pi)
    )
    found = estimate(rows[:, 0], rows[:, 1])
    assert found.estimate == pytest.approx(true.mean(), abs=0.04)
    assert true.mean() == pytest.approx(math.log(8 * math.pi) - 3, abs=0.08)


def test_signs_are_lost(rng: np.random.Generator) -> None:
    """y = +-x + noise with fair signs has no correlation at all; the true f in closed form is the oracle."""
    n, r = 1000, 0.9
    x = rng.standard_normal(n)
    y = np.where(rng.random(n) < 0.5, r, -r) * x + math.sqrt(1 - r * r) * rng.standard_normal(n)
    oracle = (np.logaddexp(gaussian_f(x, y, r), gaussian_f(x, y, -r)) - math.log(2)).mean()
    found = estimate(x, y)
    assert found.estimate == pytest.approx(oracle, abs=0.12)
    assert found.lower < oracle
    assert found.lower > 0.3


def test_levels(rng: np.random.Generator) -> None:
    """A symmetric channel of four levels that keeps a level with probability .7: log 4 - H(.7, .1, .1, .1)."""
    n = 1000
    x = rng.integers(0, 4, n)
    y = np.where(rng.random(n) < 0.7, x, (x + rng.integers(1, 4, n)) % 4)
    f = np.where(x == y, math.log(2.8), math.log(0.4))
    found = estimate(x, y)
    assert found.estimate == pytest.approx(f.mean(), abs=0.07)
    assert found.lower < f.mean()


def test_identical_bits_have_log_two(rng: np.random.Generator) -> None:
    x = rng.integers(0, 2, 400)
    assert estimate(x, x).estimate == pytest.approx(math.log(2), abs=0.03)


@pytest.mark.parametrize("d", [1, 8])
def test_independent_blocks(d: int, rng: np.random.Generator) -> None:
    found = estimate(rng.standard_normal((400, d)), rng.standard_normal((400, d)))
    assert abs(found.estimate) < 0.05
    assert found.lower < 0.02


def test_few_independent_rows_do_not_look_dependent() -> None:
    """The ranks left for test rows are nearly known where rows are few: means of left-out rows must not tell."""
    above = 0
    for seed in range(16):
        x, y = np.random.default_rng(seed).standard_normal((2, 24, 5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallSampleWarning)
            above += mutual_information(x, y, random_state=seed, n_threads=1).lower > 0
    assert above <= 3


def test_the_lower_limit_is_rarely_above_the_truth() -> None:
    above, runs, r = 0, 16, 0.5
    for seed in range(runs):
        x, y = gaussian_pair(np.random.default_rng(seed), 100, r)
        above += mutual_information(x, y, cv=3, random_state=seed, n_threads=1).lower > -0.5 * math.log(1 - r * r)
    assert above <= 3  # 5 % wanted; 4 or more of 16 would happen once in 140 times


def test_series_are_blocks(rng: np.random.Generator) -> None:
    x = rng.standard_normal((200, 2, 5))
    y = x[:, :1, :3] + rng.standard_normal((200, 1, 3))
    found = estimate(x, y, cv=3)
    assert 0.3 < found.lower < 1.5 * math.log(2) + 0.2  # three columns of log(2) / 2 each


def test_constant_columns_carry_nothing(rng: np.random.Generator) -> None:
    found = estimate(np.zeros((60, 2)), rng.standard_normal(60))
    assert (found.estimate, found.se, found.lower) == (0.0, 0.0, 0.0)
    x, y = gaussian_pair(rng, 200, 0.7)
    with_constant = np.column_stack([np.ones(200), x])
    np.testing.assert_array_equal(estimate(with_constant, y, cv=2).values, estimate(x, y, cv=2).values)


def test_same_seed_same_bits_for_any_number_of_threads(rng: np.random.Generator) -> None:
    x, y = gaussian_pair(rng, 200, 0.7)
    one = mutual_information(x, y, cv=3, random_state=1, n_threads=1)
    two = mutual_information(x, y, cv=3, random_state=1, n_threads=2)
    np.testing.assert_array_equal(one.values, two.values)
    assert one.estimate == two.estimate
    assert mutual_information(x, y, cv=3, random_state=2, n_threads=1).estimate != one.estimate


def test_infinite_information_is_named(rng: np.random.Generator) -> None:
    x = rng.standard_normal((100, 3))
    y = rng.standard_normal((100, 2))
    for copy in (np.exp(x[:, 2]), -x[:, 2]):
        with pytest.raises(ValueError, match=r"infinite: column 1 of Y has the ranks of column 2 of X.*drop"):
            mutual_information(x, np.column_stack([y, copy])[:, [0, 2]])


def test_more_than_the_rows_support_is_announced(rng: np.random.Generator) -> None:
    """Six pairs with r = .99 hold 11.75 nats: 300 rows support no more than log 301 = 5.7; a copula model says the rest."""
    x = rng.standard_normal((300, 6))
    y = 0.99 * x + math.sqrt(1 - 0.99**2) * rng.standard_normal((300, 6))
    with pytest.warns(UnsupportedEstimateWarning, match="300 rows support"):
        found = estimate(x, y, cv=3)
    oracle = gaussian_f(x, y, 0.99).sum(axis=1).mean()
    assert found.lower < found.held_out <= math.log(301)
    assert found.estimate == pytest.approx(oracle, abs=0.6)


def test_few_rows_are_announced(rng: np.random.Generator) -> None:
    x, y = gaussian_pair(rng, 20, 0.5)
    with pytest.warns(SmallSampleWarning, match="20 rows are few"):
        found = estimate(x, y)
    assert np.isfinite(found.estimate)


def test_inputs_are_not_modified(rng: np.random.Generator) -> None:
    x, y = gaussian_pair(rng, 100, 0.5)
    before = x.copy(), y.copy()
    estimate(x, y, cv=2)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "match"),
    [
        (np.zeros(20), np.zeros(21), {}, ValueError, "20 and 21 rows"),
        (np.zeros(5), np.zeros(5), {}, ValueError, "X must have at least 8 samples"),
        (np.zeros((20, 2, 2, 2)), np.zeros(20), {}, ValueError, "X must have shape"),
        (np.zeros(20), np.full(20, np.nan), {}, ValueError, "Y must be finite"),
        (np.zeros(20), ["a"] * 20, {}, TypeError, "Y must hold real numbers"),
        (np.zeros(20), np.zeros(20), {"cv": 1}, ValueError, "cv must be at least 2"),
        (np.zeros(20), np.zeros(20), {"confidence_level": 1.0}, ValueError, "confidence_level must be below 1"),
    ],
)
def test_bad_input_is_refused(x: object, y: object, options: dict, error: type[Exception], match: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=match):
            mutual_information(x, y, **options)  # type: ignore[arg-type]
