"""The interpreter ends while threads compute: no crash, no hang, and what is still meant to be computed is."""

from __future__ import annotations

import time

import pytest

from .kit import expect_output

DAEMONS = """
import sys, threading, time
import numpy as np
import dualwalk as dw
from concurrency.kit import network, series
backend, job, n_threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
x = np.random.default_rng(0).standard_normal((600, 24))
how = {"backend": backend, "n_threads": n_threads}
class Own:
    def value_and_gradient(self, z):
        return network().value_and_gradient(z)
def fit():
    dw.DualSampler(random_state=0).fit(series(0))
jobs = {
    "walk": lambda: dw.walk(network(), x, n_steps=2**31, step_size=1e-9, **how),
    "own": lambda: dw.walk(Own(), x, n_steps=2**31, step_size=1e-9, **how),
    "local": lambda: dw.walk(dw.LocalDual(x, np.arange(30), shrinkage=0.5), x, n_steps=2**31, step_size=1e-9, **how),
    "permute": lambda: dw.permute_marginals(x, n_copies=40, seed=1, **how),
    "log_mean_exp": lambda: dw.log_mean_exp(x, **how),
    "fit": fit,
}
begun = threading.Semaphore(0)
def work():
    begun.release()
    while True:
        jobs[job]()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
[begun.acquire() for _ in range(3)]
time.sleep(float(sys.argv[4]))
print("the end", flush=True)
"""


@pytest.mark.parametrize("job", ["walk", "own", "local", "permute", "log_mean_exp", "fit"])
def test_daemon_threads(backend: str, job: str) -> None:
    """Python ends its daemon threads where they ask for the GIL: on the way out of a kernel, or where it looks for Ctrl-C."""
    if (backend, job) not in {("native", job), ("numba", "walk"), ("numba", "permute"), ("reference", "fit")}:
        pytest.skip("one job of each kind is enough for Python's own threads")
    begin = time.monotonic()
    expect_output("the end", DAEMONS, backend, job, 2, 0.2, DUALWALK_BACKEND=backend)
    assert time.monotonic() - begin < 60


def test_threads_that_outlive_the_main_thread(backend: str) -> None:
    """From then on Python starts no thread of a pool: the work is done all the same, with the same bits; so at exit."""
    expect_output(
        "thread True\nexit True",
        """
import atexit, sys, threading
import numpy as np
from concurrency.kit import kernels, series
import dualwalk as dw
backend = sys.argv[1]
def all_jobs():
    rows = 40 if backend == "reference" else 400
    graph = dw.dependence_matrix(series(0).reshape(50, -1), n_threads=2)
    return [*kernels(backend, 3, rows), graph.tobytes()]
expected = all_jobs()
atexit.register(lambda: print("exit", all_jobs() == expected))
def late():
    threading.main_thread().join()
    print("thread", all_jobs() == expected)
threading.Thread(target=late).start()
""",
        backend,
        DUALWALK_BACKEND=backend,
    )
