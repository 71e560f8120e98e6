# mypy: disable-error-code="no-untyped-def"
"""log_mean_exp in Numba: pieces of a fixed size, combined in a fixed order.

Sums are double. exp(x) is kept as 2^n + 2^n e, and the two parts are summed apart: the first exactly where x is near 0, the
second as the sum of expm1(x), so results next to 0 keep their leading digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_scalar import exp_of_negative, exp_parts, exp_tail, jit, read_only

CHUNK = 4096  # entries of f summed at once
LANES = 64  # sums kept side by side
SHORT = 64  # entries up to which a segment is summed one by one, from terms made side by side
ROW = 128  # entries that a row has at least: several rows of fewer columns count as one
ROWS = 512  # rows summed at once
FAR = 300.0  # magnitudes of log mean exp from which the largest value is taken off first
CLAMP = 2 * FAR  # exp of less counts nothing beside exp(-FAR)
_VALUES_A_THREAD = 1 << 17  # what one thread does while another starts

Floats = NDArray[Any]


def log_mean_exp(f: Floats, weights: Floats | None, gradient: Floats | None, n_threads: int) -> NDArray[np.float64]:
    n_outer, n, n_inner = f.shape
    if n_inner == 1:
        offsets = np.arange(n_outer + 1) * n
        weight, slopes = (None if a is None else a.reshape(-1) for a in (weights, gradient))
        return _over_spans(f.reshape(-1), weight, slopes, offsets, n_threads)[:, None]
    return _over_columns(f, weights, gradient, n_threads)


def log_mean_exp_segments(
    f: Floats, offsets: NDArray[np.int64], weights: Floats | None, gradient: Floats | None, n_threads: int
) -> NDArray[np.float64]:
    return _over_spans(f, weights, gradient, offsets, n_threads)


def threads_for(n_values: int, n_threads: int) -> int:
    return max(1, min(n_threads, n_values // _VALUES_A_THREAD))


def _over_spans(
    f: Floats, weights: Floats | None, gradient: Floats | None, offsets: NDArray[np.int64], n_threads: int
) -> NDArray[np.float64]:
    values, weight = read_only(f), None if weights is None else read_only(weights)
    n_threads = threads_for(len(values), n_threads)
    # a span is cut into pieces, a piece belongs to one span
    pieces = np.maximum(1, np.diff(offsets) // CHUNK)
    first = np.concatenate([[0], np.cumsum(pieces)])
    edges = np.repeat(offsets[:-1] - first[:-1] * CHUNK, pieces) + np.arange(first[-1]) * CHUNK
    edges = np.append(edges, offsets[-1:])
    # base, sum of w 2^n, sum of w 2^n e, sum of w; where the base is +inf: the weight there
    state = np.empty((4, len(edges) - 1))
    result = np.empty(len(first) - 1)
    tail = exp_tail(values.dtype)

    def measure(begin: int, end: int) -> None:
        _measure(values, weight, edges, state, tail, begin, end)

    def finish(begin: int, end: int) -> None:
        _finish(state, first, result, begin, end)

    def differentiate(begin: int, end: int) -> None:
        _differentiate(values, weight, offsets, state[:, first[:-1]], gradient, begin, end)

    parallel_ranges(measure, len(edges) - 1, n_threads)
    parallel_ranges(finish, len(result), n_threads, grain=CHUNK)
    if gradient is not None:
        parallel_ranges(differentiate, len(values), n_threads)
    return result


@jit()
def _measure(f, weights, edges, state, tail, begin, end):
    steps, rest, whole = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    run = max(SHORT, CHUNK // 4)
    terms, more = np.empty(run), np.empty(run)
    piece = begin
    while piece < end:
        start = edges[piece]
        last = piece
        while last < end and edges[last + 1] - edges[last] <= SHORT and edges[last + 1] - start <= run:
            last += 1
        if last > piece:
            _short_sums(f, weights, edges, state, tail, terms, more, piece, last)
        else:
            last = piece + 1
            stop = edges[last]
            if weights is None:
                sums = _sums(f[start:stop], None, tail, steps, rest, whole)
            else:
                sums = _sums(f[start:stop], weights[start:stop], tail, steps, rest, whole)
            state[0, piece], state[1, piece], state[2, piece], state[3, piece] = sums
        piece = last


@jit()
def _short_sums(f, weights, edges, state, tail, terms, more, first, last):
    start, stop = edges[first], edges[last]
    part = f[start:stop]
    for i in range(len(part)):
        step, e = exp_parts(within(np.float64(part[i])), tail)
        terms[i] = step
        more[i] = step * e
    if weights is not None:
        weight = weights[start:stop]
        for i in range(len(weight)):
            terms[i] *= weight[i]
            more[i] *= weight[i]
    for piece in range(first, last):
        steps, rest, whole = 0.0, 0.0, 0.0
        for i in range(edges[piece] - start, edges[piece + 1] - start):
            steps += terms[i]
            rest += more[i]
            if weights is not None:
                whole += weights[start + i]
        if weights is None:
            whole = np.float64(edges[piece + 1] - edges[piece])
        base = 0.0
        if not _is_near(steps, rest, whole):
            if weights is None:
                base, steps, rest = _far_sums(f[edges[piece] : edges[piece + 1]], None)
            else:
                base, steps, rest = _far_sums(f[edges[piece] : edges[piece + 1]], weights[edges[piece] : edges[piece + 1]])
        state[0, piece], state[1, piece], state[2, piece], state[3, piece] = base, steps, rest, whole


@jit(inline=True)
def within(x):
    """x brought to where exp is in range; NaN stays NaN."""
    return -CLAMP if x < -CLAMP else (CLAMP if x > CLAMP else x)  # noqa: FURB136 - min would lose NaN


@jit(inline=True)
def _is_near(steps, rest, whole):
    mean = (steps + rest) / whole
    return math.exp(-FAR) < mean < math.exp(FAR)


@jit()
def _sums(f, weights, tail, steps, rest, whole):
    n = len(f)
    lanes = min(n, LANES)
    steps[:lanes], rest[:lanes], whole[:lanes] = 0.0, 0.0, 0.0
    for start in range(0, n, lanes):
        part = f[start : start + lanes]
        if weights is None:
            for i in range(len(part)):
                step, e = exp_parts(within(np.float64(part[i])), tail)
                steps[i] += step
                rest[i] += step * e
        else:
            weight = weights[start : start + lanes]
            for i in range(len(part)):
                w = np.float64(weight[i])
                step, e = exp_parts(within(np.float64(part[i])), tail)
                step *= w
                steps[i] += step
                rest[i] += step * e
                whole[i] += w
    total, more, weight_sum = tree_sum(steps[:lanes]), tree_sum(rest[:lanes]), np.float64(n)
    if weights is not None:
        weight_sum = tree_sum(whole[:lanes])
    if _is_near(total, more, weight_sum):
        return 0.0, total, more, weight_sum
    base, total, more = _far_sums(f, weights)
    return base, total, more, weight_sum


@jit()
def _far_sums(f, weights):
    """Of any values whatever: those less the largest."""
    peak = -np.inf
    for i in range(len(f)):
        x = np.float64(f[i])
        peak = x if (x > peak) & (weights is None or weights[i] > 0) else peak
    base, total = 0.0 if np.isinf(peak) else peak, 0.0
    for i in range(len(f)):
        x, w = np.float64(f[i]), 1.0 if weights is None else np.float64(weights[i])
        if w > 0:
            if peak < np.inf:
                total += w * exp_of_negative(x - base)
            elif not x < np.inf:
                total += w if x == np.inf else np.nan
    return peak, total, 0.0


@jit()
def tree_sum(partial):
    """The sum of an array by a tree whose shape is that of its length; the array is used up."""
    n = len(partial)
    while n > 1:
        half = (n + 1) // 2
        for i in range(n - half):
            partial[i] += partial[half + i]
        n = half
    return partial[0]


@jit()
def _add(state, to, other):
    """The sum `other` goes into the sum `to`."""
    a, b = state[0, to], state[0, other]
    if a != b:
        peak = max(a, b)
        by_a, by_b = 1.0 if a == peak else math.exp(a - peak), 1.0 if b == peak else math.exp(b - peak)
        state[0, to] = peak
        state[1, to] = state[1, to] * by_a + state[1, other] * by_b
        state[2, to] = state[2, to] * by_a + state[2, other] * by_b
    else:
        state[1, to] += state[1, other]
        state[2, to] += state[2, other]
    state[3, to] += state[3, other]


@jit(inline=True)
def _value(base, steps, rest, whole):
    over = (rest + (steps - whole)) / whole
    if -0.5 < over < 1.0:
        return base + math.log1p(over)
    return base + math.log((steps + rest) / whole)


@jit()
def _finish(state, first, result, begin, end):
    for span in range(begin, end):
        start, n = first[span], first[span + 1] - first[span]
        while n > 1:
            half = (n + 1) // 2
            for i in range(n - half):
                _add(state, start + i, start + half + i)
            n = half
        result[span] = _value(state[0, start], state[1, start], state[2, start], state[3, start])


@jit()
def _differentiate(f, weights, offsets, totals, gradient, begin, end):
    run = max(SHORT, CHUNK // 4)
    centre, scale = np.empty(run), np.empty(run)
    span = np.searchsorted(offsets, begin, side="right") - 1
    at = begin
    while at < end:
        first, start = span, at
        while at < end and min(offsets[span + 1], end) - at <= SHORT and min(offsets[span + 1], end) - start <= run:
            total = totals[1, span] + totals[2, span]
            by = total if weights is not None else 1.0 / total
            stop = min(offsets[span + 1], end)
            for i in range(at - start, stop - start):
                centre[i], scale[i] = totals[0, span], by
            at = stop
            span += 1
        if span > first:
            part, out = f[start:at], gradient[start:at]
            if weights is None:
                for i in range(len(part)):
                    out[i] = exp_of_negative(np.float64(part[i]) - centre[i]) * scale[i]
            else:
                weight = weights[start:at]
                for i in range(len(part)):  # divided, since 1 / total overflows for the smallest weights
                    term = exp_of_negative(np.float64(part[i]) - centre[i]) * np.float64(weight[i]) / scale[i]
                    out[i] = term if weight[i] > 0 else 0.0
            for k in range(first, span):
                total = totals[1, k] + totals[2, k]
                if np.isinf(totals[0, k]) or np.isnan(total):
                    low, high = max(offsets[k], start), min(offsets[k + 1], at)
                    _span_shares(f, weights, gradient, low, high, totals[0, k], total)
        else:
            stop = min(offsets[span + 1], end)
            _span_shares(f, weights, gradient, at, stop, totals[0, span], totals[1, span] + totals[2, span])
            at = stop
            span += 1


@jit()
def _span_shares(f, weights, gradient, start, stop, base, total):
    if weights is None:
        _shares(f[start:stop], None, gradient[start:stop], base, total)
    else:
        _shares(f[start:stop], weights[start:stop], gradient[start:stop], base, total)


@jit()
def _shares(f, weights, out, base, total):
    if np.isnan(total):
        for i in range(len(out)):
            out[i] = np.nan
    elif np.isinf(base):
        for i in range(len(f)):
            w = 1.0 if weights is None else np.float64(weights[i])
            out[i] = w / total if w > 0 and f[i] == np.inf else 0.0
    elif weights is None:
        scale = 1.0 / total
        for i in range(len(f)):
            out[i] = exp_of_negative(np.float64(f[i]) - base) * scale
    else:
        for i in range(len(f)):  # divided, since 1 / total overflows for the smallest weights
            term = exp_of_negative(np.float64(f[i]) - base) * np.float64(weights[i]) / total
            out[i] = term if weights[i] > 0 else 0.0


def _over_columns(f: Floats, weights: Floats | None, gradient: Floats | None, n_threads: int) -> NDArray[np.float64]:
    n_outer, n, m = f.shape
    fold = max(1, min(n, -(-ROW // m)))
    n_chunks = -(-n // (fold * ROWS))
    n_threads = threads_for(f.size, n_threads)
    values, weight = read_only(f.reshape(-1)), None if weights is None else read_only(weights.reshape(-1))
    state = np.empty((4, n_outer * n_chunks * m))
    result = np.empty(n_outer * m)
    tail = exp_tail(values.dtype)

    def measure(begin: int, end: int) -> None:
        _measure_columns(values, weight, n, m, fold, state, tail, begin, end)

    def differentiate(begin: int, end: int) -> None:
        _differentiate_columns(values, weight, n, m, fold, state, gradient.reshape(-1), begin, end)  # type: ignore[union-attr]

    parallel_ranges(measure, n_outer * n_chunks, n_threads)
    _finish_columns(state, n_chunks, m, result)
    if gradient is not None:
        parallel_ranges(differentiate, n_outer * n_chunks, n_threads)
    return result.reshape(n_outer, m)


@jit()
def _measure_columns(f, weights, n, m, fold, state, tail, begin, end):
    n_chunks, length = -(-n // (fold * ROWS)), fold * m
    steps, rest, whole = np.empty(length), np.empty(length), np.empty(length)
    for task in range(begin, end):
        first = task % n_chunks * fold * ROWS
        rows = min(n - first, fold * ROWS)
        start = (task // n_chunks * n + first) * m
        steps[:], rest[:], whole[:] = 0.0, 0.0, 0.0
        for at in range(start, start + rows * m, length):
            part = f[at : min(at + length, start + rows * m)]
            if weights is None:
                for i in range(len(part)):
                    step, e = exp_parts(within(np.float64(part[i])), tail)
                    steps[i] += step
                    rest[i] += step * e
            else:
                weight = weights[at : min(at + length, start + rows * m)]
                for i in range(len(part)):
                    w = np.float64(weight[i])
                    step, e = exp_parts(within(np.float64(part[i])), tail)
                    step *= w
                    steps[i] += step
                    rest[i] += step * e
                    whole[i] += w
        for column in range(m):
            base, total, more, weight_sum = 0.0, 0.0, 0.0, 0.0
            for i in range(column, length, m):
                total += steps[i]
                more += rest[i]
                weight_sum += whole[i]
            if weights is None:
                weight_sum += rows
            if not _is_near(total, more, weight_sum):
                values = f[start + column : start + rows * m : m]
                if weights is None:
                    base, total, more = _far_sums(values, None)
                else:
                    base, total, more = _far_sums(values, weights[start + column : start + rows * m : m])
            at = task * m + column
            state[0, at], state[1, at], state[2, at], state[3, at] = base, total, more, weight_sum


@jit()
def _finish_columns(state, n_chunks, m, result):
    for column in range(len(result)):
        to = column // m * n_chunks * m + column % m
        for chunk in range(1, n_chunks):
            _add(state, to, to + chunk * m)
        result[column] = _value(state[0, to], state[1, to], state[2, to], state[3, to])


@jit()
def _differentiate_columns(f, weights, n, m, fold, state, gradient, begin, end):
    n_chunks, length = -(-n // (fold * ROWS)), fold * m
    centre, scale = np.empty(length), np.empty(length)
    for task in range(begin, end):
        first = task % n_chunks * fold * ROWS
        rows = min(n - first, fold * ROWS)
        start, total_at = (task // n_chunks * n + first) * m, task // n_chunks * n_chunks * m
        for i in range(length):
            to = total_at + i % m
            total = state[1, to] + state[2, to]
            centre[i], scale[i] = state[0, to], total if weights is not None else 1.0 / total
        for at in range(start, start + rows * m, length):
            part = f[at : min(at + length, start + rows * m)]
            out = gradient[at : min(at + length, start + rows * m)]
            if weights is None:
                for i in range(len(part)):
                    out[i] = exp_of_negative(np.float64(part[i]) - centre[i]) * scale[i]
            else:
                weight = weights[at : min(at + length, start + rows * m)]
                for i in range(len(part)):  # divided, since 1 / total overflows for the smallest weights
                    term = exp_of_negative(np.float64(part[i]) - centre[i]) * np.float64(weight[i]) / scale[i]
                    out[i] = term if weight[i] > 0 else 0.0
        for column in range(m):
            to = total_at + column
            base, total = state[0, to], state[1, to] + state[2, to]
            if np.isinf(base) or np.isnan(total):
                values, out = f[start + column : start + rows * m : m], gradient[start + column : start + rows * m : m]
                if weights is None:
                    _shares(values, None, out, base, total)
                else:
                    _shares(values, weights[start + column : start + rows * m : m], out, base, total)
