"""How much memory an input may take."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_EVERY = 32 if "atheris" in sys.modules else 1  # counting slows all down; while fuzzing, a limit of the process watches too
_calls = count()


@contextmanager
def bounded(limit: int) -> Iterator[None]:
    """AssertionError where the block takes more than `limit` bytes at once, NumPy's arrays among them."""
    if next(_calls) % _EVERY:
        yield
        return
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= limit, f"{peak} bytes were taken, and {limit} are allowed"
