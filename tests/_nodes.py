"""Node data for the tests of the node networks: random, or with a known answer."""

from __future__ import annotations

import numpy as np

from dualwalk._nodepath.network import NodeData, initial_contrastive, initial_density

CODES = np.array([1, 2, 3, 4, 6, 0, 3, 0, 1], np.uint8)  # five of the context, four statistics


def some_data(rng: np.random.Generator, n_nodes: int, n_rows: int, dtype: type = np.float64) -> NodeData:
    """Random values in every place: five context inputs, four statistics."""
    context = rng.standard_normal((n_nodes, 5, n_rows))
    context[:, 1] *= 0.5
    statistics = 0.3 * rng.standard_normal((n_nodes, 4))
    child = rng.standard_normal((n_nodes, n_rows))
    return NodeData(child.astype(dtype), context.astype(dtype), statistics.astype(dtype), CODES)


def chain_data(rng: np.random.Generator, n_rows: int, r: float, n_nodes: int = 6, dtype: type = np.float32) -> NodeData:
    """Nodes whose parent explains them by a correlation of r, in a base that knows nothing of it."""
    parent = rng.standard_normal((n_nodes, n_rows))
    child = r * parent + np.sqrt(1 - r * r) * rng.standard_normal(parent.shape)
    context = np.stack([parent, 0 * parent], axis=1)
    statistics = np.tile([0.0, r, r * r], (n_nodes, 1))
    return NodeData(child.astype(dtype), context.astype(dtype), statistics.astype(dtype), np.array([1, 2, 0, 3, 0], np.uint8))


def some_weights(
    rng: np.random.Generator, kind: str, n_members: int, *, n_inputs: int = len(CODES), n_hidden: int = 32, spread: float = 0.3
) -> np.ndarray:
    """Members (E, W) away from where training starts."""
    initial = initial_density if kind == "density" else initial_contrastive
    weights = np.stack([initial(rng, n_inputs, n_hidden=n_hidden, dtype=np.float64) for _ in range(n_members)])
    return weights + spread * rng.standard_normal(weights.shape)
