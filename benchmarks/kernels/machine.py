"""The machine: its limits, measured in the run that they are compared with, its threads, and what it calls itself."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dualwalk import backends
from dualwalk._config import config_info

from .._timing import processor
from .case import Case, Need

LINE = 64  # bytes
ARITHMETIC = ("float32", "float64")
# The better of the two is the limit: stores past the caches win where the array is larger than the caches.
MEMORY = {"read": ("read",), "write": ("write", "write_streaming"), "copy": ("copy", "copy_streaming")}
LARGEST_ARRAY = 1 << 28  # bytes: memory is not faster for more
SMALLEST_ARRAY = 1 << 12
ATTEMPTS = 4
PACKAGES = ("numpy", "numba", "scipy", "torch", "pytest-benchmark")


def aligned(n_bytes: int) -> np.ndarray:
    """float32 ones from a cache line on."""
    raw = np.ones(n_bytes + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    array = raw[start : start + n_bytes].view(np.float32)
    array[:] = 1.0
    return array


class Limits:
    """Rates of this machine. Each is measured once a lap, next to the kernels that need it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.rates: dict[tuple[str, int, int, int], float] = {}  # (resource, bytes, threads, lap): bytes or operations a second
        self._core = backends.module("native")._core if backends.why_not("native") is None else None
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None

    def rate(self, need: Need, n_threads: int, lap: int) -> float:
        """Bytes or operations a second of what is needed."""
        n_bytes = 0
        if need.resource not in ARITHMETIC:
            n_bytes = min(max(1 << (need.footprint - 1).bit_length(), SMALLEST_ARRAY * n_threads), LARGEST_ARRAY)
        key = need.resource, n_bytes, n_threads, lap
        if key not in self.rates:
            self.rates[key] = self._measure(need.resource, n_bytes, n_threads)
        return self.rates[key]

    def _measure(self, resource: str, n_bytes: int, n_threads: int) -> float:
        if resource in ARITHMETIC:
            return self._best("multiply_add", np.ones(1, resource), None, n_threads)
        if self._arrays is None or self._arrays[0].nbytes < n_bytes:
            self._arrays = aligned(n_bytes), aligned(n_bytes)
        x, out = (array[: n_bytes // 4] for array in self._arrays)
        return max(self._best(name, x, out, n_threads) for name in MEMORY[resource])

    def _best(self, name: str, x: np.ndarray, out: np.ndarray | None, n_threads: int) -> float:
        """The best of some: what takes the processor away from a thread meanwhile is no limit of the machine."""
        share = self.seconds / ATTEMPTS
        return max(float(self._core.limit(name, x, out, share, n_threads)) for _ in range(ATTEMPTS))

    def forget_arrays(self) -> None:
        """Give their memory back, before a large case is made."""
        self._arrays = None

    def of(self, case: Case, n_threads: int, lap: int) -> tuple[float, str] | None:
        """Seconds that a call takes at the least, and what binds: "read", "copy", "float32", ...; None without a limit."""
        needs = case.needs(n_threads)
        if self._core is None or not needs:
            return None
        seconds = {True: 0.0, False: 0.0}
        names: dict[bool, list[str]] = {True: [], False: []}
        for need in needs:
            arithmetic = need.resource in ARITHMETIC
            seconds[arithmetic] += need.amount / self.rate(need, n_threads, lap)
            names[arithmetic].append(need.resource)
        binds = seconds[True] >= seconds[False]
        return seconds[binds], " + ".join(dict.fromkeys(names[binds]))


@cache
def _one_blas_thread() -> None:
    """NumPy's BLAS is on one thread throughout: after a product on more, its threads go on turning for a tenth of a second and
    take the processors away from what is measured next."""
    if importlib.util.find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")


def set_threads(n_threads: int) -> None:
    """As many threads for PyTorch as for our own; NumPy and SciPy, which take none, are measured on one."""
    _one_blas_thread()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)


def caches() -> dict[str, str]:
    """Size of each cache of the first processor, "L2": "1024K"."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = (folder / "type").read_text().strip()
        if kind != "Instruction":
            found["L" + (folder / "level").read_text().strip()] = (folder / "size").read_text().strip()
    return found


def commit() -> str:
    """The checkout's commit, with a + where files have changed since."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def description() -> dict[str, Any]:
    """What the numbers were measured on and with."""
    info = config_info()
    versions = {"dualwalk": info["dualwalk"], "Python": info["python"]}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": processor(),
        "caches": caches(),
        "n_processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": info["platform"],
        "simd_level": info["simd_level"],
        "versions": versions,
        "commit": commit(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
