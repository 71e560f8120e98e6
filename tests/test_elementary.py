"""Stated errors of the vectorized elementary functions, at every SIMD level that this processor has, against double and long double."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk import backends

if backends.why_not("native") is not None:
    pytest.skip(backends.why_not("native"), allow_module_level=True)

from dualwalk import _core

TRUTH = {
    "exp": np.exp,
    "log": np.log,
    "log_one_plus": np.log1p,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "silu_slope": lambda x: 1 / (1 + np.exp(-x)) * (1 + x / (1 + np.exp(x))),
    "log_sigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
}
# The largest error in units in the last place of the result, as stated beside the functions.
LIMIT = {"exp": 1.1, "log": 2.0, "log_one_plus": 2.0, "silu": 4.0, "silu_slope": 4.0, "log_sigmoid": 3.0}
# Of every how many float32 numbers one is tried, bit pattern by bit pattern (a prime): a million numbers of either sign.
STRIDE = 2039


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


def numbers(dtype: type, rng: np.random.Generator) -> np.ndarray:
    """Finite numbers of every size, denormal ones included, and more where the functions bend."""
    if dtype is np.float32:
        everywhere = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)
    else:
        everywhere = rng.integers(0, 2**64, 300_000, dtype=np.uint64).view(np.float64)
    near = [rng.uniform(-760, 760, 100_000), rng.uniform(-2, 2, 100_000), 1 + rng.uniform(-0.01, 0.01, 10_000)]
    x = np.concatenate([everywhere, *(part.astype(dtype) for part in near)])
    return x[np.isfinite(x)]


def domain(name: str, x: np.ndarray) -> np.ndarray:
    if name == "log":  # normal positive numbers
        return x[x >= np.finfo(x.dtype).tiny]
    return x[(x >= 0) & (x <= 1)] if name == "log_one_plus" else x


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TRUTH)
def test_error_in_ulp(level: str, name: str, dtype: type) -> None:
    x = domain(name, numbers(dtype, np.random.default_rng(0)))
    wide = np.float64 if dtype is np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        exact = TRUTH[name](x.astype(wide))
        expected = exact.astype(dtype)
    value = evaluate(name, x)
    np.testing.assert_array_equal(np.isinf(value), np.isinf(expected))
    finite = np.isfinite(expected)
    unit = np.spacing(np.abs(expected[finite]))
    if name == "silu":  # beyond the range of exp its denormal result, half a unit off, is multiplied by x
        unit = np.maximum(unit, np.abs(x[finite]) * np.finfo(dtype).smallest_subnormal)
    if name == "silu_slope":  # crosses zero at -1.28: there the error is that of a number near 1
        unit = np.maximum(unit, np.finfo(dtype).epsneg)
    error = np.abs(value[finite].astype(wide) - exact[finite]) / unit
    assert error.max() <= LIMIT[name], (float(error.max()), x[finite][error.argmax()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [-np.inf, np.inf, np.nan, 0.0, -0.0, 1e4, -1e4], [0, np.inf, np.nan, 1, 1, np.inf, 0]),
        ("log", [1.0], [0]),
        ("log_one_plus", [0.0, np.nan], [0, np.nan]),
        ("silu", [0.0, np.inf, np.nan, 1e4, -1e4], [0, np.inf, np.nan, 1e4, 0]),
        ("silu_slope", [0.0, np.nan, 1e4, -1e4], [0.5, np.nan, 1, 0]),
        ("log_sigmoid", [-np.inf, np.inf, np.nan, 1e4, -1e4], [-np.inf, 0, np.nan, 0, -1e4]),
    ],
)
def test_values_at_the_ends(level: str, name: str, x: list[float], expected: list[float], dtype: type) -> None:
    np.testing.assert_array_equal(evaluate(name, np.array(x, dtype)), np.array(expected, dtype))


def test_unknown_names_are_refused(level: str) -> None:
    x = np.zeros(3)
    assert not _core.elementary("tangent", x, np.empty(3))
    with pytest.raises(ValueError, match=r"SIMD level must be one .*baseline.*got 'mmx'"):
        _core.select_level("mmx")
