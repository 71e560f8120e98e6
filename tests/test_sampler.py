"""DualSampler: what it promises about shape, dtype, labels, groups, determinism, errors, and the quality of its samples."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from _series import fitted, series, two_classes
from sklearn.base import clone
from sklearn.datasets import load_digits

from dualwalk._estimator import NotFittedError, SmallSampleWarning
from dualwalk._ladder.classes import climb_classes
from dualwalk._ladder.criterion import Criterion, partition, restrict
from dualwalk._ladder.rung import Rung, Shared, Walker, balanced_starts
from dualwalk._neighbors import squared_distances
from dualwalk._sampler.grouped import GroupedDataWarning
from dualwalk.datasets import load_japanese_vowels
from dualwalk.sampler import DualSampler


class TestSample:
    @pytest.mark.parametrize("shape", [(40, 6), (40, 1), (40, 3, 4), (40, 1, 4), (8, 2)])
    @pytest.mark.parametrize("walk", ["auto", "local"])
    def test_shape(self, shape, walk):
        X = np.random.default_rng(0).normal(size=shape)
        made = DualSampler(walk, random_state=0).fit(X).sample(11)
        assert made.shape == (11, *shape[1:])
        assert np.isfinite(made).all()

    @pytest.mark.parametrize(("dtype", "back"), [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)])
    def test_dtype(self, dtype, back):
        X = (10 * series()).astype(dtype)
        sampler = DualSampler(random_state=0).fit(X)
        assert sampler.sample(3).dtype == back
        assert sampler.X_.dtype == dtype
        np.testing.assert_array_equal(sampler.X_, X)

    def test_zero_and_many(self):
        assert fitted().sample(0).shape == (0, 2, 5)
        assert fitted().sample(5000).shape == (5000, 2, 5)

    def test_input_is_not_changed_and_layout_does_not_matter(self):
        X = series()
        kept = X.copy()
        X.setflags(write=False)
        made = DualSampler(random_state=0).fit(np.asfortranarray(X)).sample(4)
        np.testing.assert_array_equal(X, kept)
        np.testing.assert_array_equal(made, fitted().sample(4))

    def test_constant_columns_come_back_and_tied_ones_keep_their_levels(self):
        X = series(n=80)
        X[:, 0, 1] = 0.1
        X[:, 1, 2] = np.round(X[:, 1, 2])
        for walk in ("auto", "local"):
            made = DualSampler(walk, random_state=0).fit(X).sample(200)
            assert (made[:, 0, 1] == 0.1).all()
            assert np.isin(made[:, 1, 2], X[:, 1, 2]).all()
        walker = Walker(X.reshape(80, -1), (2, 5), "standard", Shared())
        made = walker.generate(Rung("standard", 10), np.arange(80), np.random.default_rng(0)).reshape(-1, 2, 5)
        assert (made[:, 0, 1] == 0.1).all()
        assert np.isin(made[:, 1, 2], X[:, 1, 2]).all()

    def test_all_columns_constant(self):
        X = np.full((12, 3), 7.0)
        np.testing.assert_array_equal(DualSampler(random_state=0).fit(X).sample(4), 7.0)

    def test_starts_are_balanced(self):
        starts = balanced_starts(np.arange(7), 17, np.random.default_rng(0))
        assert set(np.bincount(starts)) == {2, 3}


class TestDeterminism:
    def test_same_seed_same_bits(self):
        again = DualSampler(random_state=0).fit(series())
        np.testing.assert_array_equal(again.sample(20), fitted().sample(20))
        np.testing.assert_array_equal(fitted().sample(20), fitted().sample(20))
        assert again.choice_ == fitted().choice_

    def test_seeds(self):
        one, other = fitted().sample(5, seed=1), fitted().sample(5, seed=2)
        np.testing.assert_array_equal(one, fitted().sample(5, seed=1))
        assert not np.array_equal(one, other)
        assert not np.array_equal(one, fitted().sample(5))

    def test_no_random_state_gives_fresh_samples(self):
        sampler = DualSampler("local").fit(series())
        assert not np.array_equal(sampler.sample(5), sampler.sample(5))
        np.testing.assert_array_equal(sampler.sample(5, seed=3), sampler.sample(5, seed=3))

    def test_generator_as_random_state(self):
        made = [DualSampler("local", random_state=np.random.default_rng(5)).fit(series()).sample(3) for _ in range(2)]
        np.testing.assert_array_equal(*made)


class TestLabels:
    def test_each_class_stays_where_it_is(self):
        sampler, X, y = two_classes()
        for label in np.unique(y):
            made = sampler.sample(40, y=label)
            own, others = X[y == label], X[y != label]
            nearer = squared_distances(made, own).min(axis=1) < squared_distances(made, others).min(axis=1)
            assert nearer.mean() > 0.95

    def test_array_of_labels_row_by_row(self):
        sampler, X, _ = two_classes()
        wanted = np.array(["right", "left", "rare", "right"] * 10)
        made = sampler.sample(40, y=wanted)
        assert made.shape == (40, 2)
        np.testing.assert_array_equal(made.mean(axis=1) > 4, wanted == "right")
        np.testing.assert_array_equal(made.mean(axis=1) < -4, wanted == "rare")
        assert sampler.sample(0, y=[]).shape == (0, *X.shape[1:])

    def test_no_label_means_training_proportions(self):
        sampler, _, _ = two_classes()
        side = sampler.sample(130).mean(axis=1)
        # A rank between two far classes may take a value of either.
        np.testing.assert_allclose([(side > 4).sum(), (side < -4).sum()], [60, 10], atol=1)

    def test_what_is_told_about_the_choice(self):
        sampler, _, _ = two_classes()
        assert sampler.classes_.tolist() == ["left", "rare", "right"]
        assert sampler.choice_.per_class == (sampler.class_criteria_.per_class < sampler.class_criteria_.pooled)
        assert set(sampler.choices_) == {"left", "right", "rare"}
        assert abs(sampler.class_criteria_.per_class - sampler.class_criteria_.pooled) < 0.1
        assert sampler.choice_.candidates[0].criterion == min(c.criterion for c in sampler.choice_.candidates)
        assert str(sampler.choice_.candidates[0]) in sampler.choice_.why
        assert {tried.label for tried in sampler.criteria_} == {None, "left", "right"}

    def test_dependence_of_each_class_comes_back(self):
        sampler, X, y = two_classes()
        for label in ("left", "right"):
            made = sampler.sample(300, y=label)
            assert abs(np.corrcoef(made.T)[0, 1] - np.corrcoef(X[y == label].T)[0, 1]) < 0.15

    def test_refit_without_labels_forgets_them(self):
        X = series(30)
        sampler = DualSampler("local", random_state=0).fit(X, np.arange(30) % 2)
        sampler.fit(X)
        assert not hasattr(sampler, "classes_")
        assert sampler.y_ is None

    def test_only_small_classes(self):
        rng = np.random.default_rng(0)
        y = np.arange(42) // 6
        X = rng.normal(size=(42, 3)) + 20.0 * y[:, None]
        sampler = DualSampler(random_state=0).fit(X, y)
        assert not sampler.choice_.per_class
        made = sampler.sample(70, y=np.arange(70) % 7)
        np.testing.assert_array_equal(np.round(made.mean(axis=1) / 20), np.arange(70) % 7)

    def test_one_class_is_no_choice(self):
        sampler = DualSampler(random_state=0).fit(series(), np.ones(60))
        assert sampler.class_criteria_ is None
        np.testing.assert_array_equal(sampler.sample(5, y=1), sampler.sample(5, y=1.0))


class TestGroups:
    def test_whole_groups_are_held_out(self):
        groups = np.random.default_rng(0).integers(0, 12, 60)
        folds = partition(60, 0, 0, groups=groups)
        assert sorted(np.concatenate([fold.held for fold in folds])) == list(range(60))
        for fold in folds:
            assert not np.isin(groups[fold.held], groups[fold.fit]).any()

    def test_copies_of_a_subject_do_not_lead_to_copies(self):
        rng = np.random.default_rng(0)
        subjects = rng.normal(size=(30, 12)).cumsum(axis=1)
        X = np.repeat(subjects, 4, axis=0) + 0.02 * rng.normal(size=(120, 12))
        groups = np.repeat(np.arange(30), 4)
        fresh = rng.normal(size=(300, 12)).cumsum(axis=1)
        aware = DualSampler(random_state=0).fit(X, groups=groups)
        with pytest.warns(GroupedDataWarning):
            blind = DualSampler(random_state=0).fit(X)
        usual = np.median(aware.nearest(fresh)[1])
        assert np.median(aware.nearest(aware.sample(300))[1]) > 0.7 * usual
        assert np.median(aware.nearest(blind.sample(300))[1]) < 0.5 * usual

    def test_few_groups(self):
        X = series(24)
        sampler = DualSampler(random_state=0).fit(X, groups=np.arange(24) % 2)
        assert sampler.sample(3).shape == (3, 2, 5)
        sampler = DualSampler(random_state=0).fit(X, y=np.arange(24) // 12, groups=np.arange(24) // 6)
        assert sampler.sample(3, y=0).shape == (3, 2, 5)


class TestQuality:
    def test_gaussian_data_come_back_with_mean_and_covariance(self):
        rng = np.random.default_rng(0)
        mixing = rng.normal(size=(4, 4))
        X = rng.normal(size=(300, 4)) @ mixing + np.array([0.0, 5.0, -3.0, 1.0])
        made = DualSampler(random_state=0).fit(X).sample(3000)
        scale = X.std(axis=0)
        np.testing.assert_allclose(made.mean(axis=0) / scale, X.mean(axis=0) / scale, atol=0.12)
        np.testing.assert_allclose(np.cov(made.T) / np.outer(scale, scale), np.corrcoef(X.T), atol=0.15)

    @pytest.mark.parametrize("data", ["digits", "vowels"])
    def test_samples_are_neither_copies_nor_noise(self, data):
        if data == "digits":
            X, _ = load_digits(return_X_y=True)
            train, held = X[:250], X[250:500]
        else:
            vowels = load_japanese_vowels()
            train, held = vowels.X, vowels.X_test
        sampler = DualSampler(random_state=0).fit(train)
        assert sampler.choice_.n_neighbors is not None
        near, usual = (np.median(sampler.nearest(rows)[1]) for rows in (sampler.sample(200), held))
        assert 0.7 < near / usual < 1.15
        assert sampler.choice_.criterion < 0.3

    def test_a_large_offset_costs_no_digits(self):
        moved = DualSampler(random_state=0).fit(3.0 * series() + 1e6)
        assert moved.choice_.n_neighbors == fitted().choice_.n_neighbors
        assert moved.choice_.criterion == pytest.approx(fitted().choice_.criterion, abs=1e-4)
        np.testing.assert_allclose((moved.sample(20) - 1e6) / 3.0, fitted().sample(20), atol=1e-8)

    def test_criteria_hold_every_candidate(self):
        tried = fitted().criteria_
        assert len(tried) >= 12
        best = min(t.criterion for t in fitted().choice_.candidates)
        assert set(fitted().choice_.candidates) <= {replace(t, label=None) for t in tried}
        assert fitted().choice_.criterion <= best + 0.02
        for t in tried:
            assert 0 <= t.coverage <= 1
            parts = 0.27 * math.sqrt(min(t.energy_distance, 3.4)) + (1 - t.coverage) / 2 + abs(t.authenticity - 1) / 2
            assert t.criterion == pytest.approx(parts)

    def test_criterion_prefers_the_truth_to_copies_and_noise(self):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(150, 6)).cumsum(axis=1)
        criterion = Criterion(rows, partition(150, 0, 0))
        truth = [rng.normal(size=(150, 6)).cumsum(axis=1) for _ in criterion.folds]
        copies = [rows[rng.choice(fold.fit, 150)] for fold in criterion.folds]
        noise = [rng.normal(size=(150, 6)) * rows.std(axis=0) for _ in criterion.folds]
        scores = [criterion(made).criterion for made in (truth, copies, noise)]
        assert scores[0] < 0.15
        assert scores[0] < min(scores[1:]) - 0.1
        assert criterion(copies).authenticity < 0.01


class TestWalkAndExplain:
    def test_walk_climbs_and_keeps_the_shape(self):
        X0 = series()[:4].astype(np.float32)
        sampler = DualSampler(random_state=0).fit(series().astype(np.float32))
        result = sampler.walk(X0, n_steps=10)  # recorded, in small steps, unless told otherwise
        assert result.x.shape == X0.shape
        assert result.x.dtype == np.float32
        assert result.trajectory.shape == (4, 11, 2, 5)
        np.testing.assert_allclose(result.trajectory[:, 0], X0, atol=1e-5)
        assert (result.f > sampler.walk(X0, n_steps=0, step_size=0.05).f).all()

    def test_walk_reaches_a_target_that_the_data_justify(self):
        sampler, X = fitted(), series()
        result = sampler.walk(X[:5], n_steps=400, step_size=0.05, target=np.full(5, 0.5))
        assert result.reached.all()
        np.testing.assert_allclose(result.f, 0.5, atol=2e-3)
        with pytest.raises(ValueError, match=r"target must be in \[.*\], the range of f over the training rows; got 1e\+04"):
            sampler.walk(X[:5], n_steps=400, step_size=0.05, target=1e4)
        with pytest.raises(ValueError, match="got nan"):
            sampler.walk(X[:5], n_steps=400, step_size=0.05, target=np.nan)

    def test_walk_noise_is_deterministic(self):
        walk = lambda seed: fitted().walk(series()[:3], n_steps=5, step_size=0.05, noise=1.0, seed=seed).x
        np.testing.assert_array_equal(walk(None), walk(None))
        assert not np.array_equal(walk(1), walk(2))

    def test_attribution_sums_to_the_change_of_f(self):
        X, other = series()[:6], series(seed=9)[:6]
        attribution = fitted().explain(X, other)
        assert attribution.movement.shape == attribution.f_change.shape == X.shape
        np.testing.assert_allclose(attribution.movement, other - X)
        np.testing.assert_allclose(attribution.f_change.sum(axis=(1, 2)), attribution.f_to - attribution.f_from)
        still = fitted().explain(X, X)
        np.testing.assert_array_equal(still.f_change, 0.0)

    def test_explain_a_recorded_walk(self):
        result = fitted().walk(series()[:3], n_steps=8, step_size=0.02, record=True)
        attribution = fitted().explain(result)
        np.testing.assert_allclose(attribution.f_change.sum(axis=(1, 2)), attribution.f_to - attribution.f_from)
        np.testing.assert_allclose(attribution.movement, result.x - series()[:3], atol=1e-9)
        with pytest.raises(ValueError, match="X_from must be a recorded walk; got one without a trajectory"):
            fitted().explain(fitted().walk(series()[:3], record=False))
        with pytest.raises(ValueError, match="X_to must hold 3 samples"):
            fitted().explain(series()[:3], series()[:2])

    def test_training_distances_are_to_others_and_to_other_groups(self):
        X = np.array([[0.0], [1.0], [3.0], [6.0], [10.0], [15.0], [21.0], [28.0]])
        scale = X.std()
        sampler = DualSampler(walk="local", n_neighbors=3, random_state=0).fit(X)
        np.testing.assert_allclose(sampler.training_distances() * scale, [1, 1, 2, 3, 4, 5, 6, 7])
        np.testing.assert_allclose(sampler.nearest(X)[2], 0.0)
        np.testing.assert_allclose(sampler.nearest(X + 0.1)[2], 0.1 / 3.5)
        grouped = DualSampler(walk="local", n_neighbors=3, random_state=0).fit(X, groups=[0, 0, 1, 1, 2, 2, 3, 3])
        np.testing.assert_allclose(grouped.training_distances() * scale, [3, 2, 2, 4, 4, 6, 6, 13])

    def test_nearest(self):
        sampler, X = fitted(), series()
        index, distance, ratio = sampler.nearest(X)
        np.testing.assert_array_equal(index, np.arange(60))
        np.testing.assert_array_equal(distance, 0.0)
        np.testing.assert_array_equal(ratio, 0.0)
        _, distance, ratio = sampler.nearest(series(seed=5))
        assert (distance > 0).all()
        assert 0.7 < np.median(ratio) < 1.4


class TestConventions:
    def test_params_and_clone(self):
        sampler = DualSampler("local", n_neighbors=9, random_state=3)
        assert sampler.get_params() == {"walk": "local", "dual": None, "n_neighbors": 9, "random_state": 3, "device": None}
        assert repr(sampler) == "DualSampler(walk='local', n_neighbors=9, random_state=3)"
        assert clone(sampler).get_params() == sampler.get_params()
        sampler.set_params(walk="auto", n_neighbors=5)
        assert sampler.get_params()["walk"] == "auto"
        assert callable(sampler.walk)
        with pytest.raises(ValueError, match="no parameter 'steps'"):
            sampler.set_params(steps=1)

    def test_progress(self):
        heard = []
        DualSampler(random_state=0).fit(series(), progress=lambda *news: heard.append(news))
        done, total, texts = zip(*heard, strict=True)
        assert list(done) == sorted(done)
        assert done[-1] == total[-1]
        assert all(0 <= d <= t for d, t in zip(done, total, strict=True))
        assert all(isinstance(text, str) for text in texts)

    def test_small_sample_warning(self):
        rng = np.random.default_rng(0)
        with pytest.warns(SmallSampleWarning, match="40 samples are few for 600 features"):
            DualSampler("local", random_state=0).fit(rng.normal(size=(40, 6, 100)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for shape in ((117, 336), (150, 260), (370, 672), (270, 300), (8, 1)):
                DualSampler("local", random_state=0).fit(rng.normal(size=shape))

    def test_what_is_left_out_of_small_classes(self):
        codes = np.repeat([0, 1], [20, 7])
        folds = partition(27, 0, 0, labels=codes)
        rows = np.random.default_rng(0).normal(size=(27, 3))
        rungs, tried = climb_classes(rows, (3,), codes, folds, 0, None, lambda _: None)
        assert set(rungs) == {0}
        assert {candidate.label for candidate in tried} == {0}
        assert all(len(fold.held) and len(fold.fit) for fold in restrict(folds, np.flatnonzero(codes)))


class TestErrors:
    @pytest.mark.parametrize(
        ("X", "error", "words"),
        [
            (np.zeros((7, 3)), ValueError, "at least 8 samples; got 7"),
            (np.zeros(20), ValueError, r"got shape \(20,\)"),
            (np.where(np.arange(60).reshape(20, 3) == 31, np.nan, 1.0), ValueError, r"got nan at index \(10, 1\)"),
            (np.where(np.arange(60).reshape(20, 3) == 31, np.inf, 1.0), ValueError, "got inf"),
            ([[1.0, 2.0], [3.0]] * 8, ValueError, "rectangular"),
            (np.array([[None, 1.0]] * 9), TypeError, "got dtype object"),
            (np.full((9, 2), 1 + 1j), TypeError, "got dtype complex128"),
            (np.zeros((9, 0)), ValueError, "at least one feature"),
            (np.eye(9) * 1e200, ValueError, "below 1e100"),
        ],
    )
    def test_bad_X(self, X, error, words):
        with pytest.raises(error, match=words):
            DualSampler().fit(X)

    @pytest.mark.parametrize(
        ("settings", "error", "words"),
        [
            ({"walk": "levy"}, ValueError, "walk must be one of 'auto', 'local', 'mixture', .*; got 'levy'"),
            ({"n_neighbors": 1}, ValueError, "n_neighbors must be at least 2"),
            ({"n_neighbors": 2.5}, TypeError, "n_neighbors must be a whole number"),
            ({"random_state": -1}, ValueError, "random_state must be at least 0"),
        ],
    )
    def test_bad_settings(self, settings, error, words):
        with pytest.raises(error, match=words):
            DualSampler(**settings).fit(series())

    def test_bad_labels_and_groups(self):
        with pytest.raises(ValueError, match="y must hold one label a sample"):
            DualSampler().fit(series(), np.zeros(59))
        with pytest.raises(ValueError, match="groups must hold one label a sample"):
            DualSampler().fit(series(), groups=np.zeros(59))
        with pytest.raises(ValueError, match="groups must name at least 2 groups"):
            DualSampler().fit(series(), groups=np.zeros(60))

    def test_bad_sample_arguments(self):
        sampler, _, _ = two_classes()
        with pytest.raises(ValueError, match=r"labels seen in fit, \['left', 'rare', 'right'\]; got 'up'"):
            sampler.sample(3, y="up")
        with pytest.raises(ValueError, match="y must be one label or 3 labels"):
            sampler.sample(3, y=["left", "right"])
        with pytest.raises(ValueError, match="y must be None where fit got no labels"):
            fitted().sample(3, y=0)
        with pytest.raises(ValueError, match="n must be at least 0; got -1"):
            fitted().sample(-1)
        with pytest.raises(TypeError, match="n must be a whole number"):
            fitted().sample(2.5)

    def test_not_fitted_or_other_shape(self):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            DualSampler().sample(3)
        for method in (fitted().nearest, lambda X: fitted().explain(X, X), lambda X: fitted().walk(X, n_steps=1, step_size=1)):
            with pytest.raises(ValueError, match=r"shape seen in fit, \(2, 5\)"):
                method(np.zeros((3, 2, 4)))
