"""log_mean_exp against scipy.special.logsumexp: `python benchmarks/bench_logmeanexp.py [--threads 1]`.

The error is against float64 NumPy, in units in the last place of the result (value), or relative to the largest entry
(gradient). The floor is numpy.max, which only reads the values once.
"""

from __future__ import annotations

import numpy as np
from _timing import Table, header, in_turns, median, options
from scipy.special import logsumexp, softmax

import dualwalk as dw
from dualwalk import backends


def main() -> None:
    arguments = options(__doc__ or "")
    rng = np.random.default_rng(0)
    print(header(arguments.threads), end="\n\n")
    table = Table("log_mean_exp, 16 M values", ["dtype", "job", "backend", "ms", "scipy / ours", "read once (ms)", "error"])
    for dtype in (np.float32, np.float64):
        f = (3 * rng.standard_normal(16 * 2**20)).astype(dtype)
        wide = f.astype(np.float64)
        truth = logsumexp(wide) - np.log(f.size)
        for gradient in (False, True):
            candidates = {
                "read": lambda f=f: f.max(),
                "scipy": lambda f=f, g=gradient: (logsumexp(f), softmax(f) if g else None),
            }
            for backend in ("native", "numba", "reference"):
                if backends.why_not(backend) is None:
                    candidates[backend] = lambda f=f, g=gradient, b=backend: dw.log_mean_exp(
                        f, return_gradient=g, n_threads=arguments.threads, backend=b
                    )
            seconds = in_turns(candidates, arguments.repeats)
            ms = {name: 1e3 * median(s) for name, s in seconds.items()}
            for backend in [name for name in candidates if name not in ("read", "scipy")]:
                result = candidates[backend]()
                if gradient:
                    exact = np.exp(wide - truth) / f.size
                    error = f"{np.abs(result[1] - exact).max() / exact.max():.1e}"
                else:
                    error = f"{abs(float(result) - truth) / np.spacing(dtype(truth)):.2f} ULP"
                ratio = f"{ms['scipy'] / ms[backend]:.1f}"
                job = "with gradient" if gradient else "value"
                table.row(dtype.__name__, job, backend, f"{ms[backend]:.1f}", ratio, f"{ms['read']:.1f}", error)


if __name__ == "__main__":
    main()
