"""The specification of the node networks: passes, training steps and scores of density and contrastive nodes in plain NumPy.

A pair is one node and one row. Its network input is concat(context[k, :, row], statistics[k]) with the signs of `flips`:
input i is negated when `codes[i] & flip` has an odd number of bits (bit 0 parent, 1 child, 2 a third column). Two hidden
layers of SiLU units follow. A density node's outputs make a mixture of five Gaussians for the child, two of them tied to the
Gaussian base (mean mu + s g, standard deviation s exp(h)); f = log mixture(child) - log N(child; 0, 1). A contrastive node
takes the child as one more input, the last, and its one output is f, on top of the base's own log-ratio where that is on.

One network is one flat array [layer 1 (H, I + 1) | layer 2 (H, H + 1) | layer 3 (O, H + 1)], the last column the bias.
Everything is in nats and in the dtype of the data; means over pairs are float64.
"""

from __future__ import annotations

from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._blas import one_blas_thread
from ._reference_scalar import silu_and_slope

N_TIED, N_FREE = 2, 3
N_COMPONENTS = N_TIED + N_FREE
N_OUTPUTS = 3 * N_COMPONENTS  # logits, means, log standard deviations
LOG_SD_RANGE = (-4.0, 1.5)
CHILD = 2  # the code of what changes sign with the child
_PAIRS = 4096  # pairs scored at once


class StepPlan(NamedTuple):
    """What one call of AdamW steps needs: a learning rate a step (T,), decoupled decay, the longest gradient, shifts.

    `n_shifts` and `base` are for contrastive nodes: how many cyclic row shifts serve as negatives, and whether f stands on
    the log-ratio of the Gaussian base.
    """

    rates: NDArray[np.float64]
    weight_decay: float
    gradient_norm: float
    n_shifts: int = 4
    base: bool = False


class Pass(NamedTuple):
    """A forward pass: `inputs` (I, n), each hidden layer's values and slopes (H, n), `outputs` (O, n)."""

    inputs: NDArray
    hidden: list[NDArray]
    slopes: list[NDArray]
    outputs: NDArray


def n_weights(n_inputs: int, n_hidden: int, n_outputs: int) -> int:
    """Length of a flat network."""
    return n_hidden * (n_inputs + 1) + (n_hidden + n_outputs) * (n_hidden + 1)


def n_hidden(length: int, n_inputs: int, n_outputs: int) -> int:
    """The hidden width of a flat network of this length."""
    linear = n_inputs + 2 + n_outputs
    width = (isqrt(linear * linear + 4 * (length - n_outputs)) - linear) // 2
    if width < 1 or n_weights(n_inputs, width, n_outputs) != length:
        raise ValueError(f"weights must be a flat network of {n_inputs} inputs and {n_outputs} outputs; got {length} numbers")
    return width


def layers(weights: NDArray, n_inputs: int, n_outputs: int) -> list[NDArray]:
    """The three matrices (outputs, inputs + 1) of flat `weights` (..., W), as views."""
    width = n_hidden(weights.shape[-1], n_inputs, n_outputs)
    views, start = [], 0
    for rows, columns in ((width, n_inputs + 1), (width, width + 1), (n_outputs, width + 1)):
        views.append(weights[..., start : start + rows * columns].reshape(*weights.shape[:-1], rows, columns))
        start += rows * columns
    return views


def signs(codes: NDArray[np.uint8], flips: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The sign of every input of every node, (n_nodes, n_inputs)."""
    bits = codes & flips[:, None]
    odd = (bits ^ bits >> 1 ^ bits >> 2) & 1
    return 1 - 2 * odd.astype(np.int8)


def gather(data: Any, nodes: Any, rows: Any, flips: NDArray[np.uint8] | None = None) -> tuple[NDArray, NDArray]:
    """Inputs (I, n_nodes, n_rows) and children (n_nodes, n_rows) of the pairs `nodes` x `rows`, turned by `flips`."""
    child = data.child[nodes][:, rows]
    context = data.context[nodes][:, :, rows].transpose(1, 0, 2)
    statistics = np.broadcast_to(data.statistics[nodes].T[:, :, None], (data.statistics.shape[1], *child.shape))
    inputs = np.concatenate([context, statistics])
    if flips is not None:
        turn = signs(np.append(data.codes, np.uint8(CHILD)), flips).astype(child.dtype)
        inputs = inputs * turn[:, :-1].T[:, :, None]
        child = child * turn[:, -1:]
    return inputs, child


def forward(matrices: list[NDArray], inputs: NDArray) -> Pass:
    """The network's outputs for `inputs` (I, n), and what a backward pass needs."""
    signal, hidden, slopes = inputs, [], []
    for matrix in matrices[:-1]:
        signal, slope = silu_and_slope(matrix[:, :-1] @ signal + matrix[:, -1:])
        hidden.append(signal)
        slopes.append(slope)
    return Pass(inputs, hidden, slopes, matrices[-1][:, :-1] @ signal + matrices[-1][:, -1:])


def backward(matrices: list[NDArray], passed: Pass, slope: NDArray) -> tuple[NDArray, NDArray]:
    """From the gradient by the outputs (O, n) to that by the flat weights, summed over pairs, and that by the inputs (I, n)."""
    parts: list[NDArray] = []
    for layer in (2, 1, 0):
        below = passed.hidden[layer - 1] if layer else passed.inputs
        parts.append(np.column_stack([slope @ below.T, slope.sum(axis=1)]).ravel())
        slope = matrices[layer][:, :-1].T @ slope
        if layer:
            slope = slope * passed.slopes[layer - 1]
    return np.concatenate(parts[::-1]), slope


def log_ratio(outputs: NDArray, child: NDArray, mean: NDArray, log_scale: NDArray) -> tuple[NDArray, NDArray]:
    """f of every pair (n,) and its gradient by the raw outputs (N_OUTPUTS, n); the base's `mean` and `log_scale` are (n,)."""
    logits, means, raw = np.split(outputs, 3)
    log_sd = np.clip(raw, *LOG_SD_RANGE)
    precision = np.exp(-log_sd)
    z = np.repeat(child[None], N_COMPONENTS, axis=0)
    z[:N_TIED] = (child - mean) * np.exp(-log_scale)
    z = (z - means) * precision
    score = logits - log_sd - 0.5 * z * z
    score[:N_TIED] -= log_scale
    joint, posterior = _softmax(score)
    total, share = _softmax(logits)
    inside = raw == log_sd  # beyond its range a log standard deviation has no effect
    slope = np.concatenate([posterior - share, posterior * z * precision, posterior * (z * z - 1) * inside])
    return joint - total + 0.5 * child * child, slope


def _softmax(values: NDArray) -> tuple[NDArray, NDArray]:
    """Log-sum-exp over axis 0, and the softmax."""
    largest = values.max(axis=0)
    near = np.exp(values - largest)
    total = near.sum(axis=0)
    return largest + np.log(total), near / total


def density_gradient(weights: NDArray, data: Any, nodes: NDArray, rows: NDArray, flips: NDArray) -> tuple[float, NDArray]:
    """Mean -f of the pairs `nodes` x `rows`, and its gradient by the weights."""
    inputs, child = gather(data, nodes, rows, flips)
    flat = inputs.reshape(len(inputs), -1)
    matrices = layers(weights, len(flat), N_OUTPUTS)
    passed = forward(matrices, flat)
    value, slope = log_ratio(passed.outputs, child.ravel(), flat[1], flat[data.context.shape[1]])
    gradient, _ = backward(matrices, passed, slope)
    return -float(value.mean(dtype=np.float64)), gradient * (-1.0 / len(value))


def base_log_ratio(child: NDArray, mean: NDArray, log_scale: NDArray) -> NDArray:
    """log N(child; mean, scale) - log N(child; 0, 1)."""
    z = (child - mean) * np.exp(-log_scale)
    return np.asarray(0.5 * (child * child - z * z) - log_scale)


def contrastive_gradient(
    weights: NDArray, data: Any, nodes: NDArray, rows: NDArray, flips: NDArray, plan: StepPlan
) -> tuple[float, NDArray]:
    """Mean over pairs of softplus(-f) + mean over shifts of softplus(f of shifted children), and its gradient.

    Shift s gives row i the child of row i + s (modulo the rows drawn); its minimum over f is at log p(child | c) / p(child).
    """
    inputs, child = gather(data, nodes, rows, flips)
    matrices = layers(weights, len(inputs) + 1, 1)
    loss, gradient = 0.0, np.zeros_like(weights)
    for shift in range(plan.n_shifts + 1):
        moved = np.roll(child, -shift, axis=1)
        passed = forward(matrices, np.concatenate([inputs, moved[None]]).reshape(len(inputs) + 1, -1))
        value = passed.outputs[0]
        if plan.base:
            value = value + base_log_ratio(moved, inputs[1], inputs[data.context.shape[1]]).ravel()
        sign, share = (1.0, 1.0 / plan.n_shifts) if shift else (-1.0, 1.0)
        signed = sign * value
        small = np.exp(-np.abs(signed))
        loss += share * float((np.maximum(signed, 0) + np.log1p(small)).mean(dtype=np.float64))
        slope = sign * share / len(value) * np.where(signed >= 0, 1, small) / (1 + small)
        gradient += backward(matrices, passed, slope[None].astype(value.dtype))[0]
    return loss, gradient


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
    """T AdamW steps of one density network, in place: step t descends mean -f on the pairs `nodes[t]` x `rows[t]`.

    `weights`, `first`, `second` (W,): the network and the two moments; `count` steps were taken before. `nodes` (T, b),
    `rows` (T, r), `flips` (T, b). The gradient is scaled down to `plan.gradient_norm`; decay is decoupled from it.
    """
    with one_blas_thread():
        for t in range(len(nodes)):
            _, gradient = density_gradient(weights, data, nodes[t], rows[t], flips[t])
            _adamw(weights, first, second, count + t + 1, gradient, plan, float(plan.rates[t]))


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
    """The same as `train_density` for one contrastive network."""
    with one_blas_thread():
        for t in range(len(nodes)):
            _, gradient = contrastive_gradient(weights, data, nodes[t], rows[t], flips[t], plan)
            _adamw(weights, first, second, count + t + 1, gradient, plan, float(plan.rates[t]))


def _adamw(
    weights: NDArray, first: NDArray, second: NDArray, count: int, gradient: NDArray, plan: StepPlan, rate: float
) -> None:
    length = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
    gradient = gradient * min(1.0, plan.gradient_norm / (length + 1e-12))
    first += 0.1 * (gradient - first)
    second += 0.001 * (gradient * gradient - second)
    spread = np.sqrt(second) / np.sqrt(1 - 0.999**count) + 1e-8
    weights *= 1 - rate * plan.weight_decay
    weights -= rate / (1 - 0.9**count) * (first / spread)


def score_density(weights: NDArray, data: Any, n_rows: int, n_threads: int) -> float:
    """Mean f over all nodes and the first `n_rows` rows."""
    matrices = layers(weights, data.n_inputs, N_OUTPUTS)
    total = 0.0
    for inputs, child in _blocks(data, n_rows):
        outputs = forward(matrices, inputs).outputs
        total += float(log_ratio(outputs, child, inputs[1], inputs[data.context.shape[1]])[0].sum(dtype=np.float64))
    return total / (int(data.n_nodes) * n_rows)


def score_contrastive(weights: NDArray, data: Any, n_rows: int, plan: StepPlan, n_threads: int) -> float:
    """Minus the logistic loss (see `contrastive_gradient`) over all nodes and the first `n_rows` rows."""
    matrices = layers(weights, data.n_inputs + 1, 1)
    rows = np.arange(n_rows)
    with one_blas_thread():
        total = 0.0
        for node in range(data.n_nodes):
            inputs, child = gather(data, np.array([node]), rows)
            for shift in range(plan.n_shifts + 1):
                moved = np.roll(child, -shift, axis=1)
                value = forward(matrices, np.concatenate([inputs, moved[None]])[:, 0]).outputs[0]
                if plan.base:
                    value = value + base_log_ratio(moved, inputs[1], inputs[data.context.shape[1]])[0]
                signed = value if shift else -value
                loss = np.maximum(signed, 0) + np.log1p(np.exp(-np.abs(signed)))
                total -= float(loss.sum(dtype=np.float64)) / (plan.n_shifts if shift else 1)
    return total / (int(data.n_nodes) * n_rows)


def _blocks(data: Any, n_rows: int) -> Any:
    """All pairs of the first `n_rows` rows, a cacheful at a time: inputs (I, n) and children (n,)."""
    width = max(1, min(n_rows, _PAIRS))
    n_nodes = max(1, _PAIRS // width)
    with one_blas_thread():
        for start in range(0, n_rows, width):
            for node in range(0, data.n_nodes, n_nodes):
                inputs, child = gather(data, slice(node, node + n_nodes), slice(start, min(start + width, n_rows)))
                yield inputs.reshape(len(inputs), -1), child.ravel()
