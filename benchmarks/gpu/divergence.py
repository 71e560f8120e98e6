"""`DualDivergence(device="cuda")`: whole fits, ranks to dual space, against the same fit on two threads of this machine's CPU.

The first fit on a machine takes a minute or so more: CuPy compiles its small kernels, and keeps them in ~/.cupy.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from dualwalk import DualDivergence, _device

from .case import Call, Case, Peer, normals

N_FACTORS = 3
CPU = "dualwalk on 2 CPU threads"


def series(xp: Any, seed: int, n: int, d: int) -> dict[str, Any]:
    """n rows of d columns that lean on a few common factors and on their neighbours."""
    noise, factors = normals(xp, (n, d), 3 * seed), normals(xp, (n, N_FACTORS), 3 * seed + 1)
    noise[:, 1:] += 0.6 * noise[:, :-1].copy()
    X = noise + factors @ normals(xp, (N_FACTORS, d), 3 * seed + 2)
    return {"X": X, "host": _device.to_host(X)}


def fitted(X: Any, options: dict[str, Any], n_threads: int | None = None) -> Any:
    """Every row's dual value, which all else that a fit gives goes by."""
    return DualDivergence(random_state=0, n_threads=n_threads, **options).fit(X).dual_values_


def fit(n: int, d: int, options: dict[str, Any], goals: dict[str, float], quick: bool = False) -> Case:
    def ours(inputs: dict[str, Any]) -> Call:
        return lambda: fitted(inputs["X"], options)

    def on_cpu(inputs: dict[str, Any]) -> Call:
        return lambda: fitted(inputs["host"], options, 2)

    def error(inputs: dict[str, Any], values: Any) -> float:
        """The divergence's, as a share of it or in nats, whichever is less: early stopping may turn on a rounding error."""
        if "expected" not in inputs:
            inputs["expected"] = float(fitted(inputs["host"], options, min(5, os.cpu_count() or 1)).mean())
        expected = inputs["expected"]
        return abs(float(np.mean(_device.to_host(values))) - expected) / max(1.0, abs(expected))

    return Case(
        job="DualDivergence.fit",
        size=f"{n} x {d}, cv {options.get('cv', 5)}",
        setup=lambda xp, seed: series(xp, seed, n, d),
        ours=ours,
        peers={CPU: Peer(on_cpu, "dualwalk")},
        error=error,
        tolerance=0.02,
        goals=goals,
        quick=quick,
    )


def cases(tiny: bool = False) -> list[Case]:
    if tiny:
        return [fit(50, 4, {"cv": 2, "n_fits": 1}, {})]
    return [fit(500, 128, {}, {}), fit(500, 4096, {}, {CPU: 5.0})]
