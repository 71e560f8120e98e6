"""The test of independence: exact where there is none, and it sees what it says it sees."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from dualwalk._moments import Moments, block_features
from dualwalk.independence import independence_test

Rng = np.random.Generator


def correlated(n: int, rng: Rng) -> np.ndarray:
    return rng.standard_normal((n, 6)) + 0.7 * rng.standard_normal((n, 1))


def shared_scale(n: int, rng: Rng) -> np.ndarray:
    return rng.standard_normal((n, 6)) * np.exp(0.6 * rng.standard_normal((n, 1)))


def lost_signs(n: int, rng: Rng) -> np.ndarray:
    x = rng.standard_normal((n, 6))
    x[:, 3:] = 0.8 * rng.choice([-1, 1], (n, 3)) * x[:, :3] + 0.6 * x[:, 3:]
    return x


def sign_triple(n: int, rng: Rng) -> np.ndarray:
    x = rng.standard_normal((n, 6))
    x[:, 2] = np.abs(x[:, 2]) * np.sign(x[:, 0] * x[:, 1])
    return x


def levels(n: int, rng: Rng) -> np.ndarray:
    x = rng.integers(0, 3, (n, 4))
    x[:, 1] = np.where(rng.random(n) < 0.5, x[:, 0], x[:, 1])
    return x


@pytest.mark.parametrize("make", [correlated, shared_scale, lost_signs, sign_triple, levels])
def test_sees_dependence_of_every_kind(make):
    found = [independence_test(make(150, np.random.default_rng(k)), n_permutations=99, random_state=k) for k in range(4)]
    assert max(result.p_value for result in found) <= 0.02
    assert min(result.statistic for result in found) > 2.5


def test_names_the_kind_of_dependence(rng):
    result = independence_test(sign_triple(200, rng), n_permutations=99, random_state=0)
    assert result.p_values["strongest triple"] == 0.01
    assert result.p_values["strongest pair"] > 0.05


def independent_blocks(n: int, rng: Rng) -> np.ndarray:
    shared = np.repeat(rng.standard_normal((n, 2)), 3, axis=1)
    return np.concatenate([shared + 0.1 * rng.standard_normal((n, 6)), rng.standard_normal((n, 1))], axis=1)


NULLS = {
    "continuous": (lambda rng: rng.standard_normal((20, 5)), None),
    "two columns of bits": (lambda rng: rng.integers(0, 2, (15, 2)), None),
    "zeros and heavy tails, n < d": (lambda rng: rng.standard_cauchy((12, 30)) * (rng.random((12, 30)) < 0.5), None),
    "blocks": (lambda rng: independent_blocks(20, rng), [0, 0, 0, 1, 1, 1, 2]),
}


@pytest.mark.parametrize("name", NULLS)
def test_p_values_are_uniform_under_independence(name):
    make, blocks = NULLS[name]
    rng = np.random.default_rng(3)
    p = [independence_test(make(rng), blocks=blocks, n_permutations=19, random_state=k).p_value for k in range(400)]
    ranks = np.round(np.array(p) * 20).astype(int)
    assert ranks.min() >= 1
    assert ranks.max() <= 20
    counts = np.bincount(ranks - 1, minlength=20)
    chi_square = ((counts - 20.0) ** 2 / 20).sum()
    assert chi_square < 43.8  # 19 degrees of freedom: exceeded once in 1000


def test_dependence_inside_a_block_does_not_count():
    x = independent_blocks(200, np.random.default_rng(8))
    assert independence_test(x, n_permutations=99, random_state=0).p_value == 0.01
    assert independence_test(x, blocks=[0, 0, 0, 1, 1, 1, 2], n_permutations=99, random_state=0).p_value > 0.1


def test_sees_a_product_inside_a_block(rng):
    x = sign_triple(200, rng)[:, :3]
    assert independence_test(x, blocks=[0, 0, 1], n_permutations=99, random_state=0).p_value == 0.01


def brute_force(features: np.ndarray, owner: np.ndarray, order: int) -> float:
    """Sum over sets of `order` blocks, and over their features, of the squared moment without its terms i = j."""
    n = len(features)
    total = 0.0
    for columns in combinations(range(len(owner)), order):
        if len(set(owner[list(columns)])) == order:
            product = features[:, columns].astype(float).prod(axis=1)
            total += product.sum() ** 2 - (product**2).sum()
    return total / n**2


@pytest.mark.parametrize("label", [[0, 1, 2, 3, 4], [0, 0, 1, 2, 2]])
def test_sums_over_triples_are_those_of_the_plain_formula(label, rng):
    features, owner = block_features(rng.standard_normal((40, 5)), np.array(label, np.int32))
    moments = Moments(40, owner)
    got = dict(zip(moments.names, moments(features), strict=True))
    assert got["triples"] / 40**2 == pytest.approx(brute_force(features, owner, 3), rel=1e-3, abs=1e-4)
    pairs, _ = moments._symmetric_sums(features)
    assert pairs / 40**2 == pytest.approx(brute_force(features, owner, 2), rel=1e-3, abs=1e-4)


def test_strongest_pair_and_triple_are_those_of_the_plain_formula(rng):
    x = rng.standard_normal((30, 4))
    features, owner = block_features(x, np.arange(4, dtype=np.int32))
    moments = Moments(30, owner)
    got = dict(zip(moments.names, moments(features), strict=True))
    across = [(a, b) for a, b in combinations(range(8), 2) if owner[a] != owner[b]]
    assert got["strongest pair"] == pytest.approx(
        max(abs((features[:, a] * features[:, b]).mean()) for a, b in across), rel=1e-5
    )
    triples = [abs(features[:, list(t)].prod(axis=1).mean()) for t in combinations(range(4), 3)]
    assert got["strongest triple"] == pytest.approx(max(triples), rel=1e-5)


def test_features_are_orthonormal_and_two_levels_have_one(rng):
    z = rng.standard_normal((60, 3))
    z[:, 1] = np.sign(z[:, 1])
    features, owner = block_features(z, np.arange(3, dtype=np.int32))
    assert owner.tolist() == [0, 1, 2, 0, 2]
    for block in range(3):
        own = features[:, owner == block]
        np.testing.assert_allclose(own.T @ own / 60, np.eye(own.shape[1]), atol=1e-5)
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-6)


def test_many_rows_and_many_columns_take_the_cheaper_ways(rng, monkeypatch):
    x = correlated(1100, rng)
    monkeypatch.setattr("dualwalk._moments._PAIR_WORK", 0)
    monkeypatch.setattr("dualwalk._moments._TRIPLE_WORK", 0)
    result = independence_test(x, n_permutations=19, random_state=0)
    assert set(result.p_values) == {"pairs", "triples"}
    assert result.p_value == 0.05


def test_same_seed_same_result_for_any_number_of_threads(rng):
    x = rng.standard_normal((40, 5))
    first = independence_test(x, n_permutations=39, random_state=7, n_threads=1)
    assert first == independence_test(x, n_permutations=39, random_state=7, n_threads=3)
    assert first == independence_test(x.reshape(40, 1, 5), n_permutations=39, random_state=7)
    assert first.statistic != independence_test(x, n_permutations=39, random_state=8).statistic


def test_nothing_to_test_is_no_evidence(rng):
    constant = np.ones((20, 3))
    assert independence_test(constant).p_value == 1.0
    constant[:, 0] = rng.standard_normal(20)
    assert independence_test(constant).p_value == 1.0
    assert independence_test(rng.standard_normal((20, 3)), blocks=[4, 4, 4]).p_value == 1.0


def test_arguments_that_cannot_be_used():
    x = np.zeros((20, 3))
    with pytest.raises(ValueError, match="n_permutations must be at least 19; got 5"):
        independence_test(x, n_permutations=5)
    with pytest.raises(ValueError, match="blocks must hold one label a feature"):
        independence_test(x, blocks=[0, 1])
    with pytest.raises(ValueError, match="at least 8 samples"):
        independence_test(x[:4])
    with pytest.raises(ValueError, match="must be finite"):
        independence_test(np.full((20, 3), np.nan))
