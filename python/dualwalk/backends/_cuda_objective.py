"""log-mean-exp and the mean log-sigmoid on the device: the jobs of reference.py, on CuPy arrays.

Values come back in the dtype of f (the mean log-sigmoid in float64) and stay on the device: nothing waits for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _device

__all__ = ["log_mean_exp", "log_mean_exp_segments", "mean_log_sigmoid"]

Array = Any  # CuPy's ndarray, which has no types


def log_mean_exp(f: Array, weights: Array | None, gradient: Array | None, n_threads: int) -> Array:
    value = _device.cupy().empty((f.shape[0], f.shape[2]), f.dtype)
    _device.kernels().log_mean_exp(f, weights, gradient, value, _device.here())
    return value


def log_mean_exp_segments(f: Array, offsets: Array, weights: Array | None, gradient: Array | None, n_threads: int) -> Array:
    """Where the offsets do not go from 0 to len(f), or a segment is empty, values are NaN: the host does not look at them."""
    value = _device.cupy().full(len(offsets) - 1, np.nan, f.dtype)
    _device.kernels().log_mean_exp_segments(f, offsets, weights, gradient, value, _device.here())
    return value


def mean_log_sigmoid(f: Array, sign: int, gradient: Array | None, n_threads: int) -> Array:
    value = _device.cupy().empty((), np.float64)
    _device.kernels().mean_log_sigmoid(f, sign, gradient, value, _device.here())
    return value
