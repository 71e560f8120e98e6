"""log_mean_exp, its gradient and the objectives on the device: right to what is stated, whatever the order of threads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dualwalk as dw
from on_device.kit import Device

INF = np.inf
# in units in the last place of the larger of |result| and the smaller of 1 and mean |exp f - 1|, as log_mean_exp states
UNITS = {np.float32: 2, np.float64: 4}
WEIGHTED_UNITS = {np.float32: 2, np.float64: 16}
SHAPES = [(1, 1, 1), (2, 3, 1), (5, 16, 1), (3, 17, 1), (70, 4, 1), (9, 33, 1), (3, 65, 1), (2, 128, 1), (3, 130, 1)]
SHAPES += [(2, 300, 1), (2, 2048, 1), (2, 2051, 1), (1, 9000, 1), (1, 16384, 1), (1, 16385, 1), (2, 20_000, 1), (1, 70_001, 1)]
SHAPES += [(1, 1, 2), (2, 5, 3), (1, 33, 40), (1, 1000, 3), (3, 70, 7), (1, 2500, 2)]
one_device = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def exactly(f: np.ndarray, weights: np.ndarray | None, axis: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """In long double: the result, what its error is measured by, and the gradient; for exponentials that are in range."""
    wide = f.astype(np.longdouble)
    weight = np.ones_like(wide) if weights is None else weights.astype(np.longdouble)
    wide = np.where(weight > 0, wide, 0)
    share = weight / weight.sum(axis=axis, keepdims=True)
    over = (np.expm1(wide) * share).sum(axis=axis, keepdims=True)
    terms = np.exp(wide) * share
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.where(over > -0.5, np.log1p(over), np.log(terms.sum(axis=axis, keepdims=True)))
    distance = np.minimum(1, (np.abs(np.expm1(wide)) * share).sum(axis=axis, keepdims=True))
    gradient = terms / terms.sum(axis=axis, keepdims=True)
    return result.squeeze(axis), np.maximum(np.abs(result), distance).squeeze(axis), gradient


def check(value: np.ndarray, gradient: np.ndarray, f: np.ndarray, weights: np.ndarray | None, axis: int = 1) -> None:
    """Against long double, where nothing is infinite and no exponential leaves its range."""
    kind = f.dtype.type
    expected, scale, slopes = exactly(f, weights, axis)
    limit = (UNITS if weights is None else WEIGHTED_UNITS)[kind] * np.spacing(scale.astype(kind))
    assert (np.abs(value - expected) <= limit).all(), float((np.abs(value - expected) / limit).max())
    np.testing.assert_allclose(gradient, slopes.astype(np.float64), rtol=200 * np.finfo(kind).eps, atol=1e-37)
    sums = gradient.sum(axis=axis, dtype=np.longdouble)
    np.testing.assert_allclose(sums, 1, rtol=64 * np.finfo(kind).eps)


def run(device: Device, f: np.ndarray, *, weights: np.ndarray | None = None, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    there = None if weights is None else device.put(weights)
    value, gradient = dw.log_mean_exp(device.put(f), weights=there, return_gradient=True, **options)
    return device.get(value), device.get(gradient)


@one_device
@given(data=st.data())
def test_rows_and_columns_are_right_to_what_is_stated(device: Device, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    shape = data.draw(st.sampled_from(SHAPES), label="shape")
    scale = data.draw(st.sampled_from([0.0, 1e-6, 0.01, 0.3, 3.0, 12.0]), label="scale")
    shift = data.draw(st.sampled_from([0.0, 0.26, -0.35, 4.0, -40.0]), label="shift")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), label="seed"))
    f = (scale * rng.standard_normal(shape) + shift).astype(dtype)
    weights = None
    if data.draw(st.booleans(), label="weighted"):
        weights = (rng.random(shape) * (rng.random(shape) < 0.7)).astype(dtype)
        weights[:, 0] += 0.5
    check(*run(device, f, weights=weights, axis=1), f, weights)


@one_device
@given(data=st.data())
def test_any_values_are_those_of_the_reference(device: Device, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    shape = data.draw(st.sampled_from(SHAPES), label="shape")
    scale = data.draw(st.sampled_from([1.0, 100.0, 1e4, 1e30]), label="scale")
    special = data.draw(st.sampled_from([(), (-INF,), (INF,), (np.nan,), (INF, -INF), (INF, np.nan)]), label="special")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), label="seed"))
    f = (scale * rng.standard_normal(shape)).astype(dtype)
    for one in special:
        f[tuple(rng.integers(n) for n in shape)] = one
    if data.draw(st.booleans(), label="nothing in the first"):
        f[0, :, 0] = -INF
    weights = None
    if data.draw(st.booleans(), label="weighted"):
        weights = (rng.random(shape) * (rng.random(shape) < 0.7)).astype(dtype)
        weights[:, 0] += 0.5
    value, gradient = run(device, f, weights=weights, axis=1)
    expected = dw.log_mean_exp(f, weights=weights, axis=1, return_gradient=True, backend="reference")
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(value, expected[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient, expected[1], rtol=100 * tolerance, atol=1e-37)


@one_device
@given(data=st.data())
def test_segments_are_rows_of_their_own(device: Device, data: st.DataObject) -> None:
    """Each has the bits that it has alone, whatever stands beside it."""
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    longest = data.draw(st.sampled_from([1, 10, 40, 300, 3000, 30_000]), label="longest")
    n_segments = data.draw(st.sampled_from([1, 2, 40, 150]), label="segments") if longest <= 40 else 7
    scale = data.draw(st.sampled_from([0.01, 1.0, 40.0, 1e4]), label="scale")
    rng = np.random.default_rng(data.draw(st.integers(0, 1000), label="seed"))
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, longest + 1, n_segments))])
    f = (scale * rng.standard_normal(offsets[-1])).astype(dtype)
    f[rng.integers(len(f))] = data.draw(st.sampled_from([0.0, -INF, INF, np.nan]), label="special")
    weights = (rng.random(len(f)) + 1e-3).astype(dtype) if data.draw(st.booleans(), label="weighted") else None
    there = device.put(offsets) if data.draw(st.booleans(), label="offsets on the device") else offsets
    value, gradient = run(device, f, segments=there, weights=weights)
    expected = dw.log_mean_exp(f, segments=offsets, weights=weights, return_gradient=True, backend="reference")
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(value, expected[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(gradient, expected[1], rtol=100 * tolerance, atol=1e-37)
    for k, (start, stop) in enumerate(pairwise(offsets[:4])):
        alone = run(device, f[start:stop], weights=None if weights is None else weights[start:stop])
        assert np.array_equal(value[k], alone[0], equal_nan=True)
        assert np.array_equal(gradient[start:stop], alone[1], equal_nan=True)


@pytest.mark.parametrize(
    "shape", [(40, 5, 1), (3, 100, 1), (1, 2048, 1), (2, 2500, 1), (1, 20_000, 1), (2, 70, 40), (1, 3000, 2)]
)
def test_the_same_bits_in_any_order_on_any_device(device: Device, any_order: str, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64):
        f = rng.standard_normal(shape).astype(dtype)
        weights = rng.random(shape).astype(dtype)
        for w in (None, weights):
            value, gradient = run(device, f, weights=w, axis=1)
            check(value, gradient, f, w)
            if device.emulated:
                device.kernels.set_device(multiprocessors=1 if any_order == "forward" else 7)
                again = run(device, f, weights=w, axis=1)
                device.kernels.set_device()
            else:
                again = run(device, f, weights=w, axis=1)
            assert np.array_equal(value, again[0])
            assert np.array_equal(gradient, again[1])
            assert np.array_equal(
                value, device.get(dw.log_mean_exp(device.put(f), weights=w if w is None else device.put(w), axis=1))
            )


def test_segments_in_any_order(device: Device, any_order: str, rng: np.random.Generator) -> None:
    lengths = [1, 16, 17, 128, 129, 2048, 2049, 8192, 8193, 16_385, 3, 3, 30_000, 5]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    f = rng.standard_normal(offsets[-1]).astype(np.float32)
    value, gradient = run(device, f, segments=device.put(offsets))
    for k, (start, stop) in enumerate(pairwise(offsets)):
        check(value[None, k], gradient[None, start:stop], f[None, start:stop], None)


@pytest.mark.large
def test_more_runs_than_a_warp_combines(device: Device, rng: np.random.Generator) -> None:
    """The tree's upper levels: of a row, and of a segment whose groups go to the warps of a block."""
    n = 512 * 8192 + 100_000
    f = rng.standard_normal(n).astype(np.float32)
    value, gradient = run(device, f)
    check(value[None], gradient[None], f[None], None)
    of_segments = run(device, np.append(f, f[:5]), segments=[0, n, n + 5])
    assert of_segments[0][0] == value
    assert np.array_equal(of_segments[1][:n], gradient)


def test_a_view_at_any_address_has_the_same_bits(device: Device, rng: np.random.Generator) -> None:
    f = rng.standard_normal(20_003).astype(np.float32)
    expected = run(device, f[3:])
    value, gradient = dw.log_mean_exp(device.put(f)[3:], return_gradient=True)  # at no multiple of 16 bytes
    assert np.array_equal(device.get(value), expected[0])
    assert np.array_equal(device.get(gradient), expected[1])


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, (0, 2), (2, 1), (0, 1, 2), ()])
def test_axes_and_layouts(device: Device, axis: int | tuple[int, ...] | None, rng: np.random.Generator) -> None:
    f = rng.standard_normal((3, 4, 5))
    expected = dw.log_mean_exp(f, axis=axis, return_gradient=True, backend="reference")
    there = device.put(f)
    layouts = [there, device.put(np.asfortranarray(f)), device.put(f[::-1].copy())[::-1]]
    for layout in layouts:
        value, gradient = dw.log_mean_exp(layout, axis=axis, return_gradient=True)
        np.testing.assert_allclose(device.get(value), expected[0], rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(device.get(gradient), expected[1], rtol=1e-12)
    out = device.xp.empty_like(there)
    assert dw.log_mean_exp(layouts[1], axis=axis, return_gradient=True, out=out)[1] is out
    np.testing.assert_allclose(device.get(out), expected[1], rtol=1e-12)


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
        ([-1000.0] * 3000 + [1.0] * 3000, 1.0 - np.log(2)),
        ([-800.0] * 9000 + [-801.0] * 9000, -800.0 + np.log((1 + np.exp(-1)) / 2)),
    ],
)
def test_edge_values(device: Device, f: list[float], expected: float) -> None:
    value, gradient = run(device, np.array(f))
    assert value == pytest.approx(expected, rel=1e-14)
    assert gradient.sum() == pytest.approx(1.0 if expected > -INF else 0.0, rel=1e-12)


def test_weights_that_are_none_give_nan(device: Device) -> None:
    """Nothing waits to look at them."""
    f = device.put(np.zeros((4, 3)))
    weights = device.put(np.array([[1.0, -1.0, 1.0], [0, 0, 0], [1, np.nan, 1], [1, INF, 2]]))
    assert np.isnan(device.get(dw.log_mean_exp(f, axis=1, weights=weights))).all()
    big = np.ones(3000)
    big[2500] = -1
    assert np.isnan(device.get(dw.log_mean_exp(device.put(np.zeros(3000)), weights=device.put(big))))
    big[2500] = 0
    f = np.zeros(3000)
    f[2500] = np.nan  # what has no weight does not count
    assert device.get(dw.log_mean_exp(device.put(f), weights=device.put(big))) == 0


def test_tiny_weights_still_share_the_gradient(device: Device) -> None:
    value, gradient = run(device, np.array([1.0, 1.0]), weights=np.array([1e-310, 3e-310]))
    assert value == pytest.approx(1.0)
    np.testing.assert_allclose(gradient, [0.25, 0.75], rtol=1e-10)


def test_offsets_that_are_none_give_nan(device: Device) -> None:
    """Nothing waits to look at those on the device, and nothing outside of f is touched."""
    f = device.put(np.zeros(6))

    def value(offsets: list[int]) -> list[float]:
        return device.get(dw.log_mean_exp(f, segments=device.put(offsets), return_gradient=True)[0]).tolist()

    assert np.array_equal(value([0, 2, 2, 6]), [0, np.nan, 0], equal_nan=True)
    for offsets in ([1, 6], [0, 5], [0, 7], [-3, 6]):
        assert np.isnan(value(offsets)).all()
    for offsets in ([0, 5, 3, 6], [0, 100, 6], [0, -5, 6], [0, 2**62, -(2**62), 6]):
        assert np.isnan(value(offsets)).any()


def test_donsker_varadhan_and_logistic(device: Device, any_order: str, rng: np.random.Generator) -> None:
    for dtype, tolerance in ((np.float32, 2e-6), (np.float64, 1e-13)):
        for n, m in ((1, 1), (7, 5), (100, 3000), (20_000, 300)):
            joint, marginal = (3 * rng.standard_normal(k).astype(dtype) for k in (n, m))
            for function in (dw.donsker_varadhan, dw.logistic):
                expected = function(joint.astype(np.float64), marginal.astype(np.float64), backend="reference")
                ours = function(device.put(joint), device.put(marginal))
                assert ours.value.shape == ()
                assert ours.grad_joint.dtype == ours.grad_marginal.dtype == dtype
                assert float(ours.value) == pytest.approx(expected.value, rel=tolerance, abs=tolerance)
                np.testing.assert_allclose(device.get(ours.grad_joint), expected.grad_joint, rtol=10 * tolerance)
                np.testing.assert_allclose(device.get(ours.grad_marginal), expected.grad_marginal, rtol=20 * tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_sigmoid_of_any_value(device: Device, dtype: Any) -> None:
    def mean(f: list[float]) -> float:
        return float(dw.logistic(device.put(f, dtype), device.put([-INF], dtype)).value)

    assert mean([1e4]) == 0.0
    assert mean([-1e4]) == -1e4
    assert mean([INF]) == 0.0
    assert mean([-INF]) == -INF
    assert np.isnan(mean([0.0, np.nan]))
    tail = 80.0 if dtype == np.float32 else 600.0
    assert mean([tail]) == pytest.approx(-np.exp(-tail), rel=1e-6)
    gradient = device.get(dw.logistic(device.put([INF, -INF, np.nan, 0.0], dtype), device.put([0.0], dtype)).grad_joint)
    np.testing.assert_array_equal(gradient, [0, 0.25, np.nan, 0.125])


def test_nothing_is_transferred_and_nothing_waits(device: Device, rng: np.random.Generator) -> None:
    if not device.emulated:
        pytest.skip("transfers are counted on the emulated device")
    f, weights, offsets = device.put(rng.standard_normal((40, 50))), device.put(rng.random((40, 50))), device.put([0, 3, 2000])
    before = device.xp.n_transfers
    for axis in (None, 0, 1):
        dw.log_mean_exp(f, axis=axis, weights=weights, return_gradient=True)
    dw.log_mean_exp(f.ravel(), segments=offsets, return_gradient=True)
    dw.donsker_varadhan(f, f)
    dw.logistic(f, f)
    assert device.xp.n_transfers == before


def test_shapes_and_dtypes(device: Device) -> None:
    assert dw.log_mean_exp(device.put(np.zeros((0, 3))), axis=1).shape == (0,)
    assert dw.log_mean_exp(device.put(np.zeros((0, 3)))[:, :, None], axis=1).shape == (0, 1)
    value = dw.log_mean_exp(device.put([1, 1]))
    assert value.shape == ()
    assert value.dtype == np.float64
    assert device.get(value) == 1.0
    assert (
        device.get(dw.log_mean_exp(device.put(np.ones((2, 3), np.float32)), weights=device.put([1, 0, 2]), axis=1)).dtype
        == np.float32
    )


def test_bad_input(device: Device) -> None:
    f = device.put(np.zeros(3))
    for wrong, match in (
        (
            lambda: dw.log_mean_exp(f, weights=np.ones(3)),
            r"weights must be on a CUDA device, where f is.*cupy\.asarray\(weights\)",
        ),
        (lambda: dw.log_mean_exp(np.zeros(3), weights=f), r"weights must be in the host's memory.*pass weights\.get\(\)"),
        (lambda: dw.log_mean_exp(np.zeros(3), segments=device.put([0, 3])), r"pass segments\.get\(\)"),
        (lambda: dw.donsker_varadhan(f, np.zeros(3)), "f_marginal must be on a CUDA device, where f_joint is"),
        (lambda: dw.logistic(np.zeros(3), f), "f_marginal must be in the host's memory, where f_joint is"),
        (lambda: dw.log_mean_exp(f[:0]), "f must not be empty"),
        (lambda: dw.donsker_varadhan(f, f[:0]), "f_marginal must not be empty"),
        (lambda: dw.log_mean_exp(f, segments=device.put([0])), "one segment at least"),
        (lambda: dw.log_mean_exp(f, segments=[0, 2, 2, 3]), "got segment 1 from 2 to 2"),
        (lambda: dw.log_mean_exp(f, return_gradient=True, out=f), "must not overlap"),
        (lambda: dw.log_mean_exp(f, return_gradient=True, out=device.put(np.zeros(4))), "of shape"),
        (lambda: dw.log_mean_exp(f, weights=device.put(np.ones(4))), "broadcast to f"),
        (lambda: dw.log_mean_exp(f, backend="reference"), "works in the host's memory"),
    ):
        with pytest.raises(ValueError, match=match):
            wrong()
    with pytest.raises(TypeError, match="must be a CuPy array; got ndarray"):
        dw.log_mean_exp(f, return_gradient=True, out=np.zeros(3))
    with pytest.raises(TypeError, match="whole numbers"):
        dw.log_mean_exp(f, segments=device.put([0.0, 3.0]))
