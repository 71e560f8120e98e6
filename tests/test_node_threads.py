"""Node networks and threads: callers side by side, forks, Ctrl-C."""

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
from _nodes import some_data, some_weights

from dualwalk.backends import job
from dualwalk.backends._reference_nodes import StepPlan


def every_job(backend: str) -> list[np.ndarray]:
    """A few steps, a score and terms on four threads, whatever there are."""
    rng = np.random.default_rng(5)
    data = some_data(rng, 20, 120, np.float32)
    weights = some_weights(rng, "density", 1)[0].astype(np.float32)
    nodes = np.argsort(rng.random((15, 20)))[:, :16].astype(np.int32)
    rows = np.argsort(rng.random((15, 120)))[:, :100].astype(np.int32)
    batch = (np.ascontiguousarray(nodes), np.ascontiguousarray(rows), np.zeros((15, 16), np.uint8))
    state = (weights.copy(), np.zeros_like(weights), np.zeros_like(weights))
    job("train_density", backend)(*state, 0, data, *batch, StepPlan(np.full(15, 5e-3), 1e-2, 5.0), 4)
    grid = np.sort(rng.standard_normal((20, 30)), axis=1).astype(np.float32)
    terms = job("density_terms", backend)(state[0][None], data, grid, np.ones(1), 4)
    return [state[0], terms, np.asarray(job("score_density", backend)(state[0], data, 120, 4))]


@pytest.mark.parametrize("kind", ["density", "contrastive"])
def test_any_number_of_threads_gives_the_same_bits(backend: str, kind: str) -> None:
    """Steps, scores, terms and slopes with enough work for three threads."""
    rng = np.random.default_rng(6)
    n_nodes, n_rows, n_steps = (12, 100, 4) if backend == "reference" else (30, 300, 12)
    data = some_data(rng, n_nodes, n_rows, np.float32)
    weights = some_weights(rng, kind, 2).astype(np.float32)
    nodes = np.argsort(rng.random((n_steps, n_nodes)))[:, :10].astype(np.int32)
    rows = np.argsort(rng.random((n_steps, n_rows)))[:, :90].astype(np.int32)
    batch = (np.ascontiguousarray(nodes), np.ascontiguousarray(rows), rng.integers(0, 8, (n_steps, 10), np.uint8))
    plan, grid = (
        StepPlan(np.full(n_steps, 5e-3), 1e-2, 5.0),
        np.sort(rng.standard_normal((n_nodes, 40)), axis=1).astype(np.float32),
    )
    more: tuple[object, ...] = () if kind == "density" else (True,)

    def made(n_threads: int) -> list[np.ndarray]:
        state = (weights[0].copy(), np.zeros_like(weights[0]), np.zeros_like(weights[0]))
        job(f"train_{kind}", backend)(*state, 0, data, *batch, plan, n_threads)
        score = job(f"score_{kind}", backend)(weights[0], data, n_rows, *(() if kind == "density" else (plan,)), n_threads)
        terms = job(f"{kind}_terms", backend)(weights, data, grid, np.ones(1), *more, n_threads)
        slopes = job(f"{kind}_slopes", backend)(weights, data, grid, 1.0, *more, n_threads)
        return [*state, np.asarray(score), terms, *slopes]

    one = made(1)
    assert same(made(2), one)
    assert same(made(3), one)


def same(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_concurrent_callers_do_not_disturb_each_other(backend: str) -> None:
    expected, wrong = every_job(backend), []

    def call(number: int) -> None:
        for _ in range(3):
            if not same(every_job(backend), expected):
                wrong.append(number)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def run_in_child(backend: str, queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    queue.put(every_job(backend))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same(backend: str) -> None:
    expected = every_job(backend)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=run_in_child, args=(backend, queue))
    child.start()
    try:
        assert same(queue.get(timeout=60), expected)
    finally:
        child.join(10)
        child.kill()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_stops_training_within_a_second(backend: str, n_threads: int) -> None:
    program = textwrap.dedent(f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        import numpy as np
        from dualwalk.backends import job
        from dualwalk.backends._reference_nodes import StepPlan
        from dualwalk._nodepath.network import NodeData, initial_density
        rng = np.random.default_rng(0)
        child, context = rng.standard_normal((32, 96)), rng.standard_normal((32, 3, 96))
        data = NodeData(child, context, np.zeros((32, 2)), np.array([1, 2, 0, 0, 0], np.uint8))
        weights = initial_density(rng, 5, dtype=np.float64)
        def train(n_steps):
            nodes, rows = (np.tile(np.arange(n, dtype=np.int32), (n_steps, 1)) for n in (32, 96))
            plan = StepPlan(np.full(n_steps, 1e-5), 1e-2, 5.0)
            state = (weights.copy(), np.zeros_like(weights), np.zeros_like(weights))
            flips = np.zeros((n_steps, 32), np.uint8)
            job("train_density", "{backend}")(*state, 0, data, nodes, rows, flips, plan, {n_threads})
        train(2)  # compiled and warm
        print("training", flush=True)
        try:
            train(200_000)
        except KeyboardInterrupt:
            print("stopped", flush=True)
            sys.exit(7)
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "training\n"
        time.sleep(0.5)
        asked = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopped\n"
        assert time.monotonic() - asked < 1.0
        assert child.wait(30) == 7
    finally:
        child.kill()
        child.communicate()
