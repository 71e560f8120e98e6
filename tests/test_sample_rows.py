"""`sample_rows`: any stretch of a call has the bits that it has in the whole call, for every kind of ladder."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import dualwalk as dw
from dualwalk._ladder.fit import FittedLadder
from dualwalk._ladder.rung import Rung

N = 2600
STRETCHES = ((0, 1), (0, N), (500, 777), (1023, 1025), (2599, 2600), (1900, 2600), (40, 40), (1900, 1905))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.normal(size=(90, 2, 5)).cumsum(axis=2).astype(np.float32) + 4.0 * rng.integers(0, 2, (90, 1, 1))


def check(sampler: dw.DualSampler, y=None) -> None:
    whole = sampler.sample(N, y, seed=5)
    for start, stop in STRETCHES:
        part = sampler.sample_rows(N, start, stop, y, seed=5)
        assert part.dtype == whole.dtype
        np.testing.assert_array_equal(part, whole[start:stop])


def test_one_ladder(rows):
    check(dw.DualSampler(walk="local", random_state=0).fit(rows))


@pytest.mark.parametrize("n", [10, 90, 1500])
def test_few_and_many_training_rows(n):
    X = np.random.default_rng(n).normal(size=(n, 4))
    check(dw.DualSampler(walk="local", n_neighbors=5, random_state=0).fit(X))


def test_all_rows_as_one_neighbourhood(rows):
    sampler = dw.DualSampler(walk="local", random_state=0).fit(rows)
    part = sampler._ladder.parts[0]
    sampler._ladder.parts[0] = part._replace(rung=Rung(n_neighbors=None, pooled_noise=0.5))
    check(sampler)


def test_clusters_and_classes_of_their_own_ladders(rows):
    """Parts of unlike size, one of them a class of two rows, whose draws come in blocks of 4096."""
    y = np.repeat([0, 1, 2, 3], [50, 30, 8, 2])
    sampler = dw.DualSampler(walk="local", random_state=0).fit(rows, y)
    check(sampler)
    ladder = sampler._ladder
    everyone = ladder.parts[0]
    parts = [everyone]
    for code in range(3):
        members = np.flatnonzero(y == code)
        walker = type(everyone.walker)(sampler._rows[members], (2, 5), "scores", everyone.walker.shared)
        parts.append(everyone._replace(members=members, walker=walker, rung=Rung(n_neighbors=5)))
    walker = type(everyone.walker)(sampler._rows, (2, 5), "standard", everyone.walker.shared)
    parts.append(everyone._replace(members=np.arange(90), walker=walker, rung=Rung("standard", 2, balanced=False)))
    own = np.array([1, 2, 3, 4])
    settings = {name: getattr(ladder, name) for name in ("choice", "choices", "criteria", "verdict", "n_neighbors", "codes")}
    sampler._maker = sampler._ladder = FittedLadder(**settings, parts=parts, part_of_code=own, part_of_label=own)
    check(sampler)
    check(sampler, y=1)
    check(sampler, y=3)
    check(sampler, y=np.random.default_rng(1).integers(0, 4, N))


def test_labels_that_share_a_ladder(rows):
    """One part whose classes have marginals of their own, one after the other from one stream."""
    y = np.repeat(["a", "b", "c"], [40, 30, 20])
    sampler = dw.DualSampler(walk="local", random_state=0).fit(rows, y)
    check(sampler, y="b")
    check(sampler, y=np.random.default_rng(1).choice(["a", "b", "c"], N))


def test_the_chosen_ladder_of_series_and_of_channels_apart():
    rng = np.random.default_rng(3)
    check(dw.DualSampler(random_state=0).fit(rng.normal(size=(80, 2, 4)).cumsum(axis=2)))
    apart = dw.DualSampler(random_state=1).fit(rng.normal(size=(60, 2, 4)))
    assert apart.choice_.parts == "channels"
    check(apart)


def test_a_stretch_takes_no_memory_for_the_others():
    X = np.random.default_rng(0).normal(size=(50, 3))
    sampler = dw.DualSampler(walk="local", random_state=0).fit(X)
    tracemalloc.start()
    sampler.sample_rows(10_000_000, 500_000, 501_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # all starts alone would be 80 MB


def test_what_cannot_be_made_in_stretches(rows):
    sampler = dw.DualSampler(walk="local").fit(rows)
    with pytest.raises(ValueError, match="seed must be given where random_state is None"):
        sampler.sample_rows(10, 0, 5)
    with pytest.raises(ValueError, match="0 <= start <= stop <= n = 10; got 5 and 11"):
        sampler.sample_rows(10, 5, 11, seed=0)
    with pytest.raises(ValueError, match="y must be None where fit got no labels"):
        sampler.sample_rows(10, 0, 5, "a", seed=0)
    walker = dw.DualSampler(walk="langevin", random_state=0).fit(rows)
    with pytest.raises(ValueError, match="needs walk='auto' or 'local'"):
        walker.sample_rows(10, 0, 5)
    with pytest.raises(dw.NotFittedError):
        dw.DualSampler().sample_rows(10, 0, 5)
