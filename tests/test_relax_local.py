"""relax_local and draw_normals: every backend is the reference, and the reference is the exact walk of a local Gaussian dual."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from dualwalk import backends
from dualwalk._blas import one_blas_thread
from dualwalk._ladder.covariance import NoiseModel
from dualwalk._ladder.rung import Rung, Shared, Walker
from dualwalk.backends import reference

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def neighborhoods(n_points, n_rows, n_members, rng):
    return rng.permuted(np.tile(np.arange(n_points), (n_rows, 1)), axis=1)[:, :n_members]


@given(data=st.data())
def test_backend_is_the_reference(backend, data):
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    n_rows, n_features = data.draw(st.integers(1, 70), label="n_rows"), data.draw(st.integers(1, 150), label="n_features")
    n_members, decay = data.draw(st.integers(2, 50), label="n_members"), data.draw(st.floats(0, 1), label="decay")
    rng = np.random.default_rng(data.draw(st.integers(0, 100), label="seed"))
    points = rng.standard_normal((50, n_features)).astype(dtype)
    neighbors = neighborhoods(50, n_rows, n_members, rng)
    seed = data.draw(st.integers(0, 2**63 - 1), label="walk seed")
    made = backends.job("relax_local", backend)(points, neighbors, decay, seed, 1)
    assert made.dtype == dtype
    np.testing.assert_allclose(
        made, reference.relax_local(points, neighbors, decay, seed, 1), rtol=TOLERANCE[dtype], atol=3 * TOLERANCE[dtype]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(backend, dtype, rng):
    points = rng.standard_normal((60, 300)).astype(dtype)
    neighbors = neighborhoods(60, 500, 41, rng)
    relax = backends.job("relax_local", backend)
    one = relax(points, neighbors, 0.5, 3, 1)
    np.testing.assert_array_equal(relax(points, neighbors, 0.5, 3, 2), one)
    np.testing.assert_array_equal(relax(points, neighbors, 0.5, 3, 5), one)


def test_a_row_has_its_own_noise(backend, rng):
    """Draws are addressed by row and neighbour: fewer rows are the first of more, and no two rows have one noise."""
    points, neighbors = rng.standard_normal((20, 30)), np.tile(np.arange(20), (64, 1))
    relax = backends.job("relax_local", backend)
    many = relax(points, neighbors, 0.0, 5, 1)
    np.testing.assert_array_equal(relax(points, neighbors[:10], 0.0, 5, 1), many[:10])
    assert len(np.unique(many[:, 0])) == 64
    assert not np.isclose(relax(points, neighbors, 0.0, 6, 1), many).all(axis=1).any()


def test_moments(backend, rng):
    """Mean m + a (z - m), covariance (1 - a^2) times the neighbourhood's sample covariance."""
    points, decay, n = rng.standard_normal((12, 5)) @ rng.standard_normal((5, 5)) + 3.0, 0.6, 200_000
    members = np.array([4, 0, 7, 2, 9, 11, 3])
    z = backends.job("relax_local", backend)(points, np.tile(members, (n, 1)), decay, 1, 2)
    mean = points[members].mean(axis=0)
    covariance = (1 - decay**2) * np.cov(points[members].T)
    error = np.sqrt(np.diag(covariance) / n)
    assert (np.abs(z.mean(axis=0) - (mean + decay * (points[4] - mean))) < 5 * error).all()
    spread = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / n)
    assert (np.abs(np.cov(z.T) - covariance) < 5 * spread).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 41), (64, 570), (3, 4), (0, 5), (5, 0)])
def test_normals_are_those_of_their_rows(backend, shape):
    made = backends.job("draw_normals", backend)(11, 6, *shape)
    assert made.shape == shape
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, reference.draw_normals(11, 0, shape[0] + 6, shape[1])[6:], rtol=1e-12, atol=1e-12)


def test_normals_are_normal(backend):
    made = backends.job("draw_normals", backend)(5, 0, 1000, 300)
    assert kstest(made.ravel(), "norm").pvalue > 1e-3
    products = made[:-1] * made[1:], made[:, :-1] * made[:, 1:], made[:, 0::2] * made[:, 1::2]
    assert all(abs(product.mean()) < 5 / math.sqrt(product.size) for product in products)


def test_no_time_leaves_the_start(backend, rng):
    points, neighbors = rng.standard_normal((9, 4)), neighborhoods(9, 7, 5, rng)
    z = backends.job("relax_local", backend)(points, neighbors, 1.0, 0, 1)
    np.testing.assert_allclose(z, points[neighbors[:, 0]], rtol=1e-12, atol=1e-12)


def test_two_members_and_endless_time(backend, rng):
    """Between two rows noise lies on their line."""
    points = rng.standard_normal((2, 6))
    z = backends.job("relax_local", backend)(points, np.array([[0, 1]] * 50), 0.0, 2, 1)
    along = (z - points[0]) @ (points[1] - points[0]) / ((points[1] - points[0]) ** 2).sum()
    np.testing.assert_allclose(z, points[0] + along[:, None] * (points[1] - points[0]), rtol=1e-9, atol=1e-9)
    assert along.std() > 0.5


def test_empty_and_alone(backend, rng):
    points = rng.standard_normal((5, 3))
    relax = backends.job("relax_local", backend)
    assert relax(points, np.empty((0, 4), np.intp), 0.5, 0, 2).shape == (0, 3)
    assert relax(np.empty((5, 0)), np.zeros((2, 4), np.intp), 0.5, 0, 2).shape == (2, 0)
    np.testing.assert_allclose(relax(points, np.array([[3]]), 0.5, 0, 2), points[[3]], rtol=1e-15)


def test_native_refuses_rows_that_are_not_there(rng):
    if backends.why_not("native"):
        pytest.skip(backends.why_not("native"))
    with pytest.raises(ValueError, match="rows of points"):
        backends.job("relax_local", "native")(rng.standard_normal((5, 3)), np.array([[0, 5]]), 0.5, 0, 1)


@pytest.mark.parametrize("pooled_noise", [0.0, 0.7])
def test_global_rung_has_the_covariance_of_all_rows(pooled_noise, rng):
    """(1 - p s) times the sample covariance and p s times its diagonal, s the shrinkage of the pooled covariance."""
    rows = rng.standard_normal((40, 4)) @ rng.standard_normal((4, 4))
    walker = Walker(rows, (4,), "standard", Shared(NoiseModel("diagonal", 0.4)))
    n = 100_000
    rung = Rung("standard", n_neighbors=None, time=math.inf, pooled_noise=pooled_noise, balanced=False)
    z = walker.generate(rung, np.zeros(n, np.intp), np.random.default_rng(0))
    sample = np.cov(rows.T)
    share = 0.4 * pooled_noise
    covariance = (1 - share) * sample + share * np.diag(np.diag(sample))
    deviation = np.sqrt(np.diag(covariance))
    assert (np.abs(z.mean(axis=0) - rows.mean(axis=0)) < 5 * deviation / math.sqrt(n)).all()
    spread = np.sqrt((np.outer(deviation, deviation) ** 2 + covariance**2) / n)
    assert (np.abs(np.cov(z.T) - covariance) < 5 * spread).all()


@pytest.mark.parametrize("n_neighbors", [None, 10])
def test_threads_change_no_bit_of_a_sample(n_neighbors, rng, monkeypatch):
    walker = Walker(rng.standard_normal((90, 24)), (4, 6), "scores", Shared(NoiseModel("separable", 0.4)))
    rung = Rung(n_neighbors=n_neighbors, time=math.log(2.0) if n_neighbors else math.inf, pooled_noise=0.5)
    starts = rng.integers(90, size=500)

    def made(n_threads):
        monkeypatch.setenv("DUALWALK_NUM_THREADS", str(n_threads))
        return walker.generate(rung, starts, np.random.default_rng(3))

    monkeypatch.setattr("dualwalk._ladder.rung.WORK_A_THREAD", 1)
    with one_blas_thread():
        one = made(1)
        np.testing.assert_array_equal(made(2), one)
        np.testing.assert_array_equal(made(3), one)
