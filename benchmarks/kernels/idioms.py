"""What a good user of Numba writes without this library: plain loops, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

try:
    import numba
except ImportError:  # the candidates that use these then say that Numba is missing
    numba = None


def compiled(function: Any) -> Any:
    return function if numba is None else numba.njit(nogil=True)(function)


@compiled
def shuffle(x: Any, out: Any) -> None:
    n, d = x.shape
    column = np.empty(n, x.dtype)
    for j in range(d):
        column[:] = x[:, j]
        for i in range(n - 1, 0, -1):
            k = np.random.randint(0, i + 1)  # noqa: NPY002 - the one generator that Numba compiles without an object
            column[i], column[k] = column[k], column[i]
        out[:, j] = column


@compiled
def resample(x: Any, out: Any) -> None:
    n, d = x.shape
    for i in range(n):
        for j in range(d):
            out[i, j] = x[np.random.randint(0, n), j]  # noqa: NPY002


@compiled
def shift(x: Any, out: Any) -> None:
    n, d = x.shape
    by = np.empty(d, np.int64)
    for j in range(d):
        by[j] = np.random.randint(1, n)  # noqa: NPY002
    for i in range(n):
        for j in range(d):
            k = i + by[j]
            out[i, j] = x[k - n if k >= n else k, j]


@compiled
def log_mean_exp(f: Any) -> float:
    largest = f[0]
    for value in f:
        largest = max(largest, value)
    total = 0.0
    for value in f:
        total += math.exp(value - largest)
    return float(largest + math.log(total / len(f)))


@compiled
def log_mean_exp_gradient(f: Any) -> Any:
    largest = f[0]
    for value in f:
        largest = max(largest, value)
    gradient = np.empty_like(f)
    total = 0.0
    for i in range(len(f)):
        gradient[i] = math.exp(f[i] - largest)
        total += gradient[i]
    for i in range(len(f)):
        gradient[i] /= total
    return largest + math.log(total / len(f)), gradient


@compiled
def log_mean_exp_segments(f: Any, offsets: Any) -> Any:
    out = np.empty(len(offsets) - 1, f.dtype)
    for s in range(len(out)):
        out[s] = log_mean_exp(f[offsets[s] : offsets[s + 1]])
    return out
