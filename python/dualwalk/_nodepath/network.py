"""The network that all density nodes share: from a node's context to a mixture of Gaussians for its value.

Seven inputs, two hidden layers of 32 SiLU units, five components. Two components are tied to the node's Gaussian base
(mean mu + s g, standard deviation s exp(h)), three are free. Values are log-ratios to N(0, 1) in nats:

    f(x, c) = log sum_j pi_j N(x; m_j, sd_j^2) - log N(x; 0, 1)

Arrays are feature-major, (n_members, features, n_pairs) with a pair a (node, row): passes run along contiguous memory, and
sums over five components are additions of long rows. Every buffer is allocated once. Any float dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .path import NodeData

N_INPUTS = 7  # parent, conditional mean, log conditional scale, four edge statistics
N_HIDDEN = 32
N_TIED, N_FREE = 2, 3
N_COMPONENTS = N_TIED + N_FREE
N_OUTPUTS = 3 * N_COMPONENTS  # logits, means, log standard deviations
LOG_SD_RANGE = (-4.0, 1.5)
_SHAPES = ((N_HIDDEN, N_INPUTS + 1), (N_HIDDEN, N_HIDDEN + 1), (N_OUTPUTS, N_HIDDEN + 1))  # the last column is the bias
_BLOCK = 240  # columns a product
N_WEIGHTS = sum(rows * columns for rows, columns in _SHAPES)

# How each input changes sign when the parent (first column) or the node's own value (second) does.
SIGN_OF_INPUT = np.array([[1, 0], [0, 1], [0, 0], [1, 1], [0, 0], [1, 0], [0, 1]], dtype=np.int8)


def layers(weights: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The three weight matrices (n_members, outputs, inputs + 1) as views of flat `weights` (n_members, N_WEIGHTS)."""
    views, start = [], 0
    for rows, columns in _SHAPES:
        views.append(weights[:, start : start + rows * columns].reshape(len(weights), rows, columns))
        start += rows * columns
    return views[0], views[1], views[2]


def initial_weights(generators: list[np.random.Generator], dtype: type = np.float32) -> NDArray:
    """One row of weights a generator: free components spread over [-1, 1], nearly no reaction to the context."""
    weights = np.zeros((len(generators), N_WEIGHTS))
    first, second, last = layers(weights)
    for member, rng in enumerate(generators):
        first[member, :, :-1] = rng.standard_normal((N_HIDDEN, N_INPUTS)) * (0.7 / np.sqrt(N_INPUTS))
        second[member, :, :-1] = rng.standard_normal((N_HIDDEN, N_HIDDEN)) / np.sqrt(N_HIDDEN)
        last[member, :, :-1] = rng.standard_normal((N_OUTPUTS, N_HIDDEN)) * (0.1 / np.sqrt(N_HIDDEN))
        bias = last[member, :, -1]
        bias[:N_TIED] = 1.0
        bias[N_COMPONENTS : N_COMPONENTS + N_TIED] = 0.1 * rng.standard_normal(N_TIED)
        free = np.linspace(-1.0, 1.0, N_FREE) + 0.2 * rng.standard_normal(N_FREE)
        bias[N_COMPONENTS + N_TIED : 2 * N_COMPONENTS] = free
    return weights.astype(dtype)


class Pairs:
    """A block of up to `capacity` (node, row) pairs: the network's inputs and what the mixture needs beside them.

    `inputs` (N_INPUTS + 1, n), the last row 1 for the biases; `child` (n,); `log_scale` (n,) of the Gaussian base;
    `centre` (N_COMPONENTS, n): what each component's mean is subtracted from, the base's standardized residual of the child
    for tied components and the child itself for free ones.
    """

    def __init__(self, capacity: int, dtype: Any) -> None:
        self._inputs: NDArray = np.ones((N_INPUTS + 1) * capacity, dtype)
        self._centre: NDArray = np.empty(N_COMPONENTS * capacity, dtype)
        self.capacity = capacity
        self.inputs: NDArray = np.empty((0, 0))
        self.centre: NDArray = np.empty((0, 0))

    def fill(self, data: NodeData, nodes: Any, rows: Any, flips: NDArray[np.bool_] | None = None) -> None:
        """Gather the pairs `nodes` x `rows` (two slices, or two integer arrays), node by node.

        `flips` (n_nodes, 2) turns the sign of the parent (first column) or of the child: its conditional mean and the edge
        statistics turn along, so that the node stays one that could be.
        """
        place = (nodes, rows) if isinstance(nodes, slice) else (nodes[:, None], rows)
        child = data.child[place]
        scale = data.log_scale[nodes, None]
        n = child.size
        inputs = self._inputs[: (N_INPUTS + 1) * n].reshape(N_INPUTS + 1, *child.shape)
        centre = self._centre[: N_COMPONENTS * n].reshape(N_COMPONENTS, *child.shape)
        inputs[0] = data.parent[place]
        inputs[1] = data.mean[place]
        inputs[2] = scale
        inputs[3:7] = data.statistics[nodes].T[:, :, None]
        inputs[7] = 1.0
        centre[N_TIED:] = child
        if flips is not None:
            signs = 1 - 2 * ((SIGN_OF_INPUT @ flips.T.astype(np.int8)) & 1).astype(child.dtype)
            inputs[:7] *= signs[:, :, None]
            centre[N_TIED:] *= signs[1, :, None]  # the child turns as its conditional mean does
        np.subtract(centre[N_TIED], inputs[1], out=centre[0])
        centre[0] *= np.exp(-scale)
        centre[1:N_TIED] = centre[0]
        self.inputs, self.centre = inputs.reshape(N_INPUTS + 1, n), centre.reshape(N_COMPONENTS, n)

    @property
    def child(self) -> NDArray:
        return np.asarray(self.centre[N_TIED])

    @property
    def log_scale(self) -> NDArray:
        return np.asarray(self.inputs[2])


class NodeNetwork:
    """Forward and backward passes for `n_members` independent networks on up to `capacity` pairs, in buffers of its own.

    SiLU is computed as a sigmoid(a) = u (1 + tanh u) with u = a / 2, which never overflows; the halving is folded into the
    weights.
    """

    def __init__(self, weights: NDArray, capacity: int) -> None:
        self.weights = weights
        self.n_members = len(weights)
        self.capacity = capacity
        self.dtype = weights.dtype
        members, dtype = self.n_members, self.dtype
        self._gate = [np.empty(members * N_HIDDEN * capacity, dtype) for _ in range(2)]  # 1 + tanh u
        self._hidden = [np.empty(members * (N_HIDDEN + 1) * capacity, dtype) for _ in range(2)]
        self._scratch = [np.empty(members * N_HIDDEN * capacity, dtype) for _ in range(2)]
        self._outputs = np.empty(members * N_OUTPUTS * capacity, dtype)
        self._mixture = [np.empty(members * N_COMPONENTS * capacity, dtype) for _ in range(6)]
        self._slopes = np.empty(members * N_OUTPUTS * capacity, dtype)
        self.slope: NDArray = self._view(self._slopes, N_OUTPUTS, 0)

    def _view(self, buffer: NDArray, features: int, n: int) -> NDArray:
        return buffer[: self.n_members * features * n].reshape(self.n_members, features, n)

    def outputs(self, pairs: Pairs) -> NDArray:
        """The network's raw outputs (n_members, N_OUTPUTS, n): logits, means and log standard deviations, five each."""
        n = pairs.inputs.shape[1]
        signal = pairs.inputs[None]
        *hidden_layers, last = layers(self.weights)
        for layer, matrix in enumerate(hidden_layers):
            half = self._view(self._scratch[0], N_HIDDEN, n)
            gate = self._view(self._gate[layer], N_HIDDEN, n)
            hidden = self._view(self._hidden[layer], N_HIDDEN + 1, n)
            _multiply(0.5 * matrix, signal, half)
            np.tanh(half, out=gate)
            gate += 1.0
            np.multiply(half, gate, out=hidden[:, :-1])
            hidden[:, -1] = 1.0
            signal = hidden
        return _multiply(last, signal, self._view(self._outputs, N_OUTPUTS, n))

    def log_ratio(self, pairs: Pairs, *, slopes: bool = False) -> NDArray:
        """f of every pair, (n_members, n); with `slopes`, `self.slope` becomes its gradient by the outputs, for `backward`."""
        outputs = self.outputs(pairs)
        n = outputs.shape[2]
        logits, means, log_sds = outputs[:, :5], outputs[:, 5:10], outputs[:, 10:]
        share, posterior, precision, z, scratch, clipped = (self._view(buffer, N_COMPONENTS, n) for buffer in self._mixture)
        np.clip(log_sds, *LOG_SD_RANGE, out=clipped)
        np.negative(clipped, out=precision)
        np.exp(precision, out=precision)
        np.subtract(pairs.centre, means, out=z)
        z *= precision
        np.multiply(z, z, out=posterior)
        posterior *= -0.5
        posterior += logits
        posterior -= clipped
        posterior[:, :N_TIED] -= pairs.log_scale
        value = _softmax(posterior)
        np.copyto(share, logits)
        value -= _softmax(share)
        value += 0.5 * pairs.child * pairs.child
        if slopes:
            slope = self.slope = self._view(self._slopes, N_OUTPUTS, n)
            np.subtract(posterior, share, out=slope[:, :5])
            np.multiply(posterior, z, out=scratch)
            np.multiply(scratch, precision, out=slope[:, 5:10])
            scratch *= z
            scratch -= posterior
            np.not_equal(log_sds, clipped, out=share, casting="unsafe")  # outside its range a log sd has no effect
            np.subtract(1.0, share, out=share)
            np.multiply(scratch, share, out=slope[:, 10:])
        return value

    def backward(self, pairs: Pairs, slope: NDArray, gradient: NDArray | None = None) -> NDArray:
        """Propagate `slope` (n_members, N_OUTPUTS, n), by the outputs of the last forward pass, back to the first layer.

        With `gradient` (n_members, N_WEIGHTS), the gradient by the weights is written there; the gradient by the first
        layer's halved activations (n_members, N_HIDDEN, n) is returned either way.
        """
        n = pairs.inputs.shape[1]
        matrices = layers(self.weights)
        into = layers(gradient) if gradient is not None else None
        half = 1.0
        for layer in (1, 0):
            gate = self._view(self._gate[layer], N_HIDDEN, n)
            hidden = self._view(self._hidden[layer], N_HIDDEN + 1, n)
            if into is not None:
                into[layer + 1][...] = half * _multiply_transposed(slope, hidden)
            back = self._view(self._scratch[layer], N_HIDDEN, n)
            _multiply(half * matrices[layer + 1][:, :, :-1].transpose(0, 2, 1), slope, back)
            # derivative of u (1 + tanh u): gate + hidden (2 - gate); the forward pass is spent, its buffers are free
            active = hidden[:, :-1]
            active *= np.subtract(2.0, gate, out=self._view(self._scratch[1 - layer], N_HIDDEN, n))
            active += gate
            back *= active
            slope, half = back, 0.5
        if into is not None:
            into[0][...] = half * _multiply_transposed(slope, pairs.inputs[None])
        return slope

    def input_gradient(self, first: NDArray) -> NDArray:
        """Gradient by the inputs, summed over members, (N_INPUTS, n), from what `backward` returned."""
        matrix = 0.5 * layers(self.weights)[0][:, :, :-1]
        back = np.empty((self.n_members, N_INPUTS, first.shape[2]), first.dtype)
        return np.asarray(_multiply(matrix.transpose(0, 2, 1), first, back).sum(0))


def _blocks(signal: NDArray) -> tuple[NDArray, NDArray]:
    """Columns of (members, features, n) in blocks, (members, n_blocks, features, _BLOCK), and the rest of them; views.

    A product of such a block is too small for any BLAS to spread over threads, which costs more than it brings at this size,
    stalls where folds train side by side, and would make the bits depend on how many threads there are.
    """
    whole = signal.shape[2] // _BLOCK * _BLOCK
    blocks = signal[:, :, :whole].reshape(*signal.shape[:2], -1, _BLOCK).swapaxes(1, 2)
    return blocks, signal[:, :, whole:]


def _multiply(matrix: NDArray, signal: NDArray, out: NDArray) -> NDArray:
    """`matrix` (members, a, b) times `signal` (members or 1, b, n), written to `out` (members, a, n)."""
    (many, rest), (out_many, out_rest) = _blocks(signal), _blocks(out)
    np.matmul(matrix[:, None], many, out=out_many)
    np.matmul(matrix, rest, out=out_rest)
    return out


def _multiply_transposed(left: NDArray, right: NDArray) -> NDArray:
    """`left` (members, a, n) times `right` (members or 1, b, n), transposed: (members, a, b)."""
    (left_many, left_rest), (right_many, right_rest) = _blocks(left), _blocks(right)
    product = np.matmul(left_many, right_many.swapaxes(2, 3)).sum(axis=1)
    product += np.matmul(left_rest, right_rest.swapaxes(1, 2))
    return np.asarray(product)


def _softmax(values: NDArray) -> NDArray:
    """Softmax over axis 1, in place; returns its log-sum-exp (n_members, n)."""
    largest = values.max(axis=1)
    values -= largest[:, None]
    np.exp(values, out=values)
    total = values.sum(axis=1)
    values /= total[:, None]
    largest += np.log(total)
    return np.asarray(largest)
