"""Bytes read as choices: the same bytes make the same call, and what is missing at their end counts as 0, the plainest choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")

# Around the lengths of vectors, tiles and chunks; few of them are large, so that a call stays short.
SIZES = (3, 1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 100, 127, 128, 129, 255, 257)
_NORMALS = np.random.default_rng(20240411).standard_normal(1 << 14)
_SPECIAL = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 5e-324, 710.0, -745.0, 88.0, -104.0)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Choices:
    """A reader of bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def word(self) -> int:
        """16 bits."""
        return self.byte() << 8 | self.byte()

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[self.byte() % len(items)]

    def rarely(self, one_in: int = 8) -> bool:
        return self.byte() >= 256 - 256 // one_in

    def size(self, most: int = 257, *, least: int = 1) -> int:
        found = self.one_of(SIZES)
        return found if least <= found <= most else least + found % (most - least + 1)

    def dtype(self) -> np.dtype[Any]:
        return self.one_of(FLOATS)

    def seed(self) -> int:
        return self.one_of((7, 0, 2**64 - 1, 2**32, self.word()))

    def n_threads(self) -> int:
        return self.one_of((1, 1, 1, 2, 1, 1, 3, 1))

    def numbers(self, shape: Sequence[int], dtype: Any, *, special: bool = False) -> NDArray[Any]:
        """Normal numbers; with `special` sometimes ties, or a few that are not finite, tiny or huge."""
        n = math.prod(shape)
        start = self.word() % len(_NORMALS)
        values = np.take(_NORMALS, np.arange(start, start + n), mode="wrap").reshape(shape)
        if special:
            kind = self.byte() % 8
            if kind == 1:
                values = np.round(values)
            elif kind == 2:
                values = values * 40.0
            elif kind == 3 and n:
                flat = values.reshape(-1)
                for _ in range(1 + self.byte() % 4):
                    flat[self.word() % n] = self.one_of(_SPECIAL)
        with np.errstate(over="ignore"):
            return values.astype(dtype)

    def whole(self, shape: Sequence[int], below: int, dtype: Any) -> NDArray[Any]:
        """Integers in [0, below)."""
        n, start = math.prod(shape), self.word()
        return ((np.arange(n, dtype=np.int64) * (2 * self.byte() + 1) + start) % max(1, below)).reshape(shape).astype(dtype)
