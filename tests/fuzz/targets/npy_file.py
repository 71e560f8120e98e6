"""One array in NumPy's format (.npy) as `read_series` reads it: refused, or the bytes that NumPy reads."""

from __future__ import annotations

import io
import warnings

import numpy as np

from ._readers import series_or_error, warm

GUIDES = ("dualwalk._checks", "dualwalk._csv", "dualwalk._files", "dualwalk._npy", "dualwalk._zip")
warm("npy_file")


def one_input(data: bytes) -> None:
    series = series_or_error(data, ".npy", fold=24, min_samples=1)
    if series is not None and data.startswith(b"\x93NUMPY"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, of headers that Python 2 wrote
            expected = np.load(io.BytesIO(data), allow_pickle=False)
        assert series.X.dtype == expected.dtype
        assert series.X.tobytes() == expected.tobytes()
