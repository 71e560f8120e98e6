"""Ctrl-C at each place, one after the other, of the code that changes something for the time of a block, or for good."""

from __future__ import annotations

import contextlib
import pathlib
import time
from pathlib import Path

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import _atomic, _blas, _estimator, _threads, estimator, normal_scores, sampler
from dualwalk._sampler import training
from dualwalk._threads import parallel_ranges, resolve_n_threads, threads_limit

from .kit import series
from .places import every_interruption

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_blas_has_its_threads_back() -> None:
    control = _blas._openblas()
    if control is None:
        pytest.skip("NumPy here does not bring OpenBLAS")
    before, places = control[0](), 0

    @_blas.one_blas_thread()
    def nested() -> None:
        with _blas.one_blas_thread():
            pass

    for places in every_interruption(nested, _blas.__file__, contextlib.__file__):
        assert not _blas._blocks, places
        assert control[0]() == before, places
    assert places > 20


def test_a_limit_of_threads_ends() -> None:
    def limited() -> None:
        with threads_limit(3):
            resolve_n_threads()

    before, places = resolve_n_threads(), 0
    for places in every_interruption(limited, _threads.__file__, contextlib.__file__):
        assert resolve_n_threads() == before, places
    assert places > 5


def test_no_thread_is_left_at_work() -> None:
    """Ctrl-C while threads are begun, at work, or waited for: when it comes out, all of them are through."""
    at_work, places = set(), 0

    def work(start: int, stop: int) -> None:
        at_work.add(start)
        time.sleep(0.003)
        at_work.discard(start)

    for places in every_interruption(lambda: parallel_ranges(work, 6, 3), _threads.__file__):
        assert not at_work, places
        assert places < 500
    assert places > 20


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path, places = tmp_path / "file", 0
    path.write_bytes(b"old")

    def write() -> None:
        with _atomic.atomic(path) as stream:
            stream.write(b"new")

    for places in every_interruption(write, _atomic.__file__, pathlib.__file__):
        assert path.read_bytes() in (b"old", b"new")
        assert [one.name for one in tmp_path.iterdir()] == ["file"], places
        path.write_bytes(b"old")
    assert places > 30
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("kind", "last"), [("NormalScores", "tied_"), ("DualSampler", "criteria_"), ("DualDivergence", "labels_")]
)
def test_a_fit_learns_all_or_nothing(kind: str, last: str) -> None:
    """Of an estimator that knows one data set, interrupted while it learns another, of another shape; `last` is what it sets last."""
    made = {
        "NormalScores": dw.NormalScores(),
        "DualSampler": dw.DualSampler(walk="local", random_state=0),
        "DualDivergence": dw.DualDivergence(cv=2, n_fits=1, blocks=np.arange(6) // 3, random_state=0),
    }[kind]
    labels = (np.arange(50) % 2,) if kind == "DualSampler" else ()
    made.fit(series(0), *labels)
    before, places = dict(vars(made)), 0
    other = series(1).reshape(50, 6)
    files = [str(module.__file__) for module in (_estimator, estimator, sampler, training, normal_scores)]
    for places in every_interruption(lambda: made.fit(other), *files, step=1 if kind == "NormalScores" else 5):
        if vars(made)[last] is not before[last]:  # it was just done
            assert made.feature_shape_ == (6,)
            continue
        assert vars(made).keys() == before.keys(), places
        assert all(vars(made)[name] is value for name, value in before.items()), places
    assert places > 10
    assert made.feature_shape_ == (6,)


def test_a_fit_that_fails_changes_nothing() -> None:
    """No Ctrl-C: an error after the rows were taken."""

    def fail(*_: object) -> None:
        raise MemoryError

    fitted = dw.DualSampler(random_state=0).fit(series(0))
    alone = fitted.sample(5, seed=1)
    with pytest.raises(MemoryError):
        fitted.fit(series(1, 60), progress=fail)
    assert fitted.X_.shape == (50, 2, 3)
    np.testing.assert_array_equal(fitted.sample(5, seed=1), alone)
