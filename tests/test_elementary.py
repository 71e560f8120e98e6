"""Stated errors of the vectorized elementary functions, at every SIMD level that this processor has, against long double."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk import backends

if backends.why_not("native") is not None:
    pytest.skip(backends.why_not("native"), allow_module_level=True)

from dualwalk import _core

WIDE = np.longdouble


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def silu_slope(x: np.ndarray) -> np.ndarray:
    s = 1 / (1 + np.exp(-x))
    return s * (1 + x * (1 - s))


CASES = {  # name: (truth, range in float32, range in float64, largest error in ULP)
    "exp": (np.exp, (-103.0, 88.7), (-745.0, 709.7), 1.5),
    "log": (np.log, (1e-37, 1e37), (1e-300, 1e300), 2.0),
    "log_one_plus": (np.log1p, (0.0, 1.0), (0.0, 1.0), 2.0),
    "silu": (silu, (-85.0, 85.0), (-700.0, 700.0), 4.0),
    "log_sigmoid": (lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))), (-85.0, 85.0), (-700.0, 700.0), 4.0),
}


@pytest.fixture(params=_core.levels())
def level(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    before = _core.level()
    _core.select_level(request.param)
    yield request.param
    _core.select_level(before)


def evaluate(name: str, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    assert _core.elementary(name, x, out)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_error_in_ulp(level: str, name: str, dtype: type) -> None:
    truth, *ranges, limit = CASES[name]
    low, high = ranges[dtype == np.float64]
    rng = np.random.default_rng(0)
    x = rng.uniform(low, high, 200_001) if name != "log" else np.exp(rng.uniform(np.log(low), np.log(high), 200_001))
    x = np.concatenate([x, rng.uniform(max(low, -1), 1, 100_000)]).astype(dtype)
    expected = truth(x.astype(WIDE))
    ulp = np.spacing(np.maximum(np.abs(expected).astype(dtype), np.finfo(dtype).tiny))
    error = np.abs(evaluate(name, x).astype(WIDE) - expected) / ulp
    assert error.max() <= limit, (float(error.max()), x[error.argmax()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silu_slope_is_right_to_rounding(level: str, dtype: type) -> None:
    x = np.random.default_rng(1).uniform(-80, 80, 100_000).astype(dtype)  # crosses zero, so the error is absolute
    np.testing.assert_allclose(evaluate("silu_slope", x), silu_slope(x.astype(WIDE)), rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_at_the_ends(level: str, dtype: type) -> None:
    x = np.array([-np.inf, np.inf, np.nan, 0.0, -0.0, 1e4, -1e4], dtype)
    np.testing.assert_array_equal(evaluate("exp", x), np.array([0, np.inf, np.nan, 1, 1, np.inf, 0], dtype))


def test_unknown_names_are_refused(level: str) -> None:
    x = np.zeros(3)
    assert not _core.elementary("tangent", x, x)
    with pytest.raises(ValueError, match=r"SIMD level must be one .*baseline.*got 'mmx'"):
        _core.select_level("mmx")
