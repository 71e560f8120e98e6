"""One table from job and backend to the function that does it, and the rule that picks a row.

The reference (plain NumPy) defines every job; Numba and the compiled module `_core` do the same faster. The order of
preference is native, numba, reference; `backend=` of a call or DUALWALK_BACKEND choose another. Arrays on a CUDA device are
for the backend "cuda", and only for it: nothing moves from one memory to the other to suit a backend. A backend is imported
at its first use, so `import dualwalk` loads none of them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from .. import _checks, _device
from .._forks import load
from .._requirements import MissingPackageError

PREFERENCE = ("native", "numba", "reference")
CUDA = "cuda"
JOBS = (
    *("philox", "draw_integers", "permute_marginals"),
    *("log_mean_exp", "log_mean_exp_segments", "mean_log_sigmoid"),
    *("walk_mlp", "walk_local", "walk_mixture", "anneal_mixture"),
    *("draw_normals", "relax_local", "balance_columns"),
    *("train_density", "train_contrastive", "score_density", "score_contrastive"),
    *("density_terms", "density_slopes", "contrastive_terms", "contrastive_slopes"),
)
NEEDS = {"native": "dualwalk._core", "numba": "numba", "reference": "numpy"}
REMEDY = {
    "native": "install it again where a C++17 compiler is found: pip install --force-reinstall --no-cache-dir dualwalk",
    "numba": 'install it: pip install "dualwalk[numba]"',
    "reference": "reinstall NumPy",
}


@cache
def why_not(name: str) -> str | None:
    """None when the backend can be used, else the reason why not."""
    if name == CUDA:
        return _device.why_not()
    try:
        found = importlib.util.find_spec(NEEDS[name]) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        missing = "was not built when dualwalk was installed" if name == "native" else "is not installed"
        return f"{NEEDS[name]} {missing} ({REMEDY[name]})"
    if name == "native":
        try:
            load(NEEDS[name], __name__)
        except ImportError as error:
            return f"{NEEDS[name]} does not load: {error} ({REMEDY[name]})"
    return None


@cache
def module(name: str) -> ModuleType:
    """The backend's module, imported now."""
    return load(f".{name}", __name__)


def choose(backend: str | None = None, *arrays: Any) -> str:
    """The backend to use for these arrays: "cuda" where one is on a device, else the one asked for, or the first that is here."""
    if backend is not None:
        _checks.choice(backend, "backend", (*PREFERENCE, CUDA))
    if any(map(_device.is_on_device, arrays)):
        if backend not in (None, CUDA):
            raise ValueError(
                f"backend={backend!r} works in the host's memory; got an array on a CUDA device (pass array.get())"
            )
        _device.require("an array on a CUDA device")
        return CUDA
    if backend == CUDA:
        raise ValueError(
            'backend="cuda" takes arrays on a CUDA device; got arrays in the host\'s memory (pass cupy.asarray(array))'
        )
    asked = backend if backend is not None else os.environ.get("DUALWALK_BACKEND") or None
    if asked is None:
        return next(name for name in PREFERENCE if why_not(name) is None)
    where = "backend" if backend is not None else "DUALWALK_BACKEND"
    if asked not in PREFERENCE:
        raise ValueError(f"{where} must be one of {', '.join(map(repr, PREFERENCE))}; got {asked!r} (None picks the fastest)")
    reason = why_not(asked)
    if reason is not None:
        raise MissingPackageError(f"{where}={asked!r} cannot be used: {reason}")
    return asked


def job(name: str, backend: str | None = None, *arrays: Any) -> Callable[..., Any]:
    """The function of the table for this job, where these arrays are."""
    function: Callable[..., Any] = getattr(module(choose(backend, *arrays)), name)
    return function
