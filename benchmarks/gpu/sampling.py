"""relax_local and balance_columns, the two jobs of a sampled block of rows, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualwalk import _device, backends

from .case import Call, Case, Need, Peer, normals

TORCH = "torch eager"
DECAY = 0.5
CHECKED = 4096  # rows, or all rows of four columns, that the reference does again

Inputs = dict[str, Any]


# ---- relax_local


def torch_relax(inputs: Inputs) -> Call:
    """With PyTorch's own normals, and a matrix product a row."""
    import torch

    points, neighbors = torch.from_dlpack(inputs["points"]), torch.from_dlpack(inputs["neighbors"])

    def call() -> Any:
        weights = torch.randn(neighbors.shape, dtype=points.dtype, device=points.device)
        weights -= weights.mean(1, keepdim=True)
        weights *= ((1 - DECAY**2) / (neighbors.shape[1] - 1)) ** 0.5
        weights += (1 - DECAY) / neighbors.shape[1]
        weights[:, 0] += DECAY
        return torch.bmm(weights[:, None], points[neighbors])[:, 0]

    return call


def relax(n_rows: int, n_points: int, d: int, k: int, *, quick: bool = False) -> Case:
    def setup(xp: Any, seed: int) -> Inputs:
        first = np.random.default_rng(seed).integers(n_points, size=(n_rows, 1))
        neighbors = (first + np.arange(k + 1)) % n_points
        return {"points": normals(xp, (n_points, d), seed), "neighbors": xp.asarray(neighbors)}

    def ours(inputs: Inputs) -> Call:
        relax_local = backends.job("relax_local", None, inputs["points"])
        return lambda: relax_local(inputs["points"], inputs["neighbors"], DECAY, 1, 1)

    def error(inputs: Inputs, made: Any) -> float:
        points, neighbors = _device.to_host(inputs["points"]), _device.to_host(inputs["neighbors"][:CHECKED])
        exact = backends.job("relax_local", "reference")(points.astype(np.float64), neighbors, DECAY, 1, 1)
        return float(np.abs(_device.to_host(made[:CHECKED]) - exact).max() / np.abs(exact).max())

    return Case(
        job="relax_local",
        size=f"{n_rows} rows, d={d} K={k}, float32",
        setup=setup,
        ours=ours,
        peers={TORCH: Peer(torch_relax)},
        error=error,
        tolerance=1e-5,
        needs=(Need("write", 4.0 * n_rows * d), Need("read", 8.0 * n_rows * (k + 1) + 4.0 * n_points * d)),
        n_bytes=4 * n_rows * d + 8 * n_rows * (k + 1),
        quick=quick,
    )


# ---- balance_columns


def torch_balance(inputs: Inputs) -> Call:
    import torch

    points, place, table, tied = (torch.from_dlpack(inputs[name]) for name in ("points", "place", "table", "tied"))
    (m, _), n = points.shape, len(table)

    def call() -> Any:
        rows = torch.sort(points, dim=0, stable=True).indices
        rank = torch.arange(m, device=points.device)[:, None]
        position = ((rank + place[rows]) / m * n - 0.5).clamp(0.0, n - 1.0)
        lower = position.long().clamp(max=max(n - 2, 0))
        share = position - lower
        low, high = table.gather(0, lower), table.gather(0, (lower + 1).clamp(max=n - 1))
        value = torch.where(tied, torch.where(share >= 0.5, high, low), (low + share * (high - low)).to(table.dtype))
        return torch.empty_like(value).scatter_(0, rows, value)

    return call


def balance(m: int, n: int, d: int, *, quick: bool = False) -> Case:
    def setup(xp: Any, seed: int) -> Inputs:
        rng = np.random.default_rng(seed)
        place, tied = xp.asarray(rng.random(m)), xp.asarray(rng.random(d) < 0.3)
        return {
            "points": normals(xp, (m, d), seed),
            "place": place,
            "table": np.sort(normals(xp, (n, d), seed + 1), axis=0),
            "tied": tied,
        }

    def ours(inputs: Inputs) -> Call:
        balance_columns = backends.job("balance_columns", None, inputs["points"])
        return lambda: balance_columns(*inputs.values(), 1)

    def error(inputs: Inputs, made: Any) -> float:
        points, place, table, tied = (_device.to_host(part) for part in inputs.values())
        exact = backends.job("balance_columns", "reference")(points[:, :4], place, table[:, :4], tied[:4], 1)
        return float(np.abs(_device.to_host(_device.to_device(made)[:, :4]) - exact).max())

    return Case(
        job="balance_columns",
        size=f"{m} x {d} points, tables of {n}, float32",
        setup=setup,
        ours=ours,
        peers={TORCH: Peer(torch_balance, checked=True)},
        error=error,
        tolerance=1e-6,
        needs=(Need("read", 4.0 * (m + n) * d), Need("write", 4.0 * m * d)),
        n_bytes=8 * m * d,
        quick=quick,
    )


def cases(tiny: bool = False) -> list[Case]:
    if tiny:
        return [relax(5, 30, 20, 6), balance(70, 20, 3)]
    return [
        relax(4096, 2048, 300, 40, quick=True),
        relax(65536, 16384, 300, 40),
        balance(4096, 2048, 300, quick=True),
        balance(16384, 2048, 1024),
        balance(262144, 2048, 64),
    ]
