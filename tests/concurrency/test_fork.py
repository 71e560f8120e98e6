"""Forks, and processes that start afresh: after use, while other threads compute, and out of the middle of a job."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from dualwalk import backends

from .kit import expect_output, kernels, small_fits, uses

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

# A child may take a minute, then it tells where it hangs.
FORK = """
import faulthandler, os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and newer warn of forks among threads: they are meant here
def child_is_well(work):
    pid = os.fork()
    if pid == 0:
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(60)
        os._exit(0 if work() else 3)
    return os.waitpid(pid, 0)[1] == 0
"""


def in_child(backend: str, estimators: tuple) -> list[bytes]:  # type: ignore[type-arg]
    return kernels(backend, 3, 40) + uses(*estimators)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_after_use(method: str) -> None:
    """Two workers of every kind, with estimators that the parent fitted: its bits."""
    estimators = small_fits()
    names = [name for name in ("native", "reference") if backends.why_not(name) is None]
    expected = [in_child(name, estimators) for name in names]
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = [pool.apply_async(in_child, (name, estimators)) for name in names]
        assert [one.get(120) for one in found] == expected
    assert [in_child(name, estimators) for name in names] == expected


@needs_fork
def test_forks_while_other_threads_compute(backend: str) -> None:
    """Threads are in kernels, in a fit and in a draw at every one of 30 forks (a child of a child among them)."""
    expect_output(
        "True",
        FORK
        + """
from concurrency.kit import kernels, small_fits, uses
import dualwalk as dw
backend, over = sys.argv[1], threading.Event()
rows = 40 if backend == "reference" else 400
fitted = small_fits()
def work():
    return kernels(backend, 3, rows) + uses(*fitted)
expected = work()
def keep_on(job):
    while not over.is_set():
        job()
jobs = [lambda: kernels(backend, 2, rows)] * 4 + [small_fits] * 2 + [lambda: uses(*small_fits())] * 2
threads = [threading.Thread(target=keep_on, args=(job,)) for job in jobs]
[thread.start() for thread in threads]
def same():
    return work() == expected
well = []
for k in range(30 if backend == "native" else 5):
    time.sleep(0.003 * (k % 5))
    well.append(child_is_well((lambda: child_is_well(same)) if k % 5 == 4 else same))
over.set()
[thread.join() for thread in threads]
print(all(well) and same())
""",
        backend,
        DUALWALK_BACKEND=backend,
    )


@needs_fork
@pytest.mark.parametrize("late", ["names", "compile", "attribute", "blas"])
def test_forks_while_another_thread_holds_what_the_child_needs(late: str, tmp_path: object) -> None:
    """Another thread is importing, compiling with Numba, computing an attribute, or in a block of one BLAS thread."""
    if late == "compile" and backends.why_not("numba") is not None:
        pytest.skip("needs Numba")
    expect_output(
        "True",
        FORK
        + """
import dualwalk as dw
from dualwalk import backends
late = sys.argv[1]
ready = threading.Event()
if late == "names":
    def work():
        ready.set()
        return all(getattr(dw, name) for name in dw.__all__)
elif late == "compile":
    import numpy as np
    expected = backends.job("draw_integers", "reference")(1, 2, 3, 4, np.array([9], np.uint32))
    backends.job("philox", "numba")(np.arange(4, dtype=np.uint32), 1)  # what Numba imports late is no matter of ours
    def work():
        ready.set()
        return backends.job("draw_integers", "numba")(1, 2, 3, 4, np.array([9], np.uint32)) == expected
elif late == "attribute":
    from dualwalk._lazy import cached_property
    class Slow:
        @cached_property
        def value(self):
            ready.set()
            time.sleep(0.5)
            return True
    def work():
        return Slow().value
else:
    from dualwalk import _blas
    control = _blas._openblas() or (lambda: 1, lambda n: None)
    control[1](2)
    before = control[0]()
    def work():
        if threading.current_thread() is not threading.main_thread():
            with _blas.one_blas_thread():
                ready.set()
                time.sleep(0.5)
        else:
            with _blas.one_blas_thread():
                inside = control[0]()
            return (inside, control[0]()) == (1, before)
thread = threading.Thread(target=work)
thread.start()
ready.wait()
time.sleep(0.01)
well = [child_is_well(work) for _ in range(3)]
thread.join()
print(all(well) and bool(work()))
""",
        late,
        NUMBA_CACHE_DIR=str(tmp_path),
    )


@needs_fork
@pytest.mark.skipif(backends.why_not("native") is not None, reason="the other backends have no signals looked for in a job")
@pytest.mark.parametrize("job", ["walk", "train"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_signal_handler_forks_in_the_middle_of_a_job(job: str, n_threads: int) -> None:
    """The child lacks the threads that were at the job: it gets an error at once, and computes afterwards. The parent goes on."""
    expect_output(
        "child: a signal handler forked this process\nchild True\nparent True",
        FORK
        + """
import numpy as np
import dualwalk as dw
from concurrency.kit import kernels, network
job, n_threads = sys.argv[1], int(sys.argv[2])
before = kernels("native", 2)
children = []
def handler(*_):
    if not children:
        children.append(os.fork())
signal.signal(signal.SIGALRM, handler)
x = np.random.default_rng(0).standard_normal((64, 24))
def walk(n_steps):
    return dw.walk(network(), x, n_steps=n_steps, step_size=1e-4, backend="native", n_threads=n_threads).x
def train(n_steps):
    from dualwalk._nodepath.network import NodeData, initial_density
    from dualwalk.backends import job
    from dualwalk.backends._reference_nodes import StepPlan
    rng = np.random.default_rng(0)
    child, context = rng.standard_normal((32, 96)), rng.standard_normal((32, 3, 96))
    data = NodeData(child, context, np.zeros((32, 2)), np.array([1, 2, 0, 0, 0], np.uint8))
    weights = initial_density(rng, 5, dtype=np.float64)
    nodes, rows = (np.tile(np.arange(n, dtype=np.int32), (n_steps, 1)) for n in (32, 96))
    state = (weights, np.zeros_like(weights), np.zeros_like(weights))
    plan = StepPlan(np.full(n_steps, 1e-5), 1e-2, 5.0)
    job("train_density", "native")(*state, 0, data, nodes, rows, np.zeros((n_steps, 32), np.uint8), plan, n_threads)
    return weights
run, n_steps = {"walk": (walk, 100_000), "train": (train, 1500)}[job]
alone = run(n_steps).tobytes()
signal.setitimer(signal.ITIMER_REAL, 0.06)
try:
    found = run(n_steps).tobytes()
except RuntimeError as error:
    print("child:", str(error).split(" in the")[0])
    print("child", kernels("native", 2) == before, flush=True)
    os._exit(0)
well = os.waitpid(children[0], 0)[1] == 0
print("parent", well and found == alone and kernels("native", 2) == before)
""",
        job,
        n_threads,
    )
