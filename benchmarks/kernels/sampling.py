"""What a sampled block of rows is made of (draws, relax_local, balance_columns), and the integers behind every permutation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dualwalk import backends

from .case import Candidate, Case, Need, count, ours, plain

N_ROWS, N_FEATURES = 270, 300  # a block of the sampler: as many rows as Japanese Vowels has, 12 x 25
NEIGHBORS = (10, 40)
DRAWN = (1 << 12, 1 << 20)
DECAY = 0.5
LARGEST_CHECKED = 1 << 16  # normals that the reference draws again


class Relaxed(NamedTuple):
    points: np.ndarray
    neighbors: np.ndarray


def relaxing(k: int) -> Relaxed:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((N_ROWS, N_FEATURES))
    return Relaxed(points, np.argsort(rng.random((N_ROWS, N_ROWS)), axis=1)[:, : k + 1])


def relax_error(inputs: Relaxed, result: Any) -> float:
    exact = backends.job("relax_local", "reference")(*inputs, DECAY, 1, 1)
    return float(np.abs(result - exact).max() / np.abs(exact).max())


def numpy_relax(inputs: Relaxed) -> np.ndarray:
    """With NumPy's own normals, and a matrix product a row."""
    points, neighbors = inputs
    weights = np.random.default_rng(1).standard_normal(neighbors.shape)
    weights -= weights.mean(axis=1, keepdims=True)
    weights *= np.sqrt((1 - DECAY**2) / (neighbors.shape[1] - 1))
    weights += (1 - DECAY) / neighbors.shape[1]
    weights[:, 0] += DECAY
    return np.matmul(weights[:, None], points[neighbors])[:, 0]


def torch_relax() -> Candidate:
    def prepare(inputs: Relaxed, n_threads: int) -> Callable[[], np.ndarray]:
        import torch

        points, neighbors = torch.from_numpy(inputs.points), torch.from_numpy(inputs.neighbors)

        def call() -> np.ndarray:
            weights = torch.randn(neighbors.shape, dtype=points.dtype)
            weights -= weights.mean(1, keepdim=True)
            weights *= ((1 - DECAY**2) / (neighbors.shape[1] - 1)) ** 0.5
            weights += (1 - DECAY) / neighbors.shape[1]
            weights[:, 0] += DECAY
            return torch.bmm(weights[:, None], points[neighbors])[:, 0].numpy()

        return call

    return Candidate(prepare, "torch", checked=False)


def relax(k: int) -> Case:
    def call(inputs: Relaxed, backend: str, n_threads: int) -> np.ndarray:
        return backends.job("relax_local", backend)(*inputs, DECAY, 1, n_threads)

    table = 8 * N_ROWS * N_FEATURES
    return Case(
        "relax_local",
        f"d={N_FEATURES} K={k}",
        f"{N_ROWS} rows, float64",
        2 * table,
        "row",
        N_ROWS,
        partial(relaxing, k),
        ours(call) | {"NumPy": plain(numpy_relax, checked=False), "PyTorch": torch_relax()},
        lambda n_threads: (
            Need("float64", 2 * N_ROWS * N_FEATURES * (k + 1)),
            Need("read", table * (k + 1), n_threads * table),
        ),
        relax_error,
        quick=k == min(NEIGHBORS),
    )


class Balanced(NamedTuple):
    points: np.ndarray
    place: np.ndarray
    table: np.ndarray
    tied: np.ndarray


def balancing() -> Balanced:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((N_ROWS, N_FEATURES))
    return Balanced(points, rng.random(N_ROWS), np.sort(rng.standard_normal(points.shape), axis=0), np.zeros(N_FEATURES, bool))


def balance_error(inputs: Balanced, result: Any) -> float:
    exact = backends.job("balance_columns", "reference")(*inputs, 1)
    return float(np.abs(result - exact).max() / np.abs(exact).max())


def numpy_balance(inputs: Balanced) -> np.ndarray:
    """Ranks by two sorts, then linear interpolation of all columns at once."""
    points, place, table, _ = inputs
    n = len(points)
    ranks = np.argsort(np.argsort(points, axis=0), axis=0)
    position = np.clip(ranks + place[:, None] - 0.5, 0, n - 1)
    lower = np.minimum(position.astype(np.intp), n - 2)
    low = np.take_along_axis(table, lower, axis=0)
    return low + (position - lower) * (np.take_along_axis(table, lower + 1, axis=0) - low)


def balance() -> Case:
    def call(inputs: Balanced, backend: str, n_threads: int) -> np.ndarray:
        return backends.job("balance_columns", backend)(*inputs, n_threads)

    n = N_ROWS * N_FEATURES
    return Case(
        "balance_columns",
        f"d={N_FEATURES}",
        f"{N_ROWS} rows, float64",
        24 * n,
        "element",
        n,
        balancing,
        ours(call) | {"NumPy": plain(numpy_balance)},
        lambda n_threads: (Need("read", 8 * n, 24 * n), Need("copy", 16 * n, 24 * n)),
        balance_error,
        quick=True,
    )


class Counted(NamedTuple):
    n: int
    array: np.ndarray


def normals(n: int) -> Case:
    """Rows of the shape that walks draw, in float64."""

    def make() -> Counted:
        return Counted(n, np.empty(0))

    def call(inputs: Counted, backend: str, n_threads: int) -> np.ndarray:
        return backends.job("draw_normals", backend)(1, 0, n // 64, 64)

    def prepare(inputs: Counted, n_threads: int) -> Callable[[], Any]:
        import torch

        return lambda: torch.randn(n // 64, 64, dtype=torch.float64)

    def error(inputs: Counted, result: Any) -> float:
        if n > LARGEST_CHECKED:
            return float("nan")
        exact = backends.job("draw_normals", "reference")(1, 0, n // 64, 64)
        return float(np.abs(result - exact).max() / np.abs(exact).max())

    peers = {"PyTorch": Candidate(prepare, "torch", checked=False), "NumPy": plain(numpy_normals, checked=False)}
    found = ours(call) | peers
    found = {name: on_one_thread(candidate) for name, candidate in found.items()}
    return Case(
        "draw_normals",
        "rows of 64",
        f"{count(n)} values",
        8 * n,
        "value",
        n,
        make,
        found,
        lambda n_threads: (Need("write", 8 * n, 8 * n),),
        error,
        quick=n == min(DRAWN),
        swept=("bytes", 8 * n),
    )


def numpy_normals(inputs: Counted) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(inputs.n)


def on_one_thread(candidate: Candidate) -> Candidate:
    """The same, measured on one thread only: these jobs take no number of threads."""
    return replace(candidate, threaded=False)


def integers(n: int) -> Case:
    """The integers behind one shuffled column of n rows: bounds 1 .. n."""

    def make() -> Counted:
        return Counted(n, np.arange(1, n + 1, dtype=np.uint32))

    def call(inputs: Counted, backend: str, n_threads: int) -> np.ndarray:
        return backends.job("draw_integers", backend)(1, 0, 0, 0, inputs.array)

    def numpy_peer(inputs: Counted) -> np.ndarray:
        return np.random.default_rng(1).integers(0, inputs.array, dtype=np.uint32)

    def error(inputs: Counted, result: Any) -> float:
        return float((result >= inputs.array).sum())

    found = {name: on_one_thread(candidate) for name, candidate in ours(call).items()} | {"NumPy": plain(numpy_peer)}
    return Case(
        "draw_integers",
        "bounds 1 to n",
        f"{count(n)} values",
        4 * n,
        "value",
        n,
        make,
        found,
        lambda n_threads: (Need("copy", 8 * n, 8 * n),),
        error,
        "out of range",
        quick=n == min(DRAWN),
        swept=("bytes", 4 * n),
    )


def words(n: int) -> Case:
    """Philox4x32-10 on n counters: 4 n words."""

    def make() -> Counted:
        counter = np.zeros((n, 4), np.uint32)
        counter[:, 0] = np.arange(n)
        return Counted(n, counter)

    def call(inputs: Counted, backend: str, n_threads: int) -> np.ndarray:
        return backends.job("philox", backend)(inputs.array, 1)

    def numpy_peer(inputs: Counted) -> np.ndarray:
        return np.random.Generator(np.random.Philox(1)).integers(0, 2**32, 4 * n, dtype=np.uint32)

    def error(inputs: Counted, result: Any) -> float:
        return float((result != backends.job("philox", "reference")(inputs.array, 1)).sum())

    found = {name: on_one_thread(candidate) for name, candidate in ours(call).items()}
    return Case(
        "philox",
        "counters in order",
        f"{count(4 * n)} words",
        16 * n,
        "word",
        4 * n,
        make,
        found | {"NumPy Philox4x64": plain(numpy_peer, checked=False)},
        lambda n_threads: (Need("copy", 32 * n, 32 * n),),
        error,
        "wrong words",
        quick=n == min(DRAWN) // 4,
        swept=("bytes", 16 * n),
    )


def cases() -> list[Case]:
    found = [relax(k) for k in NEIGHBORS] + [balance()]
    found += [make(n) for make in (normals, integers) for n in DRAWN]
    return found + [words(n // 4) for n in DRAWN]
