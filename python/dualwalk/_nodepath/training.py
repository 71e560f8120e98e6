"""Training of the shared network: random pairs, random sign flips, AdamW, early stopping; one member after the other.

Everything random is drawn here, the steps are the backends' jobs `train_density` and `train_contrastive`. Same seed, same
data, same backend: the same bits, whatever `n_threads`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import _random
from ..backends import job
from ..backends._reference_nodes import N_OUTPUTS, StepPlan, layers
from .network import N_HIDDEN, NodeData, initial_contrastive, initial_density

Kind = Literal["density", "contrastive"]


@dataclass(frozen=True)
class TrainingPlan:
    """How to train. `learning_rate` is one number, or one for each of `n_steps` steps."""

    n_steps: int = 2000
    n_rows: int = 96  # rows and nodes a step
    n_nodes: int = 32
    n_hidden: int = N_HIDDEN  # a multiple of 16
    learning_rate: float | NDArray[np.float64] = 1e-2
    weight_decay: float = 1e-2
    gradient_norm: float = 5.0  # a gradient is scaled down to this length
    check_every: int = 20
    patience: int = 8  # checks without improvement
    validation_pairs: int = 24_000  # at most as many (node, row) pairs are looked at in a check
    n_shifts: int = 4  # contrastive nodes: cyclic row shifts that serve as negatives
    base: bool = False  # contrastive nodes: f stands on the Gaussian base's log-ratio


@dataclass(frozen=True)
class TrainedNodes:
    """`weights` (n_members, W) at each member's best check, its `validation` score (n_members,), most steps that one took.

    The score is the mean of f in nats for density nodes, minus the logistic loss for contrastive ones.
    """

    weights: NDArray
    validation: NDArray[np.float64]
    n_steps: int


def train_nodes(
    train: NodeData,
    validation: NodeData,
    *,
    n_members: int,
    seed: int,
    path: tuple[int | str, ...] = (),
    kind: Kind = "density",
    plan: TrainingPlan | None = None,
    unseen: tuple[int, ...] = (),
    report: Callable[[float], None] | None = None,
    n_threads: int = 1,
    backend: str | None = None,
) -> TrainedNodes:
    """Fit `n_members` networks to `train`; each keeps its weights at its best check on `validation`.

    Members are independent: initial weights and batches of their own, from streams that `seed`, `path` and the member's
    number address. Inputs whose numbers are in `unseen` (context first, then statistics) are hidden from them: their weights
    come back as 0. `report(share of the steps done)` is called at every check and may raise to stop the training.
    """
    plan = plan or TrainingPlan()
    train, validation = train.without(unseen), validation.without(unseen)
    members = []
    for member in range(n_members):

        def part(share: float, member: int = member) -> None:
            if report is not None:
                report((member + share) / n_members)

        trainer = _Member(train, validation, kind, plan, n_threads, backend)
        members.append(trainer.fit(seed, (*path, "member", member), part))
    weights, scores, steps = zip(*members, strict=True)
    flat = np.stack(weights)
    outputs = N_OUTPUTS if kind == "density" else 1
    layers(flat, train.n_inputs + (kind == "contrastive"), outputs)[0][..., list(unseen)] = 0.0
    return TrainedNodes(flat, np.array(scores), max(steps))


class _Member:
    """One network on its way: batches drawn, steps taken, checks made."""

    def __init__(
        self, train: NodeData, validation: NodeData, kind: Kind, plan: TrainingPlan, n_threads: int, backend: str | None
    ) -> None:
        self.train, self.validation, self.kind, self.plan, self.n_threads = train, validation, kind, plan, n_threads
        self.n_rows, self.n_nodes = min(plan.n_rows, train.n_rows), min(plan.n_nodes, train.n_nodes)
        self.shown = min(validation.n_rows, max(16, plan.validation_pairs // validation.n_nodes))
        self.rates = np.broadcast_to(np.asarray(plan.learning_rate, np.float64), (plan.n_steps,))
        self.n_shifts = max(1, min(plan.n_shifts, self.n_rows - 1, self.shown - 1))  # no row becomes its own negative
        self._train = job(f"train_{kind}", backend)
        self._score: Callable[..., float] = job(f"score_{kind}", backend)

    def fit(self, seed: int, path: tuple[int | str, ...], report: Callable[[float], None]) -> tuple[NDArray, float, int]:
        plan, dtype = self.plan, self.train.child.dtype.type
        initial = initial_density if self.kind == "density" else initial_contrastive
        rng = _random.generator(seed, *path, "weights")
        weights = initial(rng, self.train.n_inputs, n_hidden=plan.n_hidden, dtype=dtype)
        first, second = np.zeros_like(weights), np.zeros_like(weights)
        rng = _random.generator(seed, *path, "batches")
        best, best_weights, checks_without, step = -np.inf, weights.copy(), 0, 0
        while step < plan.n_steps and checks_without < plan.patience:
            count = min(plan.check_every, plan.n_steps - step)
            batch = self._batch(rng, count)
            steps = self._steps(self.rates[step : step + count])
            self._train(weights, first, second, step, self.train, *batch, steps, self.n_threads)
            step += count
            score = self._check(weights)
            if score > best + 1e-5:
                best, best_weights, checks_without = score, weights.copy(), 0
            else:
                checks_without += 1
            report(step / plan.n_steps)
        return best_weights, best, step

    def _batch(self, rng: np.random.Generator, count: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
        """Nodes (count, b) and rows (count, r), each without repeats, and flips (count, b) of three independent bits."""
        nodes, rows = (
            np.argpartition(rng.random((count, n)), k - 1, axis=1)[:, :k].astype(np.int32)
            for n, k in ((self.train.n_nodes, self.n_nodes), (self.train.n_rows, self.n_rows))
        )
        return np.ascontiguousarray(nodes), np.ascontiguousarray(rows), rng.integers(0, 8, nodes.shape, np.uint8)

    def _steps(self, rates: NDArray[np.float64]) -> StepPlan:
        plan = self.plan
        return StepPlan(np.ascontiguousarray(rates), plan.weight_decay, plan.gradient_norm, self.n_shifts, plan.base)

    def _check(self, weights: NDArray) -> float:
        extra: tuple[Any, ...] = () if self.kind == "density" else (self._steps(self.rates[:0]),)
        return self._score(weights, self.validation, self.shown, *extra, self.n_threads)
