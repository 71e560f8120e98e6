"""Time between two events of the device's stream, so that the queue before a call does not count."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

SHORTEST_ROUND = 2e-3  # seconds of calls between two events, so that their own cost does not count
WARM_UPS = 2
FEWEST_ROUNDS, MOST_ROUNDS = 3, 25


class Clock:
    """CUDA events on CuPy's current stream, which is PyTorch's too as long as nobody changes either."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def __call__(self, calls: Sequence[Callable[[], Any]], n_calls: int) -> float:
        """Seconds a call, of `n_calls` of them in a row, over the sets of inputs in turn."""
        start, stop = self.xp.cuda.Event(), self.xp.cuda.Event()
        start.record()
        for call in itertools.islice(itertools.cycle(calls), n_calls):
            call()
        stop.record()
        stop.synchronize()
        return float(self.xp.cuda.get_elapsed_time(start, stop)) * 1e-3 / n_calls

    def warmed(self, calls: Sequence[Callable[[], Any]], seconds: float) -> tuple[float, int]:
        """(seconds of a call about, calls of a round), after some calls on every set, fewer where they are slow."""
        about = self(calls, 1)
        for _ in range(WARM_UPS):
            if about * len(calls) > seconds:
                break
            about = self(calls, len(calls))
        return about, max(1, math.ceil(SHORTEST_ROUND / max(about, 1e-9)))

    def median(self, call: Callable[[], Any], seconds: float) -> float:
        about, n_calls = self.warmed([call], seconds)
        return statistics.median(self([call], n_calls) for _ in range(rounds(about * n_calls, seconds)))


def rounds(seconds_a_round: float, seconds: float) -> int:
    """As many rounds as the time allows; one alone where a round takes all of it."""
    if seconds_a_round > seconds:
        return 1
    return max(FEWEST_ROUNDS, min(MOST_ROUNDS, int(seconds / max(seconds_a_round, 1e-9))))
