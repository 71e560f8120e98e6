"""Walks on an MLP dual and on local duals: `python benchmarks/bench_walk.py [--threads 1]`.

GFLOP/s counts the multiply-adds of the dual's value and gradient alone, two operations each. The error is the largest
difference from a float64 walk of the reference, relative to the distance walked.
"""

from __future__ import annotations

import numpy as np
from _timing import Table, header, in_turns, median, options

import dualwalk as dw
from dualwalk import backends

N_STEPS = 50


def main() -> None:
    arguments = options(__doc__ or "")
    rng = np.random.default_rng(0)
    print(header(arguments.threads), end="\n\n")
    columns = ["dual", "walks", "backend", "us a step", "reference / ours", "GFLOP/s", "relative error"]
    table = Table("walk, float32, deterministic", columns)
    d, hidden, n_neighbors = 300, 128, 20
    weights = [rng.standard_normal((hidden, d)) / np.sqrt(d), rng.standard_normal((1, hidden)) / np.sqrt(hidden)]
    points = rng.standard_normal((270, d))
    for n in (1, 64, 256, 1024):
        x0 = rng.standard_normal((n, d)).astype(np.float32)
        neighbors = rng.permuted(np.tile(np.arange(270), (n, 1)), axis=1)[:, : n_neighbors + 1]
        duals = {
            f"MLP {d}-{hidden}-1": (dw.MLPDual(weights, [np.zeros(hidden), np.zeros(1)]), 4 * n * d * hidden),
            f"local d={d} K={n_neighbors}": (dw.LocalDual(points, neighbors, shrinkage=0.3), 4 * n * d * (n_neighbors + 2)),
        }
        for name, (dual, operations) in duals.items():
            settings = {"n_steps": N_STEPS, "step_size": 0.05, "n_threads": arguments.threads}
            candidates = {
                backend: lambda dual=dual, x0=x0, s=settings, backend=backend: dw.walk(dual, x0, backend=backend, **s)
                for backend in backends.PREFERENCE
                if backends.why_not(backend) is None
            }
            seconds = in_turns(candidates, 3)
            exact = dw.walk(dual, x0.astype(np.float64), backend="reference", **settings).x
            far = np.abs(exact - x0).max()
            for backend, call in candidates.items():
                step = median(seconds[backend]) / N_STEPS
                ratio = median(seconds["reference"]) / median(seconds[backend])
                error = np.abs(call().x - exact).max() / far
                table.row(
                    name, n, backend, f"{1e6 * step:.0f}", f"{ratio:.1f}", f"{operations / step / 1e9:.0f}", f"{error:.1e}"
                )


if __name__ == "__main__":
    main()
