"""NormalScores against the definition (scipy's ranks and quantiles), and its inverse on every kind of column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtri
from scipy.stats import rankdata

from dualwalk.normal_scores import NormalScores

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 6))
TABLES = arrays(np.float64, st.tuples(st.integers(8, 30), st.integers(1, 4)), elements=FINITE)
TIED_TABLES = arrays(np.float64, st.tuples(st.integers(8, 30), st.integers(1, 4)), elements=st.integers(-2, 2).map(float))


@given(TABLES | TIED_TABLES)
def test_training_rows_get_their_mid_rank_scores(X):
    expected = ndtri((rankdata(X, axis=0) - 0.5) / len(X))
    np.testing.assert_allclose(NormalScores().fit_transform(X), expected, atol=1e-12)
    np.testing.assert_array_equal(NormalScores().fit(X).transform(X), NormalScores().fit_transform(X))


@given(TABLES | TIED_TABLES)
def test_inverse_returns_the_training_values(X):
    scores = NormalScores().fit(X)
    np.testing.assert_allclose(scores.inverse_transform(scores.transform(X)), X, rtol=1e-12, atol=1e-12)


@given(TABLES | TIED_TABLES, arrays(np.float64, (5, 4), elements=st.floats(-9, 9)))
def test_nothing_leaves_the_range_and_tied_columns_keep_their_levels(X, z):
    scores = NormalScores().fit(X)
    values = scores.inverse_transform(z[:, : X.shape[1]])
    assert (values >= X.min(axis=0) - 1e-9).all()
    assert (values <= X.max(axis=0) + 1e-9).all()
    for j in np.flatnonzero(scores.tied_):
        assert np.isin(values[:, j], X[:, j]).all()


@given(TABLES)
def test_transform_is_monotone_and_blind_to_monotone_maps(X):
    scores = NormalScores().fit_transform(X)
    np.testing.assert_array_equal(NormalScores().fit_transform(np.arctan(X / 1e3) * 7), scores)
    for j in range(X.shape[1]):
        order = np.argsort(X[:, j], kind="stable")
        assert (np.diff(scores[order, j]) >= 0).all()


def test_new_rows_interpolate_and_are_clamped():
    X = np.arange(10.0)[:, None]
    scores = NormalScores().fit(X)
    z = scores.transform(X)
    np.testing.assert_allclose(scores.transform([[2.25]]), 0.75 * z[2:3] + 0.25 * z[3:4])
    np.testing.assert_array_equal(scores.transform([[-1e9], [1e9]]), z[[0, -1]])


def test_constant_column_scores_zero_and_comes_back():
    X = np.column_stack([np.full(12, 0.1), np.arange(12.0)])
    scores = NormalScores().fit(X)
    np.testing.assert_array_equal(scores.transform(X)[:, 0], 0.0)
    np.testing.assert_array_equal(scores.transform([[5.0, 3.0]])[:, 0], 0.0)
    np.testing.assert_array_equal(scores.inverse_transform(np.array([[-3.0, 0.0], [2.0, 1.0]]))[:, 0], 0.1)


@pytest.mark.parametrize(("dtype", "back"), [(np.float32, np.float32), (np.float64, np.float64), (np.int32, np.float64)])
def test_shapes_and_dtypes(dtype, back):
    X = np.random.default_rng(0).integers(-50, 50, (40, 3, 5)).astype(dtype)
    scores = NormalScores().fit(X)
    z = scores.transform(X)
    assert z.shape == X.shape
    assert z.dtype == np.float64
    values = scores.inverse_transform(z)
    assert values.dtype == back
    np.testing.assert_array_equal(values, X)


def test_memory_layout_does_not_matter():
    X = np.random.default_rng(1).normal(size=(20, 6))
    expected = NormalScores().fit_transform(X)
    X.setflags(write=False)
    np.testing.assert_array_equal(NormalScores().fit_transform(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(NormalScores().fit(X[::-1]).transform(X), expected)


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (np.zeros((7, 2)), ValueError, "at least 8 samples; got 7"),
        (np.full((9, 2), np.nan), ValueError, "must be finite"),
        (np.zeros(9), ValueError, r"got shape \(9,\)"),
        (np.array([["a"]] * 9), TypeError, "real numbers"),
    ],
)
def test_bad_input_in_fit(X, error, words):
    with pytest.raises(error, match=words):
        NormalScores().fit(X)


def test_bad_input_after_fit():
    scores = NormalScores()
    with pytest.raises(ValueError, match="not fitted yet"):
        scores.transform(np.zeros((2, 2)))
    scores.fit(np.random.default_rng(0).normal(size=(9, 2)))
    with pytest.raises(ValueError, match="shape seen in fit"):
        scores.transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="z must be finite"):
        scores.inverse_transform(np.full((2, 2), np.inf))
