"""Arrays for the words of the table: the same numbers in every layout and dtype, and arrays that no word means."""

from __future__ import annotations

from typing import Any

import numpy as np

POOL: tuple[Any, ...] = (
    *(None, "nonsense", b"bytes", {}, {"a": 1}, object(), int, len, slice(2)),
    *(True, 0, -1, 2**63, -(2**63) - 1, 10**400, np.int64(-1), 1.5, float("nan"), float("inf"), -float("inf"), 1e308, 1j),
    *(np.datetime64("2026-01-01"), np.timedelta64(1, "s"), np.bool_(True), np.str_("text"), np.float32("nan")),
    *([], [[1.0, 2.0], [3.0]], [None], ["a", "b"], [[]], (), {1, 2}, (k for k in range(3))),
    *(np.zeros(0), np.zeros((2, 0)), np.zeros((1, 1, 1, 1, 1)), np.array(None), np.array("text")),
)


def layouts(array: np.ndarray) -> list[np.ndarray]:
    """The same numbers, laid out otherwise: Fortran order, strided, backwards, read-only, unaligned, of the other byte order."""
    frozen = array.copy()
    frozen.flags.writeable = False
    memory = np.zeros(array.nbytes + 1, np.uint8)
    memory[1:] = np.frombuffer(array.tobytes(), np.uint8)
    unaligned = memory[1:].view(array.dtype).reshape(array.shape)
    wide = np.repeat(array[..., None], 2, axis=-1)[..., 0]
    others = [frozen, unaligned, array.astype(array.dtype.newbyteorder("S")), wide]
    if array.ndim:
        others += [np.asfortranarray(array), array[::-1].copy()[::-1], np.repeat(array, 2, axis=0)[::2]]
    return others


def of_dtypes(array: np.ndarray, kinds: str) -> list[np.ndarray]:
    """The numbers, rounded where they must be, in other dtypes: f floats, i integers, b bool."""
    dtypes = {"f": ("float32", "float16"), "i": ("int8", "int64", "uint8"), "b": ("bool",)}
    kinds = kinds if np.isfinite(array).all() else "f"
    return [array.astype(dtype) for kind in kinds for dtype in dtypes[kind] if dtype[0] != "u" or (array >= 0).all()]


def no_numbers(array: np.ndarray) -> list[Any]:
    """Arrays of the same shape that hold no real numbers, or none that NumPy has in 64 bits."""
    masked = np.ma.array(array, mask=np.ones(array.shape, bool))
    dtypes = ["complex64", "complex128", "U3", "S3", "M8[s]", "m8[s]"]
    if np.dtype("longdouble").itemsize > 8:
        dtypes.append("longdouble")
    strings = np.full(array.shape, "x", dtype=object)
    whole = np.nan_to_num(array).astype(np.int64)
    return [
        *(whole.astype(dtype) for dtype in dtypes),
        *(masked, strings, np.full(array.shape, None), np.zeros(array.shape, [("a", "f8")])),
    ]


def of_other_dimensions(array: np.ndarray, allowed: set[int]) -> list[np.ndarray]:
    """The array with more or fewer axes than any that is `allowed`."""
    found = []
    for ndim in set(range(6)) - allowed:
        other = array
        while other.ndim < ndim:
            other = other[None]
        while other.ndim > ndim:
            other = other[0]
        found.append(np.ascontiguousarray(other).reshape(other.shape))
    return found


def with_size(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    """The array cut, or repeated, to another size along an axis."""
    return np.take(array, np.arange(size) % max(1, array.shape[axis]), axis=axis) if array.size else array


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    """A copy with another value in the last place."""
    changed = array.astype(float if array.dtype.kind == "f" or not float(value).is_integer() else np.int64)
    changed.flat[-1] = value
    return changed
