"""permute_marginals on a GPU: many copies at once, single ones, blocks of columns, and more rows than one chain takes."""

from __future__ import annotations

from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk.backends.reference import permutation

from .case import Call, Case, Need, Peer, normals

SEED = 1
CHECKED = 4  # columns that are compared with the reference, in the last copy


def setup(shape: tuple[int, int], n_copies: int | None, block: int) -> Any:
    def make(xp: Any, seed: int) -> dict[str, Any]:
        out = xp.empty(shape if n_copies is None else (n_copies, *shape), np.float32)
        blocks = None if block == 1 else xp.arange(shape[1]) // block
        return {"x": normals(xp, shape, seed), "out": out, "blocks": blocks, "n_copies": n_copies}

    return make


def ours(method: str) -> Any:
    def prepare(inputs: dict[str, Any]) -> Call:
        x, blocks, n_copies = inputs["x"], inputs["blocks"], inputs["n_copies"]
        return lambda: dw.permute_marginals(x, n_copies=n_copies, blocks=blocks, method=method, seed=SEED)

    return prepare


def wrong_columns(method: str, block: int) -> Any:
    """How many of some columns differ from the reference."""

    def error(inputs: dict[str, Any], result: Any) -> float:
        x = inputs["x"]
        last = result.reshape(-1, *x.shape)[-1]
        copy = (inputs["n_copies"] or 1) - 1
        wrong = 0
        for column in np.unique(np.linspace(0, x.shape[1] - 1, CHECKED).astype(int)).tolist():
            source = permutation(SEED, method, copy, column // block, len(x))
            wrong += not np.array_equal(last[:, column].get(), x[:, column].get()[source])
        return float(wrong)

    return error


def torch_peer(method: str, block: int) -> Peer:
    def prepare(inputs: dict[str, Any]) -> Call:
        import torch

        x, out = torch.from_dlpack(inputs["x"]), torch.from_dlpack(inputs["out"])
        n, d = x.shape
        whole = x.expand(out.shape)
        shape = (*out.shape[:-1], d // block)
        along = out.ndim - 2

        def call() -> Any:
            if method == "shuffle":
                index = torch.argsort(torch.rand(shape, device=x.device), dim=along)
            elif method == "resample":
                index = torch.randint(0, n, shape, device=x.device)
            else:
                shift = torch.randint(1, n, (*shape[:-2], 1, shape[-1]), device=x.device)
                index = (torch.arange(n, device=x.device)[:, None] + shift) % n
            return torch.gather(whole, along, index if block == 1 else index.repeat_interleave(block, dim=-1), out=out)

        return call

    return Peer(prepare)


def cupy_peer(method: str) -> Peer:
    def prepare(inputs: dict[str, Any]) -> Call:
        import cupy

        x, shape = inputs["x"], inputs["out"].shape
        along = len(shape) - 2
        rng = cupy.random.default_rng(SEED)

        def call() -> Any:
            if method == "shuffle":
                index = cupy.argsort(rng.random(shape, dtype=np.float32), axis=along)
            else:
                index = rng.integers(0, len(x), shape)
            return cupy.take_along_axis(cupy.broadcast_to(x, shape), index, axis=along)

        return call

    return Peer(prepare, "cupy")


def case(
    method: str,
    shape: tuple[int, int],
    *,
    n_copies: int | None = None,
    block: int = 1,
    quick: bool = False,
    goals: dict[str, float] | None = None,
) -> Case:
    n_read = 4 * shape[0] * shape[1]
    n_written = n_read * (n_copies or 1)
    peers = {f"torch {PEERS[method]}": torch_peer(method, block)}
    if block == 1 and method != "shift":
        peers["CuPy"] = cupy_peer(method)
    size = f"{shape[0]} x {shape[1]}, float32"
    if n_copies is not None:
        size = f"{n_copies} copies of {size}"
    if block > 1:
        size += f", blocks of {block} columns"
    # of many copies x is a small part, and the result could not be written faster if it were none
    needs = (Need("copy", 2 * n_written),) if n_copies is None else (Need("write", n_written),)
    return Case(
        f"permute_marginals, {method}",
        size,
        setup(shape, n_copies, block),
        ours(method),
        peers,
        wrong_columns(method, block),
        needs=needs,
        n_bytes=n_read + n_written,
        goals=goals or {},
        quick=quick,
    )


PEERS = {"shuffle": "rand, argsort, gather", "resample": "randint, gather", "shift": "randint, arange, gather"}


def cases(tiny: bool = False) -> list[Case]:
    if tiny:
        return [
            case("shuffle", (40, 70), n_copies=3),
            case("shuffle", (30, 36), block=12),
            *(case(method, (50, 20)) for method in PEERS),
        ]
    return [
        case(
            "shuffle",
            (512, 16384),
            n_copies=64,
            quick=True,
            goals={"limit": 0.5, f"torch {PEERS['shuffle']}": 50},
        ),
        case("shuffle", (512, 16384)),
        case("shuffle", (512, 16380), block=12),
        case("shuffle", (4096, 8192)),
        case("shuffle", (16384, 4096)),
        case("shuffle", (1_000_000, 64)),
        case("resample", (512, 16384), n_copies=64),
        case("resample", (100_000, 512)),
        case("shift", (512, 16384), n_copies=64),
        case("shift", (4096, 8192)),
    ]
