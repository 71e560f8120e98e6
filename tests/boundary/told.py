"""What every error must say: the argument, what came, and the remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def what_is_missing(message: str, argument: str, value: Any) -> str:
    """ "" for a message that tells all; else what it leaves out."""
    named = re.search(rf"(?<![\w.]){re.escape(argument)}(?!\w)", message)
    is_path = isinstance(value, (str, os.PathLike)) and str(Path(value)) in message  # a file's name says which argument it is
    if not (named or is_path):
        return f"it does not name {argument}"
    _, got, rest = message.partition("got ")
    if not got and not is_path:
        return "it does not say what it got"
    shown = message if is_path else rest
    if not any(word.lower() in shown.lower() for word in _words(value)):
        return f"it does not show the value, as one of {sorted(set(_words(value)))}"
    return "" if re.search(r"\([^()]*[a-z]{3}.*\)", message, re.DOTALL) else "it has no remedy in parentheses"


def _words(value: Any) -> Iterator[str]:
    """Ways to show a value, one of which must be there: as it is, its kind, its shape or dtype, or a number in it."""
    yield from (repr(value)[:60], type(value).__name__)
    if isinstance(value, (str, os.PathLike)):
        yield from (str(Path(value)), str(value), Path(value).name)
    if isinstance(value, type):
        yield value.__name__
    if isinstance(value, (float, np.floating)) or (isinstance(value, int) and abs(value) < 10**300):
        yield from (f"{value:g}", str(value))
    if isinstance(value, (list, tuple)):
        yield from (f"{len(value)} ", *(word for item in value for word in _words(item)))
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        yield "different lengths"
        return
    yield from (f"shape {array.shape}", f"{array.shape}", f"{array.shape[1:]}", f"dtype {array.dtype}")
    if array.dtype.kind == "c":  # JAX makes it shorter
        yield "dtype complex"
    if isinstance(value, np.ma.MaskedArray):
        yield f"{array.size} of {array.size}"
    yield f"{array.size} "
    if array.ndim:
        yield f"{len(array)} "
    elif array.dtype.kind in "US":
        yield repr(array.item())
    if array.dtype.kind in "iufb" and array.size < 99:
        yield from (f"{item:.{digits}g}" for item in array.astype(float).flat for digits in (3, 4))
        yield from (str(item) for item in array.ravel().tolist())
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        yield from ("NaN", "infinity")
