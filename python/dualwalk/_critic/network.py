"""A multilayer perceptron that can be trained: forward and backward passes on BLAS, flat weights, AdamW.

Rows are samples. A layer is silu(W x + b), the last one W x + b. All weights live in one flat array,

    [layer 1 (h_1, n_inputs + 1) | layer 2 (h_2, h_1 + 1) | ... ],        the last column of each being the bias,

so that an optimizer, a copy of the best weights or a file needs one array. Any float dtype. Same inputs, same bits where BLAS
runs on one thread (`_blas.one_blas_thread`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def n_weights(widths: Sequence[int]) -> int:
    """The length of the flat weights of layers `widths` = (n_inputs, h_1, ..., n_outputs)."""
    return sum(outputs * (inputs + 1) for inputs, outputs in pairwise(widths))


def initial_weights(
    rng: np.random.Generator, widths: Sequence[int], *, last: float = 0.1, dtype: Any = np.float32
) -> NDArray[Any]:
    """Flat weights to start from: signals keep their size from layer to layer; the last layer is `last` times smaller."""
    weights = np.zeros(n_weights(widths), dtype)
    matrices = layers(weights, widths)
    for number, matrix in enumerate(matrices):
        inputs = matrix.shape[1] - 1
        # SiLU of N(0, 1) has a root mean square of about 0.6: hidden layers make up for it.
        gain = last if number == len(matrices) - 1 else 1.0 if number == 0 else 1.6
        matrix[:, :-1] = rng.standard_normal((len(matrix), inputs)) * (gain / np.sqrt(inputs))
        if number < len(matrices) - 1:
            matrix[:, -1] = 0.5 * rng.standard_normal(len(matrix))
    return weights


def layers(weights: NDArray[Any], widths: Sequence[int]) -> list[NDArray[Any]]:
    """The matrices (n_outputs, n_inputs + 1) of flat `weights`, as views; the last column is the bias."""
    views, start = [], 0
    for inputs, outputs in pairwise(widths):
        stop = start + outputs * (inputs + 1)
        views.append(weights[start:stop].reshape(outputs, inputs + 1))
        start = stop
    return views


class Network:
    """A multilayer perceptron on flat `weights`; `outputs` runs it, `backward` differentiates what `outputs` ran last.

    The weights are used in place: an optimizer that changes them changes the network. The arrays that passes return belong to
    the network and are overwritten by its next pass on as many rows.

    >>> rng = np.random.default_rng(0)
    >>> network = Network((3, 8, 1), initial_weights(rng, (3, 8, 1)))
    >>> network.outputs(np.zeros((5, 3), np.float32)).shape
    (5, 1)
    """

    def __init__(self, widths: Sequence[int], weights: NDArray[Any]) -> None:
        self.widths = tuple(widths)
        self.weights = weights
        self._layers = layers(weights, self.widths)
        self._buffers: dict[tuple[str, int], NDArray[Any]] = {}
        self._signals: list[NDArray[Any]] = []  # the inputs of every layer
        self._gates: list[NDArray[Any]] = []

    def outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        """The last layer's values for rows `x` (n, n_inputs): (n, n_outputs).

        SiLU is computed as a sigmoid(a) = u (1 + tanh u) with u = a / 2, which never overflows.
        """
        self._signals, self._gates = [x], []
        last = len(self._layers) - 1
        for number, matrix in enumerate(self._layers):
            signal = self._signals[-1]
            half = self._buffer("half", number, len(x))
            np.matmul(signal, matrix[:, :-1].T, out=half)
            half += matrix[:, -1]
            if number == last:
                return half
            half *= 0.5
            gate = np.tanh(half, out=self._buffer("gate", number, len(x)))
            gate += 1.0
            half *= gate
            self._gates.append(gate)
            self._signals.append(half)
        raise ValueError("a network needs at least one layer: pass widths of two numbers or more")

    def backward(
        self, slope: NDArray[Any], gradient: NDArray[Any] | None = None, *, by_inputs: bool = False
    ) -> NDArray[Any] | None:
        """Propagate `slope` (n, n_outputs), a derivative by the last outputs, back through the last pass, once a pass.

        With `gradient` (the length of the weights), the derivative by the weights is ADDED to it. With `by_inputs`, the
        derivative by the inputs (n, n_inputs) is returned.
        """
        into = None if gradient is None else layers(gradient, self.widths)
        for number in range(len(self._layers) - 1, -1, -1):
            matrix, signal = self._layers[number], self._signals[number]
            if into is not None:
                into[number][:, :-1] += slope.T @ signal
                into[number][:, -1] += slope.sum(axis=0)
            if number == 0:
                return slope @ matrix[:, :-1] if by_inputs else None
            # d silu / da = (gate + silu (2 - gate)) / 2; the forward pass is spent, so its buffers serve.
            gate = self._gates[number - 1]
            slope = np.matmul(slope, matrix[:, :-1], out=self._buffer("back", number - 1, len(signal)))
            signal *= 2.0 - gate
            signal += gate
            signal *= 0.5
            slope *= signal
        return None

    def matrices(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Copies of the layers' weights (n_outputs, n_inputs) and biases (n_outputs,), as `MLPDual` takes them."""
        return [matrix[:, :-1].copy() for matrix in self._layers], [matrix[:, -1].copy() for matrix in self._layers]

    def _buffer(self, kind: str, number: int, n: int) -> NDArray[Any]:
        """n rows of a layer's scratch memory, which only ever grows."""
        buffer = self._buffers.get((kind, number))
        if buffer is None or len(buffer) < n:
            buffer = self._buffers[kind, number] = np.empty((n, self.widths[number + 1]), self.weights.dtype)
        return buffer[:n]


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) on one flat array, in place.

    The gradient is scaled down to a Euclidean length of `gradient_norm` at most, so that one bad batch cannot throw the
    weights away.
    """

    def __init__(
        self,
        weights: NDArray[Any],
        *,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        gradient_norm: float = 5.0,
    ) -> None:
        self.weights = weights
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self._betas = betas
        self._gradient_norm = gradient_norm
        self._first = np.zeros_like(weights)
        self._second = np.zeros_like(weights)
        self._count = 0

    def step(self, gradient: NDArray[Any], *, rate: float = 1.0) -> None:
        """One step against `gradient`, which is used as scratch; `rate` times the learning rate (for schedules)."""
        length = float(np.sqrt(np.dot(gradient, gradient)))
        if length > self._gradient_norm:
            gradient *= self._gradient_norm / length
        (keep_first, keep_second), size = self._betas, rate * self.learning_rate
        self._count += 1
        self._first += (1 - keep_first) * (gradient - self._first)
        np.square(gradient, out=gradient)
        self._second += (1 - keep_second) * (gradient - self._second)
        spread = np.sqrt(self._second, out=gradient)
        spread *= 1 / np.sqrt(1 - keep_second**self._count)
        spread += 1e-8
        self.weights *= 1 - size * self.weight_decay
        self.weights -= (size / (1 - keep_first**self._count)) * (self._first / spread)
