"""log_mean_exp and the logistic objective: one reduction of 4 GiB, batches along every axis, segments, weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import _device

from .case import Call, Case, Need, Peer, Prepare, normals

VALUE, GRADIENT = "torch.logsumexp", "torch.logsumexp and softmax"
CHECKED = 1 << 20  # entries of a gradient that are compared with float64
PART = 1 << 26  # elements that float64 is made of at once
TOLERANCE = 1e-5  # of a gradient's entries, relative; values are right to much less
MEAN_LENGTH = 1000


def exact(inputs: dict[str, Any]) -> Any:
    """The values in float64; f is standard normal, so nothing overflows."""
    f, weights, axis = inputs["f"], inputs.get("weights"), inputs.get("axis")
    if "offsets" in inputs:
        sums = np.cumsum(np.exp(f.astype(np.float64)))
        before = np.concatenate([sums[:1] * 0, sums])[inputs["offsets"]]
        return np.log(np.diff(before) / np.diff(inputs["offsets"]))
    if axis is not None:
        return np.log(np.exp(f.astype(np.float64)).mean(axis=axis))
    total = whole = 0.0
    for at in range(0, f.size, PART):
        terms = np.exp(f[at : at + PART].astype(np.float64))
        weight = 1.0 if weights is None else weights[at : at + PART].astype(np.float64)
        total, whole = total + (terms * weight).sum(), whole + (terms.size if weights is None else weight.sum())
    return np.log(total / whole)


def parts(result: Any) -> tuple[Any, ...]:
    """A peer's tensors as CuPy's arrays."""
    return tuple(_device.as_array(part, "a result") for part in result)


def error(inputs: dict[str, Any], result: Any) -> float:
    """The largest error of a value, in nats, or of a gradient's first entries, relative."""
    value, gradient = parts(result) if isinstance(result, tuple) else (*parts((result,)), None)
    expected = exact(inputs)
    worst = float(np.abs(value - expected).max())
    if gradient is None:
        return worst
    f, axis = inputs["f"], inputs.get("axis")
    if axis is None:
        shares = np.exp(f[:CHECKED].astype(np.float64) - expected) / f.size
        return max(worst, float(np.abs(gradient[:CHECKED] / shares - 1).max()))
    shares = np.exp(f.astype(np.float64) - np.expand_dims(expected, axis)) / f.shape[axis]
    return max(worst, float(np.abs(gradient / shares - 1).max()))


def ours(gradient: bool = False) -> Prepare:
    def prepare(inputs: dict[str, Any]) -> Call:
        options = {name: inputs[name] for name in ("axis", "weights") if name in inputs}
        if "offsets" in inputs:
            options["segments"] = inputs["offsets"]
        return lambda: dw.log_mean_exp(inputs["f"], return_gradient=gradient, **options)

    return prepare


def in_torch(gradient: bool = False) -> Prepare:
    def prepare(inputs: dict[str, Any]) -> Call:
        import torch

        f, axis = torch.from_dlpack(inputs["f"]), inputs.get("axis")
        axes = 0 if axis is None else axis
        log_n = math.log(f.shape[axes])
        if gradient:
            return lambda: (torch.logsumexp(f, axes) - log_n, torch.softmax(f, axes))
        return lambda: torch.logsumexp(f, axes) - log_n

    return prepare


def in_cupy(inputs: dict[str, Any]) -> Call:
    f = inputs["f"]

    def call() -> Any:
        peak = f.max()
        return np.log(np.exp(f - peak).mean(dtype=np.float64)) + peak

    return call


def segments_in_torch(inputs: dict[str, Any]) -> Call:
    import torch

    f, offsets = torch.from_dlpack(inputs["f"]), torch.from_dlpack(inputs["offsets"])
    return lambda: torch.log(torch.segment_reduce(torch.exp(f), "mean", offsets=offsets))


def logistic_in_torch(inputs: dict[str, Any]) -> Call:
    import torch

    joint, marginal = (torch.from_dlpack(inputs[name]) for name in ("joint", "marginal"))

    def call() -> Any:
        log_sigmoid = torch.nn.functional.logsigmoid
        p, q = joint.detach().requires_grad_(), marginal.detach().requires_grad_()
        value = log_sigmoid(p).mean() + log_sigmoid(-q).mean()
        return (value.detach(), *torch.autograd.grad(value, (p, q)))

    return call


def logistic_error(inputs: dict[str, Any], result: Any) -> float:
    expected = 0.0
    for sign, name in ((1, "joint"), (-1, "marginal")):
        z = sign * inputs[name].astype(np.float64)
        expected = expected - np.log1p(np.exp(-z)).mean()
    value, slopes, _ = parts(result)
    gradient = slopes[:CHECKED] * inputs["joint"].size * (1 + np.exp(inputs["joint"][:CHECKED].astype(np.float64)))
    return max(float(abs(value - expected)), float(np.abs(gradient - 1).max()))


def one(n: int, gradient: bool) -> Case:
    """All of an array. The gradient needs the sum, so f is read twice; of 16 bytes an element 12 are told as needed."""
    n_bytes = 4.0 * n
    peers = {GRADIENT if gradient else VALUE: Peer(in_torch(gradient), checked=True)}
    if not gradient:
        peers["CuPy"] = Peer(in_cupy, "cupy", checked=True)
    return Case(
        "log_mean_exp",
        f"{n:,} float32" + (", gradient (f read twice, 12 bytes a value; 8 if it were once)" if gradient else ""),
        lambda xp, seed: {"f": normals(xp, (n,), seed)},
        ours(gradient),
        peers,
        error,
        TOLERANCE,
        needs=(Need("read", n_bytes), Need("copy", 2 * n_bytes)) if gradient else (Need("read", n_bytes),),
        n_bytes=int(n_bytes) * (2 if gradient else 1),
        goals={}
        if n < 1 << 30
        else {"limit": 0.8}
        if gradient
        else {"limit": 0.85, VALUE: 3.0},  # a launch takes as long as less
        quick=True,
    )


def along(shape: tuple[int, ...], axis: int, gradient: bool) -> Case:
    n_bytes = 4.0 * math.prod(shape)
    return Case(
        "log_mean_exp",
        f"{' x '.join(f'{n:,}' for n in shape)} float32 along axis {axis}" + (", gradient" if gradient else ""),
        lambda xp, seed: {"f": normals(xp, shape, seed), "axis": axis},
        ours(gradient),
        {GRADIENT if gradient else VALUE: Peer(in_torch(gradient), checked=True)},
        error,
        TOLERANCE,
        needs=(Need("copy", 2 * n_bytes),) if gradient else (Need("read", n_bytes),),
        n_bytes=int(n_bytes) * (2 if gradient else 1),
    )


def weighted(n: int) -> Case:
    return Case(
        "log_mean_exp",
        f"{n:,} float32 with weights",
        lambda xp, seed: {"f": normals(xp, (n,), seed), "weights": np.abs(normals(xp, (n,), seed + 1))},
        ours(),
        {},
        error,
        TOLERANCE,
        needs=(Need("read", 8.0 * n),),
        n_bytes=8 * n,
    )


def segments(n: int) -> Case:
    def setup(xp: Any, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        inner = np.unique(rng.integers(1, n, max(1, n // MEAN_LENGTH)))
        return {"f": normals(xp, (n,), seed), "offsets": xp.asarray(np.concatenate([[0], inner, [n]]))}

    return Case(
        "log_mean_exp_segments",
        f"{n:,} float32 in segments of {MEAN_LENGTH:,} on average",
        setup,
        ours(),
        {"torch.segment_reduce of exp": Peer(segments_in_torch, checked=True)},
        error,
        1e-4,  # of the check, which subtracts running sums
        needs=(Need("read", 4.0 * n),),
        n_bytes=4 * n,
    )


def logistic(n: int) -> Case:
    return Case(
        "logistic",
        f"{n:,} and {n:,} float32, gradients",
        lambda xp, seed: {"joint": normals(xp, (n,), seed), "marginal": normals(xp, (n,), seed + 1)},
        lambda inputs: lambda: dw.logistic(inputs["joint"], inputs["marginal"]),
        {"torch, autograd": Peer(logistic_in_torch, checked=True)},
        logistic_error,
        TOLERANCE,
        needs=(Need("copy", 16.0 * n),),
        n_bytes=16 * n,
    )


def cases(tiny: bool = False) -> list[Case]:
    rows, columns = ((3, 70), (40, 3)) if tiny else ((1 << 20, 64), (1 << 14, 4096))
    return [
        one(3000 if tiny else 1 << 30, gradient=False),
        one(3000 if tiny else 1 << 30, gradient=True),
        one(2500 if tiny else 1 << 20, gradient=True),
        *(
            along(shape, axis, gradient)
            for shape, axis in ((rows, 1), (columns, 1), (columns, 0))
            for gradient in (False, True)
        ),
        weighted(3000 if tiny else 1 << 28),
        segments(5000 if tiny else 1 << 26),
        logistic(3000 if tiny else 1 << 28),
    ]
