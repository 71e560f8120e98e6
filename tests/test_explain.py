"""Where new samples came from: nearest real rows, what moved, and what that did to f."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from dualwalk.sampler import DualSampler


def series(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2, 5)).cumsum(axis=2)


@cache
def fitted():
    return DualSampler(random_state=0).fit(series())


def test_one_array_is_explained_by_its_nearest_rows():
    new = fitted().sample(40)
    found = fitted().explain(new)
    index, distance, _ = fitted().nearest(new)
    assert found.neighbors.shape == found.distances.shape == (40, 5)
    np.testing.assert_array_equal(found.neighbors[:, 0], index)
    np.testing.assert_allclose(found.distances[:, 0], distance)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    np.testing.assert_allclose(found.movement, new - series()[index])
    total = found.f_change.sum(axis=(1, 2))
    np.testing.assert_allclose(total, found.f_to - found.f_from, rtol=1e-9, atol=1e-9)
    assert np.abs(total).max() > 0.01


def test_neighbors_are_the_nearest_in_units_of_deviations():
    X, new = series(), series(7, seed=3)
    found = fitted().explain(new, n_neighbors=60)
    scale = X.reshape(60, -1).std(axis=0)
    between = np.linalg.norm((new.reshape(7, 1, -1) - X.reshape(1, 60, -1)) / scale, axis=2)
    np.testing.assert_allclose(found.distances, np.sort(between, axis=1))
    np.testing.assert_array_equal(found.neighbors, np.argsort(between, axis=1))
    assert fitted().explain(new, n_neighbors=99).neighbors.shape == (7, 60)


def test_f_is_that_of_the_local_dual_at_both_ends():
    new = fitted().sample(4)
    found = fitted().explain(new)
    start = series()[found.neighbors[:, 0]]
    np.testing.assert_allclose(found.f_from, fitted().walk(start, n_steps=0).f)
    gone = fitted().explain(start, new)
    np.testing.assert_array_equal(gone.f_change, found.f_change)
    np.testing.assert_array_equal(gone.neighbors, found.neighbors)


def test_a_copy_has_not_moved():
    found = fitted().explain(series()[:3])
    np.testing.assert_array_equal(found.movement, 0.0)
    np.testing.assert_array_equal(found.f_change, 0.0)
    np.testing.assert_array_equal(found.distances[:, 0], 0.0)
    np.testing.assert_array_equal(found.neighbors[:, 0], np.arange(3))


def test_neighbors_of_a_walk_are_those_of_its_end():
    result = fitted().walk(series()[:3], n_steps=8, step_size=0.02)
    found = fitted().explain(result)
    np.testing.assert_array_equal(found.neighbors[:, 0], fitted().nearest(result.x)[0])


def test_many_rows_in_blocks_are_the_same():
    new = fitted().sample(70)
    together = fitted().explain(new).f_change
    np.testing.assert_allclose(together[40:], fitted().explain(new[40:]).f_change)


def test_errors():
    with pytest.raises(ValueError, match="n_neighbors must be at least 1"):
        fitted().explain(series()[:2], n_neighbors=0)
    with pytest.raises(ValueError, match="X_from must have shape"):
        fitted().explain(np.zeros(5))
