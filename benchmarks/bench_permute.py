"""permute_marginals against NumPy's idioms and a plain copy: `python benchmarks/bench_permute.py [--threads 1]`.

Peers: numpy.random.Generator.permuted (shuffle), take_along_axis of random integers (resample), take_along_axis of shifted rows
(shift). The error column counts columns whose sorted values differ from the input's (shuffle and shift: none may).
"""

from __future__ import annotations

import numpy as np
from _timing import Table, header, in_turns, median, options

import dualwalk as dw
from dualwalk import backends

SHAPES = ((512, 8192), (4096, 8192), (100_000, 64))


def main() -> None:
    arguments = options(__doc__ or "")
    rng = np.random.default_rng(0)
    print(header(arguments.threads), end="\n\n")
    table = Table(
        "permute_marginals, float32", ["shape", "method", "backend", "ns an element", "peer / ours", "copy", "wrong columns"]
    )
    for shape in SHAPES:
        x = rng.standard_normal(shape, dtype=np.float32)
        out = np.empty_like(x)
        rows = np.arange(shape[0])[:, None]
        peers = {
            "shuffle": lambda x=x, out=out: rng.permuted(x, axis=0, out=out),
            "resample": lambda x=x: np.take_along_axis(x, rng.integers(0, len(x), x.shape), axis=0),
            "shift": lambda x=x, rows=rows: np.take_along_axis(
                x, (rows + rng.integers(1, len(x), x.shape[1])) % len(x), axis=0
            ),
        }
        for method, peer in peers.items():
            candidates = {"peer": peer, "copy": lambda x=x, out=out: np.copyto(out, x)}
            for backend in ("native", "numba"):
                if backends.why_not(backend) is None:
                    candidates[backend] = lambda x=x, out=out, method=method, backend=backend: dw.permute_marginals(
                        x, seed=1, method=method, out=out, n_threads=arguments.threads, backend=backend
                    )
            seconds = in_turns(candidates, arguments.repeats if x.size < 10**7 else 3)
            for backend in [name for name in candidates if name not in ("peer", "copy")]:
                result = dw.permute_marginals(x, seed=1, method=method, n_threads=arguments.threads, backend=backend)
                wrong = int((np.sort(result, axis=0) != np.sort(x, axis=0)).any(axis=0).sum()) if method != "resample" else "-"
                ns = {name: 1e9 * median(s) / x.size for name, s in seconds.items()}
                ratio = f"{ns['peer'] / ns[backend]:.1f}"
                table.row(f"{shape[0]} x {shape[1]}", method, backend, f"{ns[backend]:.2f}", ratio, f"{ns['copy']:.2f}", wrong)


if __name__ == "__main__":
    main()
