"""Walks on local duals of every size: narrow, wide, too large for the nearest cache, one neighbourhood for all or one each."""

from __future__ import annotations

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import backends
from dualwalk.duals.local_covariance import LocalCovariance

# n_walks, n_features, neighbours: lanes across walks (also a last tile that is not full), across features with one block of rows
# and several, a factor that is read from the second cache in float64 alone, and one that always is
SIZES = [(1, 5, 3), (3, 24, 6), (37, 24, 20), (20, 62, 10), (9, 130, 4), (5, 300, 20), (2, 304, 15), (3, 260, 50), (2, 1500, 7)]
TOLERANCE = {np.float32: 2e-4, np.float64: 1e-10}


def dual_and_starts(n_walks, d, k, rng, *, shared=False):
    points = rng.standard_normal((3 * k + 5, d))
    neighbors = np.argsort(rng.random((n_walks, len(points))), axis=1)[:, : k + 1]
    if shared:
        neighbors = neighbors[0]
    covariance = LocalCovariance(points, neighbors, shrinkage=0.2)
    return dw.LocalDual(points, neighbors, shrinkage=0.4), covariance, rng.uniform(-0.7, 0.7, (n_walks, d))


def settings_of(kind, dual, covariance, x0):
    size = {"n_steps": 6, "step_size": 0.02, "record": True}
    around = dual.value(x0)
    return (
        size
        | {
            "plain": {},
            "target": {"target": around + np.linspace(0.0, 0.3, len(x0))},
            "noise in a box": {"noise": 0.3, "seed": 4, "bounds": (-0.75, 0.7)},
            "preconditioned": {"preconditioner": covariance, "noise": 0.5, "seed": 4, "base": "marginals"},
            "preconditioned to a target": {"preconditioner": covariance, "target": around + 0.1},
        }[kind]
    )


KINDS = ["plain", "target", "noise in a box", "preconditioned", "preconditioned to a target"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_backend_is_the_reference(backend, size, shared, kind, dtype, rng):
    dual, covariance, x0 = dual_and_starts(*size, rng, shared=shared)
    x0 = x0.astype(dtype)
    settings = settings_of(kind, dual, covariance, x0.astype(np.float64))
    walked = dw.walk(dual, x0, backend=backend, **settings)
    expected = dw.walk(dual, x0.astype(np.float64), backend="reference", **settings)
    far = np.abs(expected.x - x0).max()
    np.testing.assert_allclose(walked.x, expected.x, rtol=0, atol=TOLERANCE[dtype] * max(1.0, far))
    np.testing.assert_allclose(walked.trajectory, expected.trajectory, rtol=0, atol=TOLERANCE[dtype] * max(1.0, far))
    np.testing.assert_allclose(walked.f, expected.f, rtol=5 * TOLERANCE[dtype], atol=size[1] * TOLERANCE[dtype])
    np.testing.assert_array_equal(walked.trajectory[:, -1], walked.x)
    if dtype == np.float64 or "target" not in kind:
        np.testing.assert_array_equal(walked.n_steps, expected.n_steps)
        np.testing.assert_array_equal(walked.reached, expected.reached)


@pytest.mark.parametrize("size", [(37, 24, 20), (20, 62, 10), (40, 300, 20), (16, 260, 50)])
@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_no_bit(backend, size, kind, rng):
    dual, covariance, x0 = dual_and_starts(*size, rng)
    settings = settings_of(kind, dual, covariance, x0) | {"n_steps": 60, "record": False, "backend": backend}
    one = dw.walk(dual, x0.astype(np.float32), n_threads=1, **settings)
    for n_threads in (2, 3):
        many = dw.walk(dual, x0.astype(np.float32), n_threads=n_threads, **settings)
        for mine, theirs in zip(many[:4], one[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("size", [(24, 300, 20), (24, 24, 20)])
def test_a_walk_in_its_own_neighbourhood_does_not_depend_on_the_others(backend, size, rng):
    dual, _, x0 = dual_and_starts(*size, rng)
    whole = dw.walk(dual, x0, n_steps=9, step_size=0.02, backend=backend)
    for part in (slice(0, 9), slice(9, 24), slice(5, 21)):
        some = dw.walk(dual.select(np.arange(24)[part]), x0[part], n_steps=9, step_size=0.02, backend=backend)
        tolerance = 0.0 if backend != "reference" else 1e-12  # NumPy's sums depend on the shape
        np.testing.assert_allclose(some.x, whole.x[part], rtol=0, atol=tolerance)


def test_a_walk_that_is_lost_stays_where_it_is(backend, rng):
    dual, _, x0 = dual_and_starts(12, 24, 5, rng)
    x0[3, 2] = 1e200  # its square overflows
    with np.errstate(over="ignore", invalid="ignore"), pytest.warns(RuntimeWarning, match="smaller step_size"):
        walked = dw.walk(dual, x0, n_steps=4, step_size=0.02, backend=backend)
    assert walked.n_steps[3] == 0
    np.testing.assert_array_equal(walked.x[3], x0[3])
    assert (np.delete(walked.n_steps, 3) == 4).all()


@pytest.mark.skipif(backends.why_not("native") is not None, reason="the native backend is not here")
@pytest.mark.parametrize("size", SIZES)
def test_every_level_is_the_reference(size, rng):
    from dualwalk import _core

    dual, covariance, x0 = dual_and_starts(*size, rng)
    before = _core.level()
    try:
        for kind in KINDS:
            settings = settings_of(kind, dual, covariance, x0)
            expected = dw.walk(dual, x0, backend="reference", **settings)
            for level in _core.levels():
                _core.select_level(level)
                walked = dw.walk(dual, x0, backend="native", **settings)
                np.testing.assert_allclose(walked.x, expected.x, rtol=0, atol=1e-10 * max(1.0, np.abs(expected.x).max()))
                np.testing.assert_array_equal(walked.n_steps, expected.n_steps)
    finally:
        _core.select_level(before)
