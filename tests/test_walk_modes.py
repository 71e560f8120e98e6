"""The sampler's other walks: mixture, gradient, renoised, langevin; on its own dual functions and on the user's."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest

from dualwalk._sampler import MODES
from dualwalk._sampler.modes import TIMES, _near_in_class
from dualwalk._sampler.novelty import CopiedSamplesWarning
from dualwalk.datasets import load_japanese_vowels
from dualwalk.duals.mixture import MixtureDual
from dualwalk.normal_scores import NormalScores
from dualwalk.sampler import DualSampler
from dualwalk.walks import walk


def series(n=80, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2, 5)).cumsum(axis=2)


def quiet(sampler, *arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CopiedSamplesWarning)
        return sampler.sample(*arguments, **settings)


@cache
def fitted(mode):
    return DualSampler(mode, random_state=0).fit(series())


@cache
def vowels(mode):
    return DualSampler(mode, random_state=0).fit(load_japanese_vowels().X)


@pytest.mark.parametrize("mode", MODES)
class TestEveryMode:
    def test_shape_range_and_determinism(self, mode):
        X = series().astype(np.float32)
        sampler = DualSampler(mode, random_state=0).fit(X)
        made = quiet(sampler, 30)
        assert made.shape == (30, 2, 5)
        assert made.dtype == np.float32
        assert (made >= X.min(axis=0)).all()
        assert (made <= X.max(axis=0)).all()
        np.testing.assert_array_equal(made, quiet(sampler, 30))
        np.testing.assert_array_equal(made, quiet(DualSampler(mode, random_state=0).fit(X), 30))
        assert not np.array_equal(made, quiet(sampler, 30, seed=1))
        assert quiet(sampler, 0).shape == (0, 2, 5)

    def test_levels_and_constants_come_back(self, mode):
        X = series()
        X[:, 0, 1] = 2.5
        X[:, 1, 2] = np.round(X[:, 1, 2])
        made = quiet(DualSampler(mode, random_state=0).fit(X), 60)
        assert (made[:, 0, 1] == 2.5).all()
        assert np.isin(made[:, 1, 2], X[:, 1, 2]).all()

    def test_labels_follow_the_start(self, mode):
        y = np.repeat(["a", "b"], 40)
        X = series() + 20.0 * (y == "b")[:, None, None]
        sampler = DualSampler(mode, random_state=0).fit(X, y)
        made, info = quiet(sampler, 40, return_info=True)
        np.testing.assert_array_equal(info.label, y[info.start])
        for label in ("a", "b"):
            wanted = quiet(sampler, 30, label)
            assert ((wanted.mean(axis=(1, 2)) > 10) == (label == "b")).mean() > 0.9
        assert made.shape == (40, 2, 5)

    def test_tells_novelty_and_refuses_copies(self, mode):
        made, info = quiet(fitted(mode), 40, min_novelty=0.5, return_info=True)
        assert (info.novelty >= 0.5).all()
        assert made.shape == (40, 2, 5)

    def test_few_rows(self, mode):
        X = np.random.default_rng(0).normal(size=(9, 3))
        assert quiet(DualSampler(mode, random_state=0).fit(X), 5).shape == (5, 3)
        constant = DualSampler(mode, random_state=0).fit(np.ones((9, 3)))
        np.testing.assert_array_equal(quiet(constant, 4), 1.0)

    def test_walks_explanations_and_paths_are_there_too(self, mode):
        sampler = fitted(mode)
        new = quiet(sampler, 3)
        assert sampler.walk(new, n_steps=2).x.shape == new.shape
        assert sampler.explain(new).f_change.shape == new.shape
        assert sampler.interpolate(new, 0, n_frames=3).frames.shape == (3, 3, 2, 5)
        assert sampler.choice_.criterion is None


ODD = {
    "ties": np.random.default_rng(0).integers(0, 3, size=(40, 6)),
    "one column": np.random.default_rng(0).normal(size=(30, 1)),
    "half constant": np.c_[np.random.default_rng(0).normal(size=(25, 2)), np.ones((25, 2))],
    "huge": np.random.default_rng(0).normal(size=(30, 4)) * 1e80,
    "heavy tails": np.random.default_rng(0).standard_cauchy(size=(50, 8)) ** 3,
}


@pytest.mark.parametrize("mode", ["local", "mixture", "renoised", "langevin"])
@pytest.mark.parametrize("name", ODD)
def test_odd_data(mode, name):
    sampler = DualSampler(mode, random_state=0).fit(ODD[name])
    made, info = quiet(sampler, 7, return_info=True)
    found = sampler.explain(made)
    path = sampler.interpolate(made, 0, n_frames=4)
    for values in (made, info.f, info.novelty, found.f_change, path.frames, path.f):
        assert np.isfinite(values).all()
    np.testing.assert_allclose(found.f_change.sum(axis=1), found.f_to - found.f_from, atol=1e-6)


class TestMixture:
    @pytest.mark.parametrize("mode", ["mixture", "renoised"])
    def test_as_far_from_the_data_as_real_rows_are(self, mode):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made, info = vowels(mode).sample(200, return_info=True)
        assert 0.75 < np.median(info.novelty) < 1.3
        assert vowels(mode)._maker.time in TIMES
        assert np.isfinite(made).all()

    def test_gaussian_data_come_back(self):
        rng = np.random.default_rng(0)
        mixing = rng.normal(size=(4, 4))
        X = rng.normal(size=(300, 4)) @ mixing
        made = DualSampler("mixture", random_state=0).fit(X).sample(3000)
        np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(X.T), atol=0.15)
        np.testing.assert_allclose(made.std(axis=0), X.std(axis=0), rtol=0.15)

    def test_two_clusters_stay_two(self):
        """Ranks close the gap between them in every column: only together do columns tell the clusters apart."""
        rng = np.random.default_rng(0)
        X = 0.3 * rng.normal(size=(200, 6)) + 4.0 * np.sign(rng.normal(size=(200, 1)))
        made = DualSampler("mixture", random_state=0).fit(X).sample(400)
        side = np.abs(made.mean(axis=1))
        assert (side > 2.5).mean() > 0.7  # 0.25 if the columns did not go together

    def test_neighbours_are_of_the_class(self):
        points = np.arange(8.0)[:, None]
        near = _near_in_class(points, np.array([0, 0, 0, 0, 0, 0, 0, 1]))
        assert near[7].tolist() == [7] * 5
        assert near[0].tolist() == [1, 2, 3, 4, 5]
        assert not (near[:7] == np.arange(7)[:, None]).any()


class TestGradient:
    def test_copies_are_announced(self):
        with pytest.warns(CopiedSamplesWarning, match=r"near-copies: \d+ % of 200 are nearer.*min_novelty"):
            vowels("gradient").sample(200)

    def test_f_goes_to_another_cluster(self):
        walker = fitted("gradient")._maker
        starts = np.arange(80)
        dual, x = walker._dual, walker._coordinates
        ended = walker._gradient(dual, starts, np.random.default_rng(0))
        moved = np.abs(dual.value(ended) - dual.value(x))
        assert np.median(moved) > 0.1 * dual.value(x).std()


class TestLangevin:
    def test_keeps_mean_and_spread_of_a_gaussian(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
        made = DualSampler("langevin", n_neighbors=60, random_state=0).fit(X).sample(3000)
        np.testing.assert_allclose(np.corrcoef(made.T), np.corrcoef(X.T), atol=0.15)

    def test_is_close_to_the_exact_local_walk(self):
        exact, steps = (DualSampler(m, n_neighbors=15, random_state=0).fit(series(200)) for m in ("local", "langevin"))
        a, b = (np.median(s.nearest(s.sample(400))[2]) for s in (exact, steps))
        assert abs(a - b) < 0.15


class Mine:
    """A user's dual function: a Gaussian with one strong direction, against N(0, I); its path in time goes to 0."""

    def __init__(self, d=10, time=0.0):
        self._d, self._time, self.calls = d, time, 0

    def value_and_gradient(self, z):
        self.calls += 1
        weight = 0.4 * (1 - self._time)
        mean = z.mean(axis=1)
        return 0.5 * weight * mean**2 * self._d, weight * np.repeat(mean[:, None], z.shape[1], axis=1)

    def at(self, time):
        made = Mine(self._d, time)
        made.calls = self.calls
        return made


class TestUsersDual:
    @pytest.mark.parametrize("mode", MODES)
    def test_takes_the_place_of_ours(self, mode):
        own, ours = DualSampler(mode, dual=Mine(), random_state=0).fit(series()), fitted(mode)
        made = quiet(own, 20)
        assert made.shape == (20, 2, 5)
        assert not np.array_equal(made, quiet(ours, 20))

    def test_walk_goes_on_it(self):
        own = DualSampler("langevin", dual=Mine(), random_state=0).fit(series())
        scores = NormalScores().fit(series())
        result = own.walk(series()[:6], n_steps=3, step_size=0.01)
        expected = walk(Mine(), scores.transform(series()[:6]).reshape(6, -1), n_steps=3, step_size=0.01)
        np.testing.assert_allclose(result.f, expected.f)
        np.testing.assert_allclose(result.x, scores.inverse_transform(expected.x.reshape(6, 2, 5)))
        with pytest.raises(ValueError, match="target must be in"):
            own.walk(series()[:6], target=1e3)

    def test_a_mixture_of_ones_own(self):
        scores = NormalScores().fit_transform(series()).reshape(80, -1)
        dual = MixtureDual.fit(scores, n_components=1, random_state=0)
        assert quiet(DualSampler("mixture", dual=dual, random_state=0).fit(series()), 8).shape == (8, 2, 5)
        with pytest.raises(ValueError, match=r"dual must take the 3 features of X; got one for 10"):
            DualSampler("mixture", dual=dual).fit(np.random.default_rng(0).normal(size=(20, 3)))

    def test_errors(self):
        class NoPath:
            value_and_gradient = Mine().value_and_gradient

        with pytest.raises(TypeError, match=r"dual must have a method at\(t\).* for walk='mixture'; got NoPath"):
            DualSampler("mixture", dual=NoPath()).fit(series())
        with pytest.raises(TypeError, match="dual must have value_and_gradient"):
            DualSampler("langevin", dual=3).fit(series())
        with pytest.raises(ValueError, match="dual must be None with walk='auto'"):
            DualSampler(dual=Mine()).fit(series())
        quiet(DualSampler("gradient", dual=NoPath(), random_state=0).fit(series()), 3)
