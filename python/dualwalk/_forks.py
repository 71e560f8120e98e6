"""Forks while other threads are at work: the child must not wait for what it has lost.

A forked child has one thread. A lock that another thread held stays locked in it for ever, and so does a module that another
thread was importing. So a fork first waits until nobody holds the one or is at the other.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from threading import get_ident
from types import ModuleType
from typing import Protocol, TypeVar

LONGEST_WAIT = (
    30.0  # seconds that a fork waits for imports: for ever would be a deadlock where one of them waits for the forking thread
)


class _Lock(Protocol):
    def acquire(self) -> object: ...
    def release(self) -> object: ...


AnyLock = TypeVar("AnyLock", bound=_Lock)

_loads: dict[object, int] = {}  # the imports under way, and their threads


def wait_at_fork(lock: AnyLock) -> AnyLock:
    """`lock`, which a fork waits for from now on; one that a thread can take twice, since a signal handler may fork."""

    def release() -> None:
        with contextlib.suppress(RuntimeError):  # not taken: a fork was under way while this was set up
            lock.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=release, after_in_child=release)
    return lock


def load(name: str, package: str) -> ModuleType:
    """`importlib.import_module`, which a fork waits for."""
    one = object()
    try:
        _loads[one] = get_ident()
        return importlib.import_module(name, package)
    finally:
        _loads.pop(one, None)


def _wait_for_loads() -> None:
    end = time.monotonic() + LONGEST_WAIT
    while any(thread != get_ident() for thread in list(_loads.values())) and time.monotonic() < end:
        time.sleep(0.001)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_loads, after_in_child=_loads.clear)
