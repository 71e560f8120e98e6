"""One call of `_core` and its judge: what fits must come out as the reference has it; the rest must be refused, nothing touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dualwalk import _core

REFUSALS = (TypeError, ValueError, MemoryError)
INT, LONG, WORD32, WORD64 = 2**31 - 1, 2**63 - 1, 2**32 - 1, 2**64 - 1


class Case(NamedTuple):
    """A call; `fits`, `expected` and `compare` take its arguments."""

    function: str
    arguments: list[Any]
    fits: Callable[..., bool]  # whether the call must be taken; else it must be refused
    expected: Callable[..., list[Any]]  # what comes back and what is written, of copies of the arguments
    written: tuple[int, ...] = ()  # which arguments the call writes into
    tolerance: Callable[..., float] | None = None  # None: the same bits
    returns: bool = True


def judge(case: Case) -> None:
    """Make the call, and raise AssertionError where its outcome is not as `Case` says."""
    arguments = case.arguments
    fits = bool(case.fits(*arguments))
    before = [copy_of(argument) for argument in arguments]
    returned, refusal = answer(case)
    if refusal is not None:
        assert not fits or isinstance(refusal, MemoryError), f"{case.function} refused what fits: {refusal}"
        assert str(refusal), f"{case.function}: an error without a word"
        for argument, old in zip(arguments, before, strict=True):
            same(argument, old, f"{case.function} refused the call and yet wrote")
        return
    assert fits, f"{case.function} took what does not fit: {described(arguments)}"
    made = (
        [*parts(returned), *parts([arguments[i] for i in case.written])]
        if case.returns
        else parts([arguments[i] for i in case.written])
    )
    for place, (argument, old) in enumerate(zip(arguments, before, strict=True)):
        if place not in case.written:
            same(argument, old, f"{case.function} wrote into argument {place}")
    with np.errstate(all="ignore"):
        wanted = case.expected(*before)
    near = case.tolerance(*arguments) if case.tolerance else None
    assert len(made) == len(wanted), (case.function, len(made), len(wanted))
    for got, right in zip(made, wanted, strict=True):
        if right is not None:
            compare(np.asarray(got), np.asarray(right), near, case.function)


def answer(case: Case) -> tuple[Any, Exception | None]:
    """What comes back, or the error."""
    try:
        with np.printoptions(threshold=0, edgeitems=1):  # a refusal prints its arguments
            return getattr(_core, case.function)(*case.arguments), None
    except REFUSALS as error:
        return None, error


def compare(got: NDArray[Any], right: NDArray[Any], near: float | None, name: str) -> None:
    """Equal, or within `near` of the larger of 1 and the value; NaN equals NaN."""
    assert got.shape == right.shape, f"{name}: shape {got.shape}, the reference has {right.shape}"
    if near is None:
        assert (got.dtype, got.tobytes()) == (right.dtype, right.tobytes()), f"{name}: not the bits of the reference"
        return
    with np.errstate(all="ignore"):
        scale = np.maximum(1.0, np.abs(right.astype(np.float64)))
        off = np.abs(got.astype(np.float64) - right.astype(np.float64)) / scale
    good = (off <= near) | (got == right) | (np.isnan(got) & np.isnan(right))
    assert good.all(), (
        f"{name}: {got[~good].flat[0]} where the reference has {right[~good].flat[0]}, {int((~good).sum())} in all"
    )


def parts(value: Any) -> list[Any]:
    """The arrays and numbers in a result."""
    if isinstance(value, (tuple, list)):
        return [part for item in value for part in parts(item)]
    if isinstance(value, SimpleNamespace):
        return [] if value.trajectory is None else [value.trajectory]
    return [] if value is None else [value]


def leaves(value: Any) -> Iterator[NDArray[Any]]:
    """All arrays in an argument."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, SimpleNamespace):
        yield from leaves(list(vars(value).values()))


def copy_of(value: Any, masks: bool = False) -> Any:
    """The same argument in memory of its own, with its mask or without, as the compiled module takes it; huge arrays stay."""
    if isinstance(value, np.ndarray):
        return value if is_huge(value) else np.array(value, subok=masks)
    if type(value) in (list, tuple):
        return type(value)(copy_of(item, masks) for item in value)
    if isinstance(value, SimpleNamespace):
        twin = copy(value)
        vars(twin).update({name: copy_of(item, masks) for name, item in vars(value).items()})
        return twin
    return value


def is_huge(array: NDArray[Any]) -> bool:
    return array.size > 1 << 20 or array.dtype.hasobject


def same(now: Any, before: Any, what: str) -> None:
    for array, old in zip(leaves(now), leaves(before), strict=True):
        assert is_huge(array) or bits(array) == bits(old), what


def bits(array: NDArray[Any]) -> bytes:
    """What an array holds; numbers of 80 bits lie in rooms of 128, whose rest is anything."""
    with np.errstate(all="ignore"):
        return np.asarray(array.astype(np.float64) if array.dtype.char == "g" else array).tobytes()


def described(arguments: list[Any]) -> str:
    """The arguments in one line."""

    def one(value: Any) -> str:
        if isinstance(value, np.ndarray):
            state = "".join(
                letter
                for letter, flag in zip(
                    "CWA", (value.flags.c_contiguous, value.flags.writeable, value.flags.aligned), strict=True
                )
                if flag
            )
            return f"{value.dtype}{list(value.shape)}{state}"
        if isinstance(value, (list, tuple)):
            return f"({', '.join(map(one, value))})"
        if isinstance(value, SimpleNamespace):
            return f"plan({', '.join(f'{name}={one(item)}' for name, item in vars(value).items())})"
        return repr(value)[:60]

    return ", ".join(map(one, arguments))


# What fits, in the words of the checks: each is True or False, and never raises.


def block(value: Any, dtype: Any, *shape: int | None, writes: bool = False) -> bool:
    """Whether this is a C-contiguous, aligned array of this dtype and shape; None takes any length."""
    return (
        isinstance(value, np.ndarray)
        and (value.dtype == dtype and value.dtype.isnative and not value.dtype.fields)
        and (value.flags.c_contiguous and value.flags.aligned and (value.flags.writeable or not writes))
        and value.ndim == len(shape)
        and all(wanted is None or wanted == length for wanted, length in zip(shape, value.shape, strict=True))
    )


def optional(value: Any, dtype: Any, *shape: int | None, writes: bool = False) -> bool:
    return value is None or block(value, dtype, *shape, writes=writes)


def floating(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.char in "fd"


def whole(value: Any, least: int, most: int) -> bool:
    """Whether this is a whole number in [least, most]."""
    return isinstance(value, int) and least <= value <= most


def real(value: Any, least: float = -np.inf, most: float = np.inf) -> bool:
    """Whether this is a finite number in [least, most], of whatever kind."""
    if not isinstance(value, (float, int, np.floating, np.integer, Decimal, np.ndarray)) or np.ndim(value):
        return False
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return bool(np.isfinite(number)) and least <= number <= most


def flag(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def word(value: Any) -> bool:
    """Whether this is text that has bytes in UTF-8, or such bytes, none of them 0."""
    text = isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
    return (text and "\0" not in value) or (isinstance(value, bytes) and 0 not in value)


def apart(written: Any, *others: Any) -> bool:
    """Whether what is written shares no memory with the others."""
    mine = [array for array in leaves(written) if array.size]
    theirs = [array for array in leaves(list(others)) if array.size]
    return not any(np.may_share_memory(array, other) for array in mine for other in theirs)
