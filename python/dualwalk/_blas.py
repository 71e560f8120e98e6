"""One BLAS thread while our own threads work: more would fight over the processors, and round differently.

NumPy's wheels bring OpenBLAS, which starts a thread a processor for every small matrix product and waits for them in a loop.
On a busy machine a fit then takes many times as long. Only OpenBLAS is addressed; any other BLAS is left as it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_SYMBOLS = (
    "scipy_openblas_{}_num_threads64_",
    "openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads",
)
_lock = threading.Lock()
_inside = 0
_before = 0


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
    global _inside, _before
    control = _openblas()
    if control is None:
        yield
        return
    get, set_ = control
    with _lock:
        if _inside == 0:
            _before = get()
            set_(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                set_(_before)
