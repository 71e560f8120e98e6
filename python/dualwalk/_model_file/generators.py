"""`random_state` in a file: None, an integer, or the state of one of NumPy's generators, number by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import Misfit
from .fields import Scalar, cannot

BIT_GENERATORS = ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")
# Places and flags in a state that the generator's own code trusts.
_MOST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "has_gauss": 1, "uinteger": 2**32 - 1}


class RandomState:
    """The field of an estimator's `random_state`."""

    def pack(self, value: Any, at: str, arrays: Any) -> Any:
        if isinstance(value, np.random.Generator):
            state = value.bit_generator.state
        elif isinstance(value, np.random.RandomState):
            state = value.get_state(legacy=False)
        else:
            return Scalar().pack(value, at, arrays)
        if state["bit_generator"] not in BIT_GENERATORS:
            raise cannot(at, f"None, an integer or a generator on {', '.join(BIT_GENERATORS)}", value)
        return {type(value).__name__: _plain(state)}

    def unpack(self, stored: Any, at: str, source: Any) -> Any:
        if not isinstance(stored, dict):
            return Scalar().unpack(stored, at, source)
        [(kind, state)] = stored.items()
        name = state.get("bit_generator") if isinstance(state, dict) else None
        if kind not in ("Generator", "RandomState") or name not in BIT_GENERATORS:
            raise Misfit.at(at, "the state of a generator of NumPy's", stored)
        bits = getattr(np.random, name)()
        if kind == "Generator":
            bits.state = _like(bits.state, state, at)
            return np.random.Generator(bits)
        made = np.random.RandomState(bits)
        made.set_state(_like(made.get_state(legacy=False), state, at))
        return made


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _plain(part) for name, part in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _like(pattern: Any, stored: Any, at: str) -> Any:
    """`stored` with the types, lengths and ranges of the state `pattern`; Misfit where it has others."""
    if isinstance(pattern, dict) and isinstance(stored, dict) and pattern.keys() == stored.keys():
        return {name: _like(_limit(name, part), stored[name], f"{at}.{name}") for name, part in pattern.items()}
    if isinstance(pattern, np.ndarray) and isinstance(stored, list) and len(stored) == len(pattern):
        most = int(np.iinfo(pattern.dtype).max)
        return np.array([_like(range(most + 1), one, at) for one in stored], dtype=pattern.dtype)
    if isinstance(pattern, range) and type(stored) is int and stored in pattern:
        return stored
    if isinstance(pattern, int) and type(stored) is int and 0 <= stored < 2**128:
        return stored
    if isinstance(pattern, float) and type(stored) is float and math.isfinite(stored):
        return stored
    if isinstance(pattern, str) and stored == pattern:
        return stored
    raise Misfit.at(at, "part of the state of a generator of NumPy's", stored)


def _limit(name: str, part: Any) -> Any:
    return range(_MOST[name] + 1) if name in _MOST else part
