"""How many threads a call may use: the argument, then `threads_limit`, DUALWALK_NUM_THREADS, the processors of this process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from . import _checks

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")
Note = Callable[[float], None]


_here = threading.local()  # .limit; no ContextVar, which a free-threaded Python hands on to new threads


@contextlib.contextmanager
def threads_limit(n_threads: int) -> Iterator[None]:
    """Calls from this thread that are told no `n_threads` use so many: for callers that share the processors out themselves.

    >>> with threads_limit(3):
    ...     resolve_n_threads()
    3
    """
    before = getattr(_here, "limit", None)
    _here.limit = n_threads
    try:
        yield
    finally:
        _here.limit = before


def resolve_n_threads(n_threads: int | None = None) -> int:
    """The number of threads for one call; results never depend on it."""
    if n_threads is not None:
        return _checks.count(n_threads, "n_threads", minimum=1)
    limit: int | None = getattr(_here, "limit", None)
    if limit is not None:
        return limit
    setting = os.environ.get("DUALWALK_NUM_THREADS", "").strip()
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise ValueError(
                f"DUALWALK_NUM_THREADS must be a whole number of at least 1; got {setting!r} (unset it or pass 1, 2, ...)"
            )
        return int(setting)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def submit(pool: ThreadPoolExecutor, work: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """`pool.submit`; when the main thread is through, and nothing can be submitted any more, the work is done here and now.

    So atexit functions, and threads that go on after the main thread's end, compute as well as any.
    """
    try:
        return pool.submit(work, *arguments)
    except RuntimeError as error:
        if "interpreter shutdown" not in str(error):
            raise
    from concurrent.futures import Future

    done: Future[Result] = Future()
    done.set_result(work(*arguments))
    return done


def parallel_ranges(work: Callable[[int, int], Any], n_items: int, n_threads: int, *, grain: int = 1) -> None:
    """Call `work(start, stop)` on ranges that cover `n_items`, at least `grain` items each, on up to `n_threads` threads.

    For compiled functions that release the GIL. The threads live for this call only, so a fork can never lose them.
    """
    n_parts = max(1, min(n_threads, n_items // max(1, grain)))
    edges = [n_items * part // n_parts for part in range(n_parts + 1)]
    if n_parts == 1:
        work(0, n_items)
        return
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and only needed here

    with ThreadPoolExecutor(n_parts - 1, thread_name_prefix="dualwalk") as pool:
        others = [submit(pool, work, start, stop) for start, stop in pairwise(edges[1:])]
        work(edges[0], edges[1])
        for other in others:
            other.result()


def run_jobs(
    work: Callable[[int, Note], Result], n_jobs: int, n_threads: int, report: Callable[[float], None] | None = None
) -> list[Result]:
    """`[work(k, note) for k in range(n_jobs)]`, up to `n_threads` at a time, for long work in compiled code.

    A job calls `note(share done)` now and then; `note` raises where another job failed or the caller was interrupted.
    `report(mean share)` is called from the calling thread only, and may raise to stop everything.
    """
    shares = [0.0] * n_jobs
    stopped = threading.Event()
    alone = n_threads == 1 or n_jobs < 2

    def show() -> None:
        if report is not None:
            report(sum(shares) / max(1, n_jobs))

    def one(k: int) -> Result:
        def note(share: float) -> None:
            if stopped.is_set():
                raise InterruptedError("another job failed or the work was interrupted")
            shares[k] = share
            if alone:
                show()

        result = work(k, note)
        note(1.0)
        return result

    show()
    if alone:
        return [one(k) for k in range(n_jobs)]
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(min(n_threads, n_jobs), thread_name_prefix="dualwalk") as pool:
        running = [submit(pool, one, k) for k in range(n_jobs)]
        waiting = set(running)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                show()
        except BaseException:
            stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in running]
