"""How a case is measured: every result checked first, then ours and the peers in turns, lap by lap."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import math
import statistics
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .case import Call, Case
from .clock import Clock, rounds
from .limits import Limits

OURS = "dualwalk"
CACHE = 60 << 20  # bytes of the device's cache, which repeated calls on one set of inputs would read
MOST_SETS = 8
SECONDS = 0.4  # of calls, for each candidate of a case
SLOW = 2.0  # seconds of a first call from which it is the only one


def measure(case: Case, xp: Any, clock: Clock, limits: Limits, seconds: float = SECONDS) -> dict[str, Any]:
    """One row of the results, as plain values that JSON can hold."""
    make_room(xp)
    row = empty(case)
    limit = limits.of(case)
    make_room(xp)
    n_sets = max(1, min(MOST_SETS, math.ceil(2 * CACHE / case.n_bytes))) if case.n_bytes else 1
    inputs = [case.setup(xp, seed) for seed in range(n_sets)]
    slow, calls, checked = {}, {}, {OURS} | {name for name, peer in case.peers.items() if peer.checked}
    for name, prepare in {OURS: case.ours, **{name: peer.prepare for name, peer in case.peers.items()}}.items():
        package = OURS if name == OURS else case.peers[name].package
        if importlib.util.find_spec(package) is None:
            row["failed"][name] = f"{package} is not installed"
            continue
        try:
            calls[name] = [prepare(some) for some in inputs]
            results: list[Any] = []
            first = clock([lambda call=calls[name][0], results=results: results.append(call())], 1)
            if name in checked and case.error is not None:
                row["errors"][name] = float(case.error(inputs[0], results[0]))
            if name == OURS:
                row["same_bits"] = same_bits(results[0], calls[name][0]())
            elif first > SLOW:
                slow[name] = {"seconds": first, "least": first, "most": first, "rounds": 1, "calls": 1}
        except Exception as error:  # noqa: BLE001 - a peer that fails, for want of memory say, is told and left out
            row["failed"][name] = f"{type(error).__name__}: {error}"
            calls.pop(name, None)
        results = []
    row["times"] = in_turns({name: call for name, call in calls.items() if name not in slow}, clock, seconds) | slow
    return row | verdict(case, row, limit)


def empty(case: Case) -> dict[str, Any]:
    return {"job": case.job, "size": case.size, "tolerance": case.tolerance, "times": {}, "errors": {}, "failed": {}}


def failed(case: Case, why: str) -> dict[str, Any]:
    """The row of a case that could not be measured."""
    row = empty(case) | {"failed": {OURS: why}}
    return row | verdict(case, row, None)


def in_turns(calls: dict[str, list[Call]], clock: Clock, seconds: float) -> dict[str, dict[str, Any]]:
    """Median, least and most seconds a call of every candidate."""
    plans = {}
    for name, call in calls.items():
        about, n_calls = clock.warmed(call, seconds)
        plans[name] = n_calls, rounds(about * n_calls, seconds)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for lap in range(max((n_rounds for _, n_rounds in plans.values()), default=0)):
        for name, (n_calls, n_rounds) in plans.items():
            if lap < n_rounds:
                times[name].append(clock(calls[name], n_calls))
    return {
        name: {"seconds": statistics.median(of), "least": min(of), "most": max(of), "rounds": len(of), "calls": plans[name][0]}
        for name, of in times.items()
    }


def verdict(case: Case, row: dict[str, Any], limit: dict[str, Any] | None) -> dict[str, Any]:
    """Whether ours is right, its share of the limit, its ratio to each peer, and what became of the goals."""
    ours = row["times"].get(OURS, {}).get("seconds", math.inf)
    error = row["errors"].get(OURS, math.nan if case.error is not None else 0.0)
    right = error <= case.tolerance and (row.get("same_bits", False) or not case.deterministic)
    ratios = {name: time["seconds"] / ours for name, time in row["times"].items() if name != OURS}
    found = dict(ratios)
    if limit is not None:
        limit["share"] = found["limit"] = limit["seconds"] / ours
    goals = {
        name: {"wanted": wanted, "found": found.get(name, math.nan), "met": right and found.get(name, math.nan) >= wanted}
        for name, wanted in case.goals.items()
    }
    return {"right": right, "limit": limit, "ratios": ratios, "goals": goals}


def same_bits(first: Any, second: Any) -> bool:
    """Whether two results hold the same arrays, bit for bit."""
    for a, b in zip(arrays_of(first), arrays_of(second), strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        kind = np.dtype(f"u{a.dtype.itemsize}") if a.dtype.kind == "f" else a.dtype
        if not bool((a.view(kind) == b.view(kind)).all()):
            return False
    return True


def arrays_of(result: Any) -> Iterator[Any]:
    """The arrays and numbers in a result of the library, in order."""
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        result = [getattr(result, part.name) for part in dataclasses.fields(result)]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        for part in result:
            yield from arrays_of(part)
    elif hasattr(result, "dtype") and hasattr(result, "view"):
        yield result
    elif isinstance(result, int | float):
        yield np.asarray(result)


def make_room(xp: Any) -> None:
    """Give what the pools of CuPy and PyTorch keep back to the device."""
    gc.collect()
    xp.get_default_memory_pool().free_all_blocks()
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()
