"""Cuts against a brute-force search, clusters, valleys, conformal end points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp

from dualwalk import dualspace

values = hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-50, 50))


def brute_force(ordered: np.ndarray) -> np.ndarray:
    """Every cut's divergence, from the definition: O(n^2)."""
    result = []
    for i in range(1, len(ordered)):
        low, high = ordered[:i], ordered[i:]
        forward = high.mean() - (logsumexp(low) - np.log(len(low)))
        backward = -low.mean() - (logsumexp(-high) - np.log(len(high)))
        result.append(forward + backward)
    return np.array(result)


@given(values)
def test_all_cuts_at_once_are_the_cuts_one_by_one(f: np.ndarray) -> None:
    ordered = np.sort(f)
    np.testing.assert_allclose(dualspace.cut_divergences(ordered), brute_force(ordered), atol=1e-9)


@given(values, st.integers(1, 6))
def test_clusters_are_labelled_by_their_cuts_and_never_too_small(f: np.ndarray, max_clusters: int) -> None:
    space = dualspace.find_clusters(f, max_clusters=max_clusters)
    assert len(space.cuts) < max_clusters
    assert (np.diff(space.cuts) > 0).all()
    assert len(space.valleys) == len(space.divergences) == len(space.cuts)
    np.testing.assert_array_equal(space.labels, [(space.cuts < value).sum() for value in f])
    counts = np.bincount(space.labels, minlength=len(space.cuts) + 1)
    assert counts.min() >= min(0.1 * len(f), len(f))


@given(values, st.floats(-9, 9))
def test_order_of_rows_and_origin_of_f_do_not_matter(f: np.ndarray, shift: float) -> None:
    f = np.round(f, 3)
    space = dualspace.find_clusters(f)
    turned = dualspace.find_clusters(f[::-1])
    np.testing.assert_array_equal(space.labels, turned.labels[::-1])
    np.testing.assert_allclose(dualspace.find_clusters(f + shift).divergences, space.divergences, atol=1e-6)


def test_three_groups_are_found_at_their_valleys(rng: np.random.Generator) -> None:
    centres = np.repeat([0.0, 10.0, 20.0], [100, 150, 80])
    space = dualspace.find_clusters(centres + rng.standard_normal(330), max_clusters=3)
    np.testing.assert_array_equal(space.labels, np.repeat([0, 1, 2], [100, 150, 80]))
    assert space.valleys.all()


def test_one_gaussian_has_no_real_valley() -> None:
    found = [
        dualspace.find_clusters(np.random.default_rng(seed).standard_normal(n)).valleys.any()
        for seed in range(40)
        for n in (60, 300)
    ]
    assert np.mean(found) <= 0.05


@pytest.mark.parametrize("shape", ["uniform", "exponential", "t", "log-normal"])
@pytest.mark.parametrize("n", [60, 300])
def test_one_hump_of_any_shape_has_no_real_valley(shape: str, n: int) -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng([seed, n])
        f = {
            "uniform": rng.random(n),
            "exponential": rng.standard_exponential(n),
            "t": rng.standard_t(3, n),
            "log-normal": np.exp(rng.standard_normal(n)),
        }[shape]
        found.append(dualspace.find_clusters(f).valleys.any())
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.parametrize(("n", "gap", "least"), [(60, 5, 0.7), (300, 4, 0.95)])
def test_two_humps_have_one(n: int, gap: float, least: float) -> None:
    found = []
    for seed in range(60):
        rng = np.random.default_rng([seed, n])
        f = np.concatenate([rng.standard_normal(n // 2), gap + rng.standard_normal(n // 2)])
        found.append(dualspace.find_clusters(f, max_clusters=2).valleys.any())
    assert np.mean(found) >= least


@pytest.mark.parametrize("share", [0.12, 0.25, 0.5, 0.75, 0.88])
def test_groups_of_unequal_size_are_cut_at_their_gap(share: float) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        low = int(share * 300)
        f = np.concatenate([rng.standard_normal(low), 7 + rng.standard_normal(300 - low)])
        space = dualspace.find_clusters(f, max_clusters=2)
        assert abs(np.bincount(space.labels)[0] - low) <= 3
        assert space.valleys.all()


def test_two_groups_close_together_have_one(rng: np.random.Generator) -> None:
    f = np.concatenate([rng.standard_normal(150), 5 + rng.standard_normal(150)])
    space = dualspace.find_clusters(f, max_clusters=2)
    assert space.valleys.all()
    assert 1.0 < space.cuts[0] < 4.0


def test_equal_values_are_one_cluster() -> None:
    space = dualspace.find_clusters(np.zeros(20))
    assert len(space.cuts) == 0
    assert (space.labels == 0).all()
    assert not dualspace.is_valley(np.zeros(20), 0.0)
    assert len(dualspace.find_clusters(np.array([1.0])).cuts) == 0


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
def test_end_points_hold_their_share_of_new_rows(share: float) -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        low, high = dualspace.end_points(rng.standard_exponential(79), share)
        covered.append(np.exp(-low) - np.exp(-high))
    assert share - 0.005 < np.mean(covered) < share + 0.03


@pytest.mark.parametrize(("n", "share"), [(9, 0.95), (39, 0.95), (100, 0.8), (250, 0.95)])
def test_false_alarms_are_as_many_as_stated(n: int, share: float) -> None:
    """Exact on average for any distribution of f, however skewed; and the scatter is what is stated."""
    rng = np.random.default_rng(1)
    stated = dualspace.false_alarm_rate(n, share)
    rates = []
    for _ in range(1500):
        low, high = dualspace.end_points(rng.standard_exponential(n), share)
        rates.append(1 - (np.exp(-low) - np.exp(-high)))
    error = np.std(rates) / np.sqrt(len(rates))
    assert abs(np.mean(rates) - stated) < 4 * error
    assert np.std(rates) <= 1.1 * np.sqrt(stated * (1 - stated) / (n + 2))


@given(values, values)
def test_p_values_are_their_definition(f: np.ndarray, held_out: np.ndarray) -> None:
    p = dualspace.conformal_p_values(f, held_out)
    for value, found in zip(f, p, strict=True):
        rank = 1 + min((held_out <= value).sum(), (held_out >= value).sum())
        assert found == min(1, 2 * rank / (len(held_out) + 1))


@pytest.mark.parametrize("levels", [None, 5])
def test_p_values_are_valid_at_every_level(levels: int | None) -> None:
    rng = np.random.default_rng(2)
    draws = rng.standard_cauchy((4000, 60)) if levels is None else rng.integers(0, levels, (4000, 60)).astype(float)
    p = np.array([dualspace.conformal_p_values(row[:1], row[1:])[0] for row in draws])
    for alpha in (0.05, 0.1, 0.3, 0.6):
        share = (p <= alpha).mean()
        assert share < alpha + 4 * np.sqrt(alpha / len(p))
        if levels is None:
            assert share > alpha - 2 / 60 - 4 * np.sqrt(alpha / len(p))


def test_end_points_of_few_values_are_the_extremes() -> None:
    np.testing.assert_array_equal(dualspace.end_points([3.0, 1.0, 2.0]), [1.0, 3.0])


def test_inside() -> None:
    np.testing.assert_array_equal(dualspace.inside([0.0, 1.0, 2.0, 3.0], [1.0, 2.0]), [-1, 1, 1, -1])


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"f must be a 1-D array of dual values; got shape \(2, 1\)"):
        dualspace.find_clusters(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="f must be finite"):
        dualspace.assign([np.nan], [0.0])
    with pytest.raises(ValueError, match="f must hold at least one value"):
        dualspace.end_points([])
    with pytest.raises(ValueError, match="held_out must hold at least one value"):
        dualspace.conformal_p_values([1.0], [])
    with pytest.raises(ValueError, match="max_clusters must be at least 1"):
        dualspace.find_clusters(np.zeros(3), max_clusters=0)
