# mypy: disable-error-code="no-untyped-def"
"""Steps and scores of node networks in Numba. Tiles are summed in a fixed number of groups, groups as a fixed tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_network import (
    TILE,
    add_products,
    add_sums,
    affine,
    back_to_sums,
    density_log_ratio,
    gather,
    gather_child,
    multiply,
    pairs_of_tiles,
    tiles,
    upper_layers,
)
from ._numba_precision import quick_log, small_exp
from ._numba_scalar import jit
from ._reference_nodes import N_OUTPUTS, StepPlan, layers

GROUPS = 8


def parts_of(data: Any) -> tuple[NDArray, NDArray, NDArray, NDArray[np.uint8]]:
    """The arrays of a NodeData, contiguous."""
    child, context, statistics = (np.ascontiguousarray(part) for part in (data.child, data.context, data.statistics))
    return child, context, statistics, np.ascontiguousarray(data.codes, np.uint8)


def train_density(
    weights: NDArray,
    first: NDArray,
    second: NDArray,
    count: int,
    data: Any,
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    plan: StepPlan,
    n_threads: int,
) -> None:
    _train(weights, first, second, count, data, nodes, rows, flips, plan._replace(n_shifts=0), n_threads)


def train_contrastive(
    weights: NDArray,
    first: NDArray,
    second: NDArray,
    count: int,
    data: Any,
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    plan: StepPlan,
    n_threads: int,
) -> None:
    _train(weights, first, second, count, data, nodes, rows, flips, plan, n_threads)


def _train(
    weights: NDArray,
    first: NDArray,
    second: NDArray,
    count: int,
    data: Any,
    nodes: NDArray[np.int32],
    rows: NDArray[np.int32],
    flips: NDArray[np.uint8],
    plan: StepPlan,
    n_threads: int,
) -> None:
    kind = weights.dtype.type
    parts = parts_of(data)
    gradients = np.empty((GROUPS, len(weights)), weights.dtype)
    n_inputs, n_outputs = (len(data.codes), N_OUTPUTS) if plan.n_shifts == 0 else (len(data.codes) + 1, 1)
    into = layers(gradients, n_inputs, n_outputs)
    matrices = layers(weights, n_inputs, n_outputs)
    for t in range(len(nodes)):
        turned = [np.ascontiguousarray(matrix[:, :-1].T) for matrix in matrices[1:]]

        def add(start: int, stop: int, t: int = t, turned: list[NDArray] = turned) -> None:
            gradients[start:stop] = 0
            batch = (nodes[t], rows[t], flips[t])
            for group in range(start, stop):
                gradient = tuple(part[group] for part in into)
                _add_group(*parts, *batch, group, plan.n_shifts, plan.base, *matrices, *turned, *gradient)

        parallel_ranges(add, GROUPS, n_threads)
        gradient = _tree(gradients)
        length = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
        done, rate = count + t + 1, float(plan.rates[t])
        settings = (min(1.0, plan.gradient_norm / (length + 1e-12)), 1 - rate * plan.weight_decay, rate / (1 - 0.9**done))
        _descend(weights, first, second, gradient, *(kind(x) for x in (*settings, 1 / np.sqrt(1 - 0.999**done))))


def _tree(parts: NDArray) -> NDArray:
    """The sum over the first axis, by a tree whose shape is that of their number; `parts` is used up."""
    while len(parts) > 1:
        half = (len(parts) + 1) // 2
        parts[: len(parts) - half] += parts[half:]
        parts = parts[:half]
    return np.asarray(parts[0])


@jit()
def _descend(weights, first, second, gradient, cut, keep, move, widen):
    kind = weights.dtype.type
    for i in range(len(weights)):
        g = cut * gradient[i]
        first[i] += kind(0.1) * (g - first[i])
        second[i] += kind(0.001) * (g * g - second[i])
        weights[i] = weights[i] * keep - move * (first[i] / (np.sqrt(second[i]) * widen + kind(1e-8)))


@jit()
def _add_group(
    child,
    context,
    statistics,
    codes,
    nodes,
    rows,
    flips,
    group,
    n_shifts,
    base,
    first,
    second,
    last,
    second_turned,
    last_turned,
    by_first,
    by_second,
    by_last,
):
    """Adds the gradient of this group's tiles of one batch."""
    per_node = (len(rows) + TILE - 1) // TILE
    n_tiles, n_pairs = len(nodes) * per_node, len(nodes) * len(rows)
    kind = child.dtype.type
    n_inputs, width = first.shape[1] - 1, len(first)
    inputs, kept, summed = tiles(child, n_inputs), tiles(child, width), tiles(child, width)
    hidden, slopes, back = pairs_of_tiles(child, width), pairs_of_tiles(child, width), pairs_of_tiles(child, width)
    outputs, by_output = tiles(child, len(last)), tiles(child, len(last))
    value = np.empty(TILE, child.dtype)
    factor = kind(-1.0 / n_pairs)
    for t in range(n_tiles * group // GROUPS, n_tiles * (group + 1) // GROUPS):
        node, flip, start = nodes[t // per_node], flips[t // per_node], t % per_node * TILE
        n = min(TILE, len(rows) - start)
        gather(context, statistics, codes, node, rows, start, n, flip, inputs)
        if n_shifts == 0:
            own = value.copy()
            gather_child(child, node, rows, start, n, 0, len(rows), flip, own)
            affine(first, inputs, hidden[0])
            upper_layers(second, last, hidden, slopes, outputs)
            density_log_ratio(outputs, own, inputs[1], statistics[node, 0], value, by_output)
            _mask(by_output, n, factor)
            back_to_sums(second_turned, last_turned, slopes, by_output, back)
            _add_upper(by_output, back, hidden, by_second, by_last)
            add_products(back[0], inputs, by_first)
            add_sums(back[0], by_first)
            continue
        inputs[n_inputs - 1] = 0
        affine(first, inputs, kept)
        summed[:] = 0
        for shift in range(n_shifts + 1):
            own = inputs[n_inputs - 1]
            gather_child(child, node, rows, start, n, shift, len(rows), flip, own)
            hidden[0] = kept
            multiply(first[:, n_inputs - 1 :], inputs[n_inputs - 1 :], hidden[0])
            upper_layers(second, last, hidden, slopes, outputs)
            sign = kind(-1) if shift else kind(1)
            _logistic(outputs[0], own, inputs[1], statistics[node, 0], base, sign, value, by_output[0])
            _mask(by_output, n, factor / kind(n_shifts) if shift else factor)
            back_to_sums(second_turned, last_turned, slopes, by_output, back)
            _add_upper(by_output, back, hidden, by_second, by_last)
            add_products(back[0], inputs[n_inputs - 1 :], by_first[:, n_inputs - 1 :])
            for r in range(width):
                for i in range(TILE):
                    summed[r, i] += back[0, r, i]
        add_products(summed, inputs[: n_inputs - 1], by_first)
        add_sums(summed, by_first)


@jit()
def _mask(by_output, n, factor):
    """Times `factor`, and nothing for the pairs that are not there."""
    for j in range(len(by_output)):
        for i in range(TILE):
            by_output[j, i] = by_output[j, i] * factor if i < n else 0


@jit()
def _add_upper(by_output, back, hidden, by_second, by_last):
    add_products(by_output, hidden[1], by_last)
    add_sums(by_output, by_last)
    add_products(back[1], hidden[0], by_second)
    add_sums(back[1], by_second)


@jit()
def _logistic(output, own, mean, log_scale, base, sign, value, by_value):
    """log sigmoid(sign f) of every pair, and its gradient by f = output + the base's log-ratio."""
    kind = output.dtype.type
    one, half, zero = kind(1), kind(0.5), kind(0)
    narrow = small_exp(-log_scale)
    for i in range(TILE):
        z = (own[i] - mean[i]) * narrow
        grounded = half * (own[i] * own[i] - z * z) - log_scale
        f = sign * (output[i] + grounded if base else output[i])
        small = small_exp(-abs(f))
        value[i] = (min(zero, f)) - quick_log(one + small)
        by_value[i] = sign * (one if f < zero else small) / (one + small)


def score_density(weights: NDArray, data: Any, n_rows: int, n_threads: int) -> float:
    return _score(weights, data, n_rows, 0, False, n_threads)


def score_contrastive(weights: NDArray, data: Any, n_rows: int, plan: StepPlan, n_threads: int) -> float:
    return _score(weights, data, n_rows, plan.n_shifts, plan.base, n_threads)


def _score(weights: NDArray, data: Any, n_rows: int, n_shifts: int, base: bool, n_threads: int) -> float:
    n_inputs, n_outputs = (len(data.codes) + 1, 1) if n_shifts else (len(data.codes), N_OUTPUTS)
    matrices, parts = layers(np.ascontiguousarray(weights), n_inputs, n_outputs), parts_of(data)
    per_node = -(-n_rows // TILE)
    sums = np.empty(len(data.child) * per_node)

    def work(start: int, stop: int) -> None:
        _score_tiles(*parts, np.arange(n_rows, dtype=np.int32), n_shifts, base, *matrices, sums, start, stop)

    parallel_ranges(work, len(sums), n_threads, grain=8)
    return float(sums.sum()) / (len(data.child) * n_rows)


@jit()
def _score_tiles(child, context, statistics, codes, rows, n_shifts, base, first, second, last, sums, begin, end):
    per_node = (len(rows) + TILE - 1) // TILE
    kind = child.dtype.type
    n_inputs, width = first.shape[1] - 1, len(first)
    inputs, outputs, by_output = tiles(child, n_inputs), tiles(child, len(last)), tiles(child, len(last))
    hidden, slopes = pairs_of_tiles(child, width), pairs_of_tiles(child, width)
    value, own = np.empty(TILE, child.dtype), np.empty(TILE, child.dtype)
    for t in range(begin, end):
        node, start = t // per_node, t % per_node * TILE
        n = min(TILE, len(rows) - start)
        gather(context, statistics, codes, node, rows, start, n, 0, inputs)
        sums[t] = 0
        for shift in range(n_shifts + 1):
            gather_child(child, node, rows, start, n, shift, len(rows), 0, own)
            if n_shifts:
                inputs[n_inputs - 1] = own
            affine(first, inputs, hidden[0])
            upper_layers(second, last, hidden, slopes, outputs)
            if n_shifts == 0:
                density_log_ratio(outputs, own, inputs[1], statistics[node, 0], value, by_output)
            else:
                sign = kind(-1) if shift else kind(1)
                _logistic(outputs[0], own, inputs[1], statistics[node, 0], base, sign, value, by_output[0])
            total = 0.0
            for i in range(n):
                total += np.float64(value[i])
            sums[t] += total / n_shifts if shift else total
