"""permute_marginals: shuffle, resample and shift, of one array, of many copies and of blocks of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import dualwalk as dw

from . import idioms
from .case import Candidate, Case, Need, ours, plain

# 1 KB to 1 GB of float32
SHUFFLED = ((16, 16), (256, 64), (512, 512), (512, 8192), (4096, 8192), (1_000_000, 64), (16_384, 16_384))
OTHERS = ((512, 512), (512, 8192), (4096, 8192), (1_000_000, 64))
N_COPIES, COPIED = 64, (512, 1024)
BLOCK, BLOCKED = 12, (512, 8184)
TALL = 100_000  # rows that do not fit the caches, column by column
PATIENT = 1 << 28  # bytes up to which slow peers of shuffle are waited for
CHECKED = 1 << 19  # elements of whole columns that are sorted to find the error


class Inputs(NamedTuple):
    x: np.ndarray
    out: np.ndarray
    blocks: np.ndarray | None


def some(shape: tuple[int, ...], n_copies: int | None = None, block: int = 1) -> Inputs:
    rng = np.random.default_rng(0)
    x = np.resize(rng.standard_normal(min(shape[0] * shape[1], 1 << 24), dtype=np.float32), shape)
    out = np.zeros(shape if n_copies is None else (n_copies, *shape), np.float32)
    return Inputs(x, out, None if block == 1 else np.arange(shape[1]) // block)


def some_columns(inputs: Inputs, result: Any) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the input, spread over all of them, and those of the last copy: as many as CHECKED allows, sorted."""
    n, d = inputs.x.shape
    columns = np.unique(np.linspace(0, d - 1, max(1, min(d, CHECKED // n))).astype(np.intp))
    copy = np.asarray(result).reshape(-1, n, d)[-1]
    return np.sort(inputs.x[:, columns], axis=0), np.sort(copy[:, columns], axis=0)


def wrong_columns(inputs: Inputs, result: Any) -> float:
    """Columns whose values are not those of the input, of some columns."""
    expected, found = some_columns(inputs, result)
    return float((expected != found).any(axis=0).sum())


def strange_values(inputs: Inputs, result: Any) -> float:
    """Columns with a value that the input's column does not have, of some columns."""
    expected, found = some_columns(inputs, result)
    return float(sum(not np.isin(b, a).all() for a, b in zip(expected.T, found.T, strict=True)))


def our(method: str) -> dict[str, Candidate]:
    def call(inputs: Inputs, backend: str, n_threads: int) -> np.ndarray:
        n_copies = len(inputs.out) if inputs.out.ndim > inputs.x.ndim else None
        return dw.permute_marginals(
            inputs.x,
            method=method,
            n_copies=n_copies,
            blocks=inputs.blocks,
            seed=1,
            out=inputs.out,
            n_threads=n_threads,
            backend=backend,
        )

    return ours(call)


def numpy_peer(method: str) -> Candidate:
    rng = np.random.default_rng(1)

    def call(inputs: Inputs) -> np.ndarray:
        x, out, blocks = inputs
        n, d = x.shape
        if out.ndim > x.ndim:
            return rng.permuted(np.broadcast_to(x, out.shape), axis=1, out=out)
        if blocks is not None:
            for start in range(0, d, BLOCK):
                out[:, start : start + BLOCK] = rng.permutation(x[:, start : start + BLOCK])
            return out
        if method == "shuffle":
            return rng.permuted(x, axis=0, out=out)
        if method == "resample":
            return np.take_along_axis(x, rng.integers(0, n, x.shape), axis=0)
        return np.take_along_axis(x, (np.arange(n)[:, None] + rng.integers(1, n, d)) % n, axis=0)

    return plain(call)


def torch_peer(method: str) -> Candidate:
    def prepare(inputs: Inputs, n_threads: int) -> Callable[[], np.ndarray]:
        import torch

        x, out = torch.from_numpy(inputs.x), torch.from_numpy(inputs.out)
        n, d = inputs.x.shape

        def call() -> np.ndarray:
            if out.ndim > x.ndim:
                for copy in out:
                    torch.gather(x, 0, torch.argsort(torch.rand(x.shape), dim=0), out=copy)
            elif inputs.blocks is not None:
                index = torch.argsort(torch.rand(n, d // BLOCK), dim=0).repeat_interleave(BLOCK, dim=1)
                torch.gather(x, 0, index, out=out)
            elif method == "shuffle":
                torch.gather(x, 0, torch.argsort(torch.rand(x.shape), dim=0), out=out)
            elif method == "resample":
                torch.gather(x, 0, torch.randint(0, n, x.shape), out=out)
            else:
                index = (torch.arange(n)[:, None] + torch.randint(1, n, (d,))) % n
                torch.gather(x, 0, index, out=out)
            return inputs.out

        return call

    return Candidate(prepare, "torch")


def numba_idiom(method: str) -> Candidate:
    loop = getattr(idioms, method)

    def call(inputs: Inputs) -> np.ndarray:
        loop(inputs.x, inputs.out)
        return inputs.out

    return plain(call, "numba", compiled=True)


def case(method: str, shape: tuple[int, int], *, n_copies: int | None = None, block: int = 1) -> Case:
    size, n_bytes = f"{shape[0]} x {shape[1]}", 4 * shape[0] * shape[1]
    n_written = n_bytes * (n_copies or 1)
    candidates = our(method) | {"NumPy": numpy_peer(method), "PyTorch": torch_peer(method)}
    form = method
    if n_copies is not None:
        form, size = f"{method}, {n_copies} copies", f"{n_copies} x {size}"
    elif block > 1:
        form = f"{method}, blocks of {block} columns"
    else:
        form = f"{method}, tall" if shape[0] >= TALL else method
        candidates["Numba idiom"] = numba_idiom(method)
        candidates["a copy"] = plain(lambda inputs: np.copyto(inputs.out, inputs.x))
    resampled = method == "resample"
    return Case(
        "permute_marginals",
        form,
        size,
        n_written,
        "element",
        n_written / 4,
        lambda: some(shape, n_copies, block),
        candidates,
        lambda n_threads: (Need("copy", 2 * n_written, n_written),),
        strange_values if resampled else wrong_columns,
        "wrong columns",
        quick=shape == (512, 512),
        patient=method == "shuffle" and n_written <= PATIENT,
        swept=("bytes", n_written),
    )


def cases() -> list[Case]:
    found = [case("shuffle", shape) for shape in SHUFFLED]
    found += [case("shuffle", COPIED, n_copies=N_COPIES), case("shuffle", BLOCKED, block=BLOCK)]
    return found + [case(method, shape) for method in ("resample", "shift") for shape in OTHERS]
