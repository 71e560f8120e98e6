"""Jobs in a process whose memory ends: `python allocation_child.py N_STEPS JOB ...` prints a line of JSON for each job.

The limit on address space (RLIMIT_AS) is set to what the process has, plus a headroom that grows in N_STEPS steps from nothing to
what the job needs, so that allocation fails at another place of the job every time. A job must raise MemoryError or give the
bits that it has otherwise; afterwards, with the limit lifted, it must give those bits again, from inputs that nobody changed.

What was freed before is filled with ballast, else a job would find room there. Small pieces stay free: NumPy itself crashes
where its buffers of 64 KiB cannot be had (see docs/trust/memory.md), and so what fails here is what is larger.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from random_jobs import fingerprint

import dualwalk as dw
from dualwalk import _memory, metrics

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype, LIBC.malloc.argtypes, LIBC.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
PAGE, SMALL, N_SMALL = resource.getpagesize(), 80 << 10, 200
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(96 << 10), "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}

X = np.random.default_rng(0).normal(size=(400, 4, 10)).cumsum(axis=2)
FLAT = X.reshape(400, 40)
F = FLAT[:, :1].repeat(1000, axis=1)
HIDDEN = np.where(np.arange(10) < 5, X[:30], np.nan)
WEIGHTS = [np.sin(np.arange(400.0 * 40)).reshape(400, 40) / 7, np.ones((1, 400))]
BIASES = [np.zeros(400), np.zeros(1)]
INPUTS = {"X": X, "F": F, "HIDDEN": HIDDEN, "W0": WEIGHTS[0], "W1": WEIGHTS[1], "b0": BIASES[0], "b1": BIASES[1]}
Job = Callable[[], dict[str, Any]]


def _walked(dual: Callable[[], Any]) -> Job:
    return lambda: {"x": dw.walk(dual(), FLAT, n_steps=3, step_size=0.05, noise=1.0, seed=1, record=True).trajectory}


def _reduced() -> dict[str, Any]:
    value, gradient = dw.log_mean_exp(F, axis=0, return_gradient=True)
    bound = dw.donsker_varadhan(F.ravel(), F.ravel())
    return {
        "value": value,
        "gradient": gradient,
        "bound": bound.grad_marginal,
        "loss": dw.logistic(F.ravel(), F.ravel()).grad_joint,
    }


def _mixture() -> dw.MixtureDual:
    return dw.MixtureDual.fit(FLAT, n_components=2, shrinkage=0.5)


def _divergence(**options: Any) -> Job:
    return lambda: {"f": dw.DualDivergence(cv=2, n_fits=1, random_state=1, **options).fit(X[:200, :2]).dual_values_}


def _sampled(walk: str) -> Job:
    def run() -> dict[str, Any]:
        rows, info = dw.DualSampler(walk, random_state=1).fit(X[:200]).sample(800, return_info=True)
        return {"rows": rows, "f": info.f}

    return run


def _completed() -> dict[str, Any]:
    return {"rows": dw.DualSampler("local", random_state=1).fit(X[:100]).impute(HIDDEN, 3)}


def _compared() -> dict[str, Any]:
    found = metrics.mmd(X[:200], X[200:], n_permutations=19), metrics.nearest_neighbor_two_sample(X[:200], X[200:])
    return {"mmd": found[0].value, "right": found[1].accuracy}


KERNELS: dict[str, Job] = {
    **{
        f"permute_marginals, {method}": lambda method=method: {"x": dw.permute_marginals(X, n_copies=9, method=method, seed=1)}
        for method in ("shuffle", "resample", "shift")
    },
    "permute_marginals, many rows": lambda: {"x": dw.permute_marginals(F.reshape(-1, 8), seed=1)},
    "log_mean_exp and objectives": _reduced,
    "walk, MLP": _walked(lambda: dw.MLPDual(WEIGHTS, BIASES)),
    "walk, local": _walked(lambda: dw.LocalDual(FLAT, np.arange(300), shrinkage=0.3)),
    "walk, mixture": _walked(_mixture),
    "anneal": lambda: {"x": dw.anneal(_mixture(), FLAT, t_start=0.4, n_steps=3, seed=1, record=True).trajectory},
    "sample": _sampled("local"),
}
FITS: dict[str, Job] = {
    "NormalScores": lambda: {"scores": dw.NormalScores().fit_transform(X)},
    "DualDivergence, density nodes": _divergence(nodes="density"),
    "DualDivergence, contrastive nodes": _divergence(nodes="contrastive"),
    "DualDivergence, single MLP": _divergence(method="single"),
    "DualDivergence, blocks": _divergence(blocks=np.arange(20) % 2),
    "DualSampler, ladder": _sampled("auto"),
    "DualSampler, renoised": _sampled("renoised"),
    "DualSampler, langevin": _sampled("langevin"),
    "impute": _completed,
    "independence_test": lambda: {"p": dw.independence_test(X, n_permutations=19, random_state=1).p_value},
    "mutual_information": lambda: {"f": dw.mutual_information(FLAT[:, :20], FLAT[:, 20:], cv=2, random_state=1).values},
    "dependence_matrix": lambda: {"strength": dw.dependence_matrix(FLAT)},
    "metrics": _compared,
}
JOBS = KERNELS | FITS


class Ballast:
    """Blocks of memory, each with the address of the one before: keeping them takes no memory of Python's."""

    def __init__(self) -> None:
        self._last = 0

    def take(self, size: int) -> bool:
        block = LIBC.malloc(size)
        if block is not None:
            ctypes.c_size_t.from_address(block).value = self._last
            self._last = block
        return block is not None

    def drop(self) -> None:
        while self._last:
            block = self._last
            self._last = ctypes.c_size_t.from_address(block).value
            LIBC.free(block)


def set_limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * PAGE


def result(name: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fingerprint({key: np.asarray(value) for key, value in JOBS[name]().items()})


def attempt(name: str, headroom: int) -> str:
    """The job's fingerprint, or the name of its exception, with so many bytes left beside N_SMALL small pieces."""
    gc.collect()
    LIBC.malloc_trim(0)
    ballast, small, walls = Ballast(), Ballast(), Ballast()
    try:
        set_limit(address_space())
        for size in (2**k for k in range(24, 8, -1)):
            while ballast.take(size):
                pass
        set_limit(resource.RLIM_INFINITY)
        for _ in range(N_SMALL):  # walls keep free pieces from growing together
            small.take(SMALL)
            walls.take(1 << 10)
        present = address_space()
        small.drop()
        set_limit(present + headroom)
        return result(name)
    except MemoryError:
        return "MemoryError"
    except BaseException as error:  # noqa: BLE001  what else may come is what is asked
        return repr(error)
    finally:
        set_limit(resource.RLIM_INFINITY)
        for each in (ballast, small, walls):
            each.drop()


def try_job(name: str, n_steps: int) -> dict[str, Any]:
    expected, inputs = result(name), fingerprint(INPUTS)
    needed = 1 << 16
    while (found := attempt(name, needed)) != expected:
        assert found == "MemoryError", found
        needed += needed // 4
    failed, wrong = 0, []
    for step in range(n_steps):
        found = attempt(name, needed * step // n_steps)
        failed += found == "MemoryError"
        if found not in ("MemoryError", expected):
            wrong.append(f"step {step}: {found}")
        if fingerprint(INPUTS) != inputs:
            wrong.append(f"step {step}: the inputs changed")
        if name in KERNELS and result(name) != expected:
            wrong.append(f"step {step}: other bits afterwards")
    if result(name) != expected:
        wrong.append("other bits afterwards")
    return {"job": name, "needed": needed, "failed": failed, "steps": n_steps, "wrong": wrong}


def take_blas_buffers() -> None:
    """OpenBLAS takes 32 MiB for each product that runs at the same time, keeps them, and ends the process if it cannot."""
    square = np.ones((1000, 1000))
    threads = [threading.Thread(target=lambda: [square @ square for _ in range(3)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    if not ENVIRONMENT.items() <= os.environ.items():  # malloc reads it when the process begins
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)

    take_blas_buffers()
    _memory.demand = lambda *_: None  # which would refuse before any work
    for job in sys.argv[2:] or JOBS:
        result(job)  # imports, and what Numba compiles
        gc.freeze()  # what is there now is not looked through at every collection
        print(json.dumps(try_job(job, int(sys.argv[1]))), flush=True)
