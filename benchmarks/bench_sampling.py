"""Series a second of DualSampler.sample: `python benchmarks/bench_sampling.py [--repeats 5] [--rows 20000] [--out FILE.md]`.

The training rows are the embedded Japanese Vowels, 270 series of 12 x 25. "CPU" is processor time over all threads, the least of
the repeats: it says what the code costs where other processes share the machine, and the wall time does not. Its parts are in the
kernel suites: `pytest benchmarks/kernels -k "relax or balance"`.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _timing import Table, header, median

import dualwalk as dw
from dualwalk._blas import one_blas_thread
from dualwalk._ladder.covariance import NoiseModel
from dualwalk._ladder.rung import Rung, Shared, Walker

THREADS = (1, 2)
NOTE = (
    "Training rows: Japanese Vowels, 270 x 12 x 25. Where the load is about as large as the number of processors, or larger, wall "
    "times and series a second are those of a share of the machine, and a second thread has no processor of its own: the CPU "
    "time is what sampling costs. 100,000 series a second on two free processors take 20 us of it at most."
)


@dataclass
class Cost:
    """Microseconds a row: the median wall time and the least processor time."""

    wall: float
    cpu: float


def cost(call: Callable[[], object], n_rows: int, repeats: int) -> Cost:
    call()
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return Cost(median(wall) / n_rows * 1e6, min(cpu) / n_rows * 1e6)


def samplers(X: np.ndarray) -> dict[str, dw.DualSampler]:
    """The default walk and walks with a fixed number of neighbours."""
    chosen = dw.DualSampler(random_state=0).fit(X)
    named = {f"auto ({chosen.choice_.n_neighbors or 'all'} neighbours)": chosen}
    for k in (10, 40):
        named[f"local, K = {k}"] = dw.DualSampler("local", n_neighbors=k, random_state=0).fit(X)
    return named


def whole(X: np.ndarray, n_rows: int, repeats: int) -> Table:
    table = Table("DualSampler.sample", ["walk", "threads", "series a second", "wall us", "CPU us a series"])

    def row(name: str, threads: int, call: Callable[[], object]) -> None:
        spent = cost(call, n_rows, repeats)
        table.row(name, threads, f"{1e6 / spent.wall:,.0f}", f"{spent.wall:.1f}", f"{spent.cpu:.1f}")

    for name, sampler in samplers(X).items():
        for threads in THREADS:
            os.environ["DUALWALK_NUM_THREADS"] = str(threads)
            row(name, threads, lambda sampler=sampler: sampler.sample(n_rows))
    flat = X.reshape(len(X), -1).astype(np.float64)
    walker = Walker(flat, X.shape[1:], "scores", Shared(NoiseModel("separable", 0.7)))
    starts, stream = np.zeros(n_rows, np.intp), np.random.default_rng(0)
    for threads in THREADS:
        os.environ["DUALWALK_NUM_THREADS"] = str(threads)
        with one_blas_thread():
            rung = Rung(n_neighbors=None, time=math.inf, pooled_noise=0.5)
            row("all rows, half of the noise pooled", threads, lambda rung=rung: walker.generate(rung, starts, stream))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    first = f"{header(max(THREADS))}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors at the start"
    print(first, end="\n\n")
    X = dw.load_japanese_vowels().X
    table = whole(X, options.rows, options.repeats)
    if options.out:
        lines = [f"# Sampling, {time.strftime('%Y-%m-%d')}", "", f"`python benchmarks/bench_sampling.py`: {first}.", "", NOTE]
        options.out.write_text("\n".join([*lines, "", *table.lines]) + "\n")


if __name__ == "__main__":
    main()
