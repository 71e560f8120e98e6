"""`dualwalk bench`: the kernels beside NumPy on this machine, in turns in one run, with their errors."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from .. import __version__, backends
from .._threads import resolve_n_threads
from ..duals.mlp import MLPDual
from ..marginals import permute_marginals
from ..objective import donsker_varadhan, log_mean_exp
from ..walks import walk
from .fitting import progress
from .output import Output

N_LAPS = 7


@dataclass(frozen=True)
class Case:
    """One job: ours and NumPy's way to do it, and how far ours is from the truth."""

    name: str
    ours: Callable[[], Any]
    numpy: Callable[[], Any]
    error: Callable[[], float]


def run(options: argparse.Namespace) -> None:
    out = Output(options)
    rows = []
    with progress(options) as show:
        cases = _cases(options.seed)
        for k, case in enumerate(cases):
            rows.append(_row(case))
            if show is not None:
                show(k + 1, len(cases), "measuring")
    n_threads = resolve_n_threads()
    out.line(f"dualwalk {__version__}: {backends.choose()} backend, {n_threads} threads; medians of {N_LAPS} laps, in turns")
    out.line(f"{'':32}{'dualwalk':>10}{'NumPy':>10}{'ratio':>8}{'error':>10}")
    for row in rows:
        times = f"{row['dualwalk_ms']:>7.2f} ms{row['numpy_ms']:>7.1f} ms"
        out.line(f"{row['job']:<32}{times}{row['ratio']:>7.1f}x{row['error']:>10.1e}")
    out.line("error: permutations 0 where every column is rearranged exactly; else relative to the same in higher precision")
    out.result(job="bench", backend=backends.choose(), n_threads=n_threads, n_laps=N_LAPS, rows=rows, seed=options.seed)


def _row(case: Case) -> dict[str, Any]:
    laps: dict[str, list[float]] = {"ours": [], "numpy": []}
    for lap in range(N_LAPS + 1):
        for name, work in (("ours", case.ours), ("numpy", case.numpy)):
            start = time.perf_counter()
            work()
            if lap:  # the first one warms up
                laps[name].append(time.perf_counter() - start)
    ours, numpy = median(laps["ours"]), median(laps["numpy"])
    return {
        "job": case.name, "dualwalk_ms": 1e3 * ours, "numpy_ms": 1e3 * numpy, "ratio": numpy / ours, "error": case.error(),
    }  # fmt: skip


def _cases(seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((512, 4096), dtype=np.float32)
    f = rng.standard_normal(4_000_000, dtype=np.float32)
    joint, marginal = f[:100_000], f[100_000:2_000_000]
    weights = [rng.standard_normal(shape, dtype=np.float32) / 8 for shape in ((64, 64), (64, 64), (1, 64))]
    dual = MLPDual(weights, [np.zeros(len(w)) for w in weights])
    starts = rng.standard_normal((256, 64), dtype=np.float32)
    steps = {"n_steps": 20, "step_size": 0.01}

    def moved(backend: str | None, x0: Any = starts) -> Any:
        return walk(dual, x0, **steps, backend=backend).x  # type: ignore[arg-type]

    exact = np.log(np.exp(f.astype(np.float64)).mean())
    return [
        Case(
            "shuffle, 512 x 4096",
            lambda: permute_marginals(x, seed=seed),
            lambda: rng.permuted(x, axis=0),
            lambda: float(np.abs(np.sort(permute_marginals(x, seed=seed), axis=0) - np.sort(x, axis=0)).max()),
        ),
        Case(
            "log-mean-exp, 4 M",
            lambda: log_mean_exp(f),
            lambda: _log_mean_exp(f),
            lambda: float(abs(log_mean_exp(f) - exact) / abs(exact)),
        ),
        Case(
            "Donsker-Varadhan with gradient",
            lambda: donsker_varadhan(joint, marginal),
            lambda: _donsker_varadhan(joint, marginal),
            lambda: _relative(
                donsker_varadhan(joint, marginal).grad_marginal,
                _donsker_varadhan(joint.astype(np.float64), marginal.astype(np.float64))[2],
            ),
        ),
        Case(
            "walk, 256 on an MLP, 20 steps",
            lambda: moved(None),
            lambda: moved("reference"),
            lambda: _relative(moved(None), moved("reference", starts.astype(np.float64))),
        ),
    ]


def _log_mean_exp(f: Any) -> Any:
    largest = f.max()
    return largest + np.log(np.exp(f - largest).mean())


def _donsker_varadhan(joint: Any, marginal: Any) -> Any:
    weights = np.exp(marginal - marginal.max())
    total = weights.sum()
    value = joint.mean() - marginal.max() - np.log(total / len(marginal))
    return value, np.full_like(joint, 1 / len(joint)), -weights / total


def _relative(found: Any, exact: Any) -> float:
    return float(np.abs(found - exact).max() / np.abs(exact).max())
