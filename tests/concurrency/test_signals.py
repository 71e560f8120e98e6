"""Signals and threads: what is sent to the process, or to a thread that computes, comes to the main thread; the pool gets none."""

from __future__ import annotations

import signal

import pytest

from dualwalk import backends

from .kit import expect_output

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals for threads")


@pytest.mark.skipif(backends.why_not("native") is not None, reason="needs the compiled kernels' threads")
def test_no_thread_of_the_pool_takes_a_signal() -> None:
    """A program that holds a signal back and waits for it finds it, though the pool's threads never heard of that."""
    expect_output(
        "SIGUSR1 True",
        """
import os, signal
from concurrency.kit import kernels
before = kernels("native", 4)
if os.path.isdir("/proc/self/task"):
    assert len(os.listdir("/proc/self/task")) == 4   # the pool has begun
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
for _ in range(50):
    os.kill(os.getpid(), signal.SIGUSR1)   # would end the process in a thread that does not hold it back
    found = signal.sigwait({signal.SIGUSR1})
print(found.name, kernels("native", 4) == before)
""",
        OPENBLAS_NUM_THREADS="1",  # its threads do take signals
    )


def test_ctrl_c_that_another_thread_gets(backend: str) -> None:
    """A thread is walking; the signal is sent to it. The main thread hears of it, the walks go on, to the same bits."""
    expect_output(
        "heard True",
        """
import os, signal, sys, threading, time
import numpy as np
import dualwalk as dw
from concurrency.kit import network
backend = sys.argv[1]
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).standard_normal((64, 24))
def walk():
    n_steps = 300 if backend == "reference" else 20_000
    return dw.walk(network(), x, n_steps=n_steps, step_size=1e-3, seed=1, backend=backend, n_threads=2).x.tobytes()
expected, found, heard = walk(), [], False
def work():
    while not heard:
        found.append(walk())
thread = threading.Thread(target=work)
try:
    thread.start()
    time.sleep(0.02)
    signal.pthread_kill(thread.ident, signal.SIGINT)
    while True:
        time.sleep(0.01)
except KeyboardInterrupt:
    heard = True
    print("heard", end=" ")
thread.join()
print(set(found) == {expected})
""",
        backend,
    )
