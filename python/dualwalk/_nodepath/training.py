"""Training of the shared network: random pairs, random sign flips, AdamW, early stopping; members side by side.

The interface is `train_nodes`; its inner step, `_Trainer.step`, is what a compiled kernel may replace one day: everything
random is drawn outside it. Same seed, same data: the same bits (BLAS may round differently from machine to machine).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _random
from .network import N_WEIGHTS, NodeNetwork, Pairs, initial_weights
from .path import NodeData


@dataclass(frozen=True)
class TrainingPlan:
    """How to train; the defaults are the ones that every published number of ours was measured with."""

    n_steps: int = 800
    n_rows: int = 96  # rows and nodes a step
    n_nodes: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    gradient_norm: float = 5.0  # a member's gradient is scaled down to this length
    check_every: int = 20
    patience: int = 8  # checks without improvement
    validation_pairs: int = 24_000  # at most as many (node, row) pairs are looked at in a check


@dataclass(frozen=True)
class TrainedNodes:
    """`weights` (n_members, N_WEIGHTS) at each member's best check, its `validation` log-ratio (n_members,), steps run."""

    weights: NDArray
    validation: NDArray[np.float64]
    n_steps: int


class _Trainer:
    """Weights, AdamW's moments, and one step on one block of pairs."""

    def __init__(self, weights: NDArray, capacity: int, plan: TrainingPlan) -> None:
        self.network = NodeNetwork(weights, capacity)
        self.pairs = Pairs(capacity, weights.dtype)
        self._plan = plan
        self._gradient = np.empty_like(weights)
        self._first = np.zeros_like(weights)
        self._second = np.zeros_like(weights)
        self._count = 0

    def gradient(self, data: NodeData, nodes: NDArray, rows: NDArray, flips: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
        """Mean negative log-ratio of the pairs, per member, and its gradient by the weights."""
        self.pairs.fill(data, nodes, rows, flips)
        value = self.network.log_ratio(self.pairs, slopes=True)
        self.network.backward(self.pairs, self.network.slope, self._gradient)
        self._gradient *= -1.0 / value.shape[1]
        return -value.mean(axis=1), self._gradient

    def step(self, data: NodeData, nodes: NDArray, rows: NDArray, flips: NDArray[np.bool_]) -> None:
        """One AdamW step of every member on the pairs `nodes` x `rows`."""
        _, gradient = self.gradient(data, nodes, rows, flips)
        plan, weights = self._plan, self.network.weights
        length = np.sqrt(np.einsum("mw,mw->m", gradient, gradient))
        gradient *= np.minimum(1.0, plan.gradient_norm / (length + 1e-12))[:, None].astype(weights.dtype)
        self._count += 1
        self._first += 0.1 * (gradient - self._first)
        self._second += 0.001 * (gradient * gradient - self._second)
        rate = plan.learning_rate / (1 - 0.9**self._count)
        spread = np.sqrt(self._second)
        spread *= 1 / np.sqrt(1 - 0.999**self._count)
        spread += 1e-8
        weights *= 1 - plan.learning_rate * plan.weight_decay
        weights -= rate * (self._first / spread)

    def score(self, data: NodeData, n_rows: int) -> NDArray[np.float64]:
        """Mean log-ratio over all nodes and the first `n_rows` rows: (n_members,), float64."""
        total = np.zeros(self.network.n_members)
        n_nodes = max(1, self.pairs.capacity // n_rows)
        width = min(n_rows, self.pairs.capacity)
        for start in range(0, n_rows, width):
            for node in range(0, data.n_nodes, n_nodes):
                self.pairs.fill(data, slice(node, node + n_nodes), slice(start, min(start + width, n_rows)))
                total += self.network.log_ratio(self.pairs).sum(axis=1, dtype=np.float64)
        return total / (n_rows * data.n_nodes)


def train_nodes(
    train: NodeData,
    validation: NodeData,
    *,
    n_members: int,
    seed: int,
    path: tuple[int | str, ...] = (),
    plan: TrainingPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> TrainedNodes:
    """Fit `n_members` networks to `train` by maximum likelihood; each keeps its weights at its best check on `validation`.

    Members share the batches and differ in their initial weights. `seed` and `path` address the random streams;
    `report(share of the steps done)` is called at every check and may raise to stop the training.
    """
    plan = plan or TrainingPlan()
    dtype = train.child.dtype.type
    weights = initial_weights([_random.generator(seed, *path, "weights", e) for e in range(n_members)], dtype)
    n_rows, n_nodes = min(plan.n_rows, train.n_rows), min(plan.n_nodes, train.n_nodes)
    trainer = _Trainer(weights, n_rows * n_nodes, plan)
    shown = min(validation.n_rows, max(16, plan.validation_pairs // validation.n_nodes))
    rng = _random.generator(seed, *path, "batches")
    best, best_weights = np.full(n_members, -np.inf), weights.copy()
    checks_without = 0
    step = 0
    for step in range(1, plan.n_steps + 1):
        rows = rng.permutation(train.n_rows)[:n_rows]
        nodes = rng.permutation(train.n_nodes)[:n_nodes]
        flips = rng.random((n_nodes, 2)) < 0.5
        trainer.step(train, nodes, rows, flips)
        if step % plan.check_every:
            continue
        score = trainer.score(validation, shown)
        better = score > best + 1e-5
        best[better] = score[better]
        best_weights[better] = weights[better]
        checks_without = 0 if better.any() else checks_without + 1
        if report is not None:
            report(step / plan.n_steps)
        if checks_without >= plan.patience:
            break
    assert best_weights.shape[1] == N_WEIGHTS
    return TrainedNodes(best_weights, best, step)
