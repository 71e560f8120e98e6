"""Calls of the public kernels, right and wrong: the reference's answer to a clean copy, or an error that says what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ._calls import public, spoil
from ._calls.case import compare, copy_of, leaves, parts, same
from ._calls.choices import Choices

GUIDES = (
    "dualwalk._checks",
    "dualwalk.marginals",
    "dualwalk.objective",
    "dualwalk.walks",
    "dualwalk.annealing",
    "dualwalk._core",
)
MOST = 1 << 16  # numbers in an array


def one_input(data: bytes) -> None:
    call = call_of(data)
    if call.long(call.arguments) or any(array.size > MOST for array in leaves(list(call.arguments.values()))):
        return  # right, perhaps, and work for longer than a fuzzer has
    name = call.function.__name__
    before = {word: copy_of(value, masks=True) for word, value in call.arguments.items()}
    clean = {word: copy_of(value, masks=True) for word, value in before.items()}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        got, refused = outcome(call, call.arguments, None)
        right, refused_there = outcome(call, clean, "reference")
    of_out = refused is not None and str(refused).startswith("out must")  # a clean copy overlaps nothing
    assert of_out or type(refused) is type(refused_there), (
        f"{name}: {refused!r} by the compiled kernels, {refused_there!r} by the reference"
    )
    for word, value in call.arguments.items():
        if refused is not None or not any(
            np.may_share_memory(array, out) for array in leaves(value) for out in leaves(call.arguments.get("out"))
        ):
            same([value], [before[word]], f"{name} wrote into {word}")
    if refused is not None:
        explained(refused, name, list(call.arguments))
        return
    if call.arguments.get("seed", 0) is None:  # fresh entropy
        return
    made, wanted = results(got), results(right)
    assert len(made) == len(wanted), (name, len(made), len(wanted))
    if "dual" in call.arguments and not tame(call.arguments, wanted):
        return
    near = 5e-3 if any(array.dtype == np.float32 for array in map(np.asarray, wanted)) else 1e-6
    for a, b in zip(made, wanted, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype, name
        compare(np.asarray(a), np.asarray(b), None if name == "permute_marginals" else near, name)


def call_of(data: bytes) -> public.Call:
    """The call that the bytes stand for; half of them have one or two arguments that are something else."""
    choices = Choices(data)
    call = choices.one_of(public.MAKERS)(choices)
    for _ in range(choices.one_of((0, 1, 1, 2))):
        word = choices.one_of(tuple(call.arguments))
        others = [array for array in leaves(list(call.arguments.values())) if array.size]
        with np.errstate(all="ignore"):
            call.arguments[word] = spoil.any_argument(choices, call.arguments[word], others)
    return call


def outcome(call: public.Call, arguments: dict[str, Any], backend: str | None) -> tuple[Any, Exception | None]:
    """What comes back, or the error."""
    try:
        return call.function(**arguments, backend=backend), None
    except (TypeError, ValueError, MemoryError) as error:
        return None, error


def explained(error: Exception, name: str, words: list[str]) -> None:
    """An error names an argument, says what came, and ends with the remedy."""
    message = str(error)
    if isinstance(error, MemoryError):
        assert message, f"{name}: a MemoryError without a word"
        return
    assert any(word in message for word in words), f"{name}: no argument is named: {error!r}"
    said = "got" in message or "cannot" in message or any(f"{word}=" in message for word in words)
    assert said, f"{name}: what came is not said: {error!r}"
    assert message.endswith((")", "))")) or "):" in message, f"{name}: no remedy: {error!r}"


def results(value: Any) -> list[Any]:
    """The arrays and numbers that come back; an integral number of steps or a flag is compared like them."""
    return parts(tuple(value)) if isinstance(value, tuple) else parts(value)


def tame(arguments: dict[str, Any], wanted: list[Any]) -> bool:
    """Whether rounding cannot decide where walks end: no target, small steps, and ends that are not far away."""
    if arguments.get("target") is not None:
        return False
    sizes = [arguments.get("step_size", 0.1), arguments.get("noise", 0.0)]
    small = all(isinstance(size, (int, float, np.floating)) and size <= 1 for size in sizes) and float(sizes[0]) <= 0.2
    return bool(
        small and all(np.isfinite(part).all() and np.abs(part).max(initial=0) < 100 for part in map(np.asarray, wanted))
    )
