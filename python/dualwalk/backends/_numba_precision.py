# mypy: disable-error-code="no-untyped-def"
"""exp and log in the precision of their argument: float32 loops hold twice as many numbers a vector as float64 ones.

Which version a call gets is settled by the argument's type when the caller is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from ._numba_scalar import exp_of_negative, logarithm

_INLINED: Any = {"forceinline": True, "fastmath": {"contract"}, "error_model": "numpy"}
_ROUNDER = np.float32(12582912.0)  # 1.5 * 2^23: added and taken off again it rounds, the integer is left in the low bits
_LOG2E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_LEAST = np.float32(-86.5)
_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_E7, _E6, _E5, _E4, _E3, _E2 = (np.float32(1 / k) for k in (5040, 720, 120, 24, 6, 2))
_SQRT_HALF = np.int32(np.float32(np.sqrt(0.5)).view(np.int32))
_A11, _A9, _A7, _A5, _A3 = (np.float32(1 / k) for k in (11, 9, 7, 5, 3))


def small_exp(x: Any) -> Any:
    """exp(x) for x up to about 80, with 0 for what is next to denormal; NaN stays NaN."""
    raise NotImplementedError("only inside compiled functions")


def quick_log(x: Any) -> Any:
    """log(x) of a normal positive number."""
    raise NotImplementedError("only inside compiled functions")


@overload(small_exp, jit_options=_INLINED)
def _small_exp(x):
    def single(x):
        shifted = x * _LOG2E + _ROUNDER
        n = shifted - _ROUNDER
        r = (x - n * _LN2_HIGH) - n * _LN2_LOW
        grown = ((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2
        grown = (grown * r + _ONE) * r + _ONE
        power = np.int32(np.float32(shifted).view(np.int32) << 23)
        scaled = np.int32(np.float32(grown).view(np.int32) + power).view(np.float32)
        return _ZERO if x < _LEAST else (x if np.isnan(x) else scaled)

    def double(x):
        return exp_of_negative(x)

    return single if x == types.float32 else double


@overload(quick_log, jit_options=_INLINED)
def _quick_log(x):
    def single(x):
        bits = np.float32(x).view(np.int32)
        exponent = np.int32(np.int32(bits - _SQRT_HALF) >> 23)
        m = np.int32(bits - np.int32(exponent << 23)).view(np.float32)  # in [sqrt(1/2), sqrt(2))
        e = np.float32(exponent)
        s = (m - _ONE) / (m + _ONE)
        u = s * s
        series = ((((_A11 * u + _A9) * u + _A7) * u + _A5) * u + _A3) * u
        return e * _LN2_HIGH + (_TWO * (s * series + s) + e * _LN2_LOW)

    def double(x):
        return logarithm(x)

    return single if x == types.float32 else double
