"""What all nodes share: the data of their pairs, and the small network that reads them.

A node's network reads R values of the row (its context) and S of the node (its statistics). The arithmetic is a job of
`backends`; this file says what goes in and how the weights begin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backends._reference_nodes import N_COMPONENTS, N_FREE, N_OUTPUTS, N_TIED, layers, n_weights

N_HIDDEN = 16
BY_PARENT, BY_CHILD, BY_THIRD = 1, 2, 4  # bits of `NodeData.codes`
FIRST_CONTEXT, FIRST_STATISTIC = (BY_PARENT, BY_CHILD), 0  # parent and conditional mean; log of the conditional scale


@dataclass(frozen=True)
class NodeData:
    """What N nodes know of n rows: node-major, so that one node's rows lie together. C-contiguous, one float dtype.

    Attributes
    ----------
    child : (N, n), each node's own value.
    context : (N, R, n), inputs that differ from row to row: [0] the parent's value, [1] the Gaussian conditional mean of the
        child, the others anything.
    statistics : (N, S), inputs that are a node's own: [0] log of the Gaussian conditional scale, the others anything.
    codes : (R + S,) uint8, which inputs change sign with what: bit 0 with the parent, bit 1 with the child, bit 2 with a
        third column (the other one of a screened pair). `codes[:2]` is (1, 2), `codes[R]` is 0.
    """

    child: NDArray
    context: NDArray
    statistics: NDArray
    codes: NDArray[np.uint8]

    @property
    def n_nodes(self) -> int:
        return len(self.child)

    @property
    def n_rows(self) -> int:
        return int(self.child.shape[1])

    @property
    def n_inputs(self) -> int:
        """R + S, the inputs of a density node's network."""
        return len(self.codes)

    def without(self, unseen: tuple[int, ...]) -> NodeData:
        """The same with the inputs of these numbers (context first, then statistics) at 0."""
        if not unseen:
            return self
        context, statistics = self.context.copy(), self.statistics.copy()
        for number in unseen:
            if number < context.shape[1]:
                context[:, number] = 0.0
            else:
                statistics[:, number - context.shape[1]] = 0.0
        return replace(self, context=context, statistics=statistics)


def initial_density(rng: np.random.Generator, n_inputs: int, *, n_hidden: int = N_HIDDEN, dtype: type = np.float32) -> NDArray:
    """Flat weights (W,) of a density network: free components spread over [-1, 1], nearly no reaction to the context."""
    weights = _initial(rng, n_inputs, n_hidden, N_OUTPUTS, 0.1)
    bias = layers(weights, n_inputs, N_OUTPUTS)[2][:, -1]
    bias[:N_TIED] = 1.0
    bias[N_COMPONENTS : N_COMPONENTS + N_TIED] = 0.1 * rng.standard_normal(N_TIED)
    bias[N_COMPONENTS + N_TIED : 2 * N_COMPONENTS] = np.linspace(-1.0, 1.0, N_FREE) + 0.2 * rng.standard_normal(N_FREE)
    return weights.astype(dtype)


def initial_contrastive(
    rng: np.random.Generator, n_inputs: int, *, n_hidden: int = N_HIDDEN, dtype: type = np.float32
) -> NDArray:
    """Flat weights (W,) of a contrastive network; `n_inputs` does not count the child. f begins near 0."""
    return _initial(rng, n_inputs + 1, n_hidden, 1, 0.3).astype(dtype)


def _initial(rng: np.random.Generator, n_inputs: int, n_hidden: int, n_outputs: int, reaction: float) -> NDArray[np.float64]:
    weights = np.zeros(n_weights(n_inputs, n_hidden, n_outputs))
    first, second, last = layers(weights, n_inputs, n_outputs)
    first[:, :-1] = rng.standard_normal((n_hidden, n_inputs)) * (0.7 / np.sqrt(n_inputs))
    second[:, :-1] = rng.standard_normal((n_hidden, n_hidden)) / np.sqrt(n_hidden)
    last[:, :-1] = rng.standard_normal((n_outputs, n_hidden)) * (reaction / np.sqrt(n_hidden))
    return weights
