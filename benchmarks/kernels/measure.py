"""How one candidate is measured: warmed up apart, compared with the truth, then called as often as its share of time allows."""

from __future__ import annotations

import gc
import math
import time
from typing import Any, NamedTuple

import numpy as np

from .case import OURS, Call, Case
from .machine import Limits, set_threads

# A round is at least this long, so that the clock and the loop around the calls do not count.
SHORTEST_ROUND = 2e-4
MOST_ROUNDS = 40
FEWEST_ROUNDS = 3  # unless a call takes longer than a lap
WARM_UPS = 5  # calls, at most
# A candidate whose call would take longer than this is left out, or measured once where the case is a patient one.
LONGEST_CALL = 1.0
LONGEST_REFERENCE = 0.3  # the reference is the definition, and is measured at small sizes
LONGEST_WAIT = 20.0
LONGEST_FIRST = 4.0  # of a first call that may have waited for memory
# Seconds in which threads of the last candidate stop waiting for work in a loop.
SETTLE = 0.01
LARGE = 1 << 28  # bytes from which the arrays of the limits make room


class Ready(NamedTuple):
    """A candidate that has been called before."""

    call: Call
    first_seconds: float  # of the very first call, which compiles where there is something to compile
    seconds: float  # of a call, about
    error: float


class TooSlow(Exception):
    """One call would take too long; the message says how long."""


class Bench:
    """The state of one session: the inputs of the case at hand, candidates that are ready, and how fast each was so far."""

    def __init__(self, limits: Limits, seconds: float) -> None:
        self.limits = limits
        self.seconds = seconds
        self.skipped: list[dict[str, Any]] = []
        self._case: Case | None = None
        self._inputs: Any = None
        self._ready: dict[tuple[str, int], Ready] = {}
        # of a series or a job, a candidate and a number of threads: bytes and seconds of the last size
        self._pace: dict[tuple[str, str, int], tuple[int, float]] = {}

    def ready(self, case: Case, name: str, n_threads: int) -> Ready:
        """The candidate, warmed up; TooSlow where one call would take too long."""
        if case is not self._case:
            self._case, self._inputs = case, None
            self._ready.clear()
            gc.collect()
            if case.n_bytes >= LARGE:
                self.limits.forget_arrays()
            self._inputs = case.make()
        set_threads(n_threads)
        if (name, n_threads) not in self._ready:
            self._check_pace(case, name, n_threads)
            self._ready[name, n_threads] = self._prepare(case, name, n_threads)
            pace = case.n_bytes, self._ready[name, n_threads].seconds
            for of in (case.series, case.job):
                self._pace[of, name, n_threads] = pace
        return self._ready[name, n_threads]

    def _check_pace(self, case: Case, name: str, n_threads: int) -> None:
        keys = ((of, name, threads) for of in (case.series, case.job) for threads in (n_threads, 1))
        n_bytes, seconds = next((self._pace[key] for key in keys if key in self._pace), (0, 0.0))
        expected = seconds * case.n_bytes / n_bytes if n_bytes else 0.0
        longest = LONGEST_REFERENCE if name == "reference" else LONGEST_CALL
        waited_for = name in ("native", "numba") or (case.patient and name not in OURS and n_threads == 1)
        if expected > (LONGEST_WAIT if waited_for else longest):
            raise TooSlow(f"a call would take about {expected:.0f} s")

    def _prepare(self, case: Case, name: str, n_threads: int) -> Ready:
        call = case.candidates[name].prepare(self._inputs, n_threads)
        set_threads(n_threads)  # for a library that was imported only now
        result, first = timed(call)
        error = math.nan
        if case.error is not None and case.candidates[name].checked and result is not None:
            with np.errstate(all="ignore"):
                error = case.error(self._inputs, result)
        del result
        seconds = math.inf if case.candidates[name].compiled else first
        spent = 0.0
        for k in range(WARM_UPS):  # the second call at least: the first one may wait for memory, or compile
            if (k and spent + seconds > self.seconds) or LONGEST_FIRST < seconds < math.inf:
                break
            seconds = min(seconds, timed(call)[1])
            spent += seconds
        return Ready(call, first, seconds, error)

    def rounds(self, ready: Ready) -> tuple[int, int]:
        """(rounds, calls a round) of one lap."""
        calls = max(1, math.ceil(SHORTEST_ROUND / max(ready.seconds, 1e-9)))
        rounds = round(self.seconds / (calls * ready.seconds))
        fewest = FEWEST_ROUNDS if ready.seconds < self.seconds else 1
        return max(fewest, min(MOST_ROUNDS, rounds)), calls


def timed(call: Call) -> tuple[Any, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start
