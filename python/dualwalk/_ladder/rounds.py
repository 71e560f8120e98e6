"""Rounds of starts, a permutation each, that are only taken from their stream; and where the stream stood then.

Who makes a long call stretch by stretch comes by the same rounds again and again: without memory, the work would grow with the
square of the number of rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._forks import wait_at_fork

_MOST = 32
_passed: OrderedDict[tuple[bytes, bytes, int, int], Any] = OrderedDict()  # (key, counter, size, rounds): state after them
_lock = wait_at_fork(threading.RLock())


def skip_rounds(stream: np.random.Generator, candidates: NDArray[np.intp], rounds: int) -> None:
    """Move a fresh `stream` on by `rounds` permutations of the candidates."""
    if not rounds:
        return
    begin: Any = stream.bit_generator.state["state"]
    name = (begin["key"].tobytes(), begin["counter"].tobytes(), len(candidates))
    with _lock:
        done = max((known[3] for known in _passed if known[:3] == name and known[3] <= rounds), default=0)
        if done:
            stream.bit_generator.state = _passed[*name, done]
    for _ in range(done, rounds):
        stream.permutation(candidates)
    with _lock:
        _passed[*name, rounds] = stream.bit_generator.state
        _passed.move_to_end((*name, rounds))
        while len(_passed) > _MOST:
            _passed.popitem(last=False)
