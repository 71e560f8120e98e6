"""Peak memory of every job: at most what docs/trust/memory.md says, and not much less; and fits that ask for it first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import peaks
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def measured() -> list[dict]:
    command = [sys.executable, str(HERE / "peaks.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | peaks.ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("job", peaks.JOBS)
def test_peak_memory_is_what_the_page_says(job: str, measured: list[dict]) -> None:
    found = [each for each in measured if each["job"] == job]
    assert found
    for each in found:
        assert each["bound"] / 4 < each["peak"] < each["bound"], each
    page = (HERE.parent / "docs" / "trust" / "memory.md").read_text(encoding="utf-8")
    assert f"| `{job}` | {peaks.JOBS[job][2]} |" in page


REFUSED = """
import resource, sys
import numpy as np
import dualwalk as dw

X = np.random.default_rng(0).normal(size=(400, 60))
jobs = {
    "DualDivergence.fit": lambda: dw.DualDivergence(cv=2, blocks=np.arange(60) % 2, random_state=0).fit(X).dual_values_,
    "DualSampler.fit": lambda: dw.DualSampler("local", random_state=0).fit(X).sample(5),
    "independence_test": lambda: np.asarray(dw.independence_test(X, n_permutations=19, random_state=0).statistic),
}
first, before = {job: call() for job, call in jobs.items()}, X.tobytes()
for job, call in jobs.items():
    with open("/proc/self/statm") as file:
        resource.setrlimit(resource.RLIMIT_AS, (int(file.read().split()[0]) * resource.getpagesize() + 2**20, -1))
    try:
        call()
    except MemoryError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    assert X.tobytes() == before
    assert call().tobytes() == first[job].tobytes()
"""


def test_a_fit_that_cannot_have_its_memory_is_refused_before_any_work() -> None:
    environment = os.environ | peaks.ENVIRONMENT
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["DualDivergence.fit", "DualSampler.fit", "independence_test"]
    assert all(
        "MiB of address space beside X for this shape, and there is not as much (raise the limit" in line for line in lines
    )
