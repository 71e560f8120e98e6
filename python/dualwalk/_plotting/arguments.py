"""What pictures are drawn of: every argument is checked before anything is on the caller's axes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import _checks

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Check = Callable[[Any, str], Any]


def takes(**checks: Check) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A function whose arguments of these names are what their check makes of them; None, where it is the default, is not checked."""

    def around(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            given = signature.bind(*args, **kwargs)
            for name, value in given.arguments.items():
                check = {"axes": axes, "theme": theme, "title": text, **checks}.get(name)
                if check is not None and not (value is None and signature.parameters[name].default is None):
                    given.arguments[name] = check(value, name)
            return function(*given.args, **given.kwargs)

        return checked

    return around


def axes(value: Any, name: str) -> Any:
    """Axes of matplotlib, or of what draws like it."""
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in ("plot", "set_xlabel")):
        raise TypeError(f"{name} must be axes of matplotlib; got {value!r:.80} (pass one of figure.subplots())")
    return value


def theme(value: Any, name: str) -> Any:
    from .frame import Theme  # which takes its own arguments' checks from here

    return _checks.instance(value, name, Theme, remedy="pass plots.LIGHT or plots.DARK")


def text(value: Any, name: str) -> Any:
    return _checks.instance(value, name, str, remedy="pass a str, or leave it out")


def positive(value: Any, name: str) -> float:
    return _checks.real(value, name, above=0.0)


def names(value: Any, name: str) -> list[str]:
    """A list of strings."""
    found = [] if isinstance(value, (str, bytes, dict, set)) or np.ndim(np.asarray(value, dtype=object)) != 1 else list(value)
    if not found or not all(isinstance(item, str) for item in found):
        raise TypeError(f"{name} must be a list of names; got {value!r:.80} (pass a list of str, or leave it out)")
    return found


def numbers(*ndims: int, empty: bool = False, finite: bool = True) -> Check:
    """The check of an array with so many axes; `finite=False` lets NaN be, but no infinity."""

    def check(value: Any, name: str) -> NDArray[np.float64]:
        array = _checks.on_host(value, name)
        if array.ndim not in ndims or (array.size == 0 and not empty):
            wanted = " or ".join(f"{ndim}-D" for ndim in ndims)
            raise ValueError(
                f"{name} must be a {wanted} array that is not empty; got shape {array.shape} (pass one number a place)"
            )
        strange = ~np.isfinite(array) if finite else np.isinf(array)
        if strange.any():
            raise ValueError(
                f"{name} must be finite; got {float(array[strange][0])} and {int(strange.sum())} such values in all (drop or mask them)"
            )
        return _checks.scale(array.astype(np.float64), name)

    return check


def same_length(value: NDArray[Any], name: str, other: NDArray[Any], other_name: str) -> None:
    """ValueError unless both have as many entries."""
    if len(value) != len(other):
        raise ValueError(
            f"{name} must have one entry for each of {other_name}, {len(other)}; got shape {value.shape} (pass those that go together)"
        )
