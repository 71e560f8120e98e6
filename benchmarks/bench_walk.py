"""Walks on an MLP dual, local duals and a mixture dual, and annealing: `python benchmarks/bench_walk.py [--threads 1]`.

GFLOP/s counts the multiply-adds of the dual's value and gradient alone, two operations each; "of sgemm" is its share of what
NumPy's product of two 1024 x 1024 float32 matrices does on as many threads. The error is the largest difference from a float64
walk of the reference, relative to the distance walked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _timing import Table, header, in_turns, median, options

import dualwalk as dw
from dualwalk import backends
from dualwalk._blas import one_blas_thread
from dualwalk.annealing import anneal
from dualwalk.duals.local_covariance import LocalCovariance
from dualwalk.duals.mixture import MixtureDual

N_STEPS = 50


@dataclass
class Case:
    """One dual and how it is walked: `call(x0, backend)` gives the walks, each with `operations` a step."""

    name: str
    call: Callable[[np.ndarray, str], np.ndarray]
    operations: float
    d: int


def matrix_product_rate(threads: int) -> float:
    """GFLOP/s of float32 matrix products, the arithmetic limit as NumPy's BLAS reaches it."""
    a = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)

    def best() -> float:
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            a @ a
            seconds.append(time.perf_counter() - start)
        return 2 * 1024**3 / min(seconds) / 1e9

    if threads > 1:
        return best()
    with one_blas_thread():
        return best()


def cases(n: int, threads: int, rng: np.random.Generator) -> list[Case]:
    """What is measured, for n walks."""
    d, hidden, n_neighbors = 300, 128, 20
    weights = [rng.standard_normal((hidden, d)) / np.sqrt(d), rng.standard_normal((1, hidden)) / np.sqrt(hidden)]
    mlp = dw.MLPDual(weights, [np.zeros(hidden), np.zeros(1)])
    points = rng.standard_normal((270, d))
    neighbors = rng.permuted(np.tile(np.arange(270), (n, 1)), axis=1)[:, : n_neighbors + 1]
    local, covariance = dw.LocalDual(points, neighbors, shrinkage=0.3), LocalCovariance(points, neighbors)
    shared = dw.LocalDual(points, np.arange(n_neighbors + 1), shrinkage=0.3)
    n_components, few = 10, 62
    roots = rng.standard_normal((n_components, few, few)) / np.sqrt(few)
    means, covariances = rng.standard_normal((n_components, few)), roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(few)
    mixture = MixtureDual(np.ones(n_components), means, covariances, time=0.1)

    def walked(dual: Any, **more: Any) -> Callable[[np.ndarray, str], np.ndarray]:
        settings = {"n_steps": N_STEPS, "step_size": 0.05, "n_threads": threads, **more}
        return lambda x0, backend: dw.walk(dual, x0, backend=backend, **settings).x

    def annealed(x0: np.ndarray, backend: str) -> np.ndarray:
        return anneal(mixture, x0, t_start=0.65, n_steps=N_STEPS, seed=0, n_threads=threads, backend=backend).x

    local_work = 4 * d * (n_neighbors + 2)
    langevin = walked(local, noise=1.0, seed=0, preconditioner=covariance, base="marginals")
    return [
        Case(f"MLP {d}-{hidden}-1", walked(mlp), 4 * d * hidden, d),
        Case(f"local d={d} K={n_neighbors}", walked(local), local_work, d),
        Case("the same, one neighbourhood for all", walked(shared), local_work, d),
        Case("one each, preconditioned Langevin", langevin, local_work + 6 * d * (n_neighbors + 1), d),
        Case(f"mixture d={few} K={n_components}", walked(mixture), 4 * n_components * few**2, few),
        Case("the same, Langevin", walked(mixture, noise=1.0, seed=0, base="normal"), 4 * n_components * few**2, few),
        Case("the same, annealed", annealed, 4 * n_components * few**2, few),
    ]


def main() -> None:
    arguments = options(__doc__ or "")
    rng = np.random.default_rng(0)
    limit = matrix_product_rate(arguments.threads)
    print(header(arguments.threads), f"sgemm: {limit:.0f} GFLOP/s", sep="; ", end="\n\n")
    columns = ["dual", "walks", "backend", "us a step", "reference / ours", "GFLOP/s", "of sgemm", "relative error"]
    table = Table(f"walk and anneal, float32, {N_STEPS} steps", columns)
    for n in (1, 64, 256, 1024):
        for case in cases(n, arguments.threads, rng):
            x0 = rng.standard_normal((n, case.d)).astype(np.float32)
            candidates = {
                backend: lambda x0=x0, case=case, backend=backend: case.call(x0, backend)
                for backend in backends.PREFERENCE
                if backends.why_not(backend) is None
            }
            seconds = in_turns(candidates, 3)
            exact = case.call(x0.astype(np.float64), "reference")
            far = np.abs(exact - x0).max()
            for backend, call in candidates.items():
                step = median(seconds[backend]) / N_STEPS
                ratio = median(seconds["reference"]) / median(seconds[backend])
                rate = n * case.operations / step / 1e9
                error = np.abs(call() - exact).max() / far
                table.row(
                    *(case.name, n, backend, f"{1e6 * step:.0f}", f"{ratio:.1f}"),
                    *(f"{rate:.0f}", f"{rate / limit:.2f}", f"{error:.1e}"),
                )


if __name__ == "__main__":
    main()
