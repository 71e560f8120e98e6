"""Peak memory of every job beside its input, in a process of its own: `python tests/peaks.py` prints a line for each job and size."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import _memory, metrics

THREADS, MIB = 2, 2**20
ENVIRONMENT = {
    "DUALWALK_NUM_THREADS": str(THREADS),
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "MALLOC_ARENA_MAX": "1",
}
Make = Callable[[int, int], Callable[[], Any]]


def series(n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 1, 1)) + rng.normal(size=(n, d // 10, 10)).cumsum(axis=2)


def of_X(job: Callable[[np.ndarray], Any]) -> Make:
    def make(n: int, d: int) -> Callable[[], Any]:
        X = series(n, d)
        return lambda: job(X)

    return make


def of_fitted(estimator: Any, job: Callable[[Any, np.ndarray], Any]) -> Make:
    """A job of an estimator that was fitted on 100 samples."""

    def make(n: int, d: int) -> Callable[[], Any]:
        fitted, X = estimator.fit(series(100, d)), series(n, d)
        return lambda: job(fitted, X)

    return make


def walked(n: int, d: int) -> Callable[[], Any]:
    x, dual = series(n, d).reshape(n, d), dw.MLPDual([np.ones((64, d)) / d, np.ones((1, 64))], [np.zeros(64), np.zeros(1)])
    return lambda: dw.walk(dual, x, n_steps=3, step_size=0.1, noise=1.0, seed=0)


def hidden(X: np.ndarray) -> np.ndarray:
    return np.where(np.arange(10) < 5, X, np.nan)


SAMPLER, DIVERGENCE = dw.DualSampler("local", random_state=0), dw.DualDivergence(cv=2, n_fits=1, random_state=0)
# Job, what it takes at most (D: bytes of X as float64), as a formula and as docs/trust/memory.md has it, and (samples, columns).
JOBS: dict[str, tuple[Make, Callable[[int, int], float], str, tuple[tuple[int, int], ...]]] = {
    "permute_marginals": (of_X(lambda X: dw.permute_marginals(X, n_copies=3, seed=0)), lambda n, d: 24 * n * d + MIB * THREADS, "the result + 1 MiB a thread", ((2000, 300),)),
    "log_mean_exp, gradient": (of_X(lambda X: dw.log_mean_exp(X.reshape(len(X), -1), axis=0, return_gradient=True)), lambda n, d: 8 * n * d + 2 * MIB, "the gradient + 2 MiB", ((4000, 300),)),
    "walk": (walked, lambda n, d: 16 * n * d + 2 * MIB, "2 D + 2 MiB", ((4000, 100),)),
    "NormalScores.fit_transform": (of_X(lambda X: dw.NormalScores().fit_transform(X)), lambda n, d: 56 * n * d + MIB, "7 D + 1 MiB", ((2000, 100), (300, 400))),
    "DualDivergence.fit": (of_X(DIVERGENCE.fit), lambda n, d: _memory.of_path((n, d), 2, THREADS), "(20 + 2 cv) D + 32 KiB columns min(threads, cv) + 1 MiB", ((400, 50), (120, 200))),
    'DualDivergence.fit, method="single"': (of_X(dw.DualDivergence(cv=2, method="single", random_state=0).fit), lambda n, d: _memory.of_single((n, d), THREADS), "10 D + 96 KiB columns threads + 10 MiB", ((100, 50),)),
    "DualDivergence.score_samples": (of_fitted(DIVERGENCE, lambda model, X: model.score_samples(X)), lambda n, d: 13 * 8 * n * d + MIB, "13 D + 1 MiB", ((600, 60),)),
    "independence_test": (of_X(lambda X: dw.independence_test(X, n_permutations=19, random_state=0)), lambda n, d: _memory.of_independence((n, d), THREADS), "(13 + 6 threads) D + 16 threads min(samples, 1024)² + 1 MiB", ((600, 100), (300, 200))),
    "DualSampler.fit": (of_X(dw.DualSampler(random_state=0).fit), lambda n, d: _memory.of_sampler((n, d), "auto"), "min(25 D + 20 MiB, 200 D + 1 MiB) + 72 min(samples, 1000)²", ((300, 50), (80, 10))),
    'DualSampler.fit, walk="local"': (of_X(SAMPLER.fit), lambda n, d: _memory.of_sampler((n, d), "local"), "8 D + 8 min(samples², 2²⁴) + 1 MiB", ((600, 100), (300, 400))),
    "DualSampler.sample": (of_fitted(SAMPLER, lambda model, X: model.sample(len(X))), lambda n, d: 8 * n * d + 4 * MIB, "the result + 4 MiB", ((20_000, 100),)),
    "dependence_matrix": (of_X(dw.dependence_matrix), lambda n, d: 56 * n * d + 8 * d * d + MIB, "7 D + 8 columns² + 1 MiB", ((600, 300),)),
    "metrics.mmd": (of_X(lambda X: metrics.mmd(X, X + 1, n_permutations=19)), lambda n, d: 96 * min(n, 1000) ** 2 + 12 * 8 * n * d + MIB, "12 D + 96 min(samples, 1000)² + 1 MiB", ((300, 100), (600, 100))),
}  # fmt: skip


def status(key: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def peak(call: Callable[[], Any]) -> int:
    """Bytes of memory in use at the worst moment of the call, less those before it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # VmHWM starts anew
    before = status("VmRSS")
    kept = call()
    after = status("VmHWM")
    del kept
    return after - before


if __name__ == "__main__":
    if not ENVIRONMENT.items() <= os.environ.items():  # malloc reads it when the process begins
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)
    warnings.simplefilter("ignore")
    for job, (make, bound, formula, sizes) in JOBS.items():
        make(40, 20)()  # imports, and memory that BLAS keeps for ever
        for n, d in sizes:
            found = {"job": job, "n": n, "d": d, "peak": peak(make(n, d)), "bound": bound(n, d), "formula": formula}
            print(json.dumps(found), flush=True)
