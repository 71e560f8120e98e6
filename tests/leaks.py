"""Calls that are repeated, and what they leave behind: `python tests/leaks.py 10000` prints a line for each."""

from __future__ import annotations

import ctypes
import gc
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import backends, metrics
from dualwalk._nodepath.network import NodeData, initial_contrastive, initial_density
from dualwalk.backends._reference_nodes import StepPlan

rng = np.random.default_rng(0)
X = rng.normal(size=(10, 2, 3)).cumsum(axis=2)
ROWS = X.reshape(10, 6)
F = rng.normal(size=10)
PLACES = np.linspace(0, 1, 10)
DUAL = dw.MLPDual([rng.normal(size=(4, 6)), rng.normal(size=(1, 4))], [np.zeros(4), np.zeros(1)])
LOCAL = dw.LocalDual(ROWS, np.arange(6), shrinkage=0.3)
MIXTURE = dw.MixtureDual.fit(ROWS, n_components=2, shrinkage=0.5)
SHAPE = dw.LocalCovariance(ROWS, np.arange(6), shrinkage=0.3)
NODES = NodeData(rng.normal(size=(4, 16)), rng.normal(size=(4, 3, 16)), np.zeros((4, 2)), np.array([1, 2, 0, 0, 0], np.uint8))
GRID = np.sort(rng.normal(size=(4, 8)), axis=1)
WEIGHTS = {"density": initial_density(rng, 5, dtype=np.float64), "contrastive": initial_contrastive(rng, 5, dtype=np.float64)}
PLAN = StepPlan(np.full(1, 1e-3), 1e-2, 5.0, 3)
Call = Callable[[], Any]


def _walk(dual: Any, **options: Any) -> Call:
    return lambda: dw.walk(dual, ROWS, n_steps=2, step_size=0.1, noise=1.0, seed=0, **options)


def _trained(kind: str) -> Call:
    batch = np.arange(4, dtype=np.int32)[None], np.arange(8, dtype=np.int32)[None], np.zeros((1, 4), np.uint8)

    def call() -> None:
        weights = WEIGHTS[kind].copy()
        state = weights, np.zeros_like(weights), np.zeros_like(weights)
        backends.job(f"train_{kind}")(*state, 0, NODES, *batch, PLAN, 1)

    return call


def _of_nodes(kind: str, what: str) -> Call:
    weights, more = WEIGHTS[kind], () if kind == "density" else (True,)
    if what == "score":
        return lambda: backends.job(f"score_{kind}")(weights, NODES, 16, *(() if kind == "density" else (PLAN,)), 1)
    if what == "terms":
        return lambda: backends.job(f"{kind}_terms")(weights[None], NODES, GRID, np.ones(1), *more, 1)
    return lambda: backends.job(f"{kind}_slopes")(weights[None], NODES, GRID, 1.0, *more, 1)


KERNELS: dict[str, Call] = {
    "philox": lambda: backends.job("philox")(np.zeros((2, 4), np.uint32), 1),
    "draw_integers": lambda: backends.job("draw_integers")(1, 1, 0, 0, np.arange(1, 9, dtype=np.uint32)),
    "draw_normals": lambda: backends.job("draw_normals")(1, 0, 3, 4),
    **{
        f"permute_marginals, {m}": lambda m=m: dw.permute_marginals(X, method=m, seed=1)
        for m in ("shuffle", "resample", "shift")
    },
    "log_mean_exp": lambda: dw.log_mean_exp(ROWS, axis=0, return_gradient=True),
    "log_mean_exp, segments": lambda: dw.log_mean_exp(F, segments=[0, 4, 10]),
    "donsker_varadhan": lambda: dw.donsker_varadhan(F, F),
    "logistic": lambda: dw.logistic(F, F),
    "walk, MLP": _walk(DUAL),
    "walk, local": _walk(LOCAL),
    "walk, mixture": _walk(MIXTURE),
    "walk, preconditioned": _walk(LOCAL, preconditioner=SHAPE),
    "anneal": lambda: dw.anneal(MIXTURE, ROWS, t_start=0.4, n_steps=2, seed=1),
    "relax_local": lambda: backends.job("relax_local")(ROWS, np.arange(10).reshape(5, 2), 0.5, 1, 1),
    "balance_columns": lambda: backends.job("balance_columns")(ROWS, PLACES, np.sort(ROWS, axis=0), np.zeros(6, bool), 1),
    **{f"train_{kind}": _trained(kind) for kind in WEIGHTS},
    **{f"{kind}, {what}": _of_nodes(kind, what) for kind in WEIGHTS for what in ("score", "terms", "slopes")},
}


class Stops:
    """A dual that fails in the middle of a walk."""

    def value_and_gradient(self, x: np.ndarray) -> Any:
        raise ZeroDivisionError("in the user's own function")


def _core_refuses() -> None:
    from dualwalk import _core

    _core.log_mean_exp(np.zeros((2, 0, 2)), None, None, 1)


ERRORS: dict[str, tuple[type[Exception], Call]] = {
    "permute_marginals, method": (ValueError, lambda: dw.permute_marginals(X, method="none")),
    "permute_marginals, object": (TypeError, lambda: dw.permute_marginals([["a"]])),
    "permute_marginals, out": (ValueError, lambda: dw.permute_marginals(X, out=np.empty((2, 2)))),
    "permute_marginals, blocks": (ValueError, lambda: dw.permute_marginals(X, blocks=[1, 2, 3])),
    "log_mean_exp, segments": (ValueError, lambda: dw.log_mean_exp(F, segments=[0, 4, 4, 10])),
    "log_mean_exp, empty": (ValueError, lambda: dw.log_mean_exp([])),
    "logistic": (TypeError, lambda: dw.logistic(F.astype(complex), F)),
    "walk, shape": (ValueError, lambda: dw.walk(DUAL, ROWS[:, :3], n_steps=1, step_size=0.1)),
    "walk, own dual": (ZeroDivisionError, _walk(Stops())),
    "anneal": (ValueError, lambda: dw.anneal(MIXTURE, ROWS, t_start=2.0)),
    "DualDivergence": (ValueError, lambda: dw.DualDivergence().fit(X[:3])),
    "DualSampler": (ValueError, lambda: dw.DualSampler("none").fit(X)),
    "not fitted": (dw.NotFittedError, lambda: dw.DualSampler().sample(3)),
    "load": (dw.ModelFileError, lambda: dw.load(__file__)),
    "mmd": (ValueError, lambda: metrics.mmd(X, X[:, :1])),
}
if backends.why_not("native") is None:
    ERRORS["the compiled module"] = (ValueError, _core_refuses)


def _failing(error: type[Exception], call: Call) -> Call:
    def run() -> None:
        try:
            call()
        except error:
            return
        raise AssertionError(f"no {error.__name__}")

    return run


def _kept() -> None:
    with tempfile.TemporaryDirectory() as folder:
        DUAL.save(Path(folder) / "dual.npz")
        dw.load(Path(folder) / "dual.npz")


MORE = X + np.arange(4)[:, None, None, None]  # four times ten rows
SERIES = MORE.reshape(40, 2, 3)
LONG: dict[str, Call] = {  # calls of some milliseconds and more
    "DualDivergence": lambda: dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(SERIES).score_samples(SERIES),
    "DualDivergence, blocks": lambda: dw.DualDivergence(cv=2, blocks=[0, 0, 0, 1, 1, 1], random_state=0).fit(SERIES),
    "DualSampler": lambda: dw.DualSampler(random_state=0).fit(SERIES).sample(50, min_novelty=0.1),
    "impute": lambda: dw.DualSampler("local", random_state=0).fit(SERIES).impute(np.where(SERIES > 2, np.nan, SERIES)),
    "independence_test": lambda: dw.independence_test(SERIES, n_permutations=19, random_state=0, n_threads=2),
    "save and load": _kept,
}


class MallocInfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]
    )


def in_use() -> tuple[int, int]:
    """Bytes that malloc has given away, C++ and NumPy included, and blocks that Python has."""
    gc.collect()
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = MallocInfo
    found = library.mallinfo2()
    return found.uordblks + found.hblkhd, sys.getallocatedblocks()


def left_behind(call: Call, n_calls: int) -> tuple[float, float]:
    """(bytes, blocks) a call leaves; the first calls, which fill caches, are not counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(max(5, n_calls // 20)):
            call()
        before = in_use()
        for _ in range(n_calls):
            call()
        after = in_use()
    return (after[0] - before[0]) / n_calls, (after[1] - before[1]) / n_calls


CALLS: dict[str, Call] = KERNELS | {f"error: {name}": _failing(*each) for name, each in ERRORS.items()}

if __name__ == "__main__":
    n = int(sys.argv[1])
    for name, call in (CALLS | LONG).items():
        times = n if name in CALLS else max(20, n // 200)
        n_bytes, n_blocks = left_behind(call, times)
        print(f"{name:40s} {times:6d} calls  {n_bytes:8.2f} bytes, {n_blocks:6.3f} blocks a call", flush=True)
