"""Memory that ends in the middle of a job: MemoryError, inputs as they were, and a process that works on with the same bits.

`python tests/allocation_child.py 30` tries every job at thirty places; here the kernels have thirty steps and the fits a few.
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
SOME = ("permute_marginals, shuffle", "log_mean_exp and objectives", "walk, MLP", "sample")
OF_BACKEND = {
    "native": [*allocation_child.KERNELS, "NormalScores", "independence_test", "metrics"],
    "numba": SOME,
    "reference": SOME,
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
    for found in run_child(4, "DualDivergence, blocks", "DualSampler, langevin", "impute"):
        assert found["wrong"] == [], found
        assert found["failed"] >= 2, found
