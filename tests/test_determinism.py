"""The same seed gives the same bits: another process, other threads, another order of calls, other batches. Every random job.

`test_golden_draws.py` asks the same of other versions, backends and processors. The kernels' own tests have the large arrays:
`n_threads` in test_permute, test_objective, test_walk, test_anneal, test_relax_local, test_balance, test_node_*; chunks in
adapters/test_dask.
"""

from __future__ import annotations

import _thread
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_jobs

import dualwalk as dw
from dualwalk._threads import threads_limit

CHILD = """
import json, sys, warnings
import random_jobs
for name in reversed(random_jobs.JOBS):
    print(json.dumps([name, random_jobs.fingerprint(random_jobs.results(name))]), flush=True)
"""


@pytest.fixture(scope="module")
def here() -> dict[str, dict[str, np.ndarray]]:
    """What every job gives on one thread of this process."""
    with threads_limit(1):
        return {name: random_jobs.results_once(name) for name in random_jobs.JOBS}


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, str]:
    """Fingerprints from a new process: three threads, other hashes of strings, and the jobs in reverse order."""
    environment = os.environ | {"DUALWALK_NUM_THREADS": "3", "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, cwd=Path(__file__).parent, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", random_jobs.JOBS)
def test_another_process_with_other_threads_gives_the_same_bits(
    name: str, here: dict[str, dict[str, np.ndarray]], elsewhere: dict[str, str]
) -> None:
    assert random_jobs.fingerprint(here[name]) == elsewhere[name]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for every thread that Python code starts."""
    begun: list[int] = []
    start = _thread.start_new_thread

    def counted(*arguments: Any) -> int:
        begun.append(1)
        return start(*arguments)

    monkeypatch.setattr(_thread, "start_new_thread", counted)
    return begun


def _sampled(n_threads: int) -> list[np.ndarray]:
    with threads_limit(n_threads):
        sampler = dw.DualSampler("local", random_state=3).fit(random_jobs.FLAT)
        return [sampler.sample(6000), sampler.sample(6000, balanced=False)]


def _fitted(n_threads: int) -> list[np.ndarray]:
    model = dw.DualDivergence(cv=3, n_fits=1, random_state=3, n_threads=n_threads).fit(random_jobs.X)
    return [model.dual_values_, np.asarray(model.divergence_)]


def _permuted(n_threads: int) -> list[np.ndarray]:
    test = dw.independence_test(random_jobs.X, n_permutations=39, random_state=3, n_threads=n_threads)
    return [np.asarray([test.p_value, test.statistic, *test.p_values.values()])]


@pytest.mark.parametrize("job", [_sampled, _fitted, _permuted])
def test_threads_are_used_and_change_nothing(job: Any, started: list[int]) -> None:
    alone = job(1)
    assert not started
    for n_threads in (2, 5):
        assert [a.tobytes() for a in job(n_threads)] == [a.tobytes() for a in alone]
    assert started or job is _sampled  # whose threads are the compiled kernels' own


def test_rows_have_the_same_bits_alone_and_in_a_batch() -> None:
    divergence = dw.DualDivergence(cv=2, n_fits=1, random_state=4).fit(random_jobs.X)
    sampler = dw.DualSampler("local", random_state=4).fit(random_jobs.X)
    rows = random_jobs.OTHER
    jobs: dict[str, Any] = {
        "score_samples": divergence.score_samples,
        "predict": divergence.predict,
        "node_terms": divergence.node_terms,
        "normal scores": divergence.normal_scores_.transform,
        "explain": lambda x: sampler.explain(x).f_change,
        "interpolate": lambda x: sampler.interpolate(x, random_jobs.X[5]).frames,
    }
    for name, job in jobs.items():
        whole = np.asarray(job(rows))
        parts = np.concatenate([np.asarray(job(rows[start:stop])) for start, stop in ((0, 1), (1, 18), (18, 40))])
        assert parts.tobytes() == whole.tobytes(), name


def test_a_copy_is_the_same_whoever_stands_beside_it() -> None:
    few, many = (dw.permute_marginals(random_jobs.FLAT, n_copies=n, seed=5) for n in (2, 9))
    assert few.tobytes() == many[:2].tobytes()


def test_without_a_seed_nothing_repeats() -> None:
    """Else the tests above could not fail."""
    for draw in (
        lambda: dw.permute_marginals(random_jobs.FLAT),
        lambda: dw.DualSampler("local").fit(random_jobs.X).sample(5),
        lambda: dw.DualDivergence(cv=2, n_fits=1).fit(random_jobs.X).dual_values_,
    ):
        assert draw().tobytes() != draw().tobytes()
