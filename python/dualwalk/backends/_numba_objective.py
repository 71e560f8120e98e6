# mypy: disable-error-code="no-untyped-def"
"""log_mean_exp and mean_log_sigmoid in Numba: chunks of a fixed size, combined by a fixed tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_scalar import exp_of_negative, jit, log_one_plus, read_only

CHUNK = 4096  # entries of f summed at once
LANES = 64  # sums kept side by side in a chunk


def log_mean_exp(
    f: NDArray[Any], weights: NDArray[Any] | None, gradient: NDArray[Any] | None, n_threads: int
) -> NDArray[np.float64]:
    values = read_only(np.ascontiguousarray(f))
    weight = None
    if weights is not None:
        weight = read_only(np.ascontiguousarray(np.broadcast_to(weights, values.shape), values.dtype))
    n_rows, n = values.shape
    n_chunks = -(-n // CHUNK)
    state = np.empty((3, n_rows, n_chunks))  # peak, sum of w exp(f - peak) (where the peak is +inf: the weight there), sum of w

    def measure(begin: int, end: int) -> None:
        _measure(values, weight, state, begin, end)

    def differentiate(begin: int, end: int) -> None:
        _differentiate(values, weight, peak, total, gradient, begin, end)

    parallel_ranges(measure, n_rows * n_chunks, n_threads)
    peak, total, whole = _combined(state)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: NDArray[np.float64] = np.where(np.isnan(total), np.nan, peak + np.log(total / whole))
    if gradient is not None:
        parallel_ranges(differentiate, n_rows * n_chunks, n_threads)
    return result


def _combined(state: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """The state of every row from those of its chunks, by a tree whose shape is that of their number."""
    while (n := state.shape[2]) > 1:
        half = (n + 1) // 2
        a, b = state[:, :, : n - half], state[:, :, half:]
        peak = np.maximum(a[0], b[0])
        with np.errstate(invalid="ignore"):
            grown = [np.where(part[0] == peak, 1.0, np.exp(part[0] - peak)) * part[1] for part in (a, b)]
        combined = np.stack([peak, grown[0] + grown[1], a[2] + b[2]])
        state = np.concatenate([combined, state[:, :, n - half : half]], axis=2)
    return tuple(np.ascontiguousarray(part[:, 0]) for part in state)


@jit()
def _measure(f, weights, state, begin, end):
    n_chunks = state.shape[2]
    best, sums, whole = np.empty(LANES, f.dtype), np.empty(LANES), np.empty(LANES)
    for task in range(begin, end):
        row, chunk = task // n_chunks, task % n_chunks
        part = f[row, chunk * CHUNK : (chunk + 1) * CHUNK]
        if weights is None:
            peak, total, weight = _chunk_state(part, None, best, sums, whole)
        else:
            weights_of = weights[row, chunk * CHUNK : (chunk + 1) * CHUNK]
            peak, total, weight = _chunk_state(part, weights_of, best, sums, whole)
        state[0, row, chunk], state[1, row, chunk], state[2, row, chunk] = peak, total, weight


@jit()
def _chunk_state(f, weights, best, sums, whole):
    n = len(f)
    lanes = min(n, LANES)
    for i in range(lanes):
        best[i], sums[i], whole[i] = -np.inf, 0.0, 0.0
    for start in range(0, n, lanes):
        part = f[start : start + lanes]
        if weights is None:
            for i in range(len(part)):
                best[i] = max(best[i], part[i])  # passes over NaN
        else:
            weight = weights[start : start + lanes]
            for i in range(len(part)):
                best[i] = part[i] if (part[i] > best[i]) & (weight[i] > 0) else best[i]
                whole[i] += weight[i]
    peak = np.float64(-np.inf)
    for i in range(lanes):
        peak = max(peak, np.float64(best[i]))
    base = 0.0 if peak == -np.inf else peak
    if peak == np.inf:  # only the infinite entries matter
        for i in range(n):
            if (weights is None or weights[i] > 0) and not f[i] < np.inf:
                sums[0] += np.nan if np.isnan(f[i]) else (1.0 if weights is None else weights[i])
    else:
        for start in range(0, n, lanes):
            part = f[start : start + lanes]
            if weights is None:
                for i in range(len(part)):
                    sums[i] += exp_of_negative(np.float64(part[i]) - base)
            else:
                weight = weights[start : start + lanes]
                for i in range(len(part)):
                    term = exp_of_negative(np.float64(part[i]) - base) * np.float64(weight[i])
                    sums[i] += term if weight[i] > 0 else 0.0
    return peak, _sum(sums[:lanes]), np.float64(n) if weights is None else _sum(whole[:lanes])


@jit()
def _sum(partial):
    """The sum of an array by a tree whose shape is that of its length; the array is used up."""
    n = len(partial)
    while n > 1:
        half = (n + 1) // 2
        for i in range(n - half):
            partial[i] += partial[half + i]
        n = half
    return partial[0]


@jit()
def _differentiate(f, weights, peaks, totals, gradient, begin, end):
    n_chunks = -(-f.shape[1] // CHUNK)
    for task in range(begin, end):
        row, chunk = task // n_chunks, task % n_chunks
        part, out = f[row, chunk * CHUNK : (chunk + 1) * CHUNK], gradient[row, chunk * CHUNK : (chunk + 1) * CHUNK]
        weight = part if weights is None else weights[row, chunk * CHUNK : (chunk + 1) * CHUNK]
        peak, total = peaks[row], totals[row]
        if np.isnan(total):
            for i in range(len(out)):
                out[i] = np.nan
        elif np.isinf(peak):
            for i in range(len(part)):
                w = 1.0 if weights is None else np.float64(weight[i])
                out[i] = w / total if w > 0 and part[i] == np.inf else 0.0
        elif weights is None:
            scale = 1.0 / total
            for i in range(len(part)):
                out[i] = exp_of_negative(np.float64(part[i]) - peak) * scale
        else:
            for i in range(len(part)):  # divided, since 1 / total overflows for the smallest weights
                term = exp_of_negative(np.float64(part[i]) - peak) * np.float64(weight[i]) / total
                out[i] = term if weight[i] > 0 else 0.0


def mean_log_sigmoid(f: NDArray[Any], sign: int, gradient: NDArray[Any] | None, n_threads: int) -> float:
    values = read_only(np.ascontiguousarray(f))
    sums = np.empty(-(-len(values) // CHUNK))
    slopes = np.empty(0, values.dtype) if gradient is None else gradient

    def work(begin: int, end: int) -> None:
        _log_sigmoid(values, float(sign), slopes, sums, begin, end)

    parallel_ranges(work, len(sums), n_threads)
    return float(_sum(sums)) / len(values)


@jit()
def _log_sigmoid(f, sign, gradient, sums, begin, end):
    scale = sign / len(f)
    values = np.empty(CHUNK)
    for chunk in range(begin, end):
        part, out = f[chunk * CHUNK : (chunk + 1) * CHUNK], gradient[chunk * CHUNK : (chunk + 1) * CHUNK]
        for i in range(len(part)):
            z = sign * np.float64(part[i])
            values[i] = (z if z < 0 else 0.0) - log_one_plus(exp_of_negative(-abs(z)))
        sums[chunk] = _sum(values[: len(part)])
        for i in range(len(out)):
            z = sign * np.float64(part[i])
            small = exp_of_negative(-abs(z))
            out[i] = (1.0 if z < 0 else small) / (1.0 + small) * scale
