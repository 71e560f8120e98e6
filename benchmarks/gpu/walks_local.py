"""walk on local duals and on mixtures, and anneal: few walks and many, against PyTorch step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import _device
from dualwalk.duals.local_covariance import LocalCovariance
from dualwalk.duals.mixture import MixtureDual

from .case import Call, Case, Need, Peer, normals

EAGER = "torch eager"
STEP_SIZE, T_START = 0.02, 0.8
N_POINTS = 500
CHECKED = 8  # walks that are compared with the same in float64 on the host
TOLERANCE = 1e-4  # of the largest distance walked

Inputs = dict[str, Any]


def relative_error(found: Any, exact: np.ndarray, first: np.ndarray) -> float:
    ours = _device.to_host(_device.to_device(found)[: len(exact)])
    return float(np.abs(ours - exact).max() / np.abs(exact - first).max())


def eager(n_steps: int, gradient_of: Callable[[Inputs], Callable[[Any], Any]]) -> Callable[[Inputs], Call]:
    """The same walk in PyTorch: x += step_size grad f."""

    def prepare(inputs: Inputs) -> Call:
        import torch

        gradient, x0 = gradient_of(inputs), torch.from_dlpack(inputs["x0"])

        def call() -> Any:
            x = x0
            for _ in range(n_steps):
                x = x + STEP_SIZE * gradient(x)
            return x

        return call

    return prepare


# ---- local duals


def local_gradient(inputs: Inputs) -> Callable[[Any], Any]:
    import torch

    dual = inputs["dual"]
    mean, curvature, factor = (torch.from_dlpack(part.astype(np.float32)) for part in (dual.mean, dual.curvature, dual.factor))
    if len(factor) == 1:
        return lambda x: curvature * (x - mean) + ((x - mean) @ factor[0].T) @ factor[0]

    def gradient(x: Any) -> Any:
        y = x - mean
        inner = torch.bmm(factor, y[:, :, None])
        return curvature * y + torch.bmm(inner.transpose(1, 2), factor)[:, 0]

    return gradient


def local(
    n_walks: int, d: int, k: int, n_steps: int, *, shared: bool = False, langevin: bool = False, quick: bool = False
) -> Case:
    n_points = max(N_POINTS, 2 * k + 2)

    def neighbors(seed: int) -> np.ndarray:
        first = np.random.default_rng(seed).integers(n_points, size=(1 if shared else n_walks, 1))
        return (first + np.arange(k + 1)) % n_points

    def duals(points: Any, index: np.ndarray) -> tuple[dw.LocalDual, LocalCovariance | None]:
        return dw.LocalDual(points, index, shrinkage=0.3), LocalCovariance(points, index) if langevin else None

    def setup(xp: Any, seed: int) -> Inputs:
        points, index = normals(xp, (n_points, d), seed), neighbors(seed)
        dual, shape = duals(points, index)
        return {"points": points, "index": index, "dual": dual, "shape": shape, "x0": normals(xp, (n_walks, d), seed + 100)}

    def walked(dual: Any, x0: Any, shape: Any) -> Any:
        langevins = {"noise": 1.0, "base": "marginals", "preconditioner": shape} if langevin else {}
        return dw.walk(dual, x0, n_steps=n_steps, step_size=STEP_SIZE, seed=0, **langevins).x

    def ours(inputs: Inputs) -> Call:
        return lambda: walked(inputs["dual"], inputs["x0"], inputs["shape"])

    def error(inputs: Inputs, x: Any) -> float:
        first = _device.to_host(inputs["x0"][:CHECKED]).astype(np.float64)
        dual, shape = duals(_device.to_host(inputs["points"]), inputs["index"][:CHECKED])
        return relative_error(x, walked(dual, first, shape), first)

    products = 2 * (2 if langevin else 1) + (1 if langevin else 0)  # with a factor, there and back; noise shares one
    operations = 2.0 * products * n_walks * n_steps * (k + 1) * d
    kind = ", one neighbourhood" if shared else ""
    return Case(
        job="walk",
        size=f"local d={d} K={k}{kind}{', preconditioned Langevin' if langevin else ''}, {n_walks} walks of {n_steps} steps",
        setup=setup,
        ours=ours,
        peers={} if langevin else {EAGER: Peer(eager(n_steps, local_gradient), checked=True)},
        error=error,
        tolerance=TOLERANCE,
        needs=(Need("float32", operations), Need("read", 4.0 * (1 if shared else n_walks) * (k + 1) * d)),
        n_bytes=4 * n_walks * d,
        quick=quick,
    )


# ---- mixtures


def mixture_gradient(inputs: Inputs) -> Callable[[Any], Any]:
    import torch

    dual = inputs["dual"]
    tables = dual.tables(_device.cupy().full(1, dual.time))
    axes, centres, precisions, scales = (torch.from_dlpack(part.astype(np.float32)) for part in (dual.axes, *tables))
    n_components, d = centres.shape[1:]
    flat = axes.permute(1, 0, 2).reshape(d, -1).contiguous()

    def gradient(x: Any) -> Any:
        z = (x @ flat).view(len(x), n_components, d) - centres
        scaled = precisions * z
        shares = torch.softmax(scales - 0.5 * (scaled * z).sum(2), 1)
        return dual.pull * x - (scaled * shares[:, :, None]).view(len(x), -1) @ flat.T

    return gradient


def mixture(n_walks: int, d: int, n_components: int, n_steps: int, *, annealed: bool = False, quick: bool = False) -> Case:
    def dual_of(parts: tuple[Any, ...]) -> MixtureDual:
        return MixtureDual(parts[0], parts[1], factors=parts[2])

    def setup(xp: Any, seed: int) -> Inputs:
        factors = 0.4 * normals(xp, (n_components, d, d), seed) / np.sqrt(d) + 0.8 * xp.eye(d, dtype=np.float32)
        parts = xp.ones(n_components), normals(xp, (n_components, d), seed + 1), factors
        return {"parts": parts, "dual": dual_of(parts), "x0": normals(xp, (n_walks, d), seed + 100)}

    def walked(dual: MixtureDual, x0: Any) -> Any:
        if annealed:
            return dw.anneal(dual, x0, t_start=T_START, n_steps=n_steps, seed=0).x
        return dw.walk(dual, x0, n_steps=n_steps, step_size=STEP_SIZE, seed=0).x

    def ours(inputs: Inputs) -> Call:
        return lambda: walked(inputs["dual"], inputs["x0"])

    def error(inputs: Inputs, x: Any) -> float:
        first = _device.to_host(inputs["x0"][:CHECKED]).astype(np.float64)
        dual = dual_of(tuple(_device.to_host(part) for part in inputs["parts"]))
        return relative_error(x, walked(dual, first), first)

    return Case(
        job="anneal" if annealed else "walk",
        size=f"mixture d={d} of {n_components}, {n_walks} walks of {n_steps} steps",
        setup=setup,
        ours=ours,
        peers={} if annealed else {EAGER: Peer(eager(n_steps, mixture_gradient), checked=True)},
        error=error,
        tolerance=TOLERANCE,
        needs=(Need("float32", 4.0 * n_walks * n_steps * n_components * d * d),),
        n_bytes=4 * n_walks * d,
        quick=quick,
    )


def cases(tiny: bool = False) -> list[Case]:
    if tiny:
        return [
            local(3, 20, 5, 4),
            local(3, 20, 5, 4, shared=True),
            local(2, 20, 5, 3, langevin=True),
            mixture(9, 12, 3, 3),
            mixture(9, 12, 3, 3, annealed=True),
        ]
    return [
        local(64, 300, 20, 100),
        local(4096, 300, 20, 100, quick=True),
        local(4096, 300, 20, 100, shared=True),
        local(4096, 300, 20, 100, langevin=True),
        mixture(64, 62, 10, 100),
        mixture(4096, 62, 10, 100, quick=True),
        mixture(65536, 62, 10, 100),
        mixture(4096, 300, 8, 100),
        mixture(4096, 62, 10, 41, annealed=True),
    ]
