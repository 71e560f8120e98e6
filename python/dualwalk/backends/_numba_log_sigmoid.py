# mypy: disable-error-code="no-untyped-def"
"""mean_log_sigmoid in Numba: chunks of a fixed size, combined by a fixed tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_objective import CHUNK, CLAMP, LANES, threads_for, tree_sum, within
from ._numba_scalar import exp_parts, exp_tail, jit, logarithm, read_only

Floats = NDArray[Any]


def mean_log_sigmoid(f: Floats, sign: int, gradient: Floats | None, n_threads: int) -> float:
    values = read_only(np.ascontiguousarray(f))
    sums = np.empty(-(-len(values) // CHUNK))
    slopes = np.empty(0, values.dtype) if gradient is None else gradient
    tail = exp_tail(values.dtype)

    def work(begin: int, end: int) -> None:
        _log_sigmoid(values, float(sign), slopes, sums, tail, begin, end)

    parallel_ranges(work, len(sums), threads_for(len(values), n_threads))
    return float(tree_sum(sums)) / len(values)


@jit(inline=True)
def _small(x, tail):
    """exp(x) for x <= 0."""
    step, e = exp_parts(within(x), tail)
    return 0.0 if x < -CLAMP else step + step * e


@jit()
def _log_sigmoid(f, sign, gradient, sums, tail, begin, end):
    scale = sign / len(f)
    below, over = np.empty(LANES), np.empty(LANES)
    for chunk in range(begin, end):
        below[:], over[:] = 0.0, 0.0
        for start in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(f)), LANES):
            part = f[start : start + LANES]
            for i in range(len(part)):
                z = sign * np.float64(part[i])
                t = _small(-abs(z), tail)
                below[i] += z if z < 0 else 0.0
                over[i] += t + over[i] * t  # product of 1 + t, less 1: at most 2^(CHUNK / LANES)
            if len(gradient):
                out = gradient[start : start + LANES]
                for i in range(len(part)):
                    z = sign * np.float64(part[i])
                    t = _small(-abs(z), tail)
                    out[i] = (1.0 if z < 0 else t) / (1.0 + t) * scale
        for i in range(LANES):
            u = 1.0 + over[i]
            below[i] -= logarithm(u) + (over[i] - (u - 1.0)) / u
        sums[chunk] = tree_sum(below)
