"""The suites: a pytest-benchmark group for every job, size and number of threads. See `benchmarks/README.md`."""

from __future__ import annotations

import math
import time

import pytest

from .case import OURS
from .conftest import Run
from .machine import ARITHMETIC
from .measure import LONGEST_CALL, SETTLE, Bench, TooSlow


@pytest.mark.filterwarnings("default")  # peers may warn
def test_kernel(run: Run, bench: Bench, benchmark) -> None:
    case, candidate = run.case, run.case.candidates[run.candidate]
    reason = candidate.why_not()
    ready = None
    try:
        if not reason:
            ready = bench.ready(case, run.candidate, run.n_threads)
    except TooSlow as error:
        reason = str(error)
    if ready and run.lap and ready.seconds > LONGEST_CALL:
        pytest.skip("measured in the first lap only: a call takes seconds")
    if ready is None:
        if run.lap == 0:
            bench.skipped.append({"case": case.name, "candidate": run.candidate, "reason": reason})
        pytest.skip(reason)
    if run.n_threads > 1:
        time.sleep(SETTLE)
    limit = bench.limits.of(case, run.n_threads, run.lap)
    benchmark.group = f"{case.name}, {run.n_threads} thread(s)"
    benchmark.name = f"{run.candidate}, lap {run.lap + 1}"
    benchmark.extra_info.update(
        job=case.job,
        form=case.form,
        size=case.size,
        case=case.name,
        series=case.series,
        n_bytes=case.n_bytes,
        swept=list(case.swept or ()),
        unit=case.unit,
        n_units=case.n_units,
        candidate=run.candidate,
        ours=run.candidate in OURS,
        compiled=candidate.compiled,
        threaded=candidate.threaded,
        n_threads=run.n_threads,
        lap=run.lap,
        first_seconds=ready.first_seconds,
        error=None if math.isnan(ready.error) else ready.error,
        error_unit=case.error_unit,
        operations=sum(need.amount for need in case.needs(run.n_threads) if need.resource in ARITHMETIC),
        limit_seconds=limit and limit[0],
        limit=limit and limit[1],
    )
    rounds, iterations = bench.rounds(ready)
    benchmark.pedantic(ready.call, rounds=rounds, iterations=iterations, warmup_rounds=int(ready.seconds < bench.seconds))
