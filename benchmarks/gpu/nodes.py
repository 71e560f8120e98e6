"""Node networks: training steps, scores, terms and slopes at the size of a fit with 4096 columns and 500 rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dualwalk import backends
from dualwalk._nodepath.network import NodeData, initial_contrastive, initial_density
from dualwalk._nodepath.training import TrainingPlan
from dualwalk.backends import reference
from dualwalk.backends._cuda_nodes import FRESH, Run, node_parts, train_networks
from dualwalk.backends._reference_nodes import StepPlan

from .case import Case, Need, Peer, normals

N_CONTEXT, N_STATISTICS, N_HIDDEN, N_GRID, N_SHIFTS = 6, 7, 16, 96, 4
INPUTS, OUTPUTS = N_CONTEXT + N_STATISTICS, 15
CHECKED_NODES, CHECKED_ROWS = 3, 16  # for errors: NumPy would take minutes for all pairs
EXP_OPERATIONS = 10  # of one component at one value: its exponent, and the exponential's
MOST_NATS = 5e-3  # float32 steps may end so far from float64's, in the score of what they learned


class Inputs(NamedTuple):
    """All on the device; `batches` are nodes, rows and flips a step."""

    data: NodeData
    weights: Any  # (n_members, W)
    batches: tuple[Any, Any, Any]
    grid: Any


def setup(
    xp: Any, seed: int, *, kind: str, n_nodes: int, n_rows: int, n_members: int = 1, n_steps: int = 1, dtype: Any = np.float32
) -> Inputs:
    rng = np.random.default_rng(seed)
    context = normals(xp, (n_nodes, N_CONTEXT, n_rows), seed, dtype)
    context[:, 1] *= 0.5
    child = 0.6 * context[:, 0] + 0.8 * normals(xp, (n_nodes, n_rows), seed + 1, dtype)
    codes = np.array([1, 2, 3, 0, 4, 6, 0, 3, 0, 1, 2, 3, 0], np.uint8)
    statistics = xp.asarray((0.3 * rng.standard_normal((n_nodes, N_STATISTICS))).astype(dtype))
    data = NodeData(child.astype(dtype), context, statistics, xp.asarray(codes))
    make = initial_density if kind == "density" else initial_contrastive
    weights = xp.asarray(np.stack([make(rng, INPUTS, n_hidden=N_HIDDEN, dtype=dtype) for _ in range(n_members)]))
    plan = TrainingPlan()
    nodes, rows = (
        np.stack([rng.permutation(n)[: min(k, n)] for _ in range(n_steps)]).astype(np.int32)
        for n, k in ((n_nodes, plan.n_nodes), (n_rows, plan.n_rows))
    )
    batches = tuple(map(xp.asarray, (nodes, rows, rng.integers(0, 8, nodes.shape, np.uint8))))
    return Inputs(data, weights, batches, np.sort(normals(xp, (n_nodes, N_GRID), seed + 2, dtype), axis=1))


def on_host(data: NodeData, nodes: slice = slice(None), rows: slice = slice(None)) -> NodeData:
    """Some pairs in the host's memory, in float64."""
    parts = data.child[nodes, rows], data.context[nodes, :, rows], data.statistics[nodes]
    return NodeData(*(part.get().astype(np.float64) for part in parts), data.codes.get())


# training


def step_plan(n_steps: int) -> StepPlan:
    return StepPlan(np.full(n_steps, 5e-3), 1e-2, 5.0, N_SHIFTS, True)


def train(kind: str, inputs: Inputs) -> Callable[[], Any]:
    steps = len(inputs.batches[0])

    def call() -> Any:
        state = inputs.weights[0].copy(), np.zeros_like(inputs.weights[0]), np.zeros_like(inputs.weights[0])
        backends.job(f"train_{kind}", None, state[0])(*state, 0, inputs.data, *inputs.batches, step_plan(steps), 1)
        return state[0]

    return call


def train_together(inputs: Inputs) -> Callable[[], Any]:
    """All members at once, with a check every 20 steps."""
    data, steps, shown = node_parts(inputs.data), len(inputs.batches[0]), min(16, inputs.data.n_rows)

    def call() -> Any:
        progress = np.zeros((len(inputs.weights), 4), like=inputs.grid)
        progress[:, 0] = FRESH[0]
        states = [(one.copy(), np.zeros_like(one), np.zeros_like(one), one.copy()) for one in inputs.weights]
        runs = [Run(data, data, *state, row, shown, 0) for state, row in zip(states, progress, strict=True)]
        train_networks(runs, [inputs.batches] * len(runs), 0, step_plan(steps), check_every=20, patience=steps)
        return [run.best for run in runs]

    return call


def as_numpy(result: Any) -> np.ndarray:
    """Ours or torch's, in float64."""
    return np.asarray(result.get() if hasattr(result, "get") else result.cpu().numpy(), np.float64)


def training_error(kind: str, inputs: Inputs, result: Any) -> float:
    """By how many nats what was learned scores apart from what float64 steps learn."""
    data, batches = on_host(inputs.data), [part.get() for part in inputs.batches]
    start = inputs.weights[0].get().astype(np.float64)
    exact, plan = start.copy(), step_plan(len(batches[0]))
    getattr(reference, f"train_{kind}")(exact, np.zeros_like(exact), np.zeros_like(exact), 0, data, *batches, plan, 1)
    few = on_host(inputs.data, slice(0, 64))
    extra = () if kind == "density" else (plan,)
    scores = [getattr(reference, f"score_{kind}")(w, few, min(100, few.n_rows), *extra, 1) for w in (as_numpy(result), exact)]
    return abs(scores[0] - scores[1])


def torch_training(inputs: Inputs) -> Callable[[], Any]:
    """The same steps of a density network from tensor operations: backward by autograd, the optimizer the fused AdamW."""
    import torch
    from torch.nn.functional import linear, silu

    child, context, statistics = (
        torch.from_dlpack(part) for part in (inputs.data.child, inputs.data.context, inputs.data.statistics)
    )
    nodes, rows = (torch.from_dlpack(part).long() for part in inputs.batches[:2])
    flips, codes = inputs.batches[2].get(), inputs.data.codes.get()
    bits = codes & flips[:, :, None]
    signs = torch.from_numpy((1 - 2.0 * ((bits ^ bits >> 1 ^ bits >> 2) & 1)).astype(np.float32)).cuda()
    flip = torch.from_numpy((1 - 2.0 * (flips >> 1 & 1)).astype(np.float32)).cuda()
    shapes = ((N_HIDDEN, INPUTS + 1), (N_HIDDEN, N_HIDDEN + 1), (OUTPUTS, N_HIDDEN + 1))
    ends = np.cumsum([a * b for a, b in shapes])[:-1].tolist()
    parts = [
        part.reshape(shape) for part, shape in zip(torch.from_dlpack(inputs.weights[0]).tensor_split(ends), shapes, strict=True)
    ]

    def loss_of(layers: list[Any], signal: Any, x: Any) -> Any:
        mean, log_scale = signal[..., 1], signal[..., N_CONTEXT]
        out = signal
        for layer in layers:
            out = linear(out if layer is layers[0] else silu(out), layer[:, :-1], layer[:, -1])
        log_sd = out[..., 10:].clamp(-4, 1.5)
        tied = ((x - mean) * torch.exp(-log_scale))[..., None].expand(-1, -1, 2)
        z = (torch.cat([tied, x[..., None].expand(-1, -1, 3)], 2) - out[..., 5:10]) * torch.exp(-log_sd)
        score = torch.log_softmax(out[..., :5], -1) - log_sd - 0.5 * z * z
        score = torch.cat([score[..., :2] - log_scale[..., None], score[..., 2:]], 2)
        return -(torch.logsumexp(score, -1) + 0.5 * x * x).mean()

    def call() -> Any:
        layers = [part.clone().requires_grad_() for part in parts]
        optimizer = torch.optim.AdamW(layers, lr=5e-3, weight_decay=1e-2, eps=1e-8, fused=True)
        for t in range(len(nodes)):
            k, r = nodes[t], rows[t]
            x = child[k][:, r] * flip[t][:, None]
            fixed = statistics[k][:, None].expand(-1, len(r), -1)
            signal = torch.cat([context[k][:, :, r].transpose(1, 2), fixed], 2) * signs[t][:, None]
            optimizer.zero_grad()
            loss_of(layers, signal, x).backward()
            torch.nn.utils.clip_grad_norm_(layers, 5.0)
            optimizer.step()
        return torch.cat([layer.detach().ravel() for layer in layers])

    return call


def forward_operations(n_inputs: int, n_outputs: int) -> int:
    """Of one pass of one pair through the network."""
    return 2 * ((n_inputs + 1) * N_HIDDEN + (N_HIDDEN + 1) * (N_HIDDEN + n_outputs))


def step_operations(kind: str) -> int:
    """Of one training step: forward, gradient by the weights, backward to the first layer's sums."""
    n_inputs, n_outputs, passes = (INPUTS, OUTPUTS, 1) if kind == "density" else (INPUTS + 1, 1, 1 + N_SHIFTS)
    plan = TrainingPlan()
    a_pair = 2 * forward_operations(n_inputs, n_outputs) + 2 * N_HIDDEN * (N_HIDDEN + n_outputs)
    return plan.n_nodes * plan.n_rows * passes * a_pair


def training(kind: str, tiny: bool, dtype: Any = np.float32) -> Case:
    n_nodes, n_rows, n_steps = (5, 30, 4) if tiny else (4095, 320, 100)
    name = np.dtype(dtype).name
    return Case(
        f"train_{kind}",
        f"{n_steps} steps of 32 x 96 pairs, one network, {name}",
        partial(setup, kind=kind, n_nodes=n_nodes, n_rows=n_rows, n_steps=n_steps, dtype=dtype),
        partial(train, kind),
        {"torch": Peer(torch_training, checked=True)} if kind == "density" and dtype is np.float32 else {},
        error=partial(training_error, kind),
        tolerance=MOST_NATS,
        needs=(Need(name, n_steps * step_operations(kind)),),
        quick=kind == "density" and dtype is np.float32,
    )


def training_together(tiny: bool) -> Case:
    n_nodes, n_rows, n_steps, n_networks = (5, 30, 4, 2) if tiny else (4095, 320, 100, 12)
    return Case(
        "train_networks",
        f"{n_steps} steps of 32 x 96 pairs, {n_networks} networks at once, with checks",
        partial(setup, kind="density", n_nodes=n_nodes, n_rows=n_rows, n_steps=n_steps, n_members=n_networks),
        train_together,
        needs=(Need("float32", n_networks * n_steps * step_operations("density")),),
    )


# scores, terms and slopes


def evaluate(job: str, inputs: Inputs) -> Callable[[], Any]:
    """The score, the terms, or what a gradient needs."""
    run = backends.job(job, None, inputs.weights)
    if job.startswith("score"):
        return lambda: run(inputs.weights[0], inputs.data, inputs.data.n_rows, *_plan(job), 1)
    alpha = np.zeros(1, like=inputs.grid) + 1 if job.endswith("terms") else 1.0
    base = (True,) if job.startswith("contrastive") else ()
    return lambda: run(inputs.weights, inputs.data, inputs.grid, alpha, *base, 1)


def _plan(job: str) -> tuple[StepPlan, ...]:
    return (step_plan(0),) if job.endswith("contrastive") else ()


def evaluation_error(job: str, inputs: Inputs, result: Any) -> float:
    """Largest difference from the float64 reference on some nodes and rows, relative to the largest number there."""
    weights, run = inputs.weights.get().astype(np.float64), getattr(reference, job)
    if job.startswith("score"):
        exact = run(weights[0], on_host(inputs.data), inputs.data.n_rows, *_plan(job), 1)
        return abs(float(result) - exact) / abs(exact)
    nodes, rows = slice(0, CHECKED_NODES), slice(0, CHECKED_ROWS)
    grid, base = inputs.grid[nodes].get().astype(np.float64), (True,) if job.startswith("contrastive") else ()
    terms = job.endswith("terms")
    exact = run(weights, on_host(inputs.data, nodes, rows), grid, np.ones(1) if terms else 1.0, *base, 1)
    pairs = (
        [(result[0, nodes, rows], exact[0])]
        if terms
        else [(a[nodes, ..., rows], b) for a, b in zip(result, exact, strict=True)]
    )
    return max(float(np.abs(ours.get() - theirs).max() / np.abs(theirs).max()) for ours, theirs in pairs)


def evaluation_operations(job: str, n_pairs: int, n_members: int) -> int:
    """Of the networks and the exponentials of the mixtures, at the least."""
    hidden = 2 * ((N_HIDDEN + 1) * N_HIDDEN + N_HIDDEN + 1)  # from the first layer's sums to one f
    components, backward = 5 * EXP_OPERATIONS, 3 if job.endswith("slopes") else 1
    if job == "score_density":
        return n_pairs * (forward_operations(INPUTS, OUTPUTS) + components)
    if job == "score_contrastive":
        return n_pairs * (forward_operations(INPUTS, 0) + (N_SHIFTS + 1) * hidden)
    if job.startswith("density"):
        return backward * n_pairs * n_members * (forward_operations(INPUTS, OUTPUTS) + (N_GRID + 1) * components)
    return backward * n_pairs * n_members * (N_GRID + 1) * hidden


def evaluation(job: str, tiny: bool) -> Case:
    n_nodes, n_rows, n_members = (3, 10, 2) if tiny else (4095, 100, 3)
    kind = "density" if "density" in job else "contrastive"
    return Case(
        job,
        f"{n_nodes} nodes x {n_rows} rows" + ("" if job.startswith("score") else f", {n_members} networks, a grid of {N_GRID}"),
        partial(setup, kind=kind, n_nodes=n_nodes, n_rows=n_rows, n_members=n_members),
        partial(evaluate, job),
        error=partial(evaluation_error, job),
        tolerance=1e-2 if job.endswith("slopes") else 1e-3,
        needs=(Need("float32", evaluation_operations(job, n_nodes * n_rows, n_members)),),
    )


JOBS = (
    *("score_density", "score_contrastive"),
    *("density_terms", "density_slopes", "contrastive_terms", "contrastive_slopes"),
)


def cases(tiny: bool = False) -> list[Case]:
    found = [
        training("density", tiny),
        training("density", tiny, np.float64),
        training("contrastive", tiny),
        training_together(tiny),
    ]
    return found + [evaluation(job, tiny) for job in JOBS]
