"""log_mean_exp, donsker_varadhan and logistic: every backend is the reference, and the reference is the mathematics."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

import dualwalk as dw

TOLERANCE = {np.float32: 1e-6, np.float64: 1e-13}
INF = np.inf


@given(data=st.data())
def test_backend_is_the_reference(backend: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    n = data.draw(st.sampled_from([1, 2, 15, 16, 17, 100, 4096, 5000, 20000]), label="n")
    scale = data.draw(st.sampled_from([0.0, 1.0, 30.0, 1e4]), label="scale")
    seed = data.draw(st.integers(0, 1000), label="seed")
    special = data.draw(st.sampled_from([(), (-INF,), (INF,), (np.nan,), (INF, -INF)]), label="special")
    rng = np.random.default_rng(seed)
    f = (scale * rng.standard_normal((3, n))).astype(dtype)
    f[1, rng.integers(0, n, len(special))] = special
    weights = None
    if data.draw(st.booleans(), label="weighted"):
        weights = rng.random((3, n)) * (rng.random((3, n)) < 0.7)
        weights[:, 0] += 0.5
    options = {"axis": 1, "weights": weights, "return_gradient": True}
    expected, expected_gradient = dw.log_mean_exp(f, backend="reference", **options)
    value, gradient = dw.log_mean_exp(f, backend=backend, n_threads=2, **options)
    assert value.dtype == gradient.dtype == dtype
    np.testing.assert_allclose(value, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    np.testing.assert_allclose(gradient, expected_gradient, rtol=20 * TOLERANCE[dtype], atol=1e-37)


@given(data=st.data())
def test_columns_are_the_reference(backend: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    n_outer, n, n_inner = data.draw(
        st.sampled_from(
            [(1, 1, 2), (2, 5, 3), (1, 9000, 3), (3, 40, 7), (2, 2100, 33), (1, 70, 1100), (1, 1500, 64), (2, 3, 31)]
        ),
        label="shape",
    )
    scale = data.draw(st.sampled_from([0.01, 1.0, 40.0, 1e4]), label="scale")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), label="seed"))
    f = (scale * rng.standard_normal((n_outer, n, n_inner))).astype(dtype)
    f[0, rng.integers(n), rng.integers(n_inner)] = data.draw(st.sampled_from([0.0, -INF, INF, np.nan]), label="special")
    f[-1, :, 0] = data.draw(st.sampled_from([1.0, -INF]), label="first column")
    weights = None
    if data.draw(st.booleans(), label="weighted"):
        weights = rng.random(f.shape) * (rng.random(f.shape) < 0.7)
        weights[:, 0] += 0.5
    options = {"axis": 1, "weights": weights, "return_gradient": True}
    expected, expected_gradient = dw.log_mean_exp(f, backend="reference", **options)
    value, gradient = dw.log_mean_exp(f, backend=backend, n_threads=2, **options)
    np.testing.assert_allclose(value, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * min(scale, 1))
    np.testing.assert_allclose(gradient, expected_gradient, rtol=20 * TOLERANCE[dtype], atol=1e-37)


@given(data=st.data())
def test_segments_are_rows_of_their_own(backend: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    longest = data.draw(st.sampled_from([1, 8, 70, 5000, 30000]), label="longest")
    n_segments = data.draw(st.sampled_from([1, 2, 17, 300]), label="segments") if longest < 100 else 12
    scale = data.draw(st.sampled_from([0.01, 1.0, 40.0, 1e4]), label="scale")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), label="seed"))
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, longest + 1, n_segments))])
    f = (scale * rng.standard_normal(offsets[-1])).astype(dtype)
    f[rng.integers(len(f))] = data.draw(st.sampled_from([0.0, -INF, INF, np.nan]), label="special")
    weights = rng.random(len(f)) + 1e-3 if data.draw(st.booleans(), label="weighted") else None
    value, gradient = dw.log_mean_exp(f, segments=offsets, weights=weights, return_gradient=True, n_threads=2, backend=backend)
    assert value.dtype == gradient.dtype == dtype
    assert value.shape == (n_segments,)
    for k, (start, stop) in enumerate(pairwise(offsets)):
        own = None if weights is None else weights[start:stop]
        expected = dw.log_mean_exp(f[start:stop], weights=own, return_gradient=True, backend="reference")
        np.testing.assert_allclose(value[k], expected[0], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * min(scale, 1))
        np.testing.assert_allclose(gradient[start:stop], expected[1], rtol=20 * TOLERANCE[dtype], atol=1e-37)


def test_segments_do_not_know_their_neighbors(backend: str, rng: np.random.Generator) -> None:
    """A segment's bits are its own, whatever stands beside it and whoever works on it."""
    offsets = np.array([0, 3, 40, 41, 44, 50, 51, 9000, 9100, 120_000, 260_000, 300_000])
    for dtype in (np.float32, np.float64):
        f = rng.standard_normal(300_000).astype(dtype)
        f[40] = 1e4  # a neighbor that needs another way
        value, gradient = dw.log_mean_exp(f, segments=offsets, return_gradient=True, n_threads=3, backend=backend)
        for k, (start, stop) in enumerate(pairwise(offsets)):
            alone = dw.log_mean_exp(f[start:stop], return_gradient=True, n_threads=1, backend=backend)
            assert value[k] == alone[0]
            np.testing.assert_array_equal(gradient[start:stop], alone[1])


def test_against_scipy(backend: str, rng: np.random.Generator) -> None:
    f, w = 20 * rng.standard_normal((4, 1000)), rng.random((4, 1000))
    np.testing.assert_allclose(dw.log_mean_exp(f, backend=backend), logsumexp(f) - np.log(f.size), rtol=1e-13)
    expected = logsumexp(f, axis=1, b=w) - np.log(w.sum(axis=1))
    np.testing.assert_allclose(dw.log_mean_exp(f, axis=1, weights=w, backend=backend), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        ([3.0], 3.0),
        ([1e308, 1e308], 1e308),
        ([-1e308, -1e308], -1e308),
        ([7.25] * 10001, 7.25),
        ([-INF, -INF], -INF),
        ([0.0, -INF], -np.log(2)),
        ([INF, 0.0], INF),
        ([-INF] * 5000 + [2.0], 2.0 - np.log(5001)),
    ],
)
def test_edge_values(backend: str, f: list[float], expected: float) -> None:
    value, gradient = dw.log_mean_exp(f, return_gradient=True, backend=backend)
    assert value == pytest.approx(expected, rel=1e-14)
    if expected > -INF:
        assert gradient.sum() == pytest.approx(1.0, rel=1e-12)
    else:
        assert (gradient == 0).all()


def test_nan_is_never_hidden(backend: str) -> None:
    f = np.zeros(10000)
    f[4321] = np.nan
    assert np.isnan(dw.log_mean_exp(f, backend=backend))
    weights = np.ones(10000)
    weights[4321] = 0.0  # what has no weight does not count
    assert dw.log_mean_exp(f, weights=weights, backend=backend) == 0.0


def test_tiny_weights_still_share_the_gradient(backend: str) -> None:
    value, gradient = dw.log_mean_exp([1.0, 1.0], weights=[1e-310, 3e-310], return_gradient=True, backend=backend)
    assert value == pytest.approx(1.0)
    np.testing.assert_allclose(gradient, [0.25, 0.75], rtol=1e-10)


def exactly(f: np.ndarray) -> np.longdouble:
    """log mean exp in long double, by exp(f) - 1."""
    return np.log1p(np.expm1(f.astype(np.longdouble)).mean())


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("n", [1, 2, 17, 300, 5000, 200_000])
def test_float32_is_right_to_two_units_in_the_last_place(backend: str, n: int, scale: float, rng: np.random.Generator) -> None:
    """Also where the result is next to 0, and for values that make the same rounding error again and again."""
    noise = (scale * rng.standard_normal(n)).astype(np.float32)
    two = np.where(rng.random(n) < 0.3, scale, -scale / 3).astype(np.float32)
    cases = [noise, two, *(part + np.float32(shift) for part in (noise, two) for shift in (0.26, -0.26, 1.0, -4.0, 50.0))]
    cases += [part - np.float32(exactly(part) + shift) for part in (noise, two) for shift in (0.01, -1e-4)]
    for f in cases:
        expected = exactly(f)
        if abs(expected) < 1e-5 and scale > 0.1:  # less than is promised
            continue
        unit = np.spacing(np.abs(np.float32(expected)))
        shapes = [(f, None, 0), (np.repeat(f[:, None], 3, axis=1), 0, 1)]
        for array, axis, at in shapes[: 1 if n > 5000 else 2]:
            value = np.ravel(dw.log_mean_exp(array, axis=axis, backend=backend))[at]
            assert abs(np.longdouble(value) - expected) <= 2 * unit, (f[:2], expected)


@pytest.mark.parametrize("scale", [1e-4, 0.3, 3.0])
def test_float64_is_right_to_units_of_what_it_adds(backend: str, scale: float, rng: np.random.Generator) -> None:
    noise = [scale * rng.standard_normal(n) for n in (1, 2, 17, 300, 20_000)]
    alone = [1e-6 * noise[-1] for _ in range(4)]  # near 0, but for one value
    for f, value in zip(alone, (0.9, 1.5, 5.0, 9.0), strict=True):
        f[7] = value
    for f in noise + alone:
        expected = exactly(f)
        unit = np.spacing(max(abs(float(expected)), float(np.abs(np.expm1(f)).mean())))
        limit = 2 if backend == "native" else 5  # NumPy's own expm1 and log1p are that good
        assert abs(np.longdouble(dw.log_mean_exp(f, backend=backend)) - expected) <= limit * unit


def test_gradient_against_finite_differences(backend: str, rng: np.random.Generator) -> None:
    f, g, w = rng.standard_normal(7), rng.standard_normal(5), rng.random(7)
    cases = [
        (lambda v: dw.log_mean_exp(v, weights=w, return_gradient=True, backend=backend), f),
        (lambda v: dw.donsker_varadhan(v, g, backend=backend)[:2], f),
        (lambda v: dw.donsker_varadhan(g, v, backend=backend)[::2], f),
        (lambda v: dw.logistic(v, g, backend=backend)[:2], f),
        (lambda v: dw.logistic(g, v, backend=backend)[::2], f),
    ]
    for function, at in cases:
        _, gradient = function(at)
        step = 1e-5
        numeric = [(function(at + step * e)[0] - function(at - step * e)[0]) / (2 * step) for e in np.eye(len(at))]
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_same_bits_for_any_number_of_threads(backend: str, rng: np.random.Generator) -> None:
    f = rng.standard_normal(500_000).astype(np.float32)
    one = dw.log_mean_exp(f, return_gradient=True, n_threads=1, backend=backend)
    three = dw.log_mean_exp(f, return_gradient=True, n_threads=3, backend=backend)
    assert one[0] == three[0]
    assert np.array_equal(one[1], three[1])
    assert dw.logistic(f, -f, n_threads=1, backend=backend).value == dw.logistic(f, -f, n_threads=3, backend=backend).value


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, (0, 2), (2, 1), (0, 1, 2), ()])
def test_axes_and_layouts(backend: str, axis: int | tuple[int, ...] | None, rng: np.random.Generator) -> None:
    f = rng.standard_normal((3, 4, 5))
    axes = tuple(range(3)) if axis is None else axis
    count = np.prod([f.shape[a] for a in np.atleast_1d(axes).astype(int)]) if axes != () else 1
    expected = (logsumexp(f, axis=axes) if axes != () else f) - np.log(count)
    softmax = np.exp(f - logsumexp(f, axis=axes, keepdims=True)) if axes != () else np.ones_like(f)
    for layout in (f, np.asfortranarray(f), f[::-1].copy()[::-1]):
        value, gradient = dw.log_mean_exp(layout, axis=axis, return_gradient=True, backend=backend)
        np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(gradient, softmax, rtol=1e-12)


def test_known_divergence_of_two_gaussians(backend: str, rng: np.random.Generator) -> None:
    """KL(N(1,1) || N(0,1)) = 1/2, reached by the true f = x - 1/2; the logistic objective peaks at it."""
    p, q = rng.standard_normal(200_000) + 1, rng.standard_normal(200_000)
    assert dw.donsker_varadhan(p - 0.5, q - 0.5, backend=backend).value == pytest.approx(0.5, abs=0.02)
    best = dw.logistic(p - 0.5, q - 0.5, backend=backend).value
    for wrong in (0.5, 1.5):
        assert dw.logistic(wrong * (p - 0.5), wrong * (q - 0.5), backend=backend).value < best
    assert dw.logistic([0.0], [0.0, 0.0], backend=backend).value == pytest.approx(-2 * np.log(2))
    assert dw.logistic([1e4], [-1e4], backend=backend).value == 0.0
    assert dw.logistic([-1e4], [0.0], backend=backend).value == pytest.approx(-1e4 - np.log(2))


def test_dtypes_and_shapes(backend: str) -> None:
    f = np.zeros((2, 3), np.float32)
    result = dw.donsker_varadhan(f, f, backend=backend)
    assert isinstance(result.value, float)
    assert result.grad_joint.dtype == result.grad_marginal.dtype == np.float32
    assert result.grad_joint.shape == result.grad_marginal.shape == (2, 3)
    assert dw.log_mean_exp(np.zeros((0, 3)), axis=1, backend=backend).shape == (0,)
    assert dw.log_mean_exp([1, 1], backend=backend) == 1.0


def test_bad_input(backend: str) -> None:
    def call(*args: object, **options: object) -> None:
        dw.log_mean_exp(*args, backend=backend, **options)

    with pytest.raises(ValueError, match="must not be empty"):
        call([])
    with pytest.raises(ValueError, match="must not be empty along axis 0"):
        call(np.zeros((0, 3)), axis=0)
    with pytest.raises(ValueError, match="axis must be below 1"):
        call([1.0], axis=1)
    with pytest.raises(ValueError, match="every axis once"):
        call(np.zeros((2, 2)), axis=(0, -2))
    with pytest.raises(ValueError, match=r"not negative; got -1\.0"):
        call([1.0, 2.0], weights=[1.0, -1.0])
    with pytest.raises(ValueError, match="positive sum"):
        call([1.0, 2.0], weights=[0.0, 0.0])
    with pytest.raises(ValueError, match=r"broadcast to f, shape \(2,\)"):
        call([1.0, 2.0], weights=[1.0, 1.0, 1.0])
    with pytest.raises(TypeError, match="got dtype object"):
        call(np.array([None]))
    with pytest.raises(ValueError, match="f must be 1-D where segments are given"):
        call(np.zeros((2, 2)), segments=[0, 4])
    with pytest.raises(TypeError, match="segments must be a 1-D array of whole numbers"):
        call(np.zeros(2), segments=[0.0, 2.0])
    with pytest.raises(ValueError, match="must go from 0 to the 2 values of f, one segment at least; got from 0 to 3"):
        call(np.zeros(2), segments=[0, 3])
    with pytest.raises(ValueError, match="got segment 1 from 1 to 1"):
        call(np.zeros(2), segments=[0, 1, 1, 2])
    with pytest.raises(ValueError, match="positive sum in every segment; got a sum of 0 in segment 1"):
        call(np.zeros(3), segments=[0, 1, 3], weights=[1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="f_marginal must not be empty"):
        dw.donsker_varadhan([1.0], [], backend=backend)
    with pytest.raises(ValueError, match="f_joint must not be empty"):
        dw.logistic([], [1.0], backend=backend)


def test_out_takes_the_gradient(backend: str, rng: np.random.Generator) -> None:
    f = rng.standard_normal((30, 40)).astype(np.float32)
    out = np.empty_like(f)
    for axis in (None, 0, 1):
        value, gradient = dw.log_mean_exp(f, axis=axis, return_gradient=True, out=out, backend=backend)
        assert gradient is out
        expected, slopes = dw.log_mean_exp(f, axis=axis, return_gradient=True, backend=backend)
        assert np.array_equal(value, expected)
        assert np.array_equal(out, slopes)
    turned = np.asfortranarray(f)
    _, slopes = dw.log_mean_exp(turned, axis=1, return_gradient=True, out=out, backend=backend)
    assert slopes is out
    np.testing.assert_allclose(out, dw.log_mean_exp(f, axis=1, return_gradient=True, backend="reference")[1], rtol=2e-5)
    flat = f.ravel()
    _, slopes = dw.log_mean_exp(flat, segments=[0, 5, 1200], return_gradient=True, out=out.reshape(-1), backend=backend)
    assert np.array_equal(out.ravel(), dw.log_mean_exp(flat, segments=[0, 5, 1200], return_gradient=True, backend=backend)[1])


def test_bad_out_is_refused(backend: str) -> None:
    f = np.zeros((2, 3))
    for out, message in [
        (np.empty((3, 2)), r"of shape \(2, 3\)"),
        (np.empty((2, 3), np.float32), "dtype float64; got"),
        (np.empty((3, 2)).T, "C-contiguous"),
        (f, "must not overlap"),
    ]:
        with pytest.raises(ValueError, match=message):
            dw.log_mean_exp(f, return_gradient=True, out=out, backend=backend)
    with pytest.raises(ValueError, match="return_gradient=False"):
        dw.log_mean_exp(f, out=np.empty((2, 3)), backend=backend)
    with pytest.raises(TypeError, match="got list"):
        dw.log_mean_exp(f, return_gradient=True, out=[], backend=backend)
