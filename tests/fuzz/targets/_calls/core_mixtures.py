"""Calls of the walks and of the annealing of mixtures, read back as in `core_walks`."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualwalk.backends import reference
from dualwalk.backends._native_panels import pack_lines, pack_panels, whole_lines

from .case import INT, WORD32, WORD64, Case, apart, block, flag, floating, optional, real, whole
from .choices import Choices
from .core_walks import (
    ANNEAL_FIELDS,
    Dual,
    Pair,
    Plan,
    from_panels,
    has,
    nothing,
    panels,
    plan_fits,
    plan_of,
    rough,
    shape_of,
    unused,
    walked,
)


def alike(forward: NDArray[Any], backward: NDArray[Any], d: int, k: int, *tables: NDArray[Any]) -> bool:
    """Whether both panels hold the axes of one mixture, and zeros fill up lines and panels; the caller answers for that."""
    padded = whole_lines(d, forward.dtype)
    there = from_panels(forward, k * padded, d).reshape(k, padded, d)
    filled = [there[:, d:], unused(forward, k * padded), unused(backward, d), *(table[..., d:] for table in tables)]
    same = np.array_equal(there[:, :d], from_panels(backward, d, k * d).reshape(d, k, d).transpose(1, 2, 0))
    return same and not any(part.any() for part in filled)


def mixture_parts(choices: Choices, dtype: Any, d: int, n_times: int) -> list[Any]:
    """forward, backward, starts, precisions, log_scales, pull and constant of some mixture."""
    k = choices.one_of((1, 2, 3, 5))
    axes = choices.numbers((k, d, d), np.float64) / math.sqrt(d)
    rows = pack_lines(axes, dtype).transpose(0, 2, 1).reshape(-1, d)
    starts = pack_lines(choices.numbers((n_times, k, d), dtype), dtype)
    precisions = pack_lines(np.abs(choices.numbers((n_times, k, d), dtype)), dtype)
    back = pack_panels(axes.transpose(1, 0, 2).reshape(d, -1), dtype)
    return [
        pack_panels(rows, dtype),
        back,
        starts,
        precisions,
        choices.numbers((n_times, k), dtype),
        float(choices.one_of((1.0, 0.0))),
        0.5,
    ]


def mixture_fits(x: Any, forward: Any, backward: Any, starts: Any, precisions: Any, log_scales: Any, n_times: int) -> bool:
    if not (block(log_scales, x.dtype, n_times, None) and log_scales.shape[1] > 0):
        return False
    k, d = log_scales.shape[1], x.shape[1]
    padded = whole_lines(d, x.dtype)
    tables = block(starts, x.dtype, n_times, k, padded) and block(precisions, x.dtype, n_times, k, padded)
    return tables and panels(forward, k * padded, d, x.dtype) and panels(backward, d, k * d, x.dtype)


def mixture_of(
    x: Any, forward: Any, starts: Any, precisions: Any, log_scales: Any, pull: Any, constant: Any, time: int
) -> Dual:
    k, d = log_scales.shape[1], x.shape[1]
    padded = whole_lines(d, x.dtype)
    axes = from_panels(forward, k * padded, d).reshape(k, padded, d)[:, :d]
    start, precision = (part[time, :, :d].astype(np.float64) for part in (starts, precisions))
    scale = log_scales[time].astype(np.float64)

    def function(rows: NDArray[Any], _: Any) -> Pair:
        z = np.einsum("kej,nj->nke", axes, rows) + start
        score = scale - 0.5 * (z * precision * z).sum(axis=2)
        peak = score.max(axis=1, keepdims=True)
        share = np.exp(score - peak)
        total = share.sum(axis=1, keepdims=True)
        pulled = np.einsum("nk,nke,kej->nj", share / total, precision * z, axes)
        value = (peak + np.log(total))[:, 0] + 0.5 * float(pull) * (rows * rows).sum(axis=1) + float(constant)
        return value, float(pull) * rows - pulled

    return Dual(function)


def walk_mixture(choices: Choices) -> Case:
    dtype, n, d = choices.dtype(), choices.size(33), choices.size(33)
    tables = mixture_parts(choices, dtype, d, 1)
    plan = plan_of(choices, n, d, dtype, choices.one_of((1, 2, 3, 0)))
    given = [choices.numbers((n, d), dtype), *tables, plan, shape_of(choices, n, d, dtype)]

    def fits(
        x: Any,
        forward: Any,
        backward: Any,
        starts: Any,
        precisions: Any,
        log_scales: Any,
        pull: Any,
        constant: Any,
        plan: Any,
        shape: Any,
    ) -> bool:
        if not (plan_fits(x, plan, shape) and real(pull) and real(constant)):
            return False
        tables = (forward, backward, starts, precisions, log_scales)
        return mixture_fits(x, *tables, 1) and apart([x, plan.trajectory], *tables)

    def expected(
        x: Any,
        forward: Any,
        backward: Any,
        starts: Any,
        precisions: Any,
        log_scales: Any,
        pull: Any,
        constant: Any,
        plan: Any,
        shape: Any,
    ) -> list[Any]:
        if (
            abs(float(pull)) > 10
            or abs(float(constant)) > 1e3
            or not alike(forward, backward, x.shape[1], log_scales.shape[1], starts, precisions)
        ):
            return nothing(plan)
        dual = mixture_of(x, forward, starts, precisions, log_scales, pull, constant, 0)
        return walked(dual, x, plan, shape, forward, starts, precisions, log_scales)

    return Case("walk_mixture", given, fits, expected, written=(0, 8), tolerance=rough)


def anneal_mixture(choices: Choices) -> Case:
    dtype, n, d, n_steps = choices.dtype(), choices.size(33), choices.size(33), choices.one_of((1, 2, 3))
    tables = mixture_parts(choices, dtype, d, n_steps + 1)
    settled = reference.AnnealPlan(
        np.linspace(0.4, 0.1, n_steps + 1), choices.rarely(2), choices.seed(), None, choices.n_threads()
    )
    plan = Plan(
        moves=settled.moves,
        start_angle=settled.start_angle,
        renoise=settled.renoise,
        seed=settled.seed,
        trajectory=np.zeros((n, n_steps + 1, d), dtype) if choices.rarely(4) else None,
        n_threads=settled.n_threads,
    )

    def fits(
        x: Any, forward: Any, backward: Any, starts: Any, precisions: Any, log_scales: Any, pull: Any, constant: Any, plan: Any
    ) -> bool:
        if not (floating(x) and block(x, x.dtype, None, None, writes=True) and x.size and has(plan, ANNEAL_FIELDS)):
            return False
        if not (block(plan.moves, np.float64, None, 4) and real(plan.start_angle) and flag(plan.renoise)):
            return False
        n_steps, tables = len(plan.moves), (forward, backward, starts, precisions, log_scales)
        numbers = whole(plan.seed, 0, WORD64) and whole(plan.n_threads, 1, INT) and real(pull) and real(constant)
        kept = optional(plan.trajectory, x.dtype, len(x), n_steps + 1, x.shape[1], writes=True)
        free = apart([x, plan.trajectory], *tables, plan.moves) and apart(x, plan.trajectory)
        return numbers and kept and free and len(x) <= WORD32 and mixture_fits(x, *tables, n_steps + 1)

    def expected(
        x: Any, forward: Any, backward: Any, starts: Any, precisions: Any, log_scales: Any, pull: Any, constant: Any, plan: Any
    ) -> list[Any]:
        missing = nothing(plan)
        if not alike(forward, backward, x.shape[1], log_scales.shape[1], starts, precisions):
            return missing
        tables = [x, forward, starts, precisions, log_scales]
        if not (
            all(np.isfinite(part).all() and np.abs(part).max() < 50 for part in tables)
            and np.isfinite(plan.moves).all()
            and np.abs(plan.moves).max(initial=0) < 3
            and abs(float(pull)) < 10
        ):
            return missing
        time = iter(range(len(plan.moves) + 1))
        moments = SimpleNamespace(
            at=lambda _: mixture_of(x, forward, starts, precisions, log_scales, pull, constant, next(time))
        )
        fields = vars(plan) | {
            "times": np.zeros(len(plan.moves) + 1),
            "seed": int(plan.seed),
            "start_angle": float(plan.start_angle),
        }
        state = reference.anneal(moments, x, SimpleNamespace(**fields))
        if not np.isfinite(x).all() or np.abs(x).max() > 1e3 or abs(float(constant)) > 1e3:
            return missing
        return [*state, x, *([] if plan.trajectory is None else [plan.trajectory])]

    given = [choices.numbers((n, d), dtype), *tables, plan]
    return Case("anneal_mixture", given, fits, expected, written=(0, 8), tolerance=rough)


MAKERS = (walk_mixture, anneal_mixture)
