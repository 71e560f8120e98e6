"""Arguments as they should not be: other types, layouts, shapes, overlaps, numbers beyond all ranges, objects that only pretend."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .choices import Choices

WHOLE = (
    *(-1, 0, 1, 2, 255, 256, 28673, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63),
    *(
        2**64 - 1,
        2**64,
        2**100,
        -(2**31),
        -(2**63),
        -(2**63) - 1,
        True,
        1.5,
        "3",
        None,
        np.float64(2.0),
        np.array(1.5),
        Decimal("1.5"),
    ),
)
REAL = (
    *(float("nan"), float("inf"), -float("inf"), -1.0, -1e-300, 0.0, 5e-324, 1.0, 1.5, 1e300, -1e300, 1e39, 2, 10**400, -3),
    *("x", None, 1j, np.float32(0.5), np.array(0.5), np.array([0.5]), Decimal("0.5")),
)
WORDS = ("", "exp", "exp\0", "read\0", "x" * 5000, "\udc80", b"exp", None, 3, ["exp"])
DTYPES = ("f4", "f8", ">f8", "f2", "g", "i4", "i8", "u4", "u1", "?", "c8", "O", "S8", "V8", "M8[s]", "i2")


class Liar:
    """Says that it is an array and gives none."""

    shape, dtype, ndim = (3,), np.dtype(np.float64), 1

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("no array here")

    def __len__(self) -> int:
        return 2**40

    def __index__(self) -> int:
        return 2**70

    def __float__(self) -> float:
        return float("nan")


# Things that are no arrays, made anew at each use: some can be used up.
OBJECTS: tuple[Callable[[], Any], ...] = (
    *(
        lambda: None,
        lambda: "array",
        lambda: b"\x00" * 64,
        lambda: 3,
        lambda: float("nan"),
        dict,
        lambda: {1, 2},
        object,
        Liar,
        list,
    ),
    *(lambda: [[1.0, 2.0], [3.0]], lambda: [1.0, 2.0, 3.0], lambda: iter([1.0]), lambda: memoryview(b"\x00" * 24)),
    *(lambda: np.float64(1.0), lambda: np.array(1.0), lambda: np.array([None, "a"], object), lambda: ValueError, lambda: len),
    *(lambda: np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0]), lambda: np.zeros(3, "f4,i4")),
)


def thing(choices: Choices) -> Any:
    return choices.one_of(OBJECTS)()


def array(choices: Choices, given: NDArray[Any], others: list[NDArray[Any]]) -> Any:
    """Another thing in place of an array; `others` are arrays of the same call, to overlap with."""
    if max(given.size, *given.shape, 0) > 1 << 16 or given.ndim == 0:  # changed already
        return given
    given, others = np.asarray(given), [np.asarray(other) for other in others]  # of masks only the numbers
    kind = choices.byte() % 12
    if kind == 0:
        wanted = np.dtype(choices.one_of(DTYPES))
        return given.astype(wanted) if wanted.kind in "fiubcO" and given.dtype.kind in "fiub" else np.zeros(given.shape, wanted)
    if kind == 1:
        return _strided(choices, given)
    if kind == 2:
        return _reshaped(choices, given)
    if kind == 3:
        locked = given.copy()
        locked.flags.writeable = False
        return locked
    if kind == 4 and not given.dtype.hasobject:
        return unaligned(given, choices.byte() % 7 + 1)
    if kind == 5 and others:
        return _overlapping(choices, given, choices.one_of(others))
    if kind == 6:
        return thing(choices)
    if kind == 7:
        huge = choices.one_of((2**20, 2**31, 2**32, 2**33, 2**40, 2**61))
        try:
            return np.broadcast_to(given.reshape(-1)[:1], (huge, *given.shape[1:])) if given.size else given
        except ValueError:  # more than an address can hold
            return given
    if kind == 8:
        axis = choices.byte() % max(1, given.ndim)
        shape = [choices.one_of((0, 1, 2**31, 2**32, 2**60)) for _ in range(max(1, given.ndim))]
        shape[axis] = 0
        try:
            return np.empty(shape, given.dtype)
        except (ValueError, MemoryError):  # more than an address can hold, even where nothing is in it
            return given[:0]
    if kind == 9 and given.size:
        changed = given.copy()
        number = choices.one_of((-1, 2**31 - 1, -(2**31), 200, 2**63 - 1, given.size, np.nan, np.inf, -0.5, 1e300))
        place = choices.word() % given.size
        if given.dtype.kind == "f":
            changed.reshape(-1)[place] = np.float64(number).astype(given.dtype)
        elif given.dtype.kind in "iu" and np.isfinite(number):
            changed.reshape(-1)[place] = np.int64(min(number, 2**63 - 1)).astype(given.dtype)
        elif given.dtype == np.bool_:
            changed.view(np.uint8).reshape(-1)[place] = 2
        return changed
    if kind == 10:
        return given.reshape(-1)[:32].tolist()
    return given.view(np.ndarray) if choices.rarely(2) else choices.one_of((given[..., None], given.reshape(-1), given[None]))


def unaligned(given: NDArray[Any], by: int) -> NDArray[Any]:
    """The same numbers, `by` bytes behind where they belong."""
    room = np.zeros(given.nbytes + 16, np.uint8)
    moved = room[by : by + given.nbytes].view(given.dtype).reshape(given.shape)
    moved[...] = given
    return moved


def _strided(choices: Choices, given: NDArray[Any]) -> NDArray[Any]:
    kind = choices.byte() % 5
    if kind == 0 or given.ndim == 0:
        return np.asfortranarray(given)
    axis = choices.byte() % given.ndim
    if kind == 1:
        wide = np.repeat(given, 2, axis=axis)
        return wide[tuple(slice(None, None, 2 if a == axis else 1) for a in range(given.ndim))]
    if kind == 2:
        return np.flip(np.flip(given, axis).copy(), axis)
    if kind == 3:
        first = given[tuple(slice(0, 1) if a == axis else slice(None) for a in range(given.ndim))]
        return np.broadcast_to(first, given.shape)
    return given.T


def _reshaped(choices: Choices, given: NDArray[Any]) -> NDArray[Any]:
    kind, axis = choices.byte() % 6, choices.byte() % max(1, given.ndim)
    if given.ndim == 0 or kind == 0:
        return np.zeros((), given.dtype)
    if kind == 1:
        return np.ascontiguousarray(given[tuple(slice(1 if a == axis else 0, None) for a in range(given.ndim))])
    if kind == 2:
        return np.ascontiguousarray(np.concatenate([given, given], axis=axis))
    if kind == 3:
        return np.ascontiguousarray(given.T)
    if kind == 4:
        return given[:0]
    return np.ascontiguousarray(np.concatenate([given, given[-1:]]))


def _overlapping(choices: Choices, given: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """An array of the wanted form in the memory of another one, if that is large enough."""
    room = other.reshape(-1).view(np.uint8) if other.flags.c_contiguous and not other.dtype.hasobject else np.zeros(0, np.uint8)
    most = len(room) - given.nbytes
    if most < 0 or given.dtype.hasobject:
        return other
    first = most * choices.byte() // 255 // given.dtype.itemsize * given.dtype.itemsize
    return room[first : first + given.nbytes].view(given.dtype).reshape(given.shape)


def any_argument(choices: Choices, value: Any, others: list[NDArray[Any]]) -> Any:
    """Another thing in place of one argument."""
    if isinstance(value, np.ndarray):
        return array(choices, value, [other for other in others if other is not value])
    if isinstance(value, (bool, np.bool_)):
        return choices.one_of((True, False, None, 2, "yes", np.bool_(True), 0.0, []))
    if isinstance(value, (int, np.integer)):
        return choices.one_of((*WHOLE, Liar()))
    if isinstance(value, (float, np.floating)):
        return choices.one_of((*REAL, Liar()))
    if isinstance(value, str):
        return choices.one_of(WORDS)
    if isinstance(value, (list, tuple)) and value:
        return sequence(choices, value, others)
    if value is None:
        return choices.one_of(others) if others and choices.rarely(2) else thing(choices)
    return thing(choices)


def sequence(choices: Choices, given: Any, others: list[NDArray[Any]]) -> Any:
    """A list of arguments with one more, one less, or one that is not as it should be."""
    kind, items = choices.byte() % 6, list(given)
    if kind == 0:
        return type(given)(items[1:])
    if kind == 1:
        return type(given)([*items, items[-1]])
    if kind == 2:
        return thing(choices)
    place = choices.byte() % len(items)
    items[place] = any_argument(choices, items[place], others)
    return type(given)(items)
