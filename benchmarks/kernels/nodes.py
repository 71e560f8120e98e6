"""Node networks: training steps, scores, terms and slopes at the size of a fit with 128 columns and 500 rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dualwalk import backends
from dualwalk._nodepath.network import NodeData, initial_contrastive, initial_density
from dualwalk.backends._reference_nodes import StepPlan

from .case import Candidate, Case, Need, ours

N_NODES, N_ROWS, N_CONTEXT, N_STATISTICS, N_HIDDEN = 127, 500, 14, 10, 32
N_STEPS, BATCH_NODES, BATCH_ROWS, N_GRID, N_SHIFTS, N_MEMBERS = 10, 32, 96, 96, 4, 2
INPUTS, OUTPUTS = N_CONTEXT + N_STATISTICS, 15
CHECKED_NODES, CHECKED_ROWS = 3, 40  # for errors: the float64 reference takes minutes for all pairs
# What one exponential counts for: a polynomial of degree 6, and as much again to take the argument apart.
EXP_OPERATIONS = 20


class Inputs(NamedTuple):
    data: NodeData
    weights: np.ndarray  # float64
    batches: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    grid: np.ndarray | None = None


def some_data(rng: np.random.Generator, n_nodes: int, n_rows: int, dtype: type) -> NodeData:
    context = rng.standard_normal((n_nodes, N_CONTEXT, n_rows))
    context[:, 1] *= 0.5
    child = 0.6 * context[:, 0] + 0.8 * rng.standard_normal((n_nodes, n_rows))
    codes = np.array([1, 2, *rng.integers(0, 8, N_CONTEXT - 2), 0, *rng.integers(0, 8, N_STATISTICS - 1)], np.uint8)
    return as_type(NodeData(child, context, 0.3 * rng.standard_normal((n_nodes, N_STATISTICS)), codes), dtype)


def as_type(data: NodeData, dtype: type) -> NodeData:
    return replace(data, **{name: getattr(data, name).astype(dtype) for name in ("child", "context", "statistics")})


def some_batches(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nodes, rows = (
        np.ascontiguousarray(np.argsort(rng.random((N_STEPS, n)), axis=1)[:, :k], np.int32)
        for n, k in ((N_NODES, BATCH_NODES), (N_ROWS, BATCH_ROWS))
    )
    return nodes, rows, rng.integers(0, 8, nodes.shape, np.uint8)


def forward_operations(n_inputs: int, n_outputs: int) -> int:
    """Of one pass of one pair through the network."""
    return 2 * ((n_inputs + 1) * N_HIDDEN + (N_HIDDEN + 1) * (N_HIDDEN + n_outputs))


def step_operations(n_inputs: int, n_outputs: int) -> int:
    """Of one pair in a training step: forward, weight gradient, backward to the first layer's outputs."""
    return 2 * forward_operations(n_inputs, n_outputs) + 2 * N_HIDDEN * (N_HIDDEN + n_outputs)


def initial(kind: str, rng: np.random.Generator) -> np.ndarray:
    make = initial_density if kind == "density" else initial_contrastive
    return make(rng, INPUTS, n_hidden=N_HIDDEN, dtype=np.float64)


# training


def train(kind: str, inputs: Inputs, backend: str, n_threads: int) -> np.ndarray:
    state = tuple(inputs.weights.astype(inputs.data.child.dtype) * share for share in (1, 0, 0))
    plan = StepPlan(np.full(N_STEPS, 5e-3), 1e-2, 5.0, N_SHIFTS, True)
    backends.job(f"train_{kind}", backend)(*state, 0, inputs.data, *inputs.batches, plan, n_threads)
    return state[0]


def training_error(kind: str, inputs: Inputs, result: Any) -> float:
    """Largest difference from float64 steps of the reference, relative to the largest weight."""
    exact = train(kind, inputs._replace(data=as_type(inputs.data, np.float64)), "reference", 1)
    return float(np.abs(result - exact).max() / np.abs(exact).max())


def torch_training(kind: str) -> Candidate:
    """The same steps from tensor operations: backward by autograd, the optimizer the fused AdamW."""

    def prepare(inputs: Inputs, n_threads: int) -> Callable[[], np.ndarray]:
        import torch
        from torch.nn.functional import linear, silu, softplus

        data, (node_batches, row_batches, flips) = inputs.data, inputs.batches
        child, context, statistics = (torch.from_numpy(part) for part in (data.child, data.context, data.statistics))
        nodes, rows = (torch.from_numpy(part.astype(np.int64)) for part in (node_batches, row_batches))
        bits = data.codes & flips[:, :, None]
        signs = torch.from_numpy((1 - 2.0 * ((bits ^ bits >> 1 ^ bits >> 2) & 1)).astype(np.float32))
        flip = torch.from_numpy((1 - 2.0 * (flips >> 1 & 1)).astype(np.float32))
        n_inputs, n_outputs = (INPUTS, OUTPUTS) if kind == "density" else (INPUTS + 1, 1)
        shapes = ((N_HIDDEN, n_inputs + 1), (N_HIDDEN, N_HIDDEN + 1), (n_outputs, N_HIDDEN + 1))
        ends = np.cumsum([a * b for a, b in shapes])[:-1]
        parts = [
            torch.from_numpy(part.astype(np.float32).reshape(shape))
            for part, shape in zip(np.split(inputs.weights, ends), shapes, strict=True)
        ]

        def network(layers: list[Any], signal: Any) -> Any:
            for layer in layers[:-1]:
                signal = silu(linear(signal, layer[:, :-1], layer[:, -1]))
            return linear(signal, layers[-1][:, :-1], layers[-1][:, -1])

        def density_loss(layers: list[Any], signal: Any, x: Any) -> Any:
            mean, log_scale = signal[..., 1], signal[..., N_CONTEXT]
            out = network(layers, signal)
            log_sd = out[..., 10:].clamp(-4, 1.5)
            tied = ((x - mean) * torch.exp(-log_scale))[..., None].expand(-1, -1, 2)
            z = (torch.cat([tied, x[..., None].expand(-1, -1, 3)], 2) - out[..., 5:10]) * torch.exp(-log_sd)
            score = torch.log_softmax(out[..., :5], -1) - log_sd - 0.5 * z * z
            score = torch.cat([score[..., :2] - log_scale[..., None], score[..., 2:]], 2)
            return -(torch.logsumexp(score, -1) + 0.5 * x * x).mean()

        def contrastive_loss(layers: list[Any], signal: Any, x: Any) -> Any:
            mean, log_scale = signal[..., 1], signal[..., N_CONTEXT]
            moved = torch.stack([x.roll(-shift, 1) for shift in range(N_SHIFTS + 1)])
            every = torch.cat([signal.expand(N_SHIFTS + 1, -1, -1, -1), moved[..., None]], 3)
            z = (moved - mean) * torch.exp(-log_scale)
            f = network(layers, every)[..., 0] + 0.5 * (moved * moved - z * z) - log_scale
            return softplus(-f[0]).mean() + softplus(f[1:]).mean()

        loss_of = density_loss if kind == "density" else contrastive_loss

        def call() -> np.ndarray:
            layers = [part.clone().requires_grad_() for part in parts]
            optimizer = torch.optim.AdamW(layers, lr=5e-3, weight_decay=1e-2, eps=1e-8, fused=True)
            for t in range(N_STEPS):
                k, r = nodes[t], rows[t]
                x = child[k][:, r] * flip[t][:, None]
                fixed = statistics[k][:, None].expand(-1, len(r), -1)
                signal = torch.cat([context[k][:, :, r].transpose(1, 2), fixed], 2) * signs[t][:, None]
                loss = loss_of(layers, signal, x)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(layers, 5.0)
                optimizer.step()
            return np.concatenate([layer.detach().numpy().ravel() for layer in layers])

        return call

    return Candidate(prepare, "torch")


def training(kind: str, dtype: type = np.float32) -> Case:
    def make() -> Inputs:
        rng = np.random.default_rng(0)
        return Inputs(some_data(rng, N_NODES, N_ROWS, dtype), initial(kind, rng), some_batches(rng))

    n_pairs = BATCH_NODES * BATCH_ROWS
    rows = n_pairs * (1 if kind == "density" else N_SHIFTS + 1)
    work = rows * (step_operations(INPUTS, OUTPUTS) if kind == "density" else step_operations(INPUTS + 1, 1))
    name = np.dtype(dtype).name
    return Case(
        f"train_{kind}",
        "steps" if dtype is np.float32 else f"steps, {name}",
        f"{BATCH_NODES} nodes x {BATCH_ROWS} rows",
        4 * n_pairs * INPUTS,
        "step",
        N_STEPS,
        make,
        ours(partial(train, kind)) | ({"PyTorch": torch_training(kind)} if dtype is np.float32 else {}),
        lambda n_threads: (Need(name, N_STEPS * work),),
        partial(training_error, kind),
        quick=kind == "density" and dtype is np.float32,
    )


# scores, terms and slopes


def evaluate(job: str, inputs: Inputs, backend: str, n_threads: int) -> np.ndarray:
    data, weights = inputs.data, inputs.weights.astype(inputs.data.child.dtype)
    plan = StepPlan(np.empty(0), 0.0, 1.0, N_SHIFTS, True)
    kind, _, what = job.partition("_")
    if kind == "score":
        extra = (plan,) if what == "contrastive" else ()
        return np.asarray(backends.job(job, backend)(weights[0], data, data.n_rows, *extra, n_threads))
    extra = (True,) if kind == "contrastive" else ()
    alpha = np.ones(1) if what == "terms" else 1.0
    result = backends.job(job, backend)(weights, data, inputs.grid, alpha, *extra, n_threads)
    return np.asarray(result if what == "terms" else result[2])


def evaluation_inputs(job: str) -> Inputs:
    rng = np.random.default_rng(0)
    data = some_data(rng, N_NODES, N_ROWS, np.float32)
    kind = "density" if "density" in job else "contrastive"
    weights = np.stack([initial(kind, rng) for _ in range(N_MEMBERS)])
    return Inputs(data, weights, grid=np.sort(rng.standard_normal((N_NODES, N_GRID)).astype(np.float32), axis=1))


def evaluation_error(job: str, inputs: Inputs, result: Any) -> float:
    """Largest difference from the float64 reference on some nodes and rows, relative to the largest number there."""
    wide = inputs._replace(data=as_type(inputs.data, np.float64))
    if not job.startswith("score"):
        nodes, rows = slice(0, CHECKED_NODES), slice(0, CHECKED_ROWS)
        data = wide.data
        child, context = data.child[nodes, rows], data.context[nodes, :, rows]
        part = replace(data, child=child, context=context, statistics=data.statistics[nodes])
        wide = wide._replace(data=part, grid=inputs.grid[nodes].astype(np.float64))
        result = result[..., rows][0, nodes] if job.endswith("terms") else result[nodes, :, rows]
    exact = evaluate(job, wide, "reference", 1)
    exact = exact[0] if job.endswith("terms") else exact
    return float(np.abs(result - exact).max() / np.abs(exact).max())


def evaluation_operations(job: str) -> float:
    """Multiply-adds of the networks and the exponentials of the mixtures, at the least."""
    pairs = N_NODES * N_ROWS
    hidden = 2 * ((N_HIDDEN + 1) * N_HIDDEN + N_HIDDEN + 1)  # from the first layer's outputs to one f
    components = 5 * EXP_OPERATIONS
    backward = 3 if job.endswith("slopes") else 1
    if job == "score_density":
        return pairs * (forward_operations(INPUTS, OUTPUTS) + components)
    if job == "score_contrastive":
        return pairs * (forward_operations(INPUTS, 0) + (N_SHIFTS + 1) * hidden)
    if job.startswith("density"):
        return backward * pairs * N_MEMBERS * (forward_operations(INPUTS, OUTPUTS) + (N_GRID + 1) * components)
    return backward * pairs * N_MEMBERS * (N_GRID + 1) * hidden


def evaluation(job: str) -> Case:
    # NumPy takes seconds a call for the terms of contrastive nodes
    names = ("native", "numba") if job.startswith("contrastive") else ("native", "numba", "reference")
    return Case(
        job,
        "of all pairs",
        f"{N_NODES} nodes x {N_ROWS} rows",
        4 * N_NODES * N_ROWS * (N_CONTEXT + 2),
        "pair",
        N_NODES * N_ROWS,
        partial(evaluation_inputs, job),
        ours(partial(evaluate, job), names),
        lambda n_threads: (Need("float32", evaluation_operations(job)),),
        partial(evaluation_error, job),
        quick=job == "score_density",
    )


JOBS = (
    *("score_density", "score_contrastive"),
    *("density_terms", "density_slopes", "contrastive_terms", "contrastive_slopes"),
)


def cases() -> list[Case]:
    found = [training("density"), training("density", np.float64), training("contrastive")]
    return found + [evaluation(job) for job in JOBS]
