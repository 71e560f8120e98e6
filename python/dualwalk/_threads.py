"""How many threads a call may use: the argument, then `threads_limit`, DUALWALK_NUM_THREADS, the processors of this process."""

from __future__ import annotations

import _thread
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from . import _checks

Result = TypeVar("Result")
Note = Callable[[float], None]

_MOST_THREADS = 4096  # no processor has more, and a number beyond what C calls an int would be one of no threads


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
        return min(_checks.count(n_threads, "n_threads", minimum=1), _MOST_THREADS)
    limit: int | None = getattr(_here, "limit", None)
    if limit is not None:
        return limit
    setting = os.environ.get("DUALWALK_NUM_THREADS", "").strip()
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise ValueError(
                f"DUALWALK_NUM_THREADS must be a whole number of at least 1; got {setting!r} (unset it or pass 1, 2, ...)"
            )
        return min(int(setting), _MOST_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def parallel_ranges(work: Callable[[int, int], Any], n_items: int, n_threads: int, *, grain: int = 1) -> None:
    """Call `work(start, stop)` on ranges that cover `n_items`, at least `grain` items each, on up to `n_threads` threads.

    For compiled functions that release the GIL. The threads live for this call only, so a fork can never lose them.
    """
    n_parts = max(1, min(n_threads, n_items // max(1, grain)))
    edges = [n_items * part // n_parts for part in range(n_parts + 1)]
    _share(lambda part: work(edges[part], edges[part + 1]), n_parts, n_parts)


def run_jobs(
    work: Callable[[int, Note], Result], n_jobs: int, n_threads: int, report: Callable[[float], None] | None = None
) -> list[Result]:
    """`[work(k, note) for k in range(n_jobs)]`, up to `n_threads` at a time, for long work in compiled code.

    A job calls `note(share done)` now and then; `note` raises where another job failed or the caller was interrupted.
    `report(mean share)` is called from the calling thread only, and may raise to stop everything.
    """
    shares = [0.0] * n_jobs
    results: dict[int, Result] = {}
    stopped, caller = False, threading.get_ident()

    def show() -> None:
        if report is not None:
            report(sum(shares) / max(1, n_jobs))

    def note(k: int, share: float) -> None:
        if stopped:
            raise InterruptedError("another job failed or the work was interrupted")
        shares[k] = share
        if threading.get_ident() == caller:
            show()

    def one(k: int) -> None:
        results[k] = work(k, lambda share: note(k, share))
        note(k, 1.0)

    def stop() -> None:
        nonlocal stopped
        stopped = True

    show()
    _share(one, n_jobs, n_threads, while_waiting=show, stop=stop)
    if min(n_threads, n_jobs) > 1:
        show()  # another thread's end may not have been seen
    return [results[k] for k in range(n_jobs)]


def _nothing() -> None:
    pass


def _share(
    work: Callable[[int], Any],
    n_tasks: int,
    n_threads: int,
    *,
    while_waiting: Callable[[], None] = _nothing,
    stop: Callable[[], None] = _nothing,
) -> None:
    """Call `work(k)` for every k below `n_tasks`, in the calling thread and up to `n_threads - 1` others; raise the first error.

    `while_waiting` is called ten times a second once the caller has nothing left to do, `stop` at an error.

    The caller waits for threads that are at work, never for one to come: what the system refuses, or what dies for want of memory
    before it has a task, is not missed, and results never depend on it. `threading.Thread.start`, and with it the pools of the
    standard library, would wait for such a thread for ever. To begin, a thread must get through its own door, which the caller
    shuts in the end and never opens again; a second look at a door that is shut (after Ctrl-C) does no harm, since it is an RLock.
    """
    tasks: deque[int] = deque(range(n_tasks))
    first_error: BaseException | None = None
    doors = [threading.RLock() for _ in range(min(n_threads, n_tasks) - 1)]

    def take_tasks() -> None:
        nonlocal first_error
        try:
            while True:
                try:
                    task = tasks.popleft()
                except IndexError:
                    return
                work(task)
        except BaseException as error:  # noqa: BLE001  the caller raises it
            tasks.clear()
            first_error = error if first_error is None else first_error
            stop()

    def help_out(enter: Callable[[bool], bool], leave: Callable[[], None]) -> None:
        if enter(False):
            try:
                take_tasks()
            finally:
                leave()

    def shut_doors(meanwhile: Callable[[], None]) -> None:
        for door in doors:
            while not door.acquire(timeout=0.1):
                meanwhile()

    try:
        for door in doors:  # in here, or Ctrl-C would leave those behind that have begun
            try:
                _thread.start_new_thread(help_out, (door.acquire, door.release))
            except (RuntimeError, MemoryError):
                break
        take_tasks()
        shut_doors(while_waiting)
    except BaseException:
        tasks.clear()
        stop()
        shut_doors(_nothing)
        raise
    try:
        if first_error is not None:
            raise first_error
    finally:
        first_error = None  # it holds this frame, and so all that the work holds
