"""32 Python threads at once on the kernels and on one estimator: each gets the bits that it would get alone."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import dualwalk as dw
from dualwalk._threads import resolve_n_threads, threads_limit

from .kit import N_TOGETHER, kernels, series, small_fits, together, uses


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_kernels(backend: str, n_threads: int) -> None:
    rows = 40 if backend == "reference" else 400
    alone = kernels(backend, n_threads, rows)
    rounds = 1 if backend == "reference" else 5
    for found in together(lambda _: [kernels(backend, n_threads, rows) for _ in range(rounds)]):
        assert found == [alone] * rounds


def test_one_estimator_that_another_thread_fitted() -> None:
    """What it works out at its first use is worked out by 32 threads at once; half of them ask for one thing, half for another."""
    known = small_fits()
    alone = {seed: uses(*known, seed) for seed in (5, 6)}
    [fitted] = together(lambda _: small_fits(), 1)
    for k, found in enumerate(together(lambda k: uses(*fitted, 5 + k % 2))):
        assert found == alone[5 + k % 2], f"thread {k} got other bits than alone"


def test_copies_and_files_of_one_estimator_in_use(tmp_path: Path) -> None:
    """While some threads use it, others copy it, pickle it and save it, all to one file: every copy says the same."""
    divergence, sampler = small_fits()
    alone = uses(divergence, sampler)
    fresh = small_fits()

    def work(k: int) -> list[bytes]:
        if k % 4 == 0:
            return uses(*copy.deepcopy(fresh))
        if k % 4 == 1:
            return uses(*pickle.loads(pickle.dumps(fresh)))
        if k % 4 == 2:
            for name, estimator in zip(("d", "s"), fresh, strict=True):
                estimator.save(tmp_path / f"{name}.npz")
            return uses(dw.load(tmp_path / "d.npz"), dw.load(tmp_path / "s.npz"))
        return uses(*fresh)

    assert all(found == alone for found in together(work))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.npz", "s.npz"]


def test_fits_beside_each_other() -> None:
    """An estimator a thread, fitted to what is the thread's own; sixteen of them on two data sets."""

    def work(k: int) -> list[bytes]:
        X = series(k % 2)
        divergence = dw.DualDivergence(cv=2, n_fits=1, random_state=0, n_threads=2).fit(X)
        return uses(divergence, dw.DualSampler(walk="local", random_state=0).fit(X))

    alone = [work(0), work(1)]
    assert all(found == alone[k % 2] for k, found in enumerate(together(work, 16)))


def test_a_limit_of_threads_is_a_threads_own() -> None:
    def work(k: int) -> list[int]:
        seen = []
        for turn in range(100):
            with threads_limit(1 + (k + turn) % 7):
                seen.append(resolve_n_threads() - 1 - (k + turn) % 7)
        return seen

    assert together(work) == [[0] * 100] * N_TOGETHER


def test_one_generator_for_all() -> None:
    """Every call takes one whole number from it, and NumPy lets one thread at a time: the results of one after the other, in
    whatever order they came."""
    x = series(0, 8).reshape(8, -1)

    def drawn(generator: np.random.Generator) -> list[bytes]:
        return together(lambda _: dw.permute_marginals(x, seed=generator).tobytes())

    in_turn = np.random.default_rng(4)
    expected = [dw.permute_marginals(x, seed=in_turn).tobytes() for _ in range(N_TOGETHER)]
    assert sorted(drawn(np.random.default_rng(4))) == sorted(expected)
    assert len(set(expected)) == N_TOGETHER
