"""KL(q || p) from a dual function: closed forms on Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk._reverse import reverse_divergence
from dualwalk.estimator import DualDivergence


class GaussianDual:
    """The true f of N(0, matrix)."""

    def __init__(self, matrix):
        self.rest = np.linalg.inv(matrix) - np.eye(len(matrix))
        self.constant = -0.5 * np.linalg.slogdet(matrix)[1]

    def value(self, x):
        return self.constant - 0.5 * np.einsum("ni,ij,nj->n", x, self.rest, x)


def chain(d, r):
    place = np.arange(d)
    return r ** np.abs(place[:, None] - place)


def reverse_truth(matrix):
    return 0.5 * (np.trace(np.linalg.inv(matrix)) - len(matrix) + np.linalg.slogdet(matrix)[1])


def rows_of(matrix, n, seed):
    return np.random.default_rng(seed).standard_normal((n, len(matrix))) @ np.linalg.cholesky(matrix).T


@pytest.mark.parametrize(("d", "r"), [(2, 0.5), (8, 0.5), (32, 0.63)])
def test_the_true_dual_gives_the_closed_form(d, r):
    matrix = chain(d, r)
    truth = reverse_truth(matrix)
    found = reverse_divergence(GaussianDual(matrix), rows_of(matrix, 4000, 1), seed=0)
    assert abs(found.value - truth) < 4 * found.se
    assert found.se < 0.05 * max(truth, 0.4)
    assert found.lower == -np.inf


@pytest.mark.parametrize("r", [0.0, 0.3, 0.6])
def test_the_lower_limit_holds(r):
    matrix = chain(6, r)
    dual, truth = GaussianDual(matrix), reverse_truth(matrix)
    lowers = []
    for seed in range(40):
        z = rows_of(matrix, 300, seed)
        lowers.append(reverse_divergence(dual, z, seed, held_out=dual.value(z)).lower)
    assert max(lowers) <= truth
    if r == 0.6:
        assert np.mean(lowers) > 0.2 * truth


def test_the_lower_limit_holds_for_a_wrong_dual():
    matrix = chain(6, 0.3)
    for scale in (3.0, -1.0):
        dual = GaussianDual(chain(6, 0.6))
        dual.constant *= scale
        dual.rest *= scale
        z = rows_of(matrix, 500, 3)
        assert reverse_divergence(dual, z, 0, held_out=dual.value(z)).lower < reverse_truth(matrix)


def test_a_fitted_dual_comes_near():
    matrix = chain(6, 0.5)
    rows = rows_of(matrix, 800, 2)
    model = DualDivergence(cv=3, random_state=0, n_threads=1).fit(rows)
    z = model.normal_scores_.transform(rows)
    found = reverse_divergence(model.dual_, z, 0, held_out=model.dual_values_)
    truth = reverse_truth(matrix)  # 0.95
    assert abs(found.value - truth) < 0.35 * truth
    assert 0.1 < found.lower < truth
    assert found == reverse_divergence(model.dual_, z, 0, held_out=model.dual_values_)
