"""What the Numba backend takes to compile, a job: `NUMBA_CACHE_DIR=<an empty folder> python -m benchmarks.kernels.compile_times`.

Prints JSON: for every job the seconds of its first call less those of its second. What jobs share is compiled for the first.
"""

from __future__ import annotations

import json

from .machine import set_threads
from .measure import timed
from .suite import all_cases


def compile_seconds() -> dict[str, float]:
    """Seconds a job, on its smallest case."""
    smallest = {}
    for case in sorted(all_cases(), key=lambda case: -case.n_bytes):
        smallest[case.job] = case
    found = {}
    set_threads(1)
    for job, case in sorted(smallest.items()):
        call = case.candidates["numba"].prepare(case.make(), 1)
        (_, first), (_, second) = timed(call), timed(call)
        found[job] = first - second
    return found


if __name__ == "__main__":
    print(json.dumps(compile_seconds()))
