"""`DualSampler` on arrays of a device: the ladder climbed, and rows drawn from it, against the CPU's kernels on this machine.

The first fit on a machine takes longer: CuPy compiles its small kernels, and keeps them in ~/.cupy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dualwalk import DualSampler, _device

from .case import Call, Case, Peer, normals

CPU = "dualwalk on the CPU"


def series(xp: Any, seed: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Smooth series whose channels lean on each other."""
    X = np.cumsum(normals(xp, shape, 2 * seed, np.float64), axis=2) + 3.0 * normals(
        xp, (shape[0], 1, 1), 2 * seed + 1, np.float64
    )
    return {"X": X, "host": _device.to_host(X)}


def climbed(X: Any) -> list[float]:
    """The criterion of every rung that was tried: what the choice goes by."""
    return [tried.criterion for tried in DualSampler(random_state=0).fit(X).criteria_]


def fit(shape: tuple[int, int, int], quick: bool = False, with_cpu: bool = True) -> Case:
    def error(inputs: dict[str, Any], ours: list[float]) -> float:
        """Of the criteria; infinite where another rung was tried."""
        expected = climbed(inputs["host"])
        return float(np.abs(np.subtract(ours, expected)).max()) if len(ours) == len(expected) else np.inf

    return Case(
        job="DualSampler.fit",
        size=" x ".join(map(str, shape)),
        setup=lambda xp, seed: series(xp, seed, shape),
        ours=lambda inputs: lambda: climbed(inputs["X"]),
        peers={CPU: Peer(lambda inputs: lambda: climbed(inputs["host"]), "dualwalk")} if with_cpu else {},
        error=error if with_cpu else None,
        tolerance=1e-6,
        quick=quick,
    )


def sample(shape: tuple[int, int, int], n_rows: int, quick: bool = False) -> Case:
    """Rows from the ladder's local walk, in blocks of as many as there are training rows."""

    def drawn(X: Any) -> Call:
        sampler = DualSampler("local", random_state=0).fit(X)
        return lambda: sampler.sample(n_rows)

    def error(inputs: dict[str, Any], ours: Any) -> float:
        return float(np.abs(_device.to_host(ours) - drawn(inputs["host"])()).max())

    return Case(
        job="DualSampler.sample",
        size=f"{n_rows} rows of {shape[1]} x {shape[2]} from {shape[0]}",
        setup=lambda xp, seed: series(xp, seed, shape),
        ours=lambda inputs: drawn(inputs["X"]),
        peers={CPU: Peer(lambda inputs: drawn(inputs["host"]), "dualwalk")},
        error=error,
        tolerance=1e-6,
        quick=quick,
    )


def cases(tiny: bool = False) -> list[Case]:
    if tiny:
        return [fit((24, 1, 4)), sample((24, 1, 4), 30)]
    return [
        fit((300, 4, 64)),
        fit((1000, 16, 128), with_cpu=False),  # minutes on the CPU
        sample((500, 8, 128), 10_000, quick=True),
        sample((1000, 16, 128), 100_000),
    ]
