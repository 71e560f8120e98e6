"""What this installation can do here: backends and why not, SIMD level, threads, GPU."""

from __future__ import annotations

import importlib.util
import platform
import sys
from typing import Any

import numpy as np

from . import __version__, _device, backends
from ._threads import resolve_n_threads

EXTRAS = {"numba": "numba", "matplotlib": "report", "rich": "cli", "cupy": "cuda13"}
DISTRIBUTIONS = {"cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy")}  # where a package comes under other names than its own


def config_info() -> dict[str, Any]:
    """The facts behind `show_config`, as plain values that JSON can hold."""
    found: dict[str, str] = {}
    for name in backends.PREFERENCE:
        reason = backends.why_not(name)
        found[name] = "available" if reason is None else f"not available: {reason}"
    simd, levels = "none (the compiled kernels are not here)", []
    if backends.why_not("native") is None:
        core = backends.module("native")._core
        simd, levels = core.level(), core.levels()
    return {
        "dualwalk": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "numpy": np.__version__,
        "backend": backends.choose(),
        "backends": found,
        "simd_level": simd,
        "simd_levels": levels,
        "n_threads": resolve_n_threads(),
        "cuda": _cuda(),
        "cuda_built": _cuda_built(),
        "extras": {package: _extra(package, extra) for package, extra in EXTRAS.items()},
    }


def show_config() -> dict[str, Any]:
    """Print what this installation can do (version, backends found and why not, SIMD level, threads, GPU); return it as a dict.

    Environment: DUALWALK_BACKEND (native, numba, reference), DUALWALK_SIMD (a lower level than the best), DUALWALK_NUM_THREADS.

    Examples
    --------
    >>> info = show_config()  # doctest: +ELLIPSIS
    dualwalk      ...
    >>> info["backend"] in ("native", "numba", "reference")
    True
    """
    info = _Shown(config_info())
    for key, value in info.items():
        if isinstance(value, dict):
            for name, text in value.items():
                print(f"{f'  {name}':<14}{text}")
        else:
            print(f"{key:<14}{', '.join(value) if isinstance(value, list) else value}")
    return info


class _Shown(dict[str, Any]):
    """A dict that the interactive prompt does not print a second time."""

    def __repr__(self) -> str:
        return "<the configuration printed above>"


def _cuda() -> str:
    reason = _device.why_not()
    if reason is not None:
        return f"not available: {reason}"
    facts = _device.kernels().facts()
    return (
        f"available: {facts['device']}, capability {facts['capability']}, {facts['multiprocessors']} multiprocessors, "
        f"{facts['memory'] / 2**30:.0f} GiB, driver for CUDA {facts['driver']}"
    )


def _cuda_built() -> str:
    """The architectures of the CUDA kernels, which are known where no device is."""
    try:
        facts = _device.kernels().facts()
    except ImportError:
        return "none (the CUDA kernels are not here)"
    return f"{facts['architectures']} (CUDA runtime {facts['runtime']})"


def _extra(package: str, extra: str) -> str:
    if importlib.util.find_spec(package) is None:
        return f'not installed (pip install "dualwalk[{extra}]")'
    from importlib import metadata  # slow to import, and only needed here

    for name in DISTRIBUTIONS.get(package, (package,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "installed"
