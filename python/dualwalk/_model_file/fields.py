"""The alphabet of records: what a place in the manifest may hold, how a value is put there, and how it is believed again.

A field has two methods: `pack(value, at, arrays)` gives the JSON for a value and puts arrays beside it, `unpack(stored, at, source)`
gives the value back or raises `Misfit`. `at` is the place, such as "state.dual.paths.0.alpha", which arrays are named by.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .container import storable
from .errors import Misfit

Arrays = dict[str, NDArray[Any]]
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_LARGEST_INDEX = 2.0**53
_HEX = re.compile("([0-9a-f]{2})*")
_KINDS = {"real": "buif", "float": "f", "index": "iu", "flag": "b", "label": "biufUS"}


class Source:
    """The arrays of a file that is being read: every one is taken once. `sizes` holds what the letters of shapes stand for."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self.sizes: dict[str, int] = {}

    def take(self, name: Any, at: str) -> NDArray[Any]:
        if not isinstance(name, str) or name not in self._arrays:
            raise Misfit.at(at, "the name of an array that is in the file", name)
        return self._arrays.pop(name)

    def inside(self) -> Source:
        """The same arrays for a record inside this one, whose letters are its own."""
        return Source(self._arrays)


class Field(Protocol):
    """See the top of this file."""

    def pack(self, value: Any, at: str, arrays: Arrays) -> Any: ...
    def unpack(self, stored: Any, at: str, source: Source) -> Any: ...


def cannot(at: str, wanted: str, value: Any) -> TypeError:
    """The error for a value of a model that no file can hold."""
    return TypeError(f"{at} must be {wanted} to be saved; got {value!r:.80} (pass one, and fit again)")


class Whole:
    """A whole number in [low, high]."""

    def __init__(self, low: int = 0, high: int = 1 << 53) -> None:
        self.low, self.high = low, high

    def pack(self, value: Any, at: str, arrays: Arrays) -> int:
        return operator.index(value)

    def unpack(self, stored: Any, at: str, source: Source) -> int:
        if type(stored) is not int or not self.low <= stored <= self.high:
            raise Misfit.at(at, f"a whole number from {self.low} to {self.high}", stored)
        return stored


class Real:
    """A float in [low, high], exactly; infinity and NaN only where the bounds, and `nan`, let them."""

    def __init__(self, low: float = -math.inf, high: float = math.inf, *, infinite: bool = False, nan: bool = False) -> None:
        self.low, self.high, self.infinite, self.nan = low, high, infinite, nan

    def pack(self, value: Any, at: str, arrays: Arrays) -> float | str:
        return _written(float(value))

    def unpack(self, stored: Any, at: str, source: Source) -> float:
        number = _NOT_FINITE.get(stored, stored) if isinstance(stored, str) else stored
        if type(number) in (int, float):
            number = float(number)
            good = math.isfinite(number) or (self.infinite and math.isinf(number))
            if (good and self.low <= number <= self.high) or (self.nan and math.isnan(number)):
                return number
        raise Misfit.at(at, f"a number from {self.low:g} to {self.high:g}", stored)


def _written(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


class Flag:
    """True or false."""

    def pack(self, value: Any, at: str, arrays: Arrays) -> bool:
        return bool(value)

    def unpack(self, stored: Any, at: str, source: Source) -> bool:
        if type(stored) is not bool:
            raise Misfit.at(at, "true or false", stored)
        return stored


class Word:
    """One of some words; any text where none are named."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def pack(self, value: Any, at: str, arrays: Arrays) -> str:
        return str(value)

    def unpack(self, stored: Any, at: str, source: Source) -> str:
        if type(stored) is not str or (self.words and stored not in self.words):
            raise Misfit.at(at, f"one of {', '.join(self.words)}" if self.words else "text", stored)
        return stored


class Scalar:
    """A label or a parameter: none, truth value, whole number, float, text or bytes, NumPy's as Python's."""

    def pack(self, value: Any, at: str, arrays: Arrays) -> Any:
        plain = value.item() if isinstance(value, np.generic) else value
        if type(plain) is bytes:
            return {"bytes": plain.hex()}
        if type(plain) is float and not math.isfinite(plain):
            return {"float": str(plain)}
        if plain is None or type(plain) in (bool, int, float, str):
            return plain
        raise cannot(at, "a number, a text or None", value)

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        if isinstance(stored, dict) and len(stored) == 1:
            [(kind, text)] = stored.items()
            if kind == "float" and isinstance(text, str) and text in _NOT_FINITE:
                return _NOT_FINITE[text]
            if kind == "bytes" and isinstance(text, str) and _HEX.fullmatch(text):
                return bytes.fromhex(text)
        if stored is None or type(stored) in (bool, int, float, str):
            return stored
        raise Misfit.at(at, "a number, a text or null", stored)


class Maybe:
    """A field, or null for None."""

    def __init__(self, field: Field) -> None:
        self.field = field

    def pack(self, value: Any, at: str, arrays: Arrays) -> Any:
        return None if value is None else self.field.pack(value, at, arrays)

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        return None if stored is None else self.field.unpack(stored, at, source)


class Many:
    """A list of one field, `made` into a tuple or what else holds them."""

    def __init__(self, field: Field, made: Callable[[list[Any]], Any] = tuple, *, fewest: int = 0, most: int = 1 << 24) -> None:
        self.field, self.made, self.fewest, self.most = field, made, fewest, most

    def pack(self, value: Any, at: str, arrays: Arrays) -> list[Any]:
        return [self.field.pack(one, f"{at}.{k}", arrays) for k, one in enumerate(value)]

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        if not isinstance(stored, list) or not self.fewest <= len(stored) <= self.most:
            raise Misfit.at(at, f"a list of {self.fewest} entries or more", stored)
        return self.made([self.field.unpack(one, f"{at}.{k}", source) for k, one in enumerate(stored)])


class Pairs:
    """A dictionary with keys of one field and values of another, in its order."""

    def __init__(self, key: Field, value: Field) -> None:
        self.key, self.value = key, value

    def pack(self, value: Any, at: str, arrays: Arrays) -> list[Any]:
        return [
            [self.key.pack(key, at, arrays), self.value.pack(one, f"{at}.{k}", arrays)]
            for k, (key, one) in enumerate(value.items())
        ]

    def unpack(self, stored: Any, at: str, source: Source) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for k, pair in enumerate(stored if isinstance(stored, list) else [stored]):
            if not isinstance(pair, list) or len(pair) != 2:
                raise Misfit.at(at, "a list of pairs", pair)
            key = self.key.unpack(pair[0], at, source)
            if key in found:
                raise Misfit.at(at, "pairs whose keys differ", key)
            found[key] = self.value.unpack(pair[1], f"{at}.{k}", source)
        return found


class Array:
    """An array of one kind ("real", "float", "index", "flag" or "label") and shape, its numbers finite and in [low, high].

    `shape` is a string of numbers and letters, "n 7": a letter stands for the same length everywhere in a record, "_" for any.
    Indices are int64 in the file. `narrow`: float64 numbers that float32 holds exactly are stored so.
    """

    def __init__(self, kind: str, shape: str, *, low: float = -math.inf, high: float = math.inf, narrow: bool = False) -> None:
        self.kind, self.shape, self.low, self.high, self.narrow = kind, shape.split(), low, high, narrow
        if kind == "index":  # beyond, an unsigned number would become a negative one
            self.high = min(high, _LARGEST_INDEX)

    def pack(self, value: Any, at: str, arrays: Arrays) -> str:
        array = np.asarray(_device.to_host(value))
        if array.dtype.kind not in _KINDS[self.kind] or not storable(array.dtype):
            raise cannot(at, f"an array of the kind {self.kind}, of at most 8 bytes a number", array.dtype)
        if self.kind == "index":
            array = array.astype(np.int64, copy=False)
        if self.narrow and array.dtype == np.float64:
            with np.errstate(over="ignore"):
                small = array.astype(np.float32)
            array = small if np.array_equal(small, array) else array
        arrays[at] = array
        return at

    def unpack(self, stored: Any, at: str, source: Source) -> NDArray[Any]:
        array = source.take(stored, at)
        if array.dtype.kind not in _KINDS[self.kind]:
            raise Misfit.at(at, f"an array of the kind {self.kind}", f"dtype {array.dtype}")
        if array.ndim != len(self.shape):
            raise Misfit.at(at, f"an array of shape ({', '.join(self.shape)})", f"shape {array.shape}")
        for name, length in zip(self.shape, array.shape, strict=True):
            if name == "_":
                continue
            wanted = int(name) if name.isdigit() else source.sizes.setdefault(name, length)
            if length != wanted:
                raise Misfit.at(
                    at, f"an array of shape ({', '.join(self.shape)}) with {name} = {wanted}", f"shape {array.shape}"
                )
        if array.size and self.kind in ("real", "float", "index"):
            least, most = array.min(), array.max()  # both NaN where there is one
            if not (np.isfinite(least) and np.isfinite(most) and self.low <= least and most <= self.high):
                raise Misfit.at(at, f"finite, from {self.low:g} to {self.high:g}", f"numbers from {least} to {most}")
        if self.kind == "index":
            return array.astype(np.intp, copy=False)
        return array.astype(np.float64) if self.narrow else array


class Record:
    """An object by its fields: a JSON object with exactly their names.

    `parts(thing)` gives the values to store by name (default: its attributes), `make(**values)` the thing of them, and `check(values,
    sizes)` raises where they do not go together. `kind` is the class of the things.
    """

    def __init__(
        self,
        name: str,
        kind: type,
        fields: Mapping[str, Field],
        *,
        parts: Callable[[Any], dict[str, Any]] | None = None,
        make: Callable[..., Any] | None = None,
        check: Callable[[dict[str, Any], dict[str, int]], None] | None = None,
    ) -> None:
        self.name, self.kind, self.fields = name, kind, fields
        self._parts, self._make, self._check = parts, make or kind, check

    def pack(self, value: Any, at: str, arrays: Arrays) -> dict[str, Any]:
        if type(value) is not self.kind:
            raise cannot(at, f"a {self.name}", value)
        parts = {name: getattr(value, name) for name in self.fields} if self._parts is None else self._parts(value)
        return {name: field.pack(parts[name], f"{at}.{name}", arrays) for name, field in self.fields.items()}

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        if not isinstance(stored, dict) or stored.keys() != self.fields.keys():
            got = sorted(stored) if isinstance(stored, dict) else stored
            raise Misfit.at(at, f"an object with {', '.join(self.fields)}", got)
        own = source.inside()
        values = {name: field.unpack(stored[name], f"{at}.{name}", own) for name, field in self.fields.items()}
        if self._check is not None:
            try:
                self._check(values, own.sizes)
            except ValueError as error:
                raise Misfit(f"{at} does not hang together: {error}") from None
        return self._make(**values)


class OneOf:
    """One of several records, its name stored beside its fields."""

    def __init__(self, *records: Record) -> None:
        self.records = {record.name: record for record in records}

    def record_of(self, value: Any) -> Record | None:
        """The record for a value's class; None for other classes, subclasses among them."""
        return next((record for record in self.records.values() if type(value) is record.kind), None)

    def pack(self, value: Any, at: str, arrays: Arrays) -> dict[str, Any]:
        record = self.record_of(value)
        if record is not None:
            return {"class": record.name, **record.pack(value, at, arrays)}
        raise TypeError(
            f"{at} must be one of {', '.join(self.records)} to be saved; got {type(value).__name__}, whose code no file can hold "
            "(keep its numbers yourself, and fit again with it where they are read)"
        )

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        name = stored.get("class") if isinstance(stored, dict) else stored
        if not isinstance(name, str) or name not in self.records:
            raise Misfit.at(at, f"one of {', '.join(self.records)}", name)
        return self.records[name].unpack({name: part for name, part in stored.items() if name != "class"}, at, source)


def need(good: Any, text: str) -> None:
    """ValueError with this text where parts of a record do not go together."""
    if not bool(good):
        raise ValueError(text)
