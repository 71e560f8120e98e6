"""Training of the shared network: random pairs, random sign flips, AdamW, early stopping.

Everything random is drawn here, on the host; the steps are the backends' jobs `train_density` and `train_contrastive`, one
member after the other. On a CUDA device all members go at once, and steps, checks and early stopping are one job that the host
feeds with batches; both ways see the same batches. Same seed, same data, same backend: the same bits, whatever `n_threads`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import _device, _random
from .._threads import parallel_ranges
from ..backends import CUDA, choose, job
from ..backends._reference_nodes import N_OUTPUTS, StepPlan, layers
from .network import N_HIDDEN, NodeData, initial_contrastive, initial_density

Kind = Literal["density", "contrastive"]
Batch = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]
_CHECKS_AT_ONCE = 10  # on a device, the host draws so many checks' batches ahead


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


@dataclass(frozen=True)
class Task:
    """What `train_nodes` is asked for, less what all tasks of a `train_many` share."""

    train: NodeData
    validation: NodeData
    n_members: int
    path: tuple[int | str, ...] = ()
    unseen: tuple[int, ...] = ()

    def told(self) -> Task:
        """The same with the inputs that are hidden at 0."""
        return replace(self, train=self.train.without(self.unseen), validation=self.validation.without(self.unseen))


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
    task = Task(train, validation, n_members, path, unseen)
    if choose(backend, train.child) == CUDA:
        return _train_on_device([task], kind, plan, seed, report, n_threads)[0]
    task, fitted = task.told(), []
    for member in range(n_members):

        def part(share: float, member: int = member) -> None:
            if report is not None:
                report((member + share) / n_members)

        fitted.append(_Member(task, member, kind, plan, seed).fit(part, n_threads, backend))
    weights, scores, steps = zip(*fitted, strict=True)
    return TrainedNodes(_hidden(np.stack(weights), task, kind), np.array(scores), max(steps))


def train_many(
    tasks: list[Task],
    *,
    seed: int,
    kind: Kind = "density",
    plan: TrainingPlan | None = None,
    report: Callable[[float], None] | None = None,
    n_threads: int = 1,
    backend: str | None = None,
) -> list[TrainedNodes]:
    """`train_nodes` of every task: on a CUDA device all members of all tasks at once, elsewhere one after the other."""
    plan = plan or TrainingPlan()
    if any(choose(backend, task.train.child) == CUDA for task in tasks):
        return _train_on_device(tasks, kind, plan, seed, report, n_threads)

    def part(k: int) -> Callable[[float], None] | None:
        return None if report is None else lambda share: report((k + share) / len(tasks))

    shared: dict[str, Any] = {"seed": seed, "kind": kind, "plan": plan, "n_threads": n_threads, "backend": backend}
    return [
        train_nodes(
            *(task.train, task.validation),
            n_members=task.n_members,
            path=task.path,
            unseen=task.unseen,
            report=part(k),
            **shared,
        )
        for k, task in enumerate(tasks)
    ]


def _hidden(weights: NDArray, task: Task, kind: Kind) -> NDArray:
    """The same networks (n_members, W), with the weights of unseen inputs at 0."""
    first_layer = layers(weights, task.train.n_inputs + (kind == "contrastive"), N_OUTPUTS if kind == "density" else 1)[0]
    for number in task.unseen:
        first_layer[..., number] = 0.0
    return weights


def _train_on_device(
    tasks: list[Task], kind: Kind, plan: TrainingPlan, seed: int, report: Callable[[float], None] | None, n_threads: int
) -> list[TrainedNodes]:
    """All members of all tasks at once. The next batches are drawn, on `n_threads`, while the device works on the last ones."""
    from ..backends._cuda_nodes import FRESH, Run, node_parts, train_networks

    xp = _device.cupy()
    drawers: dict[Any, _Member] = {}  # members whose batches are the same have one of them draw for all
    runs: list[tuple[Any, Run]] = []
    progress = xp.asarray(np.tile(FRESH, (sum(task.n_members for task in tasks), 1)))
    for task in (one.told() for one in tasks):
        data = node_parts(task.train), node_parts(task.validation)
        for number in range(task.n_members):
            member = _Member(task, number, kind, plan, seed)
            stream = (task.path, number, task.train.child.shape)
            drawers.setdefault(stream, member)
            weights = xp.asarray(member.weights)
            state = weights, xp.zeros_like(weights), xp.zeros_like(weights), weights.copy(), progress[len(runs)]
            runs.append((stream, Run(*data, *state, member.shown, member.n_shifts if kind == "contrastive" else 0)))

    def draw(streams: list[Any], start: int) -> dict[Any, Batch]:
        counts = [min(plan.check_every, plan.n_steps - step) for step in range(start, plan.n_steps, plan.check_every)]
        drawn: dict[Any, Batch] = {}

        def work(begin: int, end: int) -> None:
            for stream in streams[begin:end]:
                parts = [drawers[stream].batch(count) for count in counts[:_CHECKS_AT_ONCE]]
                nodes, rows, flips = map(np.concatenate, zip(*parts, strict=True))
                drawn[stream] = nodes, rows, flips

        if counts:
            parallel_ranges(work, len(streams), n_threads)
        return drawn

    going, step = runs, 0
    batches = draw(list(drawers), step)
    while batches:
        count = len(next(iter(batches.values()))[0])
        sent, steps = _sent(batches), next(iter(drawers.values())).steps(step, count)
        some, theirs = [run for _, run in going], [sent[stream] for stream, _ in going]
        train_networks(some, theirs, step, steps, check_every=plan.check_every, patience=plan.patience)
        step += count
        ahead = draw(list(batches), step)
        stopped = _device.to_host(progress)[:, 3].astype(bool)
        going = [run for run, over in zip(runs, stopped, strict=True) if not over]
        wanted = {stream for stream, _ in going}
        batches = {stream: batch for stream, batch in ahead.items() if stream in wanted}
        if report is not None:
            report(step / plan.n_steps if batches else 1.0)

    scores, networks, results = _device.to_host(progress), [run.best for _, run in runs], []
    for task in tasks:
        found, scores = scores[: task.n_members], scores[task.n_members :]
        mine, networks = networks[: task.n_members], networks[task.n_members :]
        results.append(TrainedNodes(_hidden(xp.stack(mine), task, kind), found[:, 0], int(found[:, 2].max())))
    return results


def _sent(batches: dict[Any, Batch]) -> dict[Any, tuple[Any, Any, Any]]:
    """Batches copied to the device, all of them in two pieces."""
    numbers = _device.to_device(np.concatenate([part.ravel() for batch in batches.values() for part in batch[:2]]))
    bits = _device.to_device(np.concatenate([flips.ravel() for *_, flips in batches.values()]))
    sent = {}
    for stream, (nodes, rows, flips) in batches.items():
        both = nodes.size + rows.size
        sent[stream] = (
            numbers[: nodes.size].reshape(nodes.shape),
            numbers[nodes.size : both].reshape(rows.shape),
            bits[: flips.size].reshape(flips.shape),
        )
        numbers, bits = numbers[both:], bits[flips.size :]
    return sent


class _Member:
    """One network on its way: where it begins, its batches, and on the CPU its steps and checks."""

    def __init__(self, task: Task, number: int, kind: Kind, plan: TrainingPlan, seed: int) -> None:
        self.task, self.kind, self.plan = task, kind, plan
        train, validation = task.train, task.validation
        self.n_rows, self.n_nodes = min(plan.n_rows, train.n_rows), min(plan.n_nodes, train.n_nodes)
        self.shown = min(validation.n_rows, max(16, plan.validation_pairs // validation.n_nodes))
        self.rates = np.broadcast_to(np.asarray(plan.learning_rate, np.float64), (plan.n_steps,))
        self.n_shifts = max(1, min(plan.n_shifts, self.n_rows - 1, self.shown - 1))  # no row becomes its own negative
        initial = initial_density if kind == "density" else initial_contrastive
        path = (*task.path, "member", number)
        rng = _random.generator(seed, *path, "weights")
        self.weights = initial(rng, train.n_inputs, n_hidden=plan.n_hidden, dtype=train.child.dtype.type)
        self._rng = _random.generator(seed, *path, "batches")

    def fit(self, report: Callable[[float], None], n_threads: int, backend: str | None) -> tuple[NDArray, float, int]:
        """Weights at the best check, its score, and the steps taken."""
        plan, weights = self.plan, self.weights
        train, validation = self.task.train, self.task.validation
        take_steps, score_of = job(f"train_{self.kind}", backend), job(f"score_{self.kind}", backend)
        extra: tuple[Any, ...] = () if self.kind == "density" else (self.steps(0, 0),)
        first, second = np.zeros_like(weights), np.zeros_like(weights)
        best, best_weights, checks_without, step = -np.inf, weights.copy(), 0, 0
        while step < plan.n_steps and checks_without < plan.patience:
            count = min(plan.check_every, plan.n_steps - step)
            take_steps(weights, first, second, step, train, *self.batch(count), self.steps(step, count), n_threads)
            step += count
            score: float = score_of(weights, validation, self.shown, *extra, n_threads)
            if score > best + 1e-5:
                best, best_weights, checks_without = score, weights.copy(), 0
            else:
                checks_without += 1
            report(step / plan.n_steps)
        return best_weights, best, step

    def batch(self, count: int) -> Batch:
        """The next nodes (count, b) and rows (count, r), each without repeats, and flips (count, b) of three independent bits."""
        nodes, rows = (
            np.argpartition(self._rng.random((count, n)), k - 1, axis=1)[:, :k].astype(np.int32)
            for n, k in ((self.task.train.n_nodes, self.n_nodes), (self.task.train.n_rows, self.n_rows))
        )
        return np.ascontiguousarray(nodes), np.ascontiguousarray(rows), self._rng.integers(0, 8, nodes.shape, np.uint8)

    def steps(self, start: int, count: int) -> StepPlan:
        plan, rates = self.plan, np.ascontiguousarray(self.rates[start : start + count])
        return StepPlan(rates, plan.weight_decay, plan.gradient_norm, self.n_shifts, plan.base)
