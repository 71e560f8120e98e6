"""One BLAS thread while our own threads work: more would fight over the processors, and round differently.

NumPy's wheels bring OpenBLAS, which starts a thread a processor for every small matrix product and waits for them in a loop.
On a busy machine a fit then takes many times as long. Only OpenBLAS is addressed; any other BLAS is left as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ._forks import wait_at_fork

_SYMBOLS = (
    "scipy_openblas_{}_num_threads64_",
    "openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads",
)
_lock = wait_at_fork(threading.RLock())
_blocks: dict[object, int] = {}  # those that threads are in, and their threads
_before = 0  # threads when the first of them was entered


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """(get, set) of the number of threads of the OpenBLAS that NumPy loaded; None if there is none to be found."""
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".libs", package / ".dylibs")
    for path in (file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*openblas*"))):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for symbol in _SYMBOLS:
            if hasattr(library, symbol.format("set")):
                return getattr(library, symbol.format("get")), getattr(library, symbol.format("set"))
    return None


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy's matrix products run on one thread inside this block; the number before is restored when the last block ends.

    >>> with one_blas_thread():
    ...     product = np.ones((3, 3)) @ np.ones((3, 3))
    """
    control = _openblas()
    if control is None:
        yield
        return
    block = object()
    try:
        _enter(block, *control)
        yield
    finally:
        try:
            _leave(block, control[1])
        except BaseException:  # Ctrl-C in the middle of it: once more, or there would be one thread for ever
            _leave(block, control[1])
            raise


def _enter(block: object, get: Callable[[], int], set_: Callable[[int], Any]) -> None:
    global _before
    with _lock:
        if not _blocks:
            _before = get()
        _blocks[block] = threading.get_ident()
        set_(1)


def _leave(block: object, set_: Callable[[int], Any]) -> None:
    with _lock:
        if list(_blocks) == [block]:
            set_(_before)
        _blocks.pop(block, None)


def _leave_what_others_are_in() -> None:
    """In a forked child, which does not have those threads."""
    control = _openblas()
    if control is None:
        return
    for block, thread in list(_blocks.items()):
        if thread != threading.get_ident():
            _leave(block, control[1])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_what_others_are_in)
