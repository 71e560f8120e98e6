"""What the reader of samples promises, whatever the bytes are."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dualwalk._files import Series, read_series

from ._memory import bounded

_FOLDER = Path(tempfile.mkdtemp(prefix="dualwalk-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def warm(name: str) -> None:
    """Read what the corpus of a target begins with: what is imported at a first call is not counted as an input's memory."""
    for path in sorted((Path(__file__).parents[1] / "corpus" / name).glob("*.*")):
        with suppress(ValueError):
            read_series(path)


def said(error: ValueError, name: str) -> None:
    """The error is one line with the name of the file and, at its end, the remedy; none of it would be obeyed by a terminal."""
    message = str(error)
    assert message.isprintable(), message
    assert name in message, message
    assert message.endswith(")"), message


def series_or_error(data: bytes, suffix: str, *, fold: int, **options: Any) -> Series | None:
    """The series in a file of these bytes, checked; None where the reader refuses them as it should, in one line with a remedy.

    `fold`: how many bytes of memory a byte of the file may take.
    """
    path = _FOLDER / f"input{suffix}"
    path.write_bytes(data)
    try:
        with bounded(300_000 + fold * len(data)):
            series = read_series(path, **options)
    except ValueError as error:
        said(error, str(path))
        return None
    X, y = series
    assert X.ndim in (2, 3), X.shape
    assert X.dtype.kind in "biuf", X.dtype
    assert len(X) >= options.get("min_samples", 8), X.shape
    held = X[~np.isnan(X)] if options.get("missing") and X.dtype.kind == "f" else X
    assert np.isfinite(held).all()
    assert y is None or (y.shape == (len(X),) and not y.dtype.hasobject), y
    return series
