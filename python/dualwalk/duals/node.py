"""The dual function of a fitted node path: one small conditional log-ratio a column, summed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._nodepath.density import Mixture
from .._nodepath.network import N_COMPONENTS, N_OUTPUTS, N_TIED, NodeNetwork, Pairs
from .._nodepath.path import NodeData, NodePath

_PAIRS = 512  # pairs evaluated at once: a block's grid of 96 quantiles stays in the cache


@dataclass(frozen=True)
class FittedPath:
    """What one fold learned: its `path`, the members' `weights`, one temperature `alpha`, every node's marginal `grid`."""

    path: NodePath
    weights: NDArray
    alpha: float
    grid: NDArray[np.float64]  # (n_nodes, n_quantiles)
    base: str = ""

    def node_terms(self, z: NDArray[np.float64], dtype: Any = np.float32) -> NDArray[np.float64]:
        """Terms of the path's nodes for rows `z`: (n_nodes, n_rows), nats."""
        data = self.path.data(z, dtype)
        terms = np.zeros((data.n_nodes, data.n_rows))
        if self.alpha:
            for nodes, rows, pairs, network in self.blocks(data):
                part = Mixture.of(network, pairs).terms(pairs.child, self.grid[nodes].astype(dtype), self.alpha)
                terms[nodes, rows] = part.reshape(terms[nodes, rows].shape)
        return terms

    def value_and_gradient(self, z: NDArray[np.float64], dtype: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """f of every row and its gradient by the normal scores: (n_rows,) and (n_rows, n_features)."""
        data = self.path.data(z, dtype)
        value = np.zeros(data.n_rows)
        gradient = np.zeros((z.shape[1], data.n_rows))
        if not self.alpha:
            return value, gradient.T.copy()
        shape = (data.n_nodes, data.n_rows)
        by_child, by_parent, by_mean = np.empty(shape), np.empty(shape), np.empty(shape)
        for nodes, rows, pairs, network in self.blocks(data):
            mixture = Mixture.of(network, pairs)
            part, by_x, *slopes = mixture.slopes(pairs.child, self.grid[nodes].astype(dtype), self.alpha)
            inputs, tied = _through_network(network, pairs, mixture, *slopes)
            block = by_child[nodes, rows].shape
            value[rows] += part.reshape(block).sum(axis=0, dtype=np.float64)
            by_child[nodes, rows] = by_x.reshape(block)
            by_parent[nodes, rows] = inputs[0].reshape(block)
            by_mean[nodes, rows] = (inputs[1] + tied).reshape(block)
        gradient[self.path.column] += by_child
        np.add.at(gradient, self.path.parent, by_parent)
        gradient += self.path.coefficients.T @ by_mean
        return value, gradient.T.copy()

    def blocks(self, data: NodeData) -> Iterator[tuple[slice, slice, Pairs, NodeNetwork]]:
        """All (node, row) pairs of `data`, a cacheful at a time: which nodes and rows, the pairs, a network to run on them."""
        dtype = data.child.dtype.type
        n_rows = min(data.n_rows, _PAIRS)
        n_nodes = max(1, _PAIRS // max(1, n_rows))
        network = NodeNetwork(self.weights.astype(dtype), n_nodes * n_rows)
        pairs = Pairs(n_nodes * n_rows, dtype)
        for start in range(0, data.n_rows, max(1, n_rows)):
            rows = slice(start, start + n_rows)
            for node in range(0, data.n_nodes, n_nodes):
                nodes = slice(node, node + n_nodes)
                pairs.fill(data, nodes, rows)
                yield nodes, rows, pairs, network


def _through_network(
    network: NodeNetwork, pairs: Pairs, mixture: Mixture, by_share: NDArray, by_mean: NDArray, by_log_sd: NDArray
) -> tuple[NDArray, NDArray]:
    """Gradients by the network's inputs (n_inputs, n), and by the conditional mean that the tied components sit on (n,)."""
    members, n = network.n_members, by_mean.shape[1]
    shape = (members, N_COMPONENTS, n)
    slope = np.empty((members, N_OUTPUTS, n), by_mean.dtype)
    share = by_share.reshape(shape)
    slope[:, :N_COMPONENTS] = share - mixture.share.reshape(shape) * share.sum(axis=1, keepdims=True)
    slope[:, N_COMPONENTS : 2 * N_COMPONENTS] = by_mean.reshape(shape)
    tied = by_mean.reshape(shape)[:, :N_TIED].sum(axis=(0, 1))
    slope[:, N_COMPONENTS : N_COMPONENTS + N_TIED] *= np.exp(pairs.log_scale)
    slope[:, 2 * N_COMPONENTS :] = (by_log_sd * mixture.free).reshape(shape)
    return network.input_gradient(network.backward(pairs, slope)), tied


class NodeDual:
    """A fitted node path as a dual function on normal scores: the average over folds of f(z) = sum_k f_k(z_k, context_k).

    Every f_k is a conditional log-ratio log p(z_k | context) - log q(z_k), from a mixture of Gaussians shared by all nodes,
    and the context is one parent column plus the Gaussian conditional mean given all earlier columns. f is in nats and
    approximates log p(z) - sum_k log q_k(z_k) where the data have density p and marginals q_k.

    Made by `DualDivergence.fit` (its attribute `dual_`); walked by `dualwalk.walk`.

    Parameters
    ----------
    paths : the fitted paths, one a fold; none at all is the dual function 0 (nothing to depend on).
    n_features : columns of the rows it takes, those that never vary included.
    dtype : float type of the network's arithmetic, float32 unless told otherwise; results are float64.

    Values are a pure function of the rows (equal rows may differ in the last float32 bits between calls with another number
    of rows, as BLAS chooses its kernels by shape). Rows that are not finite, or of another width, raise ValueError.

    Source: Garg et al. 2024, arXiv 2404.07377, for the dual space; the path of nodes is ours.
    """

    def __init__(self, paths: list[FittedPath], n_features: int, *, dtype: Any = np.float32) -> None:
        self.paths = list(paths)
        self.n_features = n_features
        self.dtype = dtype

    def terms(self, x: ArrayLike) -> NDArray[np.float64]:
        """Each column's term of f: (n, n_features), nats; rows sum to `value(x)`. Columns off the path have term 0."""
        z = self._rows(x)
        total = np.zeros((self.n_features, len(z)))
        for path in self.paths:
            total[path.path.column] += path.node_terms(z, self.dtype)
        return (total / max(1, len(self.paths))).T.copy()

    def value(self, x: ArrayLike) -> NDArray[np.float64]:
        """f of every row: (n,), nats."""
        return np.asarray(self.terms(x).sum(axis=1))

    def gradient(self, x: ArrayLike) -> NDArray[np.float64]:
        """Gradient of f by the normal scores: (n, n_features), nats per unit."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """f (n,) and its gradient (n, n_features), by back-propagation through contexts, base and normalization."""
        z = self._rows(x)
        value, gradient = np.zeros(len(z)), np.zeros(z.shape)
        for path in self.paths:
            part, slope = path.value_and_gradient(z, self.dtype)
            value += part
            gradient += slope
        count = max(1, len(self.paths))
        return value / count, gradient / count

    def _rows(self, x: ArrayLike) -> NDArray[np.float64]:
        if np.shape(x) == (0, self.n_features):
            return np.empty((0, self.n_features))
        return _checks.samples(x, "x", feature_shape=(self.n_features,), min_samples=0)[0]
