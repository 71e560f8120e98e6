"""Threads: forks, concurrent callers, Ctrl-C, and where the number of threads comes from."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import backends
from dualwalk._threads import parallel_ranges, resolve_n_threads, threads_limit

X = np.random.default_rng(0).standard_normal((300, 600)).astype(np.float32)
DUAL = dw.MLPDual([np.eye(64, 600), np.ones((1, 64))], [np.zeros(64), np.zeros(1)])


def every_kernel(backend: str) -> list[np.ndarray]:
    f = X.ravel()
    return [
        dw.permute_marginals(X, n_copies=2, seed=1, n_threads=4, backend=backend),
        np.asarray(dw.log_mean_exp(f, n_threads=4, backend=backend)),
        dw.walk(DUAL, X, n_steps=3, step_size=0.1, noise=1.0, seed=1, n_threads=4, backend=backend).x,
    ]


def run_in_child(backend: str, queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    queue.put([float(a.astype(np.float64).sum()) for a in every_kernel(backend)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same(backend: str) -> None:
    expected = [float(a.astype(np.float64).sum()) for a in every_kernel(backend)]  # the parent's threads run now
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=run_in_child, args=(backend, queue))
    child.start()
    try:
        assert queue.get(timeout=60) == expected
    finally:
        child.join(10)
        child.kill()
    assert [float(a.astype(np.float64).sum()) for a in every_kernel(backend)] == expected


@pytest.mark.skipif(backends.why_not("native") is not None, reason="needs the compiled kernels")
def test_short_calls_stay_on_one_thread() -> None:
    from dualwalk import _core

    assert _core.threads_for(0.0, 8) == _core.threads_for(4e6, 8) == 1
    counts = [_core.threads_for(work, 8) for work in np.geomspace(1e5, 1e12, 500)]
    assert counts == sorted(counts)
    assert set(counts) == set(range(1, 9))
    assert _core.threads_for(1e300, 1) == 1


def test_concurrent_callers_do_not_disturb_each_other(backend: str) -> None:
    expected = every_kernel(backend)
    wrong: list[int] = []

    def call(number: int) -> None:
        for _ in range(3):
            if not all(np.array_equal(a, b) for a, b in zip(every_kernel(backend), expected, strict=True)):
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", ["mlp", "local", "own"])
def test_ctrl_c_stops_a_walk_within_a_second(backend: str, kind: str) -> None:
    if kind == "own" and backend != "reference":
        pytest.skip("the loop over anyone's dual is the reference's on every backend")
    program = textwrap.dedent(f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        import numpy as np, dualwalk as dw
        rng = np.random.default_rng(0)
        x = rng.standard_normal((64, 200))
        mlp = dw.MLPDual([rng.standard_normal((64, 200)) / 20, np.ones((1, 64)) / 9], [np.zeros(64), np.zeros(1)])
        class Own:
            def value_and_gradient(self, x):
                return mlp.value_and_gradient(x)
        dual = {{"mlp": mlp, "local": dw.LocalDual(x, np.arange(20), shrinkage=0.5), "own": Own()}}["{kind}"]
        options = dict(step_size=1e-9, backend="{backend}", n_threads=2)
        dw.walk(dual, x, n_steps=2, **options)  # compiled and warm
        print("walking", flush=True)
        try:
            dw.walk(dual, x, n_steps=2**31, **options)
        except KeyboardInterrupt:
            print("stopped", flush=True)
            sys.exit(7)
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "walking\n"
        time.sleep(0.5)
        asked = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopped\n"
        assert time.monotonic() - asked < 1.0
        assert child.wait(30) == 7
    finally:
        child.kill()
        child.communicate()


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALWALK_NUM_THREADS", "3")
    assert resolve_n_threads() == 3
    assert resolve_n_threads(5) == 5
    monkeypatch.setenv("DUALWALK_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="DUALWALK_NUM_THREADS must be a whole number of at least 1; got 'many'"):
        resolve_n_threads()
    monkeypatch.delenv("DUALWALK_NUM_THREADS")
    expected = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert resolve_n_threads() == expected
    with pytest.raises(TypeError, match="n_threads must be a whole number"):
        resolve_n_threads(2.5)  # type: ignore[arg-type]


def test_parallel_ranges_cover_everything_once_and_pass_errors_on() -> None:
    seen: list[int] = []
    parallel_ranges(lambda start, stop: seen.extend(range(start, stop)), 1000, 7, grain=10)
    assert sorted(seen) == list(range(1000))

    def fail(start: int, stop: int) -> None:
        if stop == 1000:
            raise RuntimeError("the last part")

    with pytest.raises(RuntimeError, match="the last part"):
        parallel_ranges(fail, 1000, 3)


def test_the_environment_chooses_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALWALK_BACKEND", "reference")
    assert backends.choose() == "reference"
    monkeypatch.setenv("DUALWALK_BACKEND", "fortran")
    with pytest.raises(ValueError, match="DUALWALK_BACKEND must be one of 'native', 'numba', 'reference'; got 'fortran'"):
        backends.choose()


def test_a_limit_holds_for_its_block_and_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALWALK_NUM_THREADS", "7")
    seen = []
    with threads_limit(2):
        other = threading.Thread(target=lambda: seen.append(resolve_n_threads()))
        other.start()
        other.join()
        with threads_limit(3):
            assert resolve_n_threads() == 3
        assert (resolve_n_threads(), resolve_n_threads(5)) == (2, 5)
    assert (seen, resolve_n_threads()) == ([7], 7)
