"""The words of the table's third column: for each, values that are inside and values that are outside."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import numbers

Sizes = Mapping[str, Any]
_RANGE = re.compile(r"(?:(?P<sign>>=|>) (?P<least>\S+)|in (?P<open>[\[(])(?P<low>[^,]+), (?P<high>[^\])]+)(?P<close>[\])]))$")


@dataclass
class Range:
    """Numbers from `low` to `high`, either of which may be left out."""

    low: float = -math.inf
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True

    @classmethod
    def of(cls, text: str, sizes: Sizes) -> Range:
        found = _RANGE.match(text)
        assert found, f"no range: {text!r}"
        if found["sign"]:
            return cls(_number(found["least"], sizes), math.inf, found["sign"] == ">=")
        return cls(_number(found["low"], sizes), _number(found["high"], sizes), found["open"] == "[", found["close"] == "]")

    def __contains__(self, number: Any) -> bool:
        if self == Range():  # also NaN
            return True
        above = number >= self.low if self.with_low else number > self.low
        return bool(above and (number <= self.high if self.with_high else number < self.high))

    def outside(self, step: float) -> list[float]:
        below = self.low - step if self.with_low else self.low
        beyond = self.high + step if self.with_high else self.high
        return [end for end in (below, beyond) if math.isfinite(end)]


def _number(text: str, sizes: Sizes) -> float:
    return float(eval(text, {"__builtins__": {}}, dict(sizes)))  # such as "n / 2", of our own page


class Word:
    """What an alternative of a cell takes. `base` is a value for the argument at hand that works, and of the array's shape."""

    def takes(self, value: Any) -> bool:
        raise NotImplementedError

    def inside(self, base: Any) -> list[Any]:
        raise NotImplementedError

    def outside(self, base: Any) -> list[Any]:
        return []

    def extreme(self, base: Any) -> list[Any]:
        """Values that are inside, and so large or small that a call may refuse them, but in no other way than what is outside."""
        return []


class Exactly(Word):
    """One of some values: None, words."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def takes(self, value: Any) -> bool:
        return any(
            value is own or (isinstance(value, (str, int, float)) and type(value) is not bool and value == own)
            for own in self.values
        )

    def inside(self, base: Any) -> list[Any]:
        return list(self.values)

    def outside(self, base: Any) -> list[Any]:
        return [value.upper() for value in self.values if isinstance(value, str)] + [list(self.values)]


class Anything(Word):
    def takes(self, value: Any) -> bool:
        return True

    def inside(self, base: Any) -> list[Any]:
        return [None, 3, "text", np.zeros(2)]


class Bool(Word):
    def takes(self, value: Any) -> bool:
        return isinstance(value, (bool, np.bool_)) or (type(value) is int and value in (0, 1))

    def inside(self, base: Any) -> list[Any]:
        return [True, False, np.bool_(True), 0]

    def outside(self, base: Any) -> list[Any]:
        return [2, "yes", 1.0, np.ones(1, bool)]


class Int(Word):
    """A whole number below 2**63, in a range."""

    def __init__(self, range_: Range, *, as_memory_allows: bool) -> None:
        self.range, self.as_memory_allows = range_, as_memory_allows

    def takes(self, value: Any) -> bool:
        try:
            number = operator.index(value)
        except TypeError:
            return False
        return not isinstance(value, (bool, np.bool_)) and number < 2**63 and number in self.range

    def inside(self, base: Any) -> list[Any]:
        least = [] if math.isinf(self.range.low) else [int(self.range.low) + (not self.range.with_low)]
        return [*least, base, np.int64(base), np.uint8(base) if 0 <= base < 256 else np.int16(base), np.array(base)]

    def outside(self, base: Any) -> list[Any]:
        huge = [2**50, 2**62] if self.as_memory_allows else []
        return [*map(int, self.range.outside(1)), float(base), str(base), [base], *huge]


class Float(Word):
    def __init__(self, range_: Range) -> None:
        self.range = range_

    def takes(self, value: Any) -> bool:
        if isinstance(value, (bool, np.bool_, str, bytes, np.str_)) or np.ndim(np.asarray(value, dtype=object)):
            return False
        if not isinstance(value, (int, float, np.integer, np.floating, np.ndarray)):
            return False
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return False
        return math.isfinite(number) and number in self.range

    def inside(self, base: Any) -> list[Any]:
        ends = [(self.range.low, self.range.with_low), (self.range.high, self.range.with_high)]
        whole = [round(base)] if round(base) in self.range else []
        return [
            base,
            np.float32(base),
            np.float64(base),
            np.array(base),
            *whole,
            *(end for end, is_in in ends if is_in and math.isfinite(end)),
        ]

    def outside(self, base: Any) -> list[Any]:
        return [*self.range.outside(0.01), str(base), [base], np.array([base]), complex(base)]

    def extreme(self, base: Any) -> list[Any]:
        return [value for value in (1e-300, 5e-324, 1e300, -1e300) if value in self.range]


class Seed(Word):
    def takes(self, value: Any) -> bool:
        is_int = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))
        return value is None or (is_int and 0 <= int(value) < 2**64)

    def inside(self, base: Any) -> list[Any]:
        return [None, 0, 2**64 - 1, np.uint32(7), np.random.default_rng(0), np.random.RandomState(0)]

    def outside(self, base: Any) -> list[Any]:
        return [2**64, 1.0, "0", np.random.SeedSequence(0), [1, 2]]


_QUALITIES = (
    *("finite", "not NaN", "no infinity", "some NaN", "below 1e100", "positive definite", "may be empty"),
    *("from 0 to n", "increasing"),
)


class Array(Word):
    """Numbers of some kinds in some shapes. `bound` sizes are those of earlier arguments, `shared` ones also later ones'."""

    def __init__(
        self,
        kinds: str,
        shapes: list[tuple[str, ...]] | None,
        qualities: list[str],
        sizes: Sizes,
        bound: set[str],
        shared: set[str],
    ) -> None:
        self.kinds, self.shapes, self.sizes, self.bound, self.shared = kinds, shapes, sizes, bound, shared
        self.finite, self.no_nan, self.no_infinity = (word in qualities for word in ("finite", "not NaN", "no infinity"))
        self.range, self.least = Range(), dict[str, int]()
        self.some_nan, self.definite, self.may_be_empty = (
            word in qualities for word in ("some NaN", "positive definite", "may be empty")
        )
        self.small = "below 1e100" in qualities
        for quality in qualities:
            letter = re.match(r"([a-z]) >= (\d+)$", quality)
            if letter:
                self.least[letter[1]] = int(letter[2])
            elif quality.startswith((">", "in ")):
                self.range = Range.of(quality, sizes)
            else:
                assert quality in _QUALITIES, f"no quality: {quality!r}"

    def takes(self, value: Any) -> bool:
        if isinstance(value, (dict, set, str, bytes)) or (isinstance(value, np.ma.MaskedArray) and value.mask.any()):
            return False
        try:
            array = np.asarray(value)
        except (ValueError, TypeError):
            return False
        if self.may_be_empty and array.shape == (0,):
            return True
        if (
            array.dtype.kind not in self.kinds
            or (array.dtype.itemsize > 8 and array.dtype.kind != "c")
            or not self._fits(array.shape)
        ):
            return False
        if array.dtype.kind == "c":
            return True
        numbers_ = array.astype(np.float64)
        if (self.finite and not np.isfinite(numbers_).all()) or (self.no_nan and np.isnan(numbers_).any()):
            return False
        if (self.no_infinity and np.isinf(numbers_).any()) or (self.some_nan and not np.isnan(numbers_).any()):
            return False
        if self.small and (np.abs(numbers_) > 1e100).any():
            return False
        if self.definite and not (np.linalg.eigvalsh(numbers_) > 1e-9).all():
            return False
        return all(number in self.range for number in numbers_.flat)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        def fits(letter: str, size: int) -> bool:
            if letter.isdigit():
                return size == int(letter)
            return size == self.sizes[letter] if letter in self.bound else size >= self.least.get(letter, 1)

        if self.shapes is None:
            return self.may_be_empty or math.prod(shape) > 0
        return any(len(own) == len(shape) and all(map(fits, own, shape)) for own in self.shapes)

    def inside(self, base: Any) -> list[Any]:
        found = [*numbers.layouts(base), base.tolist()]
        if self.may_be_empty:
            found.append(base[:0])
        kinds = "".join(kind for kind in "fib" if kind in self.kinds)
        found += [array for array in numbers.of_dtypes(base, kinds) if self.takes(array)]
        own = self._own_shape(base)
        for axis, letter in enumerate(own or ()):
            if self.least.get(letter) == 0 and letter not in self.bound:
                found.append(numbers.with_size(base, axis, 0))
            elif letter in self.least and letter not in self.bound | self.shared:
                found.append(numbers.with_size(base, axis, self.least[letter]))
        return found

    def _own_shape(self, base: Any) -> tuple[str, ...] | None:
        return next((own for own in self.shapes or () if len(own) == base.ndim), None)

    def outside(self, base: Any) -> list[Any]:
        found = numbers.no_numbers(base)
        if self.shapes is not None:
            found += numbers.of_other_dimensions(base, {len(own) for own in self.shapes})
        for axis, letter in enumerate(self._own_shape(base) or ()):
            if letter in self.bound or letter.isdigit():
                found += [numbers.with_size(base, axis, base.shape[axis] + step) for step in (1, -1)]
            else:
                found.append(numbers.with_size(base, axis, self.least.get(letter, 1) - 1))
        if "f" in self.kinds:
            strange = [math.nan] * (self.finite or self.no_nan) + [math.inf, -math.inf] * (self.finite or self.no_infinity)
            strange += [1e101, -1e300] * self.small
            found += [numbers.with_value(base, value) for value in strange]
        found += [numbers.with_value(base, value) for value in self.range.outside(1)]
        return found

    def extreme(self, base: Any) -> list[Any]:
        if "f" not in self.kinds:
            return []
        scales = [
            numbers.with_value(base, 1e300),
            base * 1e-300,
            base * 1e150,
            np.full(base.shape, 1e308),
            np.zeros(base.shape),
        ]
        return [array for array in scales if self.takes(array)]


class Labels(Word):
    """One label a sample; `known` ones are of those in fit."""

    def __init__(self, size: int, *, known: bool = False) -> None:
        self.size, self.known = size, known

    def takes(self, value: Any) -> bool:
        if isinstance(value, (dict, set, str, bytes, np.ma.MaskedArray)):
            return False
        try:
            array = np.asarray(value)
        except (ValueError, TypeError):
            return False
        if self.known:
            return array.shape == (self.size,) and array.dtype.kind in "biu" and bool(np.isin(array, (0, 1)).all())
        return array.shape == (self.size,) and array.dtype.kind in "biuUS"

    def inside(self, base: Any) -> list[Any]:
        found = [base, base.tolist(), base.astype(np.uint8), base.astype(object), *numbers.layouts(base)]
        return found if self.known else [*found, base.astype(str), base.astype(bool)]

    def outside(self, base: Any) -> list[Any]:
        bad = [array for array in numbers.no_numbers(base) if array.dtype.kind not in "USO"]
        return [
            *bad,
            *([base + 7] if self.known else []),
            base[:-1],
            np.r_[base, base[:1]],
            base[None],
            np.full(base.shape, np.nan),
            np.full(base.shape, None),
        ]


class Axes(Word):
    """What `axis` of NumPy's functions takes: a number from -ndim to ndim - 1, or a tuple of different ones; here of 2 axes."""

    def takes(self, value: Any) -> bool:
        axes = value if isinstance(value, tuple) else (value,)
        numbers_ = Int(Range(-2, 2, with_high=False), as_memory_allows=False)
        return all(map(numbers_.takes, axes))

    def inside(self, base: Any) -> list[Any]:
        return [0, -1, np.int64(1), (0,), (0, 1), (1, 0), ()]

    def outside(self, base: Any) -> list[Any]:
        return [2, -3, (0, 2), [0], "0", 0.0]


class Values(Word):
    """Objects of some sort, made by the call: those inside, and others that are nearly so."""

    def __init__(self, inside: Callable[[], list[Any]], outside: Callable[[], list[Any]], takes: Callable[[Any], bool]) -> None:
        self._inside, self._outside, self._takes = inside, outside, takes

    def takes(self, value: Any) -> bool:
        return self._takes(value)

    def inside(self, base: Any) -> list[Any]:
        return self._inside() if base is None else [base, *self._inside()]

    def outside(self, base: Any) -> list[Any]:
        return self._outside()
