"""Calls of `dualwalk._core`, right and wrong: never a crash, never memory of others, nothing taken that is not done as asked."""

from __future__ import annotations

import math

import numpy as np

from dualwalk import _core

from ._calls import core_arrays, core_mixtures, core_nodes, core_walks, spoil
from ._calls.case import INT, Case, judge, leaves, real, whole
from ._calls.choices import Choices

MAKERS = (*core_arrays.MAKERS, *core_walks.MAKERS, *core_mixtures.MAKERS, *core_nodes.MAKERS)
BEST = _core.level()
GUIDES = ("dualwalk._core",)  # the compiled code; the reference only judges


def one_input(data: bytes) -> None:
    try:
        case = case_of(data)
        if not takes_long(case):
            judge(case)
    finally:
        _core.select_level(BEST)


def case_of(data: bytes) -> Case:
    """The call that the bytes stand for; half of them have one or two arguments that are something else."""
    choices = Choices(data)
    _core.select_level(choices.one_of(_core.levels()))
    maker = core_arrays.limit if choices.rarely(128) else choices.one_of(MAKERS)
    case = maker(choices)
    for _ in range(choices.one_of((0, 1, 1, 2))):
        place = choices.byte() % len(case.arguments)
        others = [array for array in leaves(case.arguments) if array.size]
        with np.errstate(all="ignore"):
            case.arguments[place] = spoiled(choices, case.arguments[place], others)
    return case


def takes_long(case: Case) -> bool:
    """Whether a call would be right, and work for longer than a fuzzer has."""
    if case.function == "limit":
        return real(case.arguments[3], 1e-6, 60.0) or whole(case.arguments[4], 9, INT)  # it waits for its threads
    if case.function == "draw_normals":
        return (
            all(whole(number, 0, 2**32 - 1) for number in case.arguments[2:])
            and 2**16 < math.prod(map(int, case.arguments[2:])) < 2**40
        )
    plans = [argument for argument in case.arguments if isinstance(argument, core_walks.Plan) and hasattr(argument, "n_steps")]
    return any(whole(plan.n_steps, 10_000, 2**32 - 2) for plan in plans)


def spoiled(choices: Choices, value: object, others: list[np.ndarray]) -> object:
    """Another argument; of a plan another field, or a field that is missing."""
    if not isinstance(value, core_walks.Plan) or choices.rarely(16):
        return spoil.any_argument(choices, value, others)
    name = choices.one_of(tuple(vars(value)))
    if choices.rarely(16):
        delattr(value, name)
    else:
        setattr(value, name, spoil.any_argument(choices, getattr(value, name), others))
    return value
