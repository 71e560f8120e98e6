"""Paths from samples to another cluster: where they start and end, that they stay near the data, and what f does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from dualwalk._sampler.interpolation import interpolate
from dualwalk.datasets import load_japanese_vowels
from dualwalk.dualspace import assign
from dualwalk.estimator import DualDivergence
from dualwalk.sampler import DualSampler


def series(n=80, seed=0):
    """Two kinds: strongly and weakly dependent in time."""
    rng = np.random.default_rng(seed)
    free = rng.normal(size=(n, 2, 6))
    share = np.where(np.arange(n) % 2, 0.97, 0.2)[:, None, None]
    return share * rng.normal(size=(n, 1, 1)) + np.sqrt(1 - share**2) * free


@cache
def fitted():
    return DualSampler("local", n_neighbors=8, random_state=0).fit(series())


def test_starts_at_the_sample_and_ends_in_the_cluster():
    sampler, X = fitted(), series()
    last = len(sampler.interpolate(X[:1], 0).cuts)
    path = sampler.interpolate(X[:5], last, n_frames=7)
    assert path.frames.shape == (5, 7, 2, 6)
    assert path.f.shape == path.novelty.shape == path.clusters.shape == (5, 7)
    np.testing.assert_array_equal(path.frames[:, 0], X[:5])
    np.testing.assert_allclose(path.frames[:, -1], X[path.end], atol=1e-12)
    assert (path.clusters[:, -1] == last).all()
    np.testing.assert_allclose(path.novelty[:, [0, -1]], 0.0, atol=1e-6)
    again = sampler.interpolate(X[:5], last, n_frames=7)
    np.testing.assert_array_equal(path.frames, again.frames)


def test_to_samples_in_float32():
    X = series().astype(np.float32)
    sampler = DualSampler("local", random_state=0).fit(X)
    path = sampler.interpolate(X[:3], X[10], n_frames=4)
    assert path.frames.dtype == np.float32
    np.testing.assert_array_equal(path.frames[:, 0], X[:3])
    np.testing.assert_allclose(path.frames[:, -1], np.repeat(X[10:11], 3, axis=0), atol=1e-5)
    assert (path.end == -1).all()
    pairs = sampler.interpolate(X[:3], X[10:13], n_frames=2)
    np.testing.assert_allclose(pairs.frames[:, 1], X[10:13], atol=1e-5)


def test_from_a_new_sample():
    new = fitted().sample(3)
    path = fitted().interpolate(new, 0)
    np.testing.assert_array_equal(path.frames[:, 0], new)
    assert np.isfinite(path.f).all()


def test_around_a_ring_and_not_through_it():
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    path = interpolate(ring[:1], ring[45:46], ring, 5, 15)[0]
    radius = np.linalg.norm(path, axis=1)
    assert radius.min() > 0.97  # the chord would come within 0.38 of the middle
    turned = np.unwrap(np.arctan2(path[:, 1], path[:, 0]))
    assert (np.diff(turned) > 0).all()
    np.testing.assert_allclose(turned[-1], angle[45], atol=1e-9)


def test_frames_keep_the_variance_of_rows():
    points = np.random.default_rng(0).normal(size=(300, 60))
    path = interpolate(points[:60], points[60:120], points, 20, 5)
    middle, straight = path[:, 2].var(), (0.5 * (points[:60] + points[60:120])).var()
    assert straight < 0.55
    assert 0.85 < middle < 1.1


def test_frames_of_vowels_are_as_near_to_the_data_as_new_vowels():
    vowels = load_japanese_vowels()
    sampler = DualSampler("local", random_state=0).fit(vowels.X)
    path = sampler.interpolate(vowels.X[::30], vowels.X[::-30], n_frames=5)
    assert np.median(path.novelty[:, 2]) < 1.0
    roughness = lambda X: (np.diff(X, axis=-1) ** 2).mean()
    assert 0.75 < roughness(path.frames[:, 2]) / roughness(vowels.X) < 1.4


def test_clusters_and_f_of_a_fitted_divergence():
    X = series()
    model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    lowest = assign(model.score_samples(X), model.cuts_).min()
    path = fitted().interpolate(X[:4], lowest, n_frames=3, divergence=model)
    np.testing.assert_allclose(path.f, model.score_samples(path.frames.reshape(-1, 2, 6)).reshape(4, 3))
    np.testing.assert_array_equal(path.cuts, model.cuts_)
    own = assign(model.score_samples(X), model.cuts_)
    assert (own[path.end] == own.min()).all()
    other = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X[:60])
    with pytest.raises(ValueError, match="divergence must be fitted on the sampler's samples"):
        fitted().interpolate(X[:4], 0, divergence=other)


def test_errors():
    X = series()
    with pytest.raises(ValueError, match=r"to must be the number of a cluster with rows, of 0 to \d, .*; got 99"):
        fitted().interpolate(X[:2], 99)
    with pytest.raises(ValueError, match="n_frames must be at least 2; got 1"):
        fitted().interpolate(X[:2], 0, n_frames=1)
    with pytest.raises(ValueError, match="to must be one sample or 2"):
        fitted().interpolate(X[:2], X[:3])
    with pytest.raises(ValueError, match="to must have samples of the shape seen in fit"):
        fitted().interpolate(X[:2], np.zeros((2, 2, 5)))
