"""Memory that ends in the middle of a job: MemoryError, inputs as they were, and a process that works on with the same bits.

Threads that cannot be had: the others do their work.
`python tests/allocation_child.py 30` tries every job at thirty places; here some kernels have thirty steps and two fits a few.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import allocation_child
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space, and malloc_trim")
CHILD = Path(allocation_child.__file__)
OF_BACKEND = {
    "native": ("permute_marginals, shuffle", "log_mean_exp and objectives", "walk, MLP", "sample"),
    "numba": ("permute_marginals, shuffle",),
    "reference": ("permute_marginals, shuffle",),
}


def run_child(n_steps: int, *jobs: str, **environment: str) -> list[dict]:
    environment = os.environ | allocation_child.ENVIRONMENT | {"DUALWALK_NUM_THREADS": "2"} | environment
    command = [sys.executable, "-X", "faulthandler", CHILD, str(n_steps), *jobs]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_memory_that_ends_anywhere(backend: str) -> None:
    for found in run_child(30, *OF_BACKEND[backend], DUALWALK_BACKEND=backend):
        assert found["wrong"] == [], found
        assert 10 <= found["failed"] <= found["steps"] == 30, found


def test_memory_that_ends_in_a_fit() -> None:
    for found in run_child(4, "DualDivergence, blocks", "DualSampler, langevin"):
        assert found["wrong"] == [], found
        assert found["failed"] >= 2, found


REFUSED = """
import os, resource
import numpy as np
import dualwalk as dw

x = np.random.default_rng(0).normal(size=(2000, 64))
dual = dw.MLPDual([np.eye(64), np.ones((1, 64))], [np.zeros(64), np.zeros(1)])
walk = lambda n_threads: dw.walk(dual, x, n_steps=20, step_size=0.01, noise=1.0, seed=0, n_threads=n_threads).x.tobytes()
test = lambda n_threads: dw.independence_test(x[:60, :5], n_permutations=19, random_state=0, n_threads=n_threads).statistic
alone = walk(1), test(1)
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
with open("/proc/self/statm") as file:  # room for the job and OpenBLAS, but for no thread's stack
    resource.setrlimit(resource.RLIMIT_AS, (int(file.read().split()[0]) * resource.getpagesize() + (150 << 20), -1))
assert (walk(4), test(4)) == alone
assert threads() == before
"""


def test_threads_that_cannot_be_had_are_not_missed(backend: str) -> None:
    environment = os.environ | {"DUALWALK_BACKEND": backend}
    command = [
        "bash",
        "-c",
        'ulimit -s 1000000 && exec "$@"',
        "bash",
        sys.executable,
        "-c",
        REFUSED,
    ]  # a stack of 1 GB a thread
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
