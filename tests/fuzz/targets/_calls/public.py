"""Calls of the public kernels: permutations, objectives, walks on the library's duals, annealing."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import dualwalk as dw

from .choices import Choices

PERMUTED = ("f4", "f8", "i8", "u1", "?", "i4", "f4", "f8")


class Call(NamedTuple):
    """A public function and its arguments by name."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    long: Callable[[dict[str, Any]], bool]  # whether the call would be right, and work for longer than a fuzzer has


def count(value: Any) -> int:
    """A number of something, or 0 for what is none."""
    return int(value) if isinstance(value, (int, np.integer)) and value > 0 else 0


def permute_marginals(choices: Choices) -> Call:
    shape = choices.one_of(((choices.size(33, least=0), choices.size(5, least=0)), (choices.size(9), 2, choices.size(5))))
    x = choices.whole(shape, 2**14, np.int64).astype(choices.one_of(PERMUTED))
    copies = choices.one_of((None, 1, 2, 0))
    out = np.zeros(x.shape if copies is None else (copies, *x.shape), x.dtype)
    columns = math.prod(shape[1:])
    given = {
        "x": x,
        "n_copies": copies,
        "blocks": choices.one_of((None, np.arange(columns) // 2, np.zeros(columns, np.int64))),
        "method": choices.one_of(("shuffle", "resample", "shift")),
        "seed": choices.seed(),
        "out": out if choices.rarely(2) else None,
        "n_threads": choices.one_of((None, 1, 2)),
    }

    def long(given: dict[str, Any]) -> bool:
        x = given["x"]
        return 2**12 < count(given["n_copies"]) * (max(1, x.size) if isinstance(x, np.ndarray) else 1) < 2**44

    return Call(dw.permute_marginals, given, long)


def short(given: dict[str, Any]) -> bool:
    return False


def log_mean_exp(choices: Choices) -> Call:
    shape = choices.one_of(((choices.size(),), (choices.size(17), choices.size(9)), (3, choices.size(9, least=0), 4)))
    f = choices.numbers(shape, choices.one_of((np.float32, np.float64, np.float64)), special=True)
    segments = choices.one_of((None, None, np.array([0, len(f)]), np.arange(len(f) + 1)))
    out = np.zeros_like(f) if choices.rarely(3) else None
    given = {
        "f": np.asfortranarray(f) if choices.rarely(8) else f,
        "axis": None if segments is not None else choices.one_of((None, 0, -1, tuple(range(f.ndim)))),
        "segments": segments if f.ndim == 1 else None,
        "weights": np.abs(choices.numbers(choices.one_of((shape, shape[-1:])), f.dtype)) if choices.rarely(3) else None,
        "return_gradient": True if out is not None else choices.rarely(2),
        "out": out,
        "n_threads": choices.one_of((None, 1, 2)),
    }
    return Call(dw.log_mean_exp, given, short)


def objective(choices: Choices) -> Call:
    dtype = choices.dtype()
    given = {
        "f_joint": choices.numbers((choices.size(),), dtype, special=True),
        "f_marginal": choices.numbers(choices.one_of(((choices.size(),), (3, choices.size(9)))), dtype, special=True),
        "n_threads": choices.one_of((None, 1, 2)),
    }
    return Call(choices.one_of((dw.donsker_varadhan, dw.logistic)), given, short)


def dual_of(choices: Choices, n: int, d: int) -> Any:
    """One of the library's duals that have compiled walks; few of them, since making one takes long."""
    kind, number = choices.byte() % 3, choices.byte() % 4
    key = (kind, number, n, d)
    if key not in _DUALS:
        if len(_DUALS) > 2000:
            _DUALS.clear()
        rng = np.random.default_rng(number)
        if kind == 0:
            width = (d, 8, 5, 1)
            weights = [rng.standard_normal((b, a)) / math.sqrt(a) for a, b in pairwise(width)]
            _DUALS[key] = dw.MLPDual(weights, [rng.standard_normal(b) for b in width[1:]])
        elif kind == 1:
            points = rng.standard_normal((20, d))
            neighbors = rng.permuted(np.tile(np.arange(20), (1 if number % 2 else n, 1)), axis=1)[:, :6]
            _DUALS[key] = dw.LocalDual(points, neighbors, shrinkage=0.3)
        else:
            _DUALS[key] = dw.MixtureDual([0.4, 0.6], rng.standard_normal((2, d)), np.stack([np.eye(d), 0.5 * np.eye(d)]))
    return _DUALS[key]


_DUALS: dict[tuple[int, int, int, int], Any] = {}


def walk(choices: Choices) -> Call:
    n, d = choices.size(9), choices.size(9)
    given = {
        "dual": dual_of(choices, n, d),
        "x0": choices.numbers((n, d), choices.dtype()),
        "n_steps": choices.one_of((2, 1, 0, 3)),
        "step_size": choices.one_of((0.05, 0.01)),
        "target": None if choices.byte() < 200 else choices.one_of((0.0, choices.numbers((n,), np.float64))),
        "noise": choices.one_of((0.0, 1.0)),
        "bounds": choices.one_of((None, None, None, (-9.0, 9.0), (np.full(d, -9.0), np.full(d, 9.0)))),
        "seed": choices.seed(),
        "record": choices.rarely(3),
        "tolerance": 1e-3,
        "preconditioner": np.eye(d) if choices.rarely(6) else None,
        "base": choices.one_of((None, None, None, "normal")),
        "precision": None,
        "n_threads": choices.one_of((None, 1, 2)),
    }
    return Call(dw.walk, given, lambda given: 1000 < count(given["n_steps"]) < 2**32 - 1)


def anneal(choices: Choices) -> Call:
    n, d = choices.size(9), choices.size(9)
    rng = choices.byte() % 4
    if ("path", rng, n, d) not in _PATHS:
        mixture = np.random.default_rng(rng).standard_normal((2, d))
        _PATHS["path", rng, n, d] = dw.MixtureDual([0.4, 0.6], mixture, np.stack([np.eye(d), 0.5 * np.eye(d)]))
    given = {
        "dual": _PATHS["path", rng, n, d],
        "x0": choices.numbers((n, d), choices.dtype()),
        "t_start": choices.one_of((0.4, 0.9)),
        "t_end": choices.one_of((0.0, 0.1)),
        "n_steps": choices.one_of((2, 1, 5)),
        "renoise": choices.rarely(2),
        "seed": choices.seed(),
        "record": choices.rarely(3),
        "n_threads": choices.one_of((None, 1, 2)),
    }
    return Call(dw.anneal, given, lambda given: 1000 < count(given["n_steps"]) < 2**60)


_PATHS: dict[tuple[str, int, int, int], Any] = {}

MAKERS = (permute_marginals, log_mean_exp, objective, walk, permute_marginals, log_mean_exp, objective, anneal)
