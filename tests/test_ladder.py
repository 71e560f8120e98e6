"""The ladder's rooms: marginals, parts of their own, many rows, shared covariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from _series import two_classes

from dualwalk._ladder.covariance import PooledNoise, choose_noise_model, ledoit_wolf_shrinkage
from dualwalk._ladder.criterion import partition
from dualwalk._ladder.marginals import Marginals, Smoothing, choose_smoothing
from dualwalk._ladder.neighborhoods import Neighborhoods
from dualwalk._ladder.rung import Rung, Shared, Walker
from dualwalk._neighbors import squared_distances
from dualwalk.sampler import DualSampler


class TestMarginals:
    def test_a_block_has_the_training_marginals_whatever_the_walk_did(self):
        X = np.random.default_rng(0).exponential(size=(128, 30))
        walker = Walker(X, (30,), "scores", Shared())
        made = walker.generate(Rung(n_neighbors=7), np.arange(128), np.random.default_rng(0))
        gaps = np.diff(np.sort(X, axis=0), axis=0).max(axis=0)
        assert (np.abs(np.sort(made, axis=0) - np.sort(X, axis=0)).max(axis=0) <= gaps).all()
        inside = (made > X.min(axis=0)) & (made < X.max(axis=0))
        assert inside.mean() > 0.98
        assert not np.isin(made[inside], X).any()

    def test_a_single_row_is_a_row_of_a_block(self):
        # Balanced on its own, one row would have independent columns.
        base = np.random.default_rng(0).normal(size=(200, 1))
        X = base + 0.01 * np.random.default_rng(1).normal(size=(200, 8))
        sampler = DualSampler(random_state=0).fit(X)
        ones = np.concatenate([sampler.sample(1, seed=s) for s in range(30)])
        assert np.corrcoef(ones.T).min() > 0.98

    def test_labelled_rows_have_the_marginals_of_their_class(self):
        sampler, X, y = two_classes()
        for label in ("left", "right"):
            made = sampler.sample(300, label)
            inside = X[y == label]
            assert (made.min(axis=0) >= inside.min(axis=0) - 1e-9).all()
            assert (made.max(axis=0) <= inside.max(axis=0) + 1e-9).all()
            np.testing.assert_allclose(made.mean(axis=0), inside.mean(axis=0), atol=0.15 * inside.std(axis=0).max())

    def test_stationary_channels_share_their_marginal_and_trends_do_not(self):
        rng = np.random.default_rng(0)
        stationary = rng.gamma(2.0, size=(60, 2, 20))
        assert choose_smoothing(stationary.reshape(60, -1), (2, 20), 0).width == math.inf
        jumping = stationary + 10.0 * rng.permutation(20)
        assert choose_smoothing(jumping.reshape(60, -1), (2, 20), 0) == Smoothing()
        assert choose_smoothing(stationary.reshape(60, -1), (40,), 0) == Smoothing()

    def test_shared_quantiles_are_nearer_to_the_truth(self):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(50, 3 * 24))
        truth = np.sort(rng.normal(size=200_000))[np.linspace(0, 199_999, 52).astype(int)[1:-1]]
        own, shared = (Marginals(rows, (3, 24), s).table for s in (Smoothing(), Smoothing(math.inf, 1.0)))
        assert np.abs(shared - truth[:, None])[5:-5].mean() < 0.4 * np.abs(own - truth[:, None])[5:-5].mean()

    @pytest.mark.parametrize("kind", ["quantiles", "values"])
    def test_tied_columns_keep_their_values(self, kind):
        rows = np.round(2 * np.random.default_rng(0).normal(size=(100, 12)))
        rows[:, 3] = 7.0
        for smoothing in (Smoothing(), Smoothing(math.inf, 1.0, kind)):
            points = np.random.default_rng(1).normal(size=(100, 12))
            made = Marginals(rows, (2, 6), smoothing).balanced(points, np.random.default_rng(2))
            assert all(np.isin(made[:, j], rows[:, j]).all() for j in range(12))
        made = Marginals(rows, (2, 6), Smoothing()).balanced(points, np.random.default_rng(2))
        np.testing.assert_allclose(made.mean(axis=0), rows.mean(axis=0), atol=0.1)

    def test_mixed_values_know_the_tails_of_one_law(self):
        # 100 draws a time of Student's t with 3 degrees of freedom, whose .995 quantile is 5.841 (published tables).
        rows = np.random.default_rng(0).standard_t(3, size=(100, 24))
        own, averaged, mixed = (
            np.abs(Marginals(rows, (1, 24), s).table[-1] - 5.841).mean()
            for s in (Smoothing(), Smoothing(math.inf, 1.0), Smoothing(math.inf, 1.0, "values"))
        )
        assert mixed < averaged < own


class TestParts:
    def test_independent_channels_are_walked_apart(self):
        rng = np.random.default_rng(1)
        X = np.sin(rng.uniform(0, 6, size=(120, 3, 1)) + rng.uniform(0.2, 0.9, size=(120, 3, 1)) * np.arange(12))
        sampler = DualSampler(random_state=0).fit(X)
        assert sampler.choice_.parts == "channels"
        assert list(sampler.choices_) == ["channel 1", "channel 2", "channel 3"]
        made, info = sampler.sample(120, return_info=True)
        # Every channel stays near real ones of its own, and the rows that they come from differ.
        for c in range(3):
            nearest = np.sqrt(squared_distances(made[:, c], X[:, c])).argmin(axis=1)
            assert (nearest == info.nearest).mean() < 0.5
        amplitude = np.sqrt((made**2).mean(axis=2))
        assert np.abs(np.corrcoef(amplitude.T) - np.eye(3)).max() < 0.3
        assert sampler.sample(30, balanced=False).shape == (30, 3, 12)
        assert sampler.explain(made[:2]).f_change.shape == (2, 3, 12)

    def test_dependent_channels_and_few_rows_stay_together(self):
        rng = np.random.default_rng(0)
        shared = rng.normal(size=(100, 1, 8)).cumsum(axis=2)
        assert DualSampler(random_state=0).fit(shared + rng.normal(size=(100, 2, 8))).choice_.parts != "channels"
        assert DualSampler(random_state=0).fit(rng.normal(size=(40, 2, 8))).choice_.parts == "all rows"

    def test_clusters_have_their_own_marginals(self):
        # Three clusters far apart, each of another shape: rows made cluster by cluster keep to them.
        rng = np.random.default_rng(0)
        centers = 30.0 * rng.normal(size=(3, 20))
        which = np.repeat([0, 1, 2], 40)
        X = centers[which] + rng.normal(size=(120, 20)).cumsum(axis=1)
        sampler = DualSampler(random_state=0).fit(X)
        made = sampler.sample(240)
        distance = np.sqrt(squared_distances(made, centers))
        np.testing.assert_allclose(np.bincount(distance.argmin(axis=1), minlength=3), [80, 80, 80], atol=12)
        reach = np.sqrt(squared_distances(X, centers)).min(axis=1).max()
        assert (distance.min(axis=1) < 1.2 * reach).mean() > 0.95

    def test_independent_rows_have_the_same_law(self):
        X = np.random.default_rng(0).exponential(size=(100, 12)) + np.random.default_rng(1).exponential(size=(100, 1))
        sampler = DualSampler(random_state=0).fit(X)
        rows, apart = sampler.sample(4000), sampler.sample(4000, balanced=False)
        np.testing.assert_allclose(np.quantile(apart, [0.1, 0.5, 0.9]), np.quantile(rows, [0.1, 0.5, 0.9]), rtol=0.05)
        np.testing.assert_allclose(np.corrcoef(apart.T), np.corrcoef(rows.T), atol=0.08)
        # Means of 100 rows: of balanced ones they hardly move, of independent ones as much as chance has it.
        scatter = [made.reshape(40, 100, 12).mean(axis=1).std(axis=0).mean() for made in (rows, apart)]
        assert scatter[0] < 0.3 * scatter[1]
        np.testing.assert_allclose(scatter[1], X.std(axis=0).mean() / 10, rtol=0.25)


class TestManyRows:
    def test_one_fold_of_many_rows(self):
        rng = np.random.default_rng(0)
        groups = rng.integers(100, size=4100)
        for fold in (*partition(4100, 0, 0), *partition(4100, 0, 0, groups=groups)):
            assert len(fold.held) <= 400
            assert len(np.intersect1d(fold.fit, fold.held)) == 0
        assert len(np.intersect1d(groups[fold.fit], groups[fold.held])) == 0

    def test_fit_and_sample(self):
        X = np.random.default_rng(0).normal(size=(4100, 2, 3)).cumsum(axis=2)
        sampler = DualSampler(random_state=0).fit(X)
        made = sampler.sample(2000)
        np.testing.assert_allclose(np.cov(made.reshape(2000, -1).T), np.cov(X.reshape(4100, -1).T), atol=0.4)
        np.testing.assert_array_equal(made, DualSampler(random_state=0).fit(X).sample(2000))

    def test_neighbours_are_found_where_they_are_asked_for(self):
        points = np.random.default_rng(0).normal(size=(4100, 3))
        some = np.array([5, 4000, 5, 17])
        for metric in ("distance", "relative"):
            near = Neighborhoods(points).of(some, 6, metric)
            distance = squared_distances(points[some], points)
            if metric == "relative":
                distance /= np.linalg.norm(points - points.mean(axis=0), axis=1)
            expected = np.argsort(distance, axis=1)[:, :8]
            assert all(set(row[1:]) <= set(wanted) for row, wanted in zip(near, expected, strict=True))
            np.testing.assert_array_equal(near[:, 0], some)

    def test_relative_neighbours_are_of_like_size(self):
        rng = np.random.default_rng(0)
        loud, quiet = 20.0 * rng.normal(size=(40, 30)), rng.normal(size=(40, 30))
        found = Neighborhoods(np.concatenate([loud, quiet]))
        starts = np.arange(40)
        assert (found.of(starts, 5, "distance")[:, 1:] >= 40).mean() > 0.9
        assert (found.of(starts, 5, "relative")[:, 1:] < 40).all()


class TestCovariance:
    def test_ledoit_wolf_from_either_side(self):
        from sklearn.covariance import ledoit_wolf

        for shape in ((30, 8), (8, 30)):
            rows = np.random.default_rng(0).normal(size=shape) * np.linspace(0.5, 2, shape[1])
            assert ledoit_wolf_shrinkage(rows) == pytest.approx(ledoit_wolf(rows, assume_centered=True)[1])

    def test_separable_data_choose_the_separable_target(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(4, 4)), np.tril(np.ones((10, 10)))
        points = (a @ rng.normal(size=(60, 4, 10)) @ b.T).reshape(60, 40)
        points /= points.std(axis=0)
        model = choose_noise_model(points, (4, 10), 0)
        assert model.target == "separable"
        noise = PooledNoise(points - points.mean(axis=0), (4, 10), model).draw(20_000, rng)
        truth = np.corrcoef((a @ rng.normal(size=(20_000, 4, 10)) @ b.T).reshape(-1, 40).T)
        made = np.corrcoef(noise.T)
        assert np.abs(made - truth).mean() < 0.6 * np.abs(np.corrcoef(points.T) - truth).mean()

    def test_flat_rows_have_no_time(self):
        assert choose_noise_model(np.zeros((20, 5)), (5,), 0).target == "diagonal"
