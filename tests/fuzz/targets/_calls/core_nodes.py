"""Calls of the node networks' jobs: training steps, scores, and terms with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from dualwalk._nodepath.network import NodeData
from dualwalk.backends import reference
from dualwalk.backends._reference_nodes import n_weights

from .case import INT, Case, apart, block, flag, floating, leaves, optional, real, whole
from .choices import Choices

MOST_SHIFTS = 1 << 16


def data_of(choices: Choices) -> tuple[Any, NodeData]:
    dtype, n_nodes, n_rows = choices.dtype(), choices.size(4), choices.size(choices.one_of((9, 9, 9, 65)))
    n_context, n_statistics = choices.one_of((2, 3, 5)), choices.one_of((1, 2))
    codes = choices.whole((n_context + n_statistics,), 8, np.uint8)
    codes[0], codes[1], codes[n_context] = 1, 2, 0
    child, context = choices.numbers((n_nodes, n_rows), dtype), choices.numbers((n_nodes, n_context, n_rows), dtype)
    return dtype, NodeData(child, context, choices.numbers((n_nodes, n_statistics), dtype), codes)


def weights_of(choices: Choices, dtype: Any, data: NodeData, contrastive: bool, members: int | None = None) -> Any:
    length = n_weights(data.n_inputs + contrastive, choices.one_of((16, 16, 32)), 1 if contrastive else 15)
    shape = (length,) if members is None else (members, length)
    return choices.numbers(shape, dtype) * dtype.type(0.2)


def data_fits(child: Any, context: Any, statistics: Any, codes: Any) -> bool:
    if not (
        floating(child)
        and block(child, child.dtype, None, None)
        and block(context, child.dtype, len(child), None, child.shape[1])
    ):
        return False
    inputs = context.shape[1] >= 2 and block(statistics, child.dtype, len(child), None) and statistics.shape[1] >= 1
    return inputs and block(codes, np.uint8, context.shape[1] + statistics.shape[1])


def width_of(length: int, inputs: int, outputs: int) -> int:
    """The hidden width, a multiple of 16 up to 4096, of so many weights; 0 for none."""
    return next((w for w in range(16, 4097, 16) if n_weights(inputs, w, outputs) == length), 0)


def usual(codes: Any, n_context: int) -> bool:
    """Whether inputs have the signs that NodeData promises; others mean nothing, and are only to be survived."""
    return bool(codes[0] == 1 and codes[1] == 2 and codes[n_context] == 0 and (codes < 8).all())


def tame(*arrays: Any) -> bool:
    return all(bool(np.isfinite(array).all()) and np.abs(array).max(initial=0) < 10 for array in leaves(list(arrays)))


def train_nodes(choices: Choices) -> Case:
    dtype, data = data_of(choices)
    shifts, steps = choices.one_of((0, 1, 4)), choices.one_of((1, 2, 0))
    weights = weights_of(choices, dtype, data, shifts > 0)
    nodes = choices.whole((steps, choices.size(4)), data.n_nodes, np.int32)
    rows = choices.whole((steps, choices.size(50)), data.n_rows, np.int32)
    flips = choices.whole(nodes.shape, 8, np.uint8)
    given = [
        *(weights, np.zeros_like(weights), np.zeros_like(weights), choices.one_of((0, 5))),
        *(data.child, data.context, data.statistics, data.codes, nodes, rows, flips, np.full(steps, 1e-3)),
        *(1e-4, 1.0, shifts, choices.rarely(2), choices.n_threads()),
    ]

    def fits(
        weights: Any, first: Any, second: Any, count: Any, child: Any, context: Any, statistics: Any, codes: Any, *rest: Any
    ) -> bool:
        nodes, rows, flips, rates, decay, longest, shifts, base, n_threads = rest
        if not (data_fits(child, context, statistics, codes) and whole(shifts, 0, MOST_SHIFTS) and whole(count, 0, 2**53)):
            return False
        if not block(weights, child.dtype, None, writes=True):
            return False
        if not all(block(part, child.dtype, len(weights), writes=True) for part in (first, second)):
            return False
        contrastive = int(shifts) > 0
        ready = width_of(len(weights), len(codes) + contrastive, 1 if contrastive else 15) > 0
        if not (ready and block(nodes, np.int32, None, None) and block(rows, np.int32, len(nodes), None)):
            return False
        batch = (
            block(flips, np.uint8, *nodes.shape)
            and block(rates, np.float64, len(nodes))
            and nodes.shape[1] > 0
            and rows.shape[1] > 0
        )
        if not batch or bool(((nodes < 0) | (nodes >= child.shape[0])).any() or ((rows < 0) | (rows >= child.shape[1])).any()):
            return False
        free = apart(weights, first, second, child, context, statistics, codes, *rest[:4]) and apart(
            first, second, child, context
        )
        free = free and apart([first, second], child, context, statistics, codes, *rest[:4])
        return free and real(decay) and real(longest) and flag(base) and whole(n_threads, 1, INT)

    def expected(
        weights: Any, first: Any, second: Any, count: Any, child: Any, context: Any, statistics: Any, codes: Any, *rest: Any
    ) -> list[Any]:
        nodes, rows, flips, rates, decay, longest, shifts, base, _ = rest
        known = tame(weights, first, second, child, context, statistics) and usual(codes, context.shape[1]) and tame(rates)
        if (
            not known
            or not (abs(float(decay)) < 1 and 0 <= float(longest) < 10 and int(shifts) < 20)
            or second.min(initial=0) < 0
        ):
            return [None] * 3
        if weights.dtype == np.float32:  # the first steps go by the signs of gradients, which rounding decides where they are 0
            return [None] * 3
        plan = reference.StepPlan(rates, float(decay), float(longest), int(shifts), bool(base))
        job = reference.train_contrastive if int(shifts) else reference.train_density
        job(weights, first, second, int(count), NodeData(child, context, statistics, codes), nodes, rows, flips, plan, 1)
        return [weights, first, second]

    return Case("train_nodes", given, fits, expected, written=(0, 1, 2), tolerance=lambda *_: 1e-6, returns=False)


def score_nodes(choices: Choices) -> Case:
    dtype, data = data_of(choices)
    shifts = choices.one_of((0, 1, 4))
    weights = weights_of(choices, dtype, data, shifts > 0)
    given = [
        *(weights, data.child, data.context, data.statistics, data.codes),
        *(choices.size(data.n_rows), shifts, choices.rarely(2), choices.n_threads()),
    ]

    def fits(
        weights: Any, child: Any, context: Any, statistics: Any, codes: Any, n_rows: Any, shifts: Any, base: Any, n_threads: Any
    ) -> bool:
        if not (data_fits(child, context, statistics, codes) and whole(shifts, 0, MOST_SHIFTS) and len(child) > 0):
            return False
        contrastive = int(shifts) > 0
        ready = (
            block(weights, child.dtype, None) and width_of(len(weights), len(codes) + contrastive, 1 if contrastive else 15) > 0
        )
        return ready and whole(n_rows, 1, child.shape[1]) and flag(base) and whole(n_threads, 1, INT)

    def expected(
        weights: Any, child: Any, context: Any, statistics: Any, codes: Any, n_rows: Any, shifts: Any, base: Any, _: Any
    ) -> list[Any]:
        if not (tame(weights, child, context, statistics) and int(shifts) < 20):
            return [None]
        data = NodeData(child, context, statistics, codes)
        if int(shifts):
            plan = reference.StepPlan(np.ones(1), 0.0, 1.0, int(shifts), bool(base))
            return [reference.score_contrastive(weights, data, int(n_rows), plan, 1)]
        return [reference.score_density(weights, data, int(n_rows), 1)]

    return Case("score_nodes", given, fits, expected, tolerance=rough)


def rough(*arguments: Any) -> float:
    return 1e-3 if arguments[0].dtype == np.float32 else 1e-8


def node_terms(choices: Choices) -> Case:
    dtype, data = data_of(choices)
    contrastive, slopes = choices.rarely(2), choices.rarely(2)
    alphas = np.array([1.0]) if slopes else np.array(choices.one_of(((1.0,), (0.0, 0.5, 1.0), ())))
    given = [
        weights_of(choices, dtype, data, contrastive, choices.one_of((1, 2))),
        *(data.child, data.context, data.statistics, data.codes),
        np.sort(choices.numbers((data.n_nodes, choices.size(9)), dtype), axis=1),
        *(alphas, np.zeros((len(alphas), *data.child.shape), dtype)),
        *((np.zeros_like(data.child), np.zeros_like(data.context)) if slopes else (None, None)),
        *(contrastive, choices.rarely(2), choices.n_threads()),
    ]

    def fits(weights: Any, child: Any, context: Any, statistics: Any, codes: Any, *rest: Any) -> bool:
        grid, alphas, terms, by_child, by_context, contrastive, base, n_threads = rest
        if not (data_fits(child, context, statistics, codes) and flag(contrastive) and flag(base) and whole(n_threads, 1, INT)):
            return False
        if not (block(weights, child.dtype, None, None) and len(weights) > 0):
            return False
        ready = width_of(weights.shape[1], len(codes) + bool(contrastive), 1 if contrastive else 15) > 0
        if not (ready and block(grid, child.dtype, len(child), None) and grid.shape[1] > 0 and block(alphas, np.float64, None)):
            return False
        written = block(terms, child.dtype, len(alphas), *child.shape, writes=True) and optional(
            by_child, child.dtype, *child.shape, writes=True
        )
        written = (
            written
            and optional(by_context, child.dtype, *context.shape, writes=True)
            and (by_child is None) == (by_context is None)
        )
        if not written or (by_child is not None and len(alphas) != 1):
            return False
        inputs = (weights, child, context, statistics, codes, grid, alphas)
        return (
            apart([terms, by_child, by_context], *inputs) and apart(terms, by_child, by_context) and apart(by_child, by_context)
        )

    def expected(weights: Any, child: Any, context: Any, statistics: Any, codes: Any, *rest: Any) -> list[Any]:
        grid, alphas, _terms, by_child, _by_context, contrastive, base, _ = rest
        if not (tame(weights, child, context, statistics, grid, alphas) and (alphas >= 0).all() and child.size and len(alphas)):
            return [None] * (1 if by_child is None else 3)
        data = NodeData(child, context, statistics, codes)
        if by_child is None:
            made = (
                reference.contrastive_terms(weights, data, grid, alphas, bool(base), 1)
                if contrastive
                else reference.density_terms(weights, data, grid, alphas, 1)
            )
            return [made]
        if float(alphas[0]) == 0.0:
            return [None] * 3
        if contrastive:
            made = reference.contrastive_slopes(weights, data, grid, float(alphas[0]), bool(base), 1)
        else:
            made = reference.density_slopes(weights, data, grid, float(alphas[0]), 1)
        at_cap = np.abs(made[0] - np.log(grid.shape[1])) < 1e-3
        on_grid = np.isclose(child[:, :, None], grid[:, None], rtol=1e-3).any(axis=2)
        if (at_cap & on_grid).any():  # the only point of a grid with any density: rounding decides whether it is capped
            return [made[0][None], None, None]
        return [made[0][None], *made[1:]]

    return Case("node_terms", given, fits, expected, written=(7, 8, 9), tolerance=rough, returns=False)


MAKERS = (train_nodes, score_nodes, node_terms)
