"""New samples: starts as even as stated, noise of the neighbourhood's covariance, balance, and rows that are independent on request."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import backends
from dualwalk._ladder.rung import balanced_starts

from . import laws, sampling

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]


def test_starts(accept: Accept) -> None:
    """Each row equally often, give or take one; which ones are left over is luck."""
    rng = np.random.default_rng(67)
    accept(sampling.starts(lambda n: balanced_starts(np.arange(7), n, rng), 7))


def test_the_walk_of_a_neighbourhood(backend: str, accept: Accept) -> None:
    """m + a (z - m) + sqrt(1 - a^2) N' e / sqrt(K): a Gaussian of known mean and covariance."""
    rng, decay = np.random.default_rng(71), 0.5
    points = rng.standard_normal((9, 2))
    neighbors = np.tile(np.array([4, 0, 3, 7, 8, 2]), (20_000, 1))
    x = backends.job("relax_local", backend)(points, neighbors, decay, 73, 1)
    near = points[neighbors[0]]
    mean = near.mean(axis=0)
    accept(laws.of_gaussians(x, mean + decay * (points[4] - mean), (1 - decay**2) * np.cov(near.T)))


@pytest.fixture(scope="module")
def sampler() -> dw.DualSampler:
    rows = np.random.default_rng(79).standard_normal((64, 3)) @ np.array([[1.0, 0.8, 0.3], [0.0, 0.6, 0.5], [0.0, 0.0, 0.7]])
    return dw.DualSampler("local", random_state=0).fit(rows)


@pytest.mark.filterwarnings("ignore:new rows are near-copies")  # so they are: 40,000 of 64
def test_independent_rows(sampler: dw.DualSampler, accept: Accept) -> None:
    """balanced=False: every row by itself, started from any training row; means of blocks scatter as those of draws do."""
    rows, info = sampler.sample(40_000, seed=1, balanced=False, return_info=True)
    accept({"starts": laws.of_counts(np.bincount(info.start, minlength=64), 40_000 / 64)})
    accept(sampling.independent(rows, block=64))


def test_balanced_rows(sampler: dw.DualSampler, accept: Accept) -> None:
    """The law of independent rows, but blocks of 64 (as many as training rows) all have nearly the same mean."""
    rows, alone = sampler.sample(40_000, seed=1), sampler.sample(40_000, seed=2, balanced=False)
    accept(sampling.same_shares(alone, rows, within=0.03))
    sampling.balanced(rows, block=64)
