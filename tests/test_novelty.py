"""How new samples are: what `sample` tells of every row, and rows that are refused because they are copies."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from dualwalk._neighbors import nearest_neighbors, squared_distances
from dualwalk._sampler.grouped import GroupedDataWarning
from dualwalk._sampler.nearness import told, too_near
from dualwalk._sampler.novelty import DRAWS, CopiedSamplesWarning, Distances, refill
from dualwalk.sampler import DualSampler


def series(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2, 5)).cumsum(axis=2)


@cache
def fitted():
    return DualSampler(random_state=0).fit(series())


@cache
def labelled():
    y = np.repeat(["a", "b"], 30)
    return DualSampler(random_state=0).fit(series() + 9.0 * (y == "b")[:, None, None], y)


class TestInfo:
    def test_every_row_is_told(self):
        X, info = fitted().sample(40, return_info=True)
        np.testing.assert_array_equal(X, fitted().sample(40))
        index, distance, ratio = fitted().nearest(X)
        np.testing.assert_array_equal(info.nearest, index)
        np.testing.assert_array_equal(info.distance, distance)
        np.testing.assert_array_equal(info.novelty, ratio)
        np.testing.assert_allclose(info.f, fitted().walk(X, n_steps=0).f)
        assert info.f.shape == info.start.shape == (40,)
        assert info.label is None
        assert info.n_rejected == fitted().n_rejected_ == 0

    def test_start_is_where_a_short_walk_stays(self):
        X = 100.0 * np.eye(12)[:, :, None] + np.zeros((12, 12, 2))
        sampler = DualSampler("local", n_neighbors=2, random_state=0).fit(X)
        with pytest.warns(CopiedSamplesWarning):
            made, info = sampler.sample(24, return_info=True)
        assert (np.bincount(info.start, minlength=12) == 2).all()
        assert made.shape == (24, 12, 2)

    def test_labels_are_those_of_the_starts_or_those_asked_for(self):
        sampler = labelled()
        _, info = sampler.sample(20, return_info=True)
        np.testing.assert_array_equal(info.label, sampler.y_[info.start])
        wanted = np.array(["b", "a", "a", "b"])
        np.testing.assert_array_equal(sampler.sample(4, wanted, return_info=True)[1].label, wanted)

    def test_no_rows(self):
        X, info = fitted().sample(0, return_info=True)
        assert len(X) == len(info.f) == len(info.novelty) == 0

    def test_groups_set_the_measure(self):
        X = np.repeat(np.arange(10.0), 3)[:, None] * 10 + np.tile([0.0, 0.5, 1.0], 10)[:, None]
        with pytest.warns(GroupedDataWarning):
            alone = DualSampler("local", n_neighbors=3, random_state=0).fit(X)
        grouped = DualSampler("local", n_neighbors=3, random_state=0).fit(X, groups=np.repeat(np.arange(10), 3))
        probe = X[:3] + 0.25  # half a step from the nearest row; rows of one group are 0.5 apart, groups 9 or 9.5
        np.testing.assert_allclose(alone.nearest(probe)[2], 0.5)
        np.testing.assert_allclose(grouped.nearest(probe)[2], 0.25 / 9.0)


class TestMinNovelty:
    def test_nothing_below_it_is_left(self):
        X, info = fitted().sample(200, min_novelty=0.8, return_info=True)
        assert (fitted().nearest(X)[2] >= 0.8).all()
        plain = fitted().sample(200)
        refused = fitted().nearest(plain)[2] < 0.8
        assert refused.any()
        assert fitted().n_rejected_ == 0
        np.testing.assert_array_equal((plain != X).any(axis=(1, 2)), refused)  # the others stay as they were
        assert info.n_rejected >= refused.sum()

    def test_deterministic_and_told(self):
        made = [fitted().sample(50, min_novelty=0.9, seed=3) for _ in range(2)]
        np.testing.assert_array_equal(*made)
        assert fitted().n_rejected_ > 0
        assert fitted().sample(50, min_novelty=0.0).shape == (50, 2, 5)
        assert fitted().n_rejected_ == 0

    def test_rows_keep_their_class(self):
        sampler = labelled()
        before = sampler.sample(60, return_info=True)[1].label
        X, info = sampler.sample(60, min_novelty=0.9, return_info=True)
        np.testing.assert_array_equal(info.label, before)
        np.testing.assert_array_equal(X.mean(axis=(1, 2)) > 4.5, info.label == "b")
        assert info.n_rejected > 0
        X = sampler.sample(30, "a", min_novelty=0.9)
        assert (X.mean(axis=(1, 2)) < 4.5).all()

    def test_out_of_reach_is_an_error_with_numbers(self):
        with pytest.raises(ValueError, match=r"got 9, and 5 of 5 rows still fell short after 193 draws.* in the median and"):
            fitted().sample(5, min_novelty=9)
        with pytest.raises(ValueError, match="min_novelty must be at least 0; got -1"):
            fitted().sample(5, min_novelty=-1)
        with pytest.raises(TypeError, match="min_novelty must be a real number"):
            fitted().sample(5, min_novelty="no")

    def test_constant_data_hold_nothing_new(self):
        sampler = DualSampler(random_state=0).fit(np.ones((12, 3)))
        assert sampler.sample(4, return_info=True)[1].novelty.tolist() == [0.0] * 4
        with pytest.raises(ValueError, match="within the sampler's reach"):
            sampler.sample(4, min_novelty=0.5)

    def test_refused_draws_are_counted_one_by_one(self):
        distances = Distances(np.arange(10.0)[:, None], None)  # neighbours are one unit apart
        rows, starts = np.array([[0.0], [0.5], [1.0]]), np.array([0, 1, 2])
        calls = []

        def redraw(began, k):
            calls.append((began.tolist(), k))
            made = np.full((len(began), 1), 3.0)
            if k == 2:  # two draws each: the second will do
                made[1::2] = 20.0
            return made, began + 5

        assert refill(rows, starts, 0.4, distances, redraw) == 2 + 2 + 2 + 2
        assert calls == [([0, 2], 0), ([0, 2], 1), ([0, 0, 2, 2], 2)]
        assert DRAWS[:3] == (1, 1, 2)
        np.testing.assert_array_equal(rows[:, 0], [20.0, 0.5, 20.0])
        np.testing.assert_array_equal(starts, [5, 1, 7])


def test_neighbors_among_many_rows_are_those_of_a_full_sort():
    rng = np.random.default_rng(0)
    for rows in (rng.normal(size=(1500, 4)), rng.integers(0, 3, size=(1500, 4)).astype(float)):
        found = nearest_neighbors(rows, 20, rows[:50])
        between = squared_distances(rows[:50], rows)
        np.testing.assert_array_equal(found, np.argsort(between, axis=1, kind="stable")[:, :21])
        np.testing.assert_array_equal(nearest_neighbors(rows, 3)[:, 0], np.arange(1500))


class TestNearness:
    """In words: how near, to whom, and a warning where it is too near."""

    def test_said_in_words(self):
        subjects = np.repeat([f"p{k}" for k in range(20)], 3)
        sampler = DualSampler("local", random_state=0).fit(series(), groups=subjects)
        _, info = sampler.sample(40, return_info=True)
        np.testing.assert_array_equal(info.subject, subjects[info.nearest])
        np.testing.assert_array_equal(info.training_novelty, sampler.training_distances() / sampler._distances.typical)
        closest = info.novelty.argmin()
        said = str(info)
        assert f"Row {closest} comes nearest: to {info.novelty[closest]:.2f} of that distance" in said
        assert f"from training row {info.nearest[closest]} of subject {info.subject[closest]}." in said
        assert info.too_near is None
        assert "TOO NEAR" not in said
        assert fitted().sample(3, return_info=True)[1].subject is None
        assert str(fitted().sample(0, return_info=True)[1]) == "No new rows."

    def test_one_copy_is_too_near_where_no_real_rows_are_equal(self):
        novelty, real = np.full(300, 1.0), np.linspace(0.6, 1.4, 50)
        assert too_near(novelty, real) is None
        novelty[7] = 0.0
        assert "1 of 300 equal a training row in every value" in too_near(novelty, real)
        assert "TOO NEAR" in told(novelty, real, np.zeros(300, dtype=int), None)
        real[0] = 0.0
        assert too_near(novelty, real) is None

    @pytest.mark.parametrize(
        ("n_near", "n", "is_too_near"), [(8, 100, False), (14, 100, False), (16, 100, True), (1, 5, False)]
    )
    def test_near_copies_must_be_more_than_chance_makes(self, n_near, n, is_too_near):
        """Beyond 8 % of them, two standard errors: 8 + 2 sqrt(8 x 92 (1 / 100 + 1 / 200)) = 14.6 of a hundred."""
        novelty = np.where(np.arange(n) < n_near, 0.4, 1.0)
        assert (too_near(novelty, np.ones(200)) is not None) == is_too_near

    def test_the_default_walk_warns_too_where_novelty_is_asked_for(self):
        sampler = DualSampler("local", random_state=0).fit(series())
        sampler._maker = SimpleNamespace(generate=lambda began, *_, **__: sampler._rows[began] + 1e-3)
        with pytest.warns(CopiedSamplesWarning, match=r"100 % of 50 are nearer to a training row"):
            sampler.sample(50, return_info=True)
