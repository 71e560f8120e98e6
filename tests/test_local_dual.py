"""LocalDual against log densities written out directly, its gradient against differences, its walk against its moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwalk._neighbors import nearest_neighbors, squared_distances
from dualwalk.duals.local import LocalDual
from dualwalk.duals.local_covariance import LocalCovariance


def log_normal(x, mean, covariance):
    y = x - mean
    return -0.5 * (y @ np.linalg.solve(covariance, y) + np.linalg.slogdet(covariance)[1] + len(y) * np.log(2 * np.pi))


def direct_value(x, members, s):
    mean = members.mean(axis=0)
    sample = np.cov(members.T).reshape(len(mean), len(mean))  # N^T N / K, because K + 1 rows have K degrees of freedom
    covariance = (1 - s) * sample + s * np.diag(np.diag(sample))
    marginals = sum(log_normal(x[j : j + 1], mean[j : j + 1], covariance[j : j + 1, j : j + 1]) for j in range(len(x)))
    return log_normal(x, mean, covariance) - marginals


@given(st.integers(1, 8), st.integers(2, 12), st.floats(0.05, 1.0), st.integers(0, 99))
def test_value_is_the_log_ratio_of_densities(d, k, s, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(20, d)) @ rng.normal(size=(d, d))
    neighbors = nearest_neighbors(points, k)[:6]
    dual = LocalDual(points, neighbors, shrinkage=s)
    x = points[:6] + 0.3 * rng.normal(size=(6, d))
    expected = [direct_value(x[r], points[neighbors[r]], s) for r in range(6)]
    np.testing.assert_allclose(dual.value(x), expected, rtol=1e-6, atol=1e-6)


@given(st.integers(1, 10), st.booleans(), st.floats(0.05, 1.0), st.integers(0, 99))
def test_gradient_is_the_slope_of_the_value(d, stacked, s, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(15, d))
    neighbors = nearest_neighbors(points, 6)[:4] if stacked else np.arange(7)
    dual = LocalDual(points, neighbors, shrinkage=s)
    x, step = rng.normal(size=(4, d)), 1e-4
    slopes = np.stack([(dual.value(x + step * e) - dual.value(x - step * e)) / (2 * step) for e in np.eye(d)], axis=1)
    np.testing.assert_allclose(dual.gradient(x), slopes, rtol=1e-5, atol=1e-5)
    value, gradient = dual.value_and_gradient(x)
    np.testing.assert_array_equal(value, dual.value(x))
    np.testing.assert_array_equal(gradient, dual.gradient(x))


def test_what_the_native_loop_reads():
    points = np.random.default_rng(0).normal(size=(30, 9))
    neighbors = nearest_neighbors(points, 5)[:7]
    dual = LocalDual(points, neighbors, shrinkage=0.3)
    shapes = {"mean": (7, 9), "curvature": (7, 9), "factor": (7, 6, 9), "constant": (7,), "deviation": (7, 9)}
    for name, shape in shapes.items():
        part = getattr(dual, name)
        assert part.shape == shape
        assert part.dtype == np.float64
        assert part.flags.c_contiguous
    y = points[:7] - dual.mean
    projection = np.einsum("bkd,bd->bk", dual.factor, y)
    expected = dual.constant + 0.5 * (dual.curvature * y**2).sum(axis=1) + 0.5 * (projection**2).sum(axis=1)
    np.testing.assert_allclose(dual.value(points[:7]), expected)


def test_one_neighbourhood_serves_any_number_of_rows_and_a_stack_its_own():
    points = np.random.default_rng(0).normal(size=(30, 4))
    neighbors = nearest_neighbors(points, 8)
    stack = LocalDual(points, neighbors, shrinkage=0.2)
    for r in (0, 11, 29):
        one = LocalDual(points, neighbors[r], shrinkage=0.2)
        np.testing.assert_allclose(one.value(points)[r], stack.value(points)[r])
        np.testing.assert_allclose(one.gradient(points)[r], stack.gradient(points)[r])
    some = np.array([3, 4, 20])
    np.testing.assert_allclose(stack.select(some).value(points[some]), stack.value(points)[some])
    assert one.select(some) is one


def test_constant_column_carries_nothing():
    points = np.random.default_rng(0).normal(size=(20, 3))
    points[:, 1] = 5.0
    dual = LocalDual(points, np.arange(10), shrinkage=0.2)
    without = LocalDual(points[:, [0, 2]], np.arange(10), shrinkage=0.2)
    moved = points + np.array([0.0, 100.0, 0.0])
    np.testing.assert_allclose(dual.value(moved), without.value(points[:, [0, 2]]))
    np.testing.assert_array_equal(dual.gradient(moved)[:, 1], 0.0)


def test_float32_and_float64_agree():
    points = np.random.default_rng(0).normal(size=(20, 5))
    dual = LocalDual(points, np.arange(12), shrinkage=0.5)
    np.testing.assert_allclose(dual.value(points.astype(np.float32)), dual.value(points), rtol=1e-4, atol=1e-4)
    assert dual.gradient(points.astype(np.float32)).dtype == np.float64


def test_in_deviations_is_the_same_function():
    points = np.random.default_rng(0).normal(size=(30, 4)) * np.array([1.0, 10.0, 0.1, 3.0])
    dual = LocalDual(points, nearest_neighbors(points, 9), shrinkage=0.25)
    scaled = dual.in_deviations()
    np.testing.assert_allclose(scaled.value(points / dual.deviation), dual.value(points))
    hessians = np.einsum("bki,bkj->bij", scaled.factor, scaled.factor) + scaled.curvature[:, :, None] * np.eye(4)
    eigenvalues = np.linalg.eigvalsh(hessians)
    assert eigenvalues.min() >= 1 - 1 / 0.25 - 1e-9
    assert eigenvalues.max() <= 1 + 1e-9


@pytest.mark.parametrize("box", [False, True])
def test_reachable_bounds_every_walk(box):
    points = np.random.default_rng(0).normal(size=(30, 4))
    dual = LocalDual(points, nearest_neighbors(points, 9), shrinkage=0.5).in_deviations()
    x, n_steps, step = points / 1.0, 20, 0.03
    low, high = (np.full(4, -3.0), np.full(4, 3.0)) if box else (None, None)
    below, above = dual.reachable(x, n_steps * step, low, high)
    for sign in (1, -1):
        at = x.copy()
        for _ in range(n_steps):
            at = at + sign * step * dual.gradient(at)
            at = np.clip(at, low, high) if box else at
            assert (dual.value(at) >= below).all()
            assert (dual.value(at) <= above).all()
    no_dependence = LocalDual(points, np.arange(9), shrinkage=1.0)
    np.testing.assert_allclose(no_dependence.reachable(points, 10.0, None, None), 0.0, atol=1e-9)


def test_diffuse_has_the_moments_of_the_exact_walk():
    points = np.random.default_rng(0).normal(size=(15, 3)) * np.array([1.0, 2.0, 0.5])
    members = np.arange(8)
    dual = LocalDual(points, members, shrinkage=0.5)
    time = math.log(2)
    x = np.tile(points[3], (40_000, 1))
    moved = dual.diffuse(x, time, np.random.default_rng(1))
    mean = points[members].mean(axis=0)
    np.testing.assert_allclose(moved.mean(axis=0), mean + 0.5 * (points[3] - mean), atol=0.03)
    np.testing.assert_allclose(np.cov(moved.T), 0.75 * np.cov(points[members].T), atol=0.06)
    np.testing.assert_allclose(dual.diffuse(x[:2], 0.0, np.random.default_rng(1)), x[:2])
    forgotten = dual.diffuse(x, math.inf, np.random.default_rng(2))
    np.testing.assert_allclose(forgotten.mean(axis=0), mean, atol=0.03)


def test_density_is_the_gaussian_itself_or_the_tilted_normal():
    rng = np.random.default_rng(0)
    points, x = 1.5 * rng.normal(size=(30, 4)), rng.normal(size=(6, 4))
    neighbors = np.array([rng.permutation(30)[:20] for _ in range(6)])
    dual = LocalDual(points, neighbors, shrinkage=0.6)
    for r in range(6):
        sample = np.cov(points[neighbors[r]].T)
        covariance = 0.4 * sample + 0.6 * np.diag(np.diag(sample))
        expected = log_normal(x[r], points[neighbors[r]].mean(axis=0), covariance)
        assert dual.density("marginals").value(x)[r] == pytest.approx(expected)
    tilted = dual.density("normal")
    np.testing.assert_allclose(tilted.value(x), dual.value(x) - 0.5 * (x**2).sum(1) - 2 * np.log(2 * np.pi))
    np.testing.assert_allclose(tilted.gradient(x), dual.gradient(x) - x)
    narrow = LocalDual(
        0.1 * points @ np.array([[1, 1, 0, 0], [0, 0.1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), np.arange(20), shrinkage=0.1
    )
    with pytest.raises(ValueError, match=r"base='normal' makes no density of this local dual.*use base='marginals'"):
        narrow.density("normal")


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("s", [0.0, 0.3, 1.0])
def test_local_covariance_is_the_shrunk_sample_covariance(stacked, s):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(15, 5))
    neighbors = nearest_neighbors(points, 6)[:4] if stacked else np.arange(7)
    made, vectors = LocalCovariance(points, neighbors, shrinkage=s), rng.normal(size=(4, 5))
    assert (made.n_features, made.n_walks) == (5, 4 if stacked else None)
    assert made.n_normals == (7 if s == 0 else 12)
    expected, largest = [], 0.0
    for r in range(4):
        sample = np.cov(points[neighbors[r] if stacked else neighbors].T)
        matrix = (1 - s) * sample + s * np.diag(np.diag(sample))
        expected.append(matrix @ vectors[r])
        largest = max(largest, np.linalg.eigvalsh(matrix)[-1])
    np.testing.assert_allclose(made.apply(vectors), expected)
    np.testing.assert_allclose(made.select(np.array([2])).apply(vectors[2:3]), expected[2:3])
    assert made.largest >= largest - 1e-9
    # the map from numbers to noise times its transpose is the covariance
    root = np.stack([made.select(np.array([1])).color(row[None])[0] for row in np.eye(made.n_normals)])
    np.testing.assert_allclose((root.T @ root) @ vectors[1], expected[1], atol=1e-12)


def test_local_covariance_refuses_other_shrinkage():
    with pytest.raises(ValueError, match="shrinkage must be at most 1; got 2"):
        LocalCovariance(np.zeros((9, 2)), np.arange(3), shrinkage=2.0)


@pytest.mark.parametrize(
    ("points", "neighbors", "shrinkage", "words"),
    [
        (np.zeros((9, 2)), [0, 9], 0.1, r"neighbors must be in \[0, 9\)"),
        (np.zeros((9, 2)), [0.0, 1.0], 0.1, "neighbors must hold whole numbers"),
        (np.zeros((9, 2)), [3], 0.1, "K >= 1"),
        (np.zeros((9, 2)), [3, 3], 0.1, "must not repeat"),
        (np.zeros((9, 2)), [0, 1], 0.0, "shrinkage must be greater than 0"),
        (np.zeros((9, 2)), [0, 1], 1.5, "shrinkage must be at most 1"),
        (np.full((9, 2), np.inf), [0, 1], 0.1, "points must be finite"),
        (np.zeros((9, 2, 3)), [0, 1], 0.1, r"points must have shape \(n, d\)"),
    ],
)
def test_bad_arguments(points, neighbors, shrinkage, words):
    with pytest.raises(ValueError, match=words):
        LocalDual(points, np.asarray(neighbors), shrinkage=shrinkage)


def test_bad_x():
    points = np.random.default_rng(0).normal(size=(9, 2))
    with pytest.raises(ValueError, match=r"x must have shape \(n_rows, 2\); got \(4, 3\)"):
        LocalDual(points, np.arange(5), shrinkage=0.1).value(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"x must have shape \(9, 2\)"):
        LocalDual(points, nearest_neighbors(points, 4), shrinkage=0.1).gradient(np.zeros((4, 2)))


def test_nearest_neighbors_self_first_and_ties_by_index():
    points = np.array([[0.0], [1.0], [-1.0], [0.0], [1.0]])
    np.testing.assert_array_equal(nearest_neighbors(points, 4)[0], [0, 3, 1, 2, 4])
    np.testing.assert_array_equal(nearest_neighbors(points, 1)[3], [3, 0])
    np.testing.assert_array_equal(nearest_neighbors(points, 9).shape, (5, 5))
    np.testing.assert_array_equal(nearest_neighbors(points, 1, np.array([[0.9]])), [[1, 4]])


def test_squared_distances_are_what_they_say():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 5)), rng.normal(size=(4, 5))
    np.testing.assert_allclose(squared_distances(a, b), ((a[:, None] - b) ** 2).sum(axis=2))
    assert (squared_distances(a, a) >= 0).all()
