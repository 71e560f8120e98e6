"""What the tests of this folder share: small jobs with known bits, threads that begin together, programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

import dualwalk as dw

TESTS = Path(__file__).resolve().parent.parent
N_TOGETHER = 32


def series(seed: int, n: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 2, 3)).cumsum(axis=2)


def network(n_features: int = 24) -> dw.MLPDual:
    rng = np.random.default_rng(7)
    weights = [rng.standard_normal((16, n_features)) / 5, rng.standard_normal((1, 16))]
    return dw.MLPDual(weights, [np.zeros(16), np.zeros(1)])


def kernels(backend: str | None = None, n_threads: int = 2, n_rows: int = 400) -> list[bytes]:
    """The bits of every kernel that is called by itself, on inputs that are always the same; the walk is long enough for threads."""
    x = np.random.default_rng(3).standard_normal((n_rows, 24))
    how: dict[str, Any] = {"backend": backend, "n_threads": n_threads}
    found = [
        dw.permute_marginals(x, n_copies=2, seed=1, **how),
        *dw.log_mean_exp(x, axis=0, return_gradient=True, **how),
        dw.donsker_varadhan(x[:, 0], x[:, 1], **how).value,
        dw.logistic(x[:, 0], x[:, 1], **how).value,
        dw.walk(network(), x, n_steps=n_rows // 10, step_size=0.01, noise=0.1, seed=1, **how).x,
    ]
    return [np.asarray(part).tobytes() for part in found]


def small_fits() -> tuple[dw.DualDivergence, dw.DualSampler]:
    X = series(0)
    return dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(X), dw.DualSampler(walk="local", random_state=0).fit(X)


def uses(divergence: dw.DualDivergence, sampler: dw.DualSampler, seed: int = 5) -> list[bytes]:
    """The bits of what two fitted estimators say and make."""
    X = series(seed, 12)
    hidden = X[:3].copy()
    hidden[:, :, 2:] = np.nan
    found = [
        divergence.score_samples(X),
        divergence.node_terms(X),
        divergence.predict(X),
        sampler.sample(9, seed=seed),
        sampler.impute(hidden, seed=seed),
        *sampler.nearest(X),
    ]
    return [np.asarray(part).tobytes() for part in found]


def together(work: Callable[[int], Any], n_threads: int = N_TOGETHER) -> list[Any]:
    """[work(0), work(1), ...], each in a thread of its own, all of which begin at one moment and take short turns."""
    start = Barrier(n_threads)

    def run(k: int) -> Any:
        start.wait(60)
        return work(k)

    turn = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(run, range(n_threads)))
    finally:
        sys.setswitchinterval(turn)


def program(text: str, *arguments: object, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python program that may import this folder; its end, whatever it was. A hang fails by its timeout."""
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )


def expect_output(wanted: str, text: str, *arguments: object, **environment: str) -> None:
    """The program ended well, printed this, and had nothing to complain about."""
    done = program(text, *arguments, **environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, wanted, ""), done.stdout + done.stderr
