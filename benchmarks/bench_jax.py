"""What a callback costs: `dualwalk.adapters.jax` beside the NumPy calls and beside the same in JAX alone, on the CPU.

    python benchmarks/bench_jax.py [--out jax.md]

Candidates take turns; quoted are the fastest call of each, the median in brackets, and the ratio of the fastest ones. On a machine
with other work the fastest of many calls comes near to what it would be alone, and the median does not.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _timing import Table, header, median

import dualwalk as dw
from dualwalk.adapters import jax as dwj

SECONDS = 2.0  # a row


def microseconds(candidates: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """The times of the calls of each."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for call in itertools.chain(candidates.values(), candidates.values()):
        jax.block_until_ready(call())
    stop = time.perf_counter() + SECONDS
    while time.perf_counter() < stop or len(times[next(iter(times))]) < 5:
        for name, call in candidates.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(1e6 * (time.perf_counter() - start))
    return times


def by_sorting(x: Any, seed: Any) -> Any:
    """The usual way in JAX: every column in the order of random keys."""
    bits = jax.random.bits(jax.random.key(seed), x.shape)
    return jnp.take_along_axis(x, jnp.argsort(bits, axis=0), axis=0)


def plain_log_mean_exp(f: Any) -> Any:
    return jax.nn.logsumexp(f) - jnp.log(f.size)


def plain_logistic(joint: Any, marginal: Any) -> Any:
    return jnp.mean(jax.nn.log_sigmoid(joint)) + jnp.mean(jax.nn.log_sigmoid(-marginal))


def cases() -> dict[str, dict[str, Callable[[], Any]]]:
    """Each row: the NumPy call, ours under jit, JAX alone under jit."""
    rng = np.random.default_rng(0)
    rows: dict[str, dict[str, Callable[[], Any]]] = {}
    permute, sort = jax.jit(dwj.permute_marginals), jax.jit(by_sorting)
    for shape in ((512, 64), (4096, 512)):
        x = rng.normal(size=shape).astype(np.float32)
        there = jnp.asarray(x)
        rows[f"permute_marginals {shape[0]} x {shape[1]}"] = {
            "NumPy": lambda x=x: dw.permute_marginals(x, seed=1),
            "ours": lambda x=there: permute(x, seed=1),
            "JAX": lambda x=there: sort(x, 1),
        }
        slope = jax.jit(jax.grad(lambda x, w, seed: jnp.sum(dwj.permute_marginals(x, seed=seed) * w)))
        plain = jax.jit(jax.grad(lambda x, w, seed: jnp.sum(by_sorting(x, seed) * w)))
        rows[f"its gradient {shape[0]} x {shape[1]}"] = {
            "ours": lambda x=there, slope=slope: slope(x, x, 1),
            "JAX": lambda x=there, plain=plain: plain(x, x, 1),
        }
    for n in (1000, 1_000_000):
        f = rng.normal(size=n).astype(np.float32)
        there = jnp.asarray(f)
        for name, wrap in (("value", lambda f: f), ("value and gradient", jax.value_and_grad)):
            ours, plain = jax.jit(wrap(dwj.log_mean_exp)), jax.jit(wrap(plain_log_mean_exp))
            rows[f"log_mean_exp of {n:,}, {name}"] = {
                "NumPy": lambda f=f, both=name != "value": dw.log_mean_exp(f, return_gradient=both),
                "ours": lambda f=there, ours=ours: ours(f),
                "JAX": lambda f=there, plain=plain: plain(f),
            }
        ours, plain = jax.jit(jax.value_and_grad(dwj.logistic)), jax.jit(jax.value_and_grad(plain_logistic))
        rows[f"logistic of {n:,} each, value and gradient"] = {
            "NumPy": lambda f=f: dw.logistic(f, f),
            "ours": lambda f=there, ours=ours: ours(f, f),
            "JAX": lambda f=there, plain=plain: plain(f, f),
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = f"; load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    lines = [f"`python benchmarks/bench_jax.py`: {header(threads)}, JAX {jax.__version__}{load}.", ""]
    print(*lines, sep="\n")
    table = Table("Microseconds a call, float32", ["what", "NumPy call", "ours, jit", "JAX alone, jit", "JAX alone / ours"])
    for what, candidates in cases().items():
        times = microseconds(candidates)
        cells = [
            f"{min(times[name]):,.0f} ({median(times[name]):,.0f})" if name in times else ""
            for name in ("NumPy", "ours", "JAX")
        ]
        table.row(what, *cells, f"{min(times['JAX']) / min(times['ours']):.2f}")
    if arguments.out is not None:
        arguments.out.write_text("\n".join([*lines, *table.lines, ""]))


if __name__ == "__main__":
    main()
