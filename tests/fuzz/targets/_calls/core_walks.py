"""Calls of the compiled walks, with duals read back from the very arrays that the call gets."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dualwalk.backends import reference
from dualwalk.backends._native_panels import pack_lines, pack_panels, whole_lines

from .case import INT, WORD64, Case, apart, block, floating, leaves, optional, real, whole
from .choices import Choices

Pair = tuple[NDArray[Any], NDArray[Any]]
AT_PANEL, AT_LINE = 192, 64  # bytes


class Plan(SimpleNamespace):
    """A WalkPlan or an AnnealPlan whose fields may be anything, or missing."""


WALK_FIELDS = {"n_steps", "step_size", "noise", "tolerance", "target", "low", "high", "seed", "trajectory", "n_threads"}
ANNEAL_FIELDS = {"moves", "start_angle", "renoise", "seed", "trajectory", "n_threads"}


def has(plan: Any, fields: set[str]) -> bool:
    return isinstance(plan, Plan) and vars(plan).keys() >= fields


class Dual:
    """A dual function for the reference: a function of rows, in float64."""

    def __init__(self, function: Callable[[NDArray[Any], Any], Pair], walks: Any = slice(None)) -> None:
        self._function, self._walks = function, walks

    def value_and_gradient(self, x: NDArray[Any]) -> Pair:
        return self._function(x.astype(np.float64), self._walks)

    def select(self, walks: NDArray[Any]) -> Dual:
        return Dual(self._function, walks)


class Shape:
    """The preconditioner that the two arrays of `shape` describe."""

    def __init__(self, factor: NDArray[Any], diagonal: NDArray[Any] | None) -> None:
        self.factor = factor.astype(np.float64)
        self.diagonal = (
            np.zeros(factor.shape[::2]) if diagonal is None else diagonal.astype(np.float64).reshape(factor.shape[::2])
        )
        self.n_normals = factor.shape[1] + (0 if diagonal is None else factor.shape[2])

    def apply(self, rows: NDArray[Any]) -> NDArray[Any]:
        inner = np.einsum("brd,bd->br", np.broadcast_to(self.factor, (len(rows), *self.factor.shape[1:])), rows)
        return (
            np.einsum("brd,br->bd", np.broadcast_to(self.factor, (len(rows), *self.factor.shape[1:])), inner)
            + self.diagonal * rows
        )

    def color(self, normals: NDArray[Any]) -> NDArray[Any]:
        r = self.factor.shape[1]
        noise = np.einsum("br,brd->bd", normals[:, :r], np.broadcast_to(self.factor, (len(normals), *self.factor.shape[1:])))
        return noise + (np.sqrt(self.diagonal) * normals[:, r:] if normals.shape[1] > r else 0.0)

    def select(self, walks: NDArray[Any]) -> Shape:
        if len(self.factor) == 1:
            return self
        part = Shape.__new__(Shape)
        part.factor, part.diagonal, part.n_normals = self.factor[walks], self.diagonal[walks], self.n_normals
        return part


def from_panels(panels: NDArray[Any], n_entries: int, n_columns: int) -> NDArray[np.float64]:
    """The matrix that was packed."""
    width = AT_PANEL // panels.dtype.itemsize
    rows = panels.reshape(-1, n_columns, width).transpose(0, 2, 1).reshape(-1, n_columns)
    return rows[:n_entries].astype(np.float64)


def rough(*arguments: Any) -> float:
    return 5e-3 if arguments[0].dtype == np.float32 else 1e-7


def plan_of(choices: Choices, n: int, d: int, dtype: Any, n_steps: int) -> Plan:
    box = choices.rarely(4)
    return Plan(
        n_steps=n_steps,
        step_size=choices.one_of((0.01, 0.1, 1e-3)),
        noise=float(choices.one_of((0.0, 0.0, 1.0))),
        tolerance=1e-3,
        target=choices.numbers((n,), dtype) if choices.rarely(4) else None,
        low=np.full(d, -1.5, dtype) if box else None,
        high=np.full(d, 1.5, dtype) if box else None,
        seed=choices.seed(),
        trajectory=np.zeros((n, n_steps + 1, d), dtype) if choices.rarely(4) else None,
        n_threads=choices.n_threads(),
    )


def shape_of(choices: Choices, n: int, d: int, dtype: Any) -> Any:
    """A preconditioner's arrays, rarely."""
    if not choices.rarely(5):
        return None
    places, r = choices.one_of((1, n)), choices.one_of((1, 3, 8))
    factor = choices.numbers((places, r, d), dtype) * dtype.type(0.3)
    return factor, np.abs(choices.numbers((places, d), dtype)) if choices.rarely(2) else None


def plan_fits(x: Any, plan: Any, shape: Any) -> bool:
    """Whether these are starts, settings and a preconditioner that go together."""
    if not (
        floating(x) and block(x, x.dtype, None, None, writes=True) and x.size and len(x) < 2**32 and has(plan, WALK_FIELDS)
    ):
        return False
    n, d = x.shape
    numbers = whole(plan.n_steps, 0, 2**32 - 2) and whole(plan.seed, 0, WORD64) and whole(plan.n_threads, 1, INT)
    numbers = (
        numbers
        and real(plan.step_size, 0.0)
        and float(plan.step_size) > 0
        and real(plan.noise, 0.0)
        and real(plan.tolerance, 0.0)
    )
    if not numbers or (plan.low is None) != (plan.high is None):
        return False
    if not (optional(plan.target, x.dtype, n) and optional(plan.low, x.dtype, d) and optional(plan.high, x.dtype, d)):
        return False
    if not (optional(plan.trajectory, x.dtype, n, int(plan.n_steps) + 1, d, writes=True) and apart(x, plan, shape)):
        return False
    if not apart(plan.trajectory, x, plan.target, plan.low, plan.high, shape):
        return False
    if shape is None:
        return True
    if not isinstance(shape, tuple) or len(shape) != 2:
        return False
    factor, diagonal = shape
    return block(factor, x.dtype, None, None, d) and len(factor) in (1, n) and optional(diagonal, x.dtype, len(factor), d)


def nothing(plan: Plan) -> list[Any]:
    """So many results that are not compared."""
    return [None] * (4 + (plan.trajectory is not None))


def walked(dual: Dual, x: NDArray[Any], plan: Plan, shape: Any, *tables: Any) -> list[Any]:
    """What a walk returns and writes; nothing to compare where rounding decides, or where numbers are out of all proportion."""
    settings = vars(plan) | {"preconditioner": None if shape is None else Shape(*shape), "precision": None}
    settings |= {
        "n_steps": int(plan.n_steps),
        "seed": int(plan.seed),
        "step_size": float(plan.step_size),
        "noise": float(plan.noise),
    }
    tame = all(
        bool(np.isfinite(array).all()) and np.abs(array).max(initial=0) < 50 for array in leaves([x, shape or (), *tables])
    )
    tame = tame and (shape is None or shape[1] is None or bool((shape[1] >= 0).all()))  # variances
    tame = tame and settings["step_size"] <= 0.2 and settings["noise"] <= 1 and settings["n_steps"] <= 4 and plan.target is None
    if not tame:
        return nothing(plan)
    state = reference.walk(dual, x, reference.WalkPlan(**settings))
    if not np.isfinite(x).all() or np.abs(x).max() > 1e3:
        return nothing(plan)
    return [*state, x, *([] if plan.trajectory is None else [plan.trajectory])]


def walk_mlp(choices: Choices) -> Case:
    dtype, n, d = choices.dtype(), choices.size(33), choices.size(33)
    hidden = [choices.size(49) for _ in range(choices.one_of((1, 2, 0, 3)))]
    width = [d, *hidden, 1]
    scale = [1 / math.sqrt(inputs) for inputs in width]
    weights = [choices.numbers((b, a), np.float64) * s for a, b, s in zip(width, width[1:], scale, strict=False)]
    biases = [choices.numbers((b,), np.float64) for b in width[1:]]
    given = [
        choices.numbers((n, d), dtype),
        width,
        [pack_panels(weight, dtype) for weight in weights[:-1]],
        [pack_panels(weight.T, dtype) for weight in weights[:-1]],
        [pack_lines(bias, dtype) for bias in biases],
        pack_lines(weights[-1][0], dtype),
        plan_of(choices, n, d, dtype, choices.one_of((1, 2, 3, 0))),
        shape_of(choices, n, d, dtype),
    ]

    def fits(x: Any, width: Any, forward: Any, backward: Any, biases: Any, last: Any, plan: Any, shape: Any) -> bool:
        if not (
            plan_fits(x, plan, shape) and all(isinstance(part, (list, tuple)) for part in (width, forward, backward, biases))
        ):
            return False
        layers = len(biases)
        if not (1 <= layers <= 64 and len(width) == layers + 1 and len(forward) == len(backward) == layers - 1):
            return False
        if not all(whole(number, 1, WORD64) for number in width) or int(width[0]) != x.shape[1] or int(width[-1]) != 1:
            return False
        if not all(lines(bias, int(b), x.dtype) for bias, b in zip(biases, width[1:], strict=True)):
            return False
        pairs = zip(forward, backward, width, width[1:], strict=False)
        ready = all(
            panels(there, int(b), int(a), x.dtype) and panels(back, int(a), int(b), x.dtype) for there, back, a, b in pairs
        )
        return ready and lines(last, int(width[-2]), x.dtype) and apart([x, plan.trajectory], forward, backward, biases, last)

    def expected(x: Any, width: Any, forward: Any, backward: Any, biases: Any, last: Any, plan: Any, shape: Any) -> list[Any]:
        layers = [from_panels(there, int(b), int(a)) for there, a, b in zip(forward, width, width[1:], strict=False)]
        turned = [from_panels(back, int(a), int(b)) for back, a, b in zip(backward, width, width[1:], strict=False)]
        rooms = [*zip(biases, width[1:], strict=True), (last, width[-2])]
        rests = [line[int(n) :] for line, n in rooms]
        rests += [unused(there, int(b)) for there, b in zip(forward, width[1:], strict=False)]
        rests += [unused(back, int(a)) for back, a in zip(backward, width, strict=False)]
        if any(rest.any() for rest in rests) or not all(np.array_equal(a, b.T) for a, b in zip(layers, turned, strict=True)):
            return nothing(plan)  # what fills up a line is zero where our own code makes it
        layers.append(last.astype(np.float64)[None, : int(width[-2])])
        shifts = [bias.astype(np.float64)[: int(b)] for bias, b in zip(biases, width[1:], strict=True)]

        def function(rows: NDArray[Any], _: Any) -> Pair:
            slopes = []
            for weight, shift in zip(layers[:-1], shifts[:-1], strict=True):
                rows, slope = reference.silu_and_slope(rows @ weight.T + shift)
                slopes.append(slope)
            back = np.ones((len(rows), 1))
            for weight, slope in zip(layers[:0:-1], slopes[::-1], strict=True):
                back = (back @ weight) * slope
            return (rows @ layers[-1].T)[:, 0] + shifts[-1], back @ layers[0]

        return walked(Dual(function), x, plan, shape, forward, biases, last)

    return Case("walk_mlp", given, fits, expected, written=(0, 6), tolerance=rough)


def unused(panels: NDArray[Any], n_entries: int) -> NDArray[Any]:
    """The entries of a matrix in panels that only fill up the last one."""
    return panels.swapaxes(1, 2).reshape(-1, panels.shape[1])[n_entries:]


def lines(value: Any, n: int, dtype: Any) -> bool:
    """Whether this is a vector of n numbers in whole lines."""
    return n < 2**40 and block(value, dtype, whole_lines(n, dtype))


def panels(value: Any, n_entries: int, n_columns: int, dtype: Any) -> bool:
    """Whether this is a matrix in panels, at a line."""
    width = AT_PANEL // dtype.itemsize
    return block(value, dtype, -(-n_entries // width), n_columns, width) and value.ctypes.data % AT_LINE == 0


def walk_local(choices: Choices) -> Case:
    dtype, n, d, r = choices.dtype(), choices.size(33), choices.size(65), choices.size(17)
    places = choices.one_of((1, n))
    given = [
        choices.numbers((n, d), dtype),
        choices.numbers((places, d), dtype),
        -np.abs(choices.numbers((places, d), dtype)),
        choices.numbers((places, r, d), dtype) * dtype.type(0.2),
        choices.numbers((places,), dtype),
        plan_of(choices, n, d, dtype, choices.one_of((1, 2, 3, 0))),
        shape_of(choices, n, d, dtype),
    ]

    def fits(x: Any, mean: Any, curvature: Any, factor: Any, constant: Any, plan: Any, shape: Any) -> bool:
        if not (plan_fits(x, plan, shape) and block(mean, x.dtype, None, x.shape[1]) and len(mean) in (1, len(x))):
            return False
        ready = block(curvature, x.dtype, *mean.shape) and block(constant, x.dtype, len(mean))
        ready = ready and block(factor, x.dtype, len(mean), None, x.shape[1])
        return ready and apart([x, plan.trajectory], mean, curvature, factor, constant)

    def expected(x: Any, mean: Any, curvature: Any, factor: Any, constant: Any, plan: Any, shape: Any) -> list[Any]:
        parts = [
            np.broadcast_to(part.astype(np.float64), (len(x), *part.shape[1:])) for part in (mean, curvature, factor, constant)
        ]

        def function(rows: NDArray[Any], walks: Any) -> Pair:
            centre, bent, thin, level = (part[walks] for part in parts)
            y = rows - centre
            inner = np.einsum("brd,bd->br", thin, y)
            value = level + 0.5 * (bent * y * y).sum(axis=1) + 0.5 * (inner * inner).sum(axis=1)
            return value, bent * y + np.einsum("brd,br->bd", thin, inner)

        return walked(Dual(function), x, plan, shape, mean, curvature, factor, constant)

    return Case("walk_local", given, fits, expected, written=(0, 5), tolerance=rough)


MAKERS = (walk_mlp, walk_local)
