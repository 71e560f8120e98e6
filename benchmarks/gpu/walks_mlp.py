"""walk on an MLP dual: few walks, many, and the precisions of tensor cores, against PyTorch step by step and in a CUDA graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import _device

from .case import Call, Case, Need, Peer, normals

STEP_SIZE = 0.05
CHECKED = 32  # walks that are compared with the float64 reference
EAGER, BY_HAND, GRAPH = "torch eager", "torch eager, gradient by hand", "torch, CUDA graph"
TOLERANCE = {None: 1e-5, "tf32": 5e-3, "bf16": 5e-2}


def mlp(widths: tuple[int, ...], seed: int) -> dw.MLPDual:
    rng = np.random.default_rng(seed)
    shapes = list(zip((*widths[1:], 1), widths, strict=True))
    return dw.MLPDual([rng.normal(size=shape) / np.sqrt(shape[1]) for shape in shapes], [np.zeros(n) for n, _ in shapes])


# ---- the same walk in PyTorch: x += step_size grad f


def tensors(inputs: dict[str, Any]) -> tuple[Any, list[Any], list[Any]]:
    import torch

    weights = [torch.from_dlpack(_device.to_device(w.astype(np.float32))) for w in inputs["dual"].weights]
    biases = [torch.from_dlpack(_device.to_device(b.astype(np.float32))) for b in inputs["dual"].biases]
    return torch.from_dlpack(inputs["x0"]), weights, biases


def by_hand(x: Any, weights: list[Any], biases: list[Any]) -> Any:
    import torch

    slopes = []
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        z = torch.nn.functional.linear(x, weight, bias)
        share = torch.sigmoid(z)
        x = z * share
        slopes.append(share + x * (1 - share))
    back = weights[-1] * slopes[-1]
    for weight, slope in zip(weights[-2:0:-1], slopes[-2::-1], strict=True):
        back = (back @ weight) * slope
    return back @ weights[0]


def by_autograd(x: Any, weights: list[Any], biases: list[Any]) -> Any:
    import torch

    at = x.detach().requires_grad_()
    rows = at
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        rows = torch.nn.functional.silu(torch.nn.functional.linear(rows, weight, bias))
    f = torch.nn.functional.linear(rows, weights[-1], biases[-1])
    return torch.autograd.grad(f.sum(), at)[0]


def eager(n_steps: int, gradient: Any) -> Any:
    def prepare(inputs: dict[str, Any]) -> Call:
        x0, weights, biases = tensors(inputs)

        def call() -> Any:
            x = x0
            for _ in range(n_steps):
                x = x + STEP_SIZE * gradient(x, weights, biases)
            return x

        return call

    return prepare


def graph(n_steps: int) -> Any:
    def prepare(inputs: dict[str, Any]) -> Call:
        import torch

        x0, weights, biases = tensors(inputs)
        x = x0.clone()

        def steps() -> None:
            for _ in range(n_steps):
                x.add_(by_hand(x, weights, biases), alpha=STEP_SIZE)

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            steps()  # cuBLAS chooses before the capture
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            steps()

        def call() -> Any:
            x.copy_(x0)
            captured.replay()
            return x

        return call

    return prepare


# ---- cases


def case(
    widths: tuple[int, ...],
    n_walks: int,
    n_steps: int,
    *,
    noise: float = 0.0,
    precision: str | None = None,
    goals: dict[str, float] | None = None,
    quick: bool = False,
) -> Case:
    def setup(xp: Any, seed: int) -> dict[str, Any]:
        return {"dual": mlp(widths, seed), "x0": normals(xp, (n_walks, widths[0]), seed)}

    def walked(dual: Any, x0: Any, precision: str | None = None) -> Any:
        return dw.walk(dual, x0, n_steps=n_steps, step_size=STEP_SIZE, noise=noise, seed=0, precision=precision)

    def ours(inputs: dict[str, Any]) -> Call:
        return lambda: walked(inputs["dual"], inputs["x0"], precision).x

    def error(inputs: dict[str, Any], x: Any) -> float:
        """Largest difference from the same walk in float64 on the host, relative to the largest distance walked."""
        first = _device.to_host(inputs["x0"][:CHECKED]).astype(np.float64)
        exact = walked(inputs["dual"], first).x
        found = _device.to_host(_device.to_device(x)[:CHECKED])
        return float(np.abs(found - exact).max() / np.abs(exact - first).max())

    peers = {
        EAGER: Peer(eager(n_steps, by_autograd), checked=True),
        BY_HAND: Peer(eager(n_steps, by_hand), checked=True),
        GRAPH: Peer(graph(n_steps), checked=True),
    }
    first, inner = widths[1], sum(a * b for a, b in pairwise(widths[1:]))
    a_step = 2 * (first**2 + 2 * inner + 2 * widths[-1])  # in the space of the first layer, which noise has to enter
    once = 4 * widths[0] * first
    kind = "float32" if precision is None else precision
    return Case(
        job="walk",
        size=f"MLP {'-'.join(map(str, (*widths, 1)))}, {n_walks} walks of {n_steps} steps"
        + (", with noise" if noise else "")
        + (f", {precision}" if precision else ""),
        setup=setup,
        ours=ours,
        peers={} if noise else peers,  # PyTorch draws other noise
        error=error,
        tolerance=TOLERANCE[precision],
        needs=(Need(kind, float(n_walks) * (n_steps * (a_step + (once / 2 if noise else 0)) + once)),),
        n_bytes=4 * n_walks * widths[0],
        goals=goals or {},
        quick=quick,
    )


def cases(tiny: bool = False) -> list[Case]:
    if tiny:
        small = (20, 16, 12)
        return [
            case(small, 6, 4),
            case(small, 70, 3),
            case(small, 70, 3, precision="tf32"),
            case(small, 70, 3, precision="bf16"),
            case(small, 6, 3, noise=1.0),
        ]
    widths = (600, 128, 128)
    return [
        case(widths, 64, 100, goals={EAGER: 30.0, GRAPH: 1.0}, quick=True),
        case(widths, 4096, 100, goals={EAGER: 10.0, GRAPH: 1.0}, quick=True),
        case(widths, 65536, 100, goals={EAGER: 3.0, GRAPH: 1.0}, quick=True),
        case(widths, 65536, 100, precision="tf32"),
        case(widths, 65536, 100, precision="bf16"),
        case(widths, 64, 100, noise=1.0),
        case(widths, 4096, 100, noise=1.0),
    ]
