"""Training steps, scores and terms of node networks: `python benchmarks/bench_nodes.py [--threads 1]`.

The size is a fit at 128 columns and 500 rows: 127 nodes of 14 context inputs and 10 statistics, 32 hidden units, 32 nodes x 96
rows a step, terms of all pairs from two members on a grid of 96. GFLOP/s counts the multiply-adds of forward pass, backward
pass and weight gradient, two operations each, and nothing else. The error is the largest difference from the reference in
float64, relative to the largest number there; after 20 steps for training. PyTorch (if installed) trains the same network from
plain tensor operations, its backward pass by autograd, its optimizer the fused AdamW.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from _timing import Table, header, in_turns, median, options

from dualwalk import backends
from dualwalk._nodepath.network import NodeData, initial_contrastive, initial_density
from dualwalk.backends._reference_nodes import StepPlan

N_NODES, N_ROWS, N_CONTEXT, N_STATISTICS, N_HIDDEN = 127, 500, 14, 10, 32
N_STEPS, BATCH_NODES, BATCH_ROWS, N_GRID = 20, 32, 96, 96
INPUTS = N_CONTEXT + N_STATISTICS


def some_data(rng: np.random.Generator) -> NodeData:
    context = rng.standard_normal((N_NODES, N_CONTEXT, N_ROWS))
    context[:, 1] *= 0.5
    child = 0.6 * context[:, 0] + 0.8 * rng.standard_normal((N_NODES, N_ROWS))
    codes = np.array([1, 2, *rng.integers(0, 8, N_CONTEXT - 2), 0, *rng.integers(0, 8, N_STATISTICS - 1)], np.uint8)
    return NodeData(child, context, 0.3 * rng.standard_normal((N_NODES, N_STATISTICS)), codes)


def as_type(data: NodeData, dtype: type) -> NodeData:
    parts = {name: getattr(data, name).astype(dtype) for name in ("child", "context", "statistics")}
    return replace(data, **parts)


def some_batches(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    nodes, rows = (
        np.ascontiguousarray(np.argsort(rng.random((N_STEPS, n)), axis=1)[:, :k], np.int32)
        for n, k in ((N_NODES, BATCH_NODES), (N_ROWS, BATCH_ROWS))
    )
    return nodes, rows, rng.integers(0, 8, nodes.shape, np.uint8)


def operations(n_inputs: int, n_outputs: int) -> int:
    """Of one pair and one evaluation in a training step."""
    forward = (n_inputs + 1) * N_HIDDEN + (N_HIDDEN + 1) * (N_HIDDEN + n_outputs)
    return 2 * (2 * forward + N_HIDDEN * (N_HIDDEN + n_outputs))


def train(backend: str, kind: str, data: NodeData, weights: np.ndarray, batches: Any, threads: int) -> np.ndarray:
    state = tuple(weights.astype(data.child.dtype) * share for share in (1, 0, 0))
    plan = StepPlan(np.full(N_STEPS, 5e-3), 1e-2, 5.0, 4, True)
    backends.job(f"train_{kind}", backend)(*state, 0, data, *batches, plan, threads)
    return state[0]


def torch_steps(data: NodeData, weights: np.ndarray, batches: Any, threads: int) -> Callable[[], np.ndarray]:
    """The density node's steps from tensor operations."""
    import torch

    torch.set_num_threads(threads)
    child, context, statistics = (torch.from_numpy(part) for part in (data.child, data.context, data.statistics))
    nodes, rows = (torch.from_numpy(part.astype(np.int64)) for part in batches[:2])
    bits = data.codes & batches[2][:, :, None]
    odd = (bits ^ bits >> 1 ^ bits >> 2) & 1
    signs = torch.from_numpy((1 - 2.0 * odd).astype(data.child.dtype))
    flip = torch.from_numpy((1 - 2.0 * (batches[2] >> 1 & 1)).astype(data.child.dtype))

    def run() -> np.ndarray:
        shapes = ((N_HIDDEN, INPUTS + 1), (N_HIDDEN, N_HIDDEN + 1), (15, N_HIDDEN + 1))
        start, layers = 0, []
        for shape in shapes:
            part = weights[start : start + shape[0] * shape[1]].reshape(shape).astype(data.child.dtype)
            layers.append(torch.from_numpy(part).clone().requires_grad_())
            start += part.size
        optimizer = torch.optim.AdamW(layers, lr=5e-3, weight_decay=1e-2, eps=1e-8, fused=True)
        for t in range(N_STEPS):
            k, r = nodes[t], rows[t]
            x = child[k][:, r] * flip[t][:, None]
            fixed = statistics[k][:, None].expand(-1, len(r), -1)
            signal = torch.cat([context[k][:, :, r].transpose(1, 2), fixed], 2) * signs[t][:, None]
            mean, log_scale = signal[..., 1], signal[..., N_CONTEXT]
            for layer in layers[:-1]:
                signal = torch.nn.functional.silu(torch.nn.functional.linear(signal, layer[:, :-1], layer[:, -1]))
            out = torch.nn.functional.linear(signal, layers[-1][:, :-1], layers[-1][:, -1])
            log_sd = out[..., 10:].clamp(-4, 1.5)
            tied = ((x - mean) * torch.exp(-log_scale))[..., None].expand(-1, -1, 2)
            z = (torch.cat([tied, x[..., None].expand(-1, -1, 3)], 2) - out[..., 5:10]) * torch.exp(-log_sd)
            score = torch.log_softmax(out[..., :5], -1) - log_sd - 0.5 * z * z
            score = torch.cat([score[..., :2] - log_scale[..., None], score[..., 2:]], 2)
            loss = -(torch.logsumexp(score, -1) + 0.5 * x * x).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(layers, 5.0)
            optimizer.step()
        return np.concatenate([layer.detach().numpy().ravel() for layer in layers])

    return run


def training(data: NodeData, rng: np.random.Generator, threads: int, repeats: int) -> None:
    table = Table("training steps", ["node", "dtype", "implementation", "ms a step", "reference / ours", "GFLOP/s", "error"])
    batches = some_batches(rng)
    for kind, dtype in (("density", np.float32), ("density", np.float64), ("contrastive", np.float32)):
        density = kind == "density"
        weights = (initial_density if density else initial_contrastive)(rng, INPUTS, n_hidden=N_HIDDEN, dtype=np.float64)
        exact, given = train("reference", kind, data, weights, batches, 1), as_type(data, dtype)
        candidates: dict[str, Callable[[], Any]] = {
            name: lambda name=name, kind=kind, given=given, weights=weights: train(name, kind, given, weights, batches, threads)
            for name in backends.PREFERENCE
            if backends.why_not(name) is None
        }
        if density and importlib.util.find_spec("torch") is not None:
            candidates["PyTorch"] = torch_steps(given, weights, batches, threads)
        seconds = in_turns(candidates, repeats)
        work = BATCH_NODES * BATCH_ROWS * (operations(INPUTS, 15) if density else 5 * operations(INPUTS + 1, 1))
        for name, call in candidates.items():
            step = median(seconds[name]) / N_STEPS
            ratio = median(seconds["reference"]) / median(seconds[name])
            error = np.abs(call() - exact).max() / np.abs(exact).max()
            cells = (f"{1e3 * step:.3f}", f"{ratio:.1f}", f"{work / step / 1e9:.0f}", f"{error:.1e}")
            table.row(kind, np.dtype(dtype).name, name, *cells)


def evaluation(data: NodeData, rng: np.random.Generator, threads: int, repeats: int) -> None:
    table = Table(f"{N_NODES} nodes x {N_ROWS} rows, float32", ["job", "implementation", "ms", "reference / ours", "error"])
    grid = np.sort(rng.standard_normal((N_NODES, N_GRID)), axis=1)
    density = np.stack([initial_density(rng, INPUTS, n_hidden=N_HIDDEN, dtype=np.float64) for _ in range(2)])
    contrastive = np.stack([initial_contrastive(rng, INPUTS, n_hidden=N_HIDDEN, dtype=np.float64) for _ in range(2)])
    one, many = np.ones(1), np.arange(13) / 10
    jobs: dict[str, tuple[str, np.ndarray, tuple[Any, ...]]] = {
        "score_density": ("score_density", density[0], (N_ROWS,)),
        "density_terms": ("density_terms", density, (grid, one)),
        "density_terms, 13 alphas": ("density_terms", density, (grid, many)),
        "density_slopes": ("density_slopes", density, (grid, 1.0)),
        "contrastive_terms": ("contrastive_terms", contrastive, (grid, one, True)),
        "contrastive_slopes": ("contrastive_slopes", contrastive, (grid, 1.0, True)),
    }

    def call(backend: str, job: str, given: NodeData) -> np.ndarray:
        name, weights, (first, *rest) = jobs[job]
        dtype = given.child.dtype
        first = first.astype(dtype) if isinstance(first, np.ndarray) else first
        result = backends.job(name, backend)(weights.astype(dtype), given, first, *rest, threads)
        return np.asarray(result[-1] if isinstance(result, tuple) else result)

    small = as_type(data, np.float32)
    for job in jobs:
        slow = job.startswith("contrastive")  # seconds a call in NumPy
        names = [name for name in backends.PREFERENCE if backends.why_not(name) is None and not (slow and name == "reference")]
        candidates = {name: lambda name=name, job=job: call(name, job, small) for name in names}
        seconds = in_turns(candidates, 1 if slow else repeats)
        exact = call("native" if slow and "native" in names else "reference", job, data)
        for name in names:
            ratio = f"{median(seconds['reference']) / median(seconds[name]):.1f}" if "reference" in seconds else "-"
            error = np.abs(candidates[name]() - exact).max() / np.abs(exact).max()
            table.row(job, name, f"{1e3 * median(seconds[name]):.1f}", ratio, f"{error:.1e}")


def main() -> None:
    arguments = options((__doc__ or "").split("\n")[0])
    rng = np.random.default_rng(0)
    print(header(arguments.threads), end="\n\n")
    data = some_data(rng)
    training(data, rng, arguments.threads, arguments.repeats)
    print()
    evaluation(data, rng, arguments.threads, arguments.repeats)


if __name__ == "__main__":
    main()
