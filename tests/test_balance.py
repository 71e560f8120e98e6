"""balance_columns: every backend is the reference, and the reference gives every column the quantiles it should have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwalk import backends
from dualwalk.backends import reference

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}
KINDS = ["normal", "few levels", "constant", "rounding noise", "huge", "tiny", "zeros of both signs", "not finite", "sorted"]


def columns_of(kind, m, d, rng):
    noise = rng.standard_normal((m, d))
    return {
        "normal": lambda: noise,
        "few levels": lambda: np.round(noise),
        "constant": lambda: np.full((m, d), -1.3),
        "rounding noise": lambda: rng.integers(-2, 3, (m, d)) * np.round(noise) * 2e-16 - 1.0,
        "huge": lambda: noise * 1e300,
        "tiny": lambda: noise * 5e-324 * rng.integers(0, 9, (m, d)),
        "zeros of both signs": lambda: np.where(noise < 0, -0.0, 0.0),
        "not finite": lambda: np.where(rng.random((m, d)) < 0.3, np.inf, np.where(noise < 0, np.nan, -np.inf * (noise < 1))),
        "sorted": lambda: np.sort(noise, axis=0)[::-1].copy(),
    }[kind]()


def problem(m, n, d, rng, dtype=np.float64):
    table = np.sort(rng.standard_normal((n, d)), axis=0).astype(dtype)
    return rng.random(m), table, rng.random(d) < 0.3


@given(data=st.data())
def test_backend_is_the_reference(backend, data):
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    m, n = data.draw(st.integers(1, 150), label="m"), data.draw(st.integers(1, 80), label="n")
    d, kind = data.draw(st.integers(1, 20), label="d"), data.draw(st.sampled_from(KINDS), label="kind")
    rng = np.random.default_rng(data.draw(st.integers(0, 100), label="seed"))
    with np.errstate(invalid="ignore", over="ignore"):
        points = columns_of(kind, m, d, rng).astype(dtype)
    settings = problem(m, n, d, rng, dtype)
    made = backends.job("balance_columns", backend)(points, *settings, 1)
    assert made.dtype == dtype
    expected = reference.balance_columns(points, *settings, 1)
    np.testing.assert_allclose(made, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("m", [255, 256, 257, 1024, 3000])
@pytest.mark.parametrize("kind", KINDS)
def test_long_columns_rank_exactly(backend, m, kind, rng):
    """With place 1/2 and a table of ranks, values are the ranks themselves: no two rows share one."""
    with np.errstate(invalid="ignore", over="ignore"):
        points = columns_of(kind, m, 9, rng)
    table = np.tile(np.arange(float(m))[:, None], 9)
    ranks = backends.job("balance_columns", backend)(points, np.full(m, 0.5), table, np.zeros(9, bool), 1)
    order = np.argsort(points, axis=0, kind="stable")
    np.testing.assert_allclose(np.take_along_axis(ranks, order, axis=0), table, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(backend, dtype, rng):
    points = rng.standard_normal((270, 301)).astype(dtype)
    settings = problem(270, 270, 301, rng, dtype)
    balance = backends.job("balance_columns", backend)
    one = balance(points, *settings, 1)
    np.testing.assert_array_equal(balance(points, *settings, 2), one)
    np.testing.assert_array_equal(balance(points, *settings, 5), one)


def test_values_have_the_marginal_of_the_table(backend, rng):
    """As many rows as quantiles: rank r lands between quantiles r - 1 and r + 1, as far as its place says, whatever the points."""
    n = 200
    place, table, _ = problem(n, n, 3, rng)
    points = rng.standard_normal((n, 3)) ** 3
    made = np.sort(backends.job("balance_columns", backend)(points, place, table, np.zeros(3, bool), 1), axis=0)
    assert (made[1:] >= table[:-1] - 1e-12).all()
    assert (made[:-1] <= table[1:] + 1e-12).all()
    assert (made >= table[0]).all()
    assert (made <= table[-1]).all()


def test_order_is_kept(backend, rng):
    points = rng.standard_normal((300, 4))
    place, table, _ = problem(300, 50, 4, rng)
    made = backends.job("balance_columns", backend)(points, place, table, np.zeros(4, bool), 1)
    order = np.argsort(points, axis=0)
    assert (np.diff(np.take_along_axis(made, order, axis=0), axis=0) >= -1e-12).all()


def test_equal_points_go_by_row(backend):
    """Four equal points above two others: ranks 2 to 5 in the order of their rows."""
    points = np.array([[7.0], [7.0], [-1.0], [7.0], [-1.0], [7.0]])
    table = np.arange(6.0)[:, None]
    made = backends.job("balance_columns", backend)(points, np.full(6, 0.5), table, np.array([False]), 1)
    np.testing.assert_allclose(made[:, 0], [2, 3, 0, 4, 1, 5], atol=1e-12)


def test_tied_columns_take_values_of_the_table(backend, rng):
    levels = np.array([0.1, 0.3, 0.7, 1.1])
    table = np.sort(rng.choice(levels, size=(60, 5)), axis=0)
    points, place = rng.standard_normal((128, 5)), rng.random(128)
    made = backends.job("balance_columns", backend)(points, place, table, np.ones(5, bool), 1)
    assert np.isin(made, levels).all()  # to the last bit
    expected = 128 * np.array([(table == level).mean(axis=0) for level in levels])
    counted = np.array([(made == level).sum(axis=0) for level in levels])
    assert (np.abs(counted - expected) <= 3).all()


def test_one_row_one_quantile_nothing(backend, rng):
    balance = backends.job("balance_columns", backend)
    table, tied = np.sort(rng.standard_normal((10, 3)), axis=0), np.array([False, True, False])
    assert balance(np.empty((0, 3)), np.empty(0), table, tied, 2).shape == (0, 3)
    assert balance(np.empty((4, 0)), np.ones(4), np.empty((10, 0)), np.empty(0, bool), 2).shape == (4, 0)
    middle = balance(np.zeros((1, 3)), np.array([0.5]), table, tied, 2)
    np.testing.assert_allclose(middle[0, [0, 2]], table[4:6].mean(axis=0)[[0, 2]], rtol=1e-12)
    assert middle[0, 1] == table[5, 1]
    np.testing.assert_array_equal(balance(np.zeros((3, 3)), np.full(3, 0.5), table[:1], tied, 2), np.tile(table[0], (3, 1)))


@pytest.mark.skipif(backends.why_not("native") is not None, reason="the native backend is not here")
@pytest.mark.parametrize("job", ["relax_local", "balance_columns"])
def test_every_level_is_the_reference(job, rng):
    from dualwalk import _core

    points = rng.standard_normal((90, 77))
    arguments = {
        "relax_local": (points, np.sort(rng.integers(90, size=(50, 14))), 0.4, 9, 1),
        "balance_columns": (points, *problem(90, 40, 77, rng), 1),
    }[job]
    expected, before = getattr(reference, job)(*arguments), _core.level()
    try:
        for level in _core.levels():
            _core.select_level(level)
            np.testing.assert_allclose(getattr(_core, job)(*arguments), expected, rtol=1e-12, atol=1e-12)
    finally:
        _core.select_level(before)
