"""What is measured on a GPU: a case is one job at one size, with its peers, what a call needs of the device, and its error.

Each room (`permute.py`, `objective.py`, `walks.py`, `sampling.py`, `nodes.py`, `divergence.py`) has `cases(tiny=False)`, a list
of `Case`; with `tiny` the same cases at sizes that the tests run on the emulated device.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels.case import Need

__all__ = ["ROOMS", "Case", "Need", "Peer", "Prepare", "all_cases", "normals"]

ROOMS = ("permute", "objective", "walks", "sampling", "nodes", "sampler", "divergence")

Call = Callable[[], Any]
Prepare = Callable[[Any], Call]  # inputs -> the call that is timed: what it prepares (a captured graph, a copy to torch) is not


@dataclass(frozen=True)
class Peer:
    """Another way to do the job. It gets the same inputs as ours, and takes them over itself (`torch.from_dlpack`)."""

    prepare: Prepare
    package: str = "torch"  # what it needs; it is left out where that is missing
    checked: bool = False  # its result is ours, so its error is told too; False where it draws in another way


@dataclass(frozen=True)
class Case:
    """One job at one size, all data in the device's memory and made there."""

    job: str  # of backends.JOBS, or what the public function is called
    size: str  # in words: "64 copies of 512 x 16384, float32"
    setup: Callable[[Any, int], Any] = field(repr=False)  # (xp, seed) -> inputs: a dict of CuPy's arrays, say
    ours: Prepare = field(repr=False)
    peers: dict[str, Peer] = field(repr=False, default_factory=dict)
    error: Callable[[Any, Any], float] | None = field(repr=False, default=None)  # (inputs, result) -> at most `tolerance`
    tolerance: float = 0.0
    # Needs of memory ("read", "write"; "copy": bytes read plus bytes written) add up, those of arithmetic ("float32", "float64",
    # "tf32", "bf16": multiplications and additions) too; the larger sum is the limit. Footprints are not used here.
    needs: tuple[Need, ...] = ()
    n_bytes: int = 0  # that a call touches: where sets of inputs fit the device's cache, several are used in turn
    goals: dict[str, float] = field(default_factory=dict)  # "limit": least share of it; a peer's name: least ratio of times
    quick: bool = False  # part of a quick run
    deterministic: bool = True  # two calls on the same inputs must give the same bits

    @property
    def name(self) -> str:
        return f"{self.job}: {self.size}"


def normals(xp: Any, shape: tuple[int, ...], seed: int = 0, dtype: Any = np.float32) -> Any:
    """Standard normal numbers made on the device (in the tests, by NumPy)."""
    if hasattr(xp, "random"):
        return xp.random.default_rng(seed).standard_normal(shape, dtype=dtype)
    return xp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def all_cases(tiny: bool = False) -> list[Case]:
    """The cases of every room that is here."""
    found = []
    for room in ROOMS:
        name = f"{__package__}.{room}"
        if importlib.util.find_spec(name) is not None:
            found += importlib.import_module(name).cases(tiny=tiny)
    return found
