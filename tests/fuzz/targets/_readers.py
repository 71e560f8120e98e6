"""What the reader of samples promises, whatever the bytes are."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from dualwalk._files import Series, read_series

_FOLDER = Path(tempfile.mkdtemp(prefix="dualwalk-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


def series_or_error(data: bytes, suffix: str, **options: Any) -> Series | None:
    """The series in a file of these bytes, checked; None where the reader refuses them as it should, in one line with a remedy."""
    path = _FOLDER / f"input{suffix}"
    path.write_bytes(data)
    try:
        series = read_series(path, **options)
    except ValueError as error:
        message = str(error)
        assert "\n" not in message, message
        assert str(path) in message, message
        assert message.endswith(")"), message
        return None
    X, y = series
    assert X.ndim in (2, 3), X.shape
    assert X.dtype.kind in "biuf", X.dtype
    assert len(X) >= options.get("min_samples", 8), X.shape
    held = X[~np.isnan(X)] if options.get("missing") and X.dtype.kind == "f" else X
    assert np.isfinite(held).all()
    assert y is None or (y.shape == (len(X),) and not y.dtype.hasobject), y
    return series
