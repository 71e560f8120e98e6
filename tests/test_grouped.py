"""A warning where rows look grouped and nobody said so, and none on ordinary data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from dualwalk._sampler.grouped import GroupedDataWarning, grouped
from dualwalk.datasets import load_japanese_vowels
from dualwalk.sampler import DualSampler


def alone(n):
    return np.zeros(n, dtype=np.intp)


def copies(n_subjects, n_copies, noise, seed=0, d=20):
    rng = np.random.default_rng(seed)
    subjects = np.repeat(rng.normal(size=(n_subjects, d)).cumsum(axis=1), n_copies, axis=0)
    rows = subjects + noise * subjects.std(axis=0) * rng.normal(size=subjects.shape)
    return rows[rng.permutation(len(rows))]


def test_five_noisy_copies_of_vowels_and_the_remedy():
    vowels = load_japanese_vowels().X
    rng = np.random.default_rng(0)
    X = np.repeat(vowels[::5], 5, axis=0)
    X = X + 0.1 * X.std(axis=0) * rng.normal(size=X.shape)
    with pytest.warns(GroupedDataWarning, match=r"neighbours 4 and 5 of a row differ .*-fold.*fit\(X, groups=\.\.\.\)"):
        DualSampler("local", random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DualSampler("local", random_state=0).fit(X, groups=np.repeat(np.arange(54), 5))


@pytest.mark.parametrize("n_copies", [2, 3, 5, 10])
@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_noisy_copies_in_any_order(n_copies, noise):
    assert grouped(copies(200 // n_copies, n_copies, noise), alone(200 // n_copies * n_copies)) is not None


def test_groups_of_different_sizes_and_exact_copies():
    rng = np.random.default_rng(1)
    rows = np.repeat(rng.normal(size=(40, 30)), rng.integers(1, 9, size=40), axis=0)
    exact = grouped(rows, alone(len(rows)))
    assert "are exact copies of others" in exact
    assert grouped(rows + 0.1 * rng.normal(size=rows.shape), alone(len(rows))) is not None


def test_overlapping_windows():
    walk = np.random.default_rng(0).normal(size=800).cumsum()
    windows = np.lib.stride_tricks.sliding_window_view(walk, 24)[::2].copy()
    assert "nearest to the row before or after" in grouped(windows, alone(len(windows)))


@pytest.mark.parametrize("seed", range(3))
def test_independent_rows_of_every_kind(seed):
    rng = np.random.default_rng(seed)
    ordinary = {
        "normal": rng.normal(size=(200, 5)),
        "many features": rng.normal(size=(80, 400)),
        "heavy tails": rng.standard_t(2, size=(200, 10)),
        "heavier tails": rng.standard_cauchy(size=(60, 8)) ** 3,
        "different scales": rng.normal(size=(200, 30)) * np.exp(rng.normal(size=(200, 1))),
        "clusters": 0.1 * rng.normal(size=(200, 8)) + 3.0 * rng.integers(0, 4, 200)[:, None],
        "one dimension": np.sin(np.arange(30) * rng.uniform(0.1, 0.5, 200)[:, None]),
        "levels": rng.integers(0, 2, size=(100, 10)).astype(float),
        "few": rng.normal(size=(8, 3)),
        "constant": np.ones((50, 3)),
        "walks": rng.normal(size=(120, 60)).cumsum(axis=1),
        "more than are asked": rng.normal(size=(1500, 12)),
    }
    for name, rows in ordinary.items():
        assert grouped(rows, alone(len(rows))) is None, name


def test_real_sets_are_not_grouped():
    vowels = load_japanese_vowels()
    for rows in (vowels.X, vowels.X_test, load_digits().data[:300], load_breast_cancer().data[:285]):
        flat = rows.reshape(len(rows), -1).astype(float)
        assert grouped(flat, alone(len(flat))) is None


def test_rows_of_one_class_may_be_near_each_other():
    codes = np.repeat(np.arange(10), 6)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 8)) + 20.0 * rng.normal(size=(10, 8))[codes]
    assert grouped(rows, codes) is None
    assert grouped(rows, alone(60)) is not None
