# mypy: disable-error-code="no-untyped-def"
"""Scalar arithmetic of the Numba backend: Philox words, exp, log and friends without a branch, so that LLVM vectorizes loops.

Everything is double precision with coefficients of the Taylor series: loops stay simple, and float32 results are exact to
rounding. Contraction to fused multiply-adds is allowed (it changes no NaN and no infinity), other fast-math is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

_ROUNDER = 1.5 * 2.0**52  # added and taken off again it rounds to an integer, which is left in the low bits
_LOG2E, _LN2_HIGH = 1 / math.log(2), 0.693145751953125
_LN2_LOW = 1.4286068203094172e-06  # ln 2 - _LN2_HIGH
_LEAST = -707.5  # exp of less is next to denormal
_MANTISSA, _BIAS = np.int64(52), np.int64(1023)
_SQRT_HALF = np.int64(np.float64(math.sqrt(0.5)).view(np.int64))
# Horner's order: the highest power first
_EXP = np.array([1 / math.factorial(k) for k in range(13, -1, -1)])  # on [-ln 2 / 2, ln 2 / 2]
_ATANH = np.array([1 / (2 * k + 1) for k in range(17, -1, -1)])  # atanh(s) / s by s^2 <= 1/9
_SIN = np.array([(-1) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1)])  # sin(r) / r by r^2 <= (pi / 4)^2
_COS = np.array([(-1) ** k / math.factorial(2 * k) for k in range(8, -1, -1)])


def jit(*, inline: bool = False, fastmath: frozenset[str] = frozenset({"contract"})) -> Callable[[Any], Callable[..., Any]]:
    """Compile at the first call, without the GIL; keep the machine code on disk where a folder for it can be written.

    `inline` makes LLVM inline a function wherever it is called, without which it vectorizes no loop round the call.
    """

    def compiled(function: Any) -> Callable[..., Any]:
        def dispatcher(cache: bool) -> Callable[..., Any]:
            made = numba.njit(nogil=True, error_model="numpy", fastmath=set(fastmath), forceinline=inline, cache=cache)
            return made(function)

        try:
            return dispatcher(cache=not inline)
        except RuntimeError:  # no folder can be written: compile in every process
            return dispatcher(cache=False)

    return compiled


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written to: Numba compiles a function once for these, not again for writeable arrays."""
    view = array.view()
    view.flags.writeable = False
    return view


@jit(inline=True)
def philox_words(c0, c1, c2, c3, seed):
    """Philox4x32-10 of one counter, its words in uint64."""
    k0, k1 = seed & LOW, seed >> WORD
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> WORD) ^ c1 ^ k0, p1 & LOW, (p0 >> WORD) ^ c3 ^ k1, p0 & LOW
        k0, k1 = (k0 + _W0) & LOW, (k1 + _W1) & LOW
    return c0, c1, c2, c3


@jit(inline=True)
def exp_of_negative(x):
    """exp(x) for x <= 0, with 0 for what is next to denormal; NaN stays NaN."""
    shifted = x * _LOG2E + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    grown = 0.0
    for k in range(len(_EXP)):
        grown = grown * r + _EXP[k]
    power = np.float64(shifted).view(np.int64) << _MANTISSA
    scaled = np.int64(np.float64(grown).view(np.int64) + power).view(np.float64)
    return 0.0 if x < _LEAST else (x if np.isnan(x) else scaled)


# (exp(r) - 1 - r) / r^2 on [-ln 2 / 2, ln 2 / 2], the lowest power first: to rounding, and to 1.2e-12, which is enough for
# float32 (a Chebyshev fit, as in csrc/include/dualwalk/elementary.hpp)
_TAIL = tuple(1 / math.factorial(k) for k in range(2, 14))
_SHORT_TAIL = (
    *(0.499999999995199625, 0.16666666786585350865, 0.041666667053886859079, 0.008333281284336479949),
    *(0.001388879647621942503, 0.00019909234570714257213, 0.00002488758568570707177),
)


def exp_tail(dtype: np.dtype[Any]) -> tuple[float, ...]:
    """The coefficients that `exp_parts` needs for values of this dtype."""
    return _SHORT_TAIL if dtype == np.float32 else _TAIL


@jit(inline=True)
def exp_parts(x, tail):
    """2^n and e of exp(x) = 2^n (1 + e), |x| < 700; where x is NaN, e is."""
    shifted = x * _LOG2E + _ROUNDER
    n = shifted - _ROUNDER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = tail[len(tail) - 1]
    for k in range(len(tail) - 2, -1, -1):
        series = series * r + tail[k]
    step = np.int64((np.float64(shifted).view(np.int64) + _BIAS) << _MANTISSA).view(np.float64)
    return step, r + r * r * series


@jit(inline=True)
def _twice_atanh(s):
    square, series = s * s, 0.0
    for k in range(len(_ATANH)):
        series = series * square + _ATANH[k]
    return 2.0 * s * series


@jit(inline=True)
def log_one_plus(t):
    """log(1 + t) for t in [0, 1]."""
    return _twice_atanh(t / (t + 2.0))


@jit(inline=True)
def logarithm(x):
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _SQRT_HALF) >> _MANTISSA
    m = np.int64(bits - (exponent << _MANTISSA)).view(np.float64)  # in [sqrt(1/2), sqrt(2))
    e = np.float64(exponent)
    return e * _LN2_HIGH + (_twice_atanh((m - 1.0) / (m + 1.0)) + e * _LN2_LOW)


@jit(inline=True)
def normal_pair(first, second):
    """Box and Muller on two words: radius from the first, angle from the second."""
    radius = math.sqrt(-2.0 * logarithm((np.float64(first) + 0.5) * 2.0**-32))
    u = (np.float64(second) + 0.5) * 2.0**-32
    shifted = u * 4.0 + _ROUNDER
    r = (u - (shifted - _ROUNDER) * 0.25) * (2 * math.pi)
    square, sine, cosine = r * r, 0.0, 0.0
    for k in range(len(_SIN)):
        sine = sine * square + _SIN[k]
    for k in range(len(_COS)):
        cosine = cosine * square + _COS[k]
    sine *= r
    quarter = np.float64(shifted).view(np.int64)
    if quarter & 1:
        sine, cosine = cosine, sine
    return radius * (-cosine if (quarter + 1) & 2 else cosine), radius * (-sine if quarter & 2 else sine)


@jit(inline=True)
def silu_and_slope(z):
    """SiLU z sigmoid(z) and its derivative."""
    small = exp_of_negative(-abs(z))
    larger = 1.0 / (1.0 + small)
    smaller = small * larger
    sigmoid, complement = (smaller, larger) if z < 0 else (larger, smaller)
    return z * sigmoid, sigmoid * (1.0 + z * complement)
