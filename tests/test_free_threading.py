"""Many threads at once, with the GIL and without it: each gets the bits that it would get alone.

This earns the modules' mod_gil_not_used: on a free-threaded Python nothing else keeps the threads apart.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import _blas

N_THREADS = 8
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def together(work: Callable[[int], Any], n_threads: int = N_THREADS) -> list[Any]:
    """[work(0), work(1), ...], each in a thread of its own, all of which begin at the same moment and take short turns."""
    start = threading.Barrier(n_threads)

    def run(k: int) -> Any:
        start.wait(60)
        return work(k)

    turn = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)  # with the GIL: a thousand times as often as usual
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(run, range(n_threads)))
    finally:
        sys.setswitchinterval(turn)


def same(first: Any, second: Any) -> bool:
    """Whether two results (arrays, numbers, or tuples of them) have the same bits."""
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return np.asarray(first).tobytes() == np.asarray(second).tobytes()


def assert_as_alone(work: Callable[[int], Any], n_threads: int = N_THREADS) -> None:
    alone = [work(k) for k in range(n_threads)]
    for k, result in enumerate(together(work, n_threads)):
        assert same(result, alone[k]), f"thread {k} got other bits than alone"


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def mlp(seed: int, d: int = 24) -> dw.MLPDual:
    weights = [numbers(seed, 16, d) / np.sqrt(d), numbers(seed + 1, 1, 16)]
    return dw.MLPDual(weights, [np.zeros(16), np.zeros(1)])


@pytest.mark.parametrize("shared", [True, False])
def test_kernels(backend: str, shared: bool) -> None:
    arguments: dict[str, Any] = {"backend": backend, "n_threads": 2}
    rows = 20 if backend == "reference" else 400
    inputs = [numbers(0 if shared else k, rows, 24).astype(np.float32) for k in range(N_THREADS)]
    inputs = [inputs[0]] * N_THREADS if shared else inputs
    duals = [mlp(0)] * N_THREADS if shared else [mlp(k) for k in range(N_THREADS)]

    def work(k: int) -> tuple[Any, ...]:
        x, results = inputs[k], []
        for turn in range(3):
            seed = turn if shared else 10 * k + turn
            results.append(dw.permute_marginals(x, n_copies=3, seed=seed, **arguments))
            results += dw.log_mean_exp(x, axis=0, return_gradient=True, **arguments)
            results.append(dw.donsker_varadhan(x[:, 0], x[:, 1], **arguments).value)
            results.append(dw.walk(duals[k], x, n_steps=5, step_size=0.1, noise=0.1, seed=seed, **arguments).x)
        return tuple(results)

    assert_as_alone(work)


def test_long_jobs_share_the_pool() -> None:
    x = numbers(1, 4000, 64)
    assert_as_alone(lambda k: dw.permute_marginals(x, n_copies=8, seed=k, n_threads=4), 4)
    assert_as_alone(lambda k: dw.walk(mlp(k, 64), x, n_steps=20, step_size=0.1, seed=k, n_threads=4).x, 4)


def test_duals_that_come_and_go() -> None:
    """What is packed for a dual is kept while the dual lives; here they live for one call, and addresses come back."""
    x = numbers(2, 3, 24)

    def work(k: int) -> tuple[Any, ...]:
        return tuple(dw.walk(mlp(100 * k + turn), x, n_steps=2, step_size=0.1, seed=0).x for turn in range(40))

    assert_as_alone(work)


def test_the_level_is_chosen_while_others_work() -> None:
    core = pytest.importorskip("dualwalk._core")
    f, level = numbers(3, 50_000), core.level()
    expected = dw.log_mean_exp(f, backend="native")

    def work(k: int) -> bool:
        if k == 0:
            for _ in range(2000):
                core.select_level(level)
            return True
        return all(same(dw.log_mean_exp(f, backend="native", n_threads=2), expected) for _ in range(50))

    assert all(together(work))


def test_blas_threads_come_back() -> None:
    control = _blas._openblas()
    before = control[0]() if control else None

    def work(_: int) -> int | None:
        for _turn in range(200):
            with _blas.one_blas_thread():
                inside = control[0]() if control else None
        return inside

    assert together(work) == [1 if control else None] * N_THREADS
    assert (control[0]() if control else None) == before


def series(seed: int, n: int = 60) -> np.ndarray:
    return numbers(seed, n, 2, 6).cumsum(axis=2)


def test_estimators_of_their_own() -> None:
    def work(k: int) -> tuple[Any, ...]:
        X = series(k)
        divergence = dw.DualDivergence(cv=2, n_fits=1, random_state=k, n_threads=2).fit(X)
        new = dw.DualSampler(walk="local", random_state=k).fit(X).sample(20)
        return divergence.divergence_, divergence.dual_values_, divergence.score_samples(X), new

    assert_as_alone(work, 4)


def test_one_fitted_estimator_for_all() -> None:
    """What a fitted estimator works out at its first use may be worked out by several threads at once."""
    X = series(0)

    def fitted() -> tuple[dw.DualDivergence, dw.DualSampler, dw.NormalScores]:
        divergence = dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
        return divergence, dw.DualSampler(walk="local", random_state=0).fit(X), dw.NormalScores().fit(X.reshape(60, -1))

    def work(estimators: tuple[dw.DualDivergence, dw.DualSampler, dw.NormalScores], k: int) -> tuple[Any, ...]:
        divergence, sampler, scores = estimators
        new, info = sampler.sample(12, seed=k, return_info=True)
        hidden = series(k, 5)
        hidden[:, :, 4:] = np.nan
        filled = sampler.impute(hidden, seed=k)
        return (
            *(divergence.score_samples(series(k)), divergence.predict(series(k)), divergence.node_terms(X[:9])),
            *(new, info.f, info.novelty, filled, scores.transform(series(k).reshape(60, -1))),
        )

    first, second = fitted(), fitted()  # the second meets all threads before anything was worked out
    alone = [work(first, k) for k in range(N_THREADS)]
    for k, result in enumerate(together(lambda k: work(second, k))):
        assert same(result, alone[k]), f"thread {k} got other bits than alone"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_first_use_by_many_threads() -> None:
    program = """
import threading, sys
sys.setswitchinterval(1e-6)
import dualwalk as dw
start, found = threading.Barrier(8), []
def work(k):
    start.wait(60)
    found.append((dw.DualSampler.__name__, float(dw.log_mean_exp([0.0, 0.0])), dw.permute_marginals([[1.0]], seed=k).shape))
threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(found == [("DualSampler", 0.0, (1, 1))] * 8)
"""
    assert run(program) == "True"


@pytest.mark.skipif(not FREE_THREADED, reason="needs a free-threaded Python, as 3.14t")
def test_the_gil_stays_off() -> None:
    """Not only a promise: a module without the flag would switch the GIL on, with a warning (here an error)."""
    program = """
import sys, importlib.util
import dualwalk as dw
for name in dw.__all__:
    getattr(dw, name)
dw.show_config()
print(sys._is_gil_enabled(), "dualwalk._core" in sys.modules)
"""
    assert run(program).splitlines()[-1] == "False True"
