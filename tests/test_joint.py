"""The joint mode: hidden groups of series are recovered by what they tell about each other, and nothing is found in nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from dualwalk._joint.levels import make_levels, pair_divergences
from dualwalk._joint.pattern import pattern_dual
from dualwalk.joint import joint_clusters


def hidden_groups(seed, n_groups=8, size=10, n_steps=1000):
    """Binary series; a series' bit is drawn with a probability that depends on the pattern of its group's earlier ones."""
    rng = np.random.default_rng(seed)
    series = []
    for _ in range(n_groups):
        pattern = np.zeros(n_steps, dtype=int)
        for k in range(size):
            bit = (rng.random(n_steps) < rng.uniform(0.02, 0.98, 2**k)[pattern]).astype(int)
            series.append(bit)
            pattern = 2 * pattern + bit
    order = rng.permutation(n_groups * size)
    return np.array(series)[order], np.repeat(np.arange(n_groups), size)[order]


def autoregressive(rng, shape, n_steps, memory):
    x = rng.standard_normal((*shape, n_steps))
    for t in range(1, n_steps):
        x[..., t] = memory * x[..., t - 1] + np.sqrt(1 - memory**2) * x[..., t]
    return x


@pytest.mark.parametrize(("seed", "n_clusters"), [(0, 8), (1, 8), (2, 8), (3, 8), (4, None)])
def test_eight_hidden_groups_are_recovered(seed, n_clusters):
    X, truth = hidden_groups(seed)
    start = time.process_time()
    found = joint_clusters(X, n_clusters)
    assert time.process_time() - start < 5
    assert found.n_clusters == 8
    assert adjusted_rand_score(truth, found.labels) == 1
    np.testing.assert_array_equal(found.dual_values.argmax(axis=1), found.labels)
    own = np.take_along_axis(found.dual_values, found.labels[:, None], 1)
    assert found.divergence == pytest.approx(own.sum())
    if n_clusters:
        by_shape = KMeans(8, n_init=3, random_state=0).fit_predict(X)
        assert adjusted_rand_score(truth, by_shape) < 0.3, "otherwise the case is too easy"


def groups_of(kind, rng, n_groups=5, size=8, n_steps=600):
    if kind == "exclusive or":
        bits = rng.integers(0, 2, (n_groups, 3, n_steps))
        bits[:, 2] = bits[:, 0] ^ bits[:, 1]
        return bits.reshape(-1, n_steps)
    noise = rng.standard_normal((n_groups, size, n_steps))
    if kind == "shared scale":
        return (noise * np.exp(0.8 * rng.standard_normal((n_groups, 1, n_steps)))).reshape(-1, n_steps)
    if kind == "slow":
        common, own = autoregressive(rng, (n_groups, 1), n_steps, 0.9), autoregressive(rng, (n_groups, size), n_steps, 0.9)
        return (common + own).reshape(-1, n_steps)
    sign = rng.choice([-1, 1], (n_groups, size, 1))
    return np.exp(sign * rng.standard_normal((n_groups, 1, n_steps)) + noise).reshape(-1, n_steps)


@pytest.mark.parametrize("kind", ["exclusive or", "shared scale", "slow", "factor"])
def test_groups_of_other_kinds_are_recovered(kind, rng):
    X = groups_of(kind, rng)
    truth = np.repeat(np.arange(5), len(X) // 5)
    order = rng.permutation(len(X))
    found = joint_clusters(X[order], 5)
    assert adjusted_rand_score(truth[order], found.labels) > 0.95
    channels = X[order].reshape(len(X), 3, -1)
    np.testing.assert_array_equal(joint_clusters(channels, 5).labels, found.labels)


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_nothing_is_found_in_independent_series(memory):
    loose = []
    for seed in range(5):
        X = autoregressive(np.random.default_rng(seed), (30,), 500, memory)
        found = joint_clusters(X)
        loose.append((found.labels == -1).mean())
        assert joint_clusters(X, 3).labels.max() == 2
    assert np.median(loose) == 1


def test_monotone_maps_order_and_repeats_change_nothing(rng):
    X = groups_of("factor", rng, 3, 6, 300)
    first = joint_clusters(X, 3)
    np.testing.assert_array_equal(joint_clusters(X, 3).dual_values, first.dual_values)
    np.testing.assert_array_equal(joint_clusters(np.arctan(X), 3).labels, first.labels)
    order = rng.permutation(len(X))
    assert adjusted_rand_score(joint_clusters(X[order], 3).labels, first.labels[order]) == 1


def brute_force(levels, members, row):
    """f_S of one series from the definition, a step at a time (one prior's worth)."""
    others = [m for m in members if m != row]
    at = levels.place[np.array(others)[:, None], levels.codes[others]].astype(float)
    decay = np.log(0.2) / 4 * min(4, 10 / len(members))
    means = []
    for prior in (1, 4, 16, 64, 256):
        terms = []
        for t in range(levels.n_steps):
            weight = np.exp(decay * ((at - at[:, t : t + 1]) ** 2).sum(axis=0))
            weight[max(0, t - levels.guard) : t + levels.guard + 1] = 0
            level, usual = levels.codes[row, t], levels.share[row, levels.codes[row, t]]
            told = (weight[levels.codes[row] == level].sum() + prior * usual) / (weight.sum() + prior)
            terms.append(np.log(told / usual))
        means.append(np.mean(terms))
    return max(means)


@pytest.mark.parametrize("memory", [0.0, 0.7])
def test_the_dual_is_the_definition_step_by_step(rng, memory):
    X = autoregressive(rng, (6,), 90, memory)
    X[1] += X[0]
    levels = make_levels(X, 3)
    assert (levels.guard > 0) == (memory > 0)
    members = np.array([0, 1, 2, 4])
    f, error = pattern_dual(levels, members, np.arange(6))
    np.testing.assert_allclose(f, [brute_force(levels, members, row) for row in range(6)], atol=2e-4)
    assert (error >= 0).all()


def test_the_dual_reads_a_known_mutual_information(rng):
    """x2 = x0 xor x1 with 5 % errors: I(x2; x0, x1) = log 2 - H(.05), and no pair has any."""
    bits = rng.integers(0, 2, (3, 2000))
    bits[2] = bits[0] ^ bits[1] ^ (rng.random(2000) < 0.05)
    levels = make_levels(bits.astype(float), 2)
    f, error = pattern_dual(levels, np.array([0, 1]), np.array([2]))
    truth = np.log(2) + 0.05 * np.log(0.05) + 0.95 * np.log(0.95)
    assert abs(f[0] - truth) < 3 * error[0] + 0.05
    assert np.abs(pair_divergences(levels)).max() < 0.01


def test_odd_data(rng):
    constant = np.ones((9, 50))
    assert joint_clusters(constant).n_clusters == 0
    assert (joint_clusters(constant, 1).labels == 0).all()
    X = groups_of("factor", rng, 2, 6, 200)
    X[3] = 7.0
    found = joint_clusters(X)
    assert found.labels[3] == -1
    assert found.n_clusters == 2
    copies = joint_clusters(np.repeat(rng.standard_normal((4, 200)), 3, axis=0))
    assert adjusted_rand_score(np.repeat(np.arange(4), 3), copies.labels) == 1
    assert joint_clusters(X, len(X)).labels.max() < len(X)
    long = joint_clusters(groups_of("factor", rng, 2, 5, 9000), 2)
    assert adjusted_rand_score(np.repeat([0, 1], 5), long.labels) == 1


def test_errors_name_the_argument(rng):
    X = rng.standard_normal((10, 40))
    with pytest.raises(ValueError, match="n_clusters must be at most the number of series, 10; got 11"):
        joint_clusters(X, 11)
    with pytest.raises(ValueError, match="n_clusters must be at least 1"):
        joint_clusters(X, 0)
    with pytest.raises(ValueError, match="n_levels must be at least 2"):
        joint_clusters(X, n_levels=1)
    with pytest.raises(ValueError, match="at least 16 steps"):
        joint_clusters(X[:, :15])
    with pytest.raises(ValueError, match="X must be finite"):
        joint_clusters(np.where(X > 1, np.nan, X))
