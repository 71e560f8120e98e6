"""Archives of arrays (.npz), stored and deflated, as `read_series` reads them."""

from __future__ import annotations

import io
import warnings

import numpy as np

from ._archives import mutate  # noqa: F401
from ._readers import series_or_error, warm

GUIDES = ("dualwalk._checks", "dualwalk._csv", "dualwalk._files", "dualwalk._npy", "dualwalk._zip")
warm("npz_file")


def one_input(data: bytes) -> None:
    series = series_or_error(data, ".npz", fold=1100, min_samples=1)
    if series is not None and data.startswith(b"PK\3\4"):  # as NumPy knows archives
        with warnings.catch_warnings(), np.load(io.BytesIO(data), allow_pickle=False) as stored:
            warnings.simplefilter("ignore")  # NumPy's, of headers that Python 2 wrote
            name = next((name for name in ("X.npy", "X_train.npy") if name in stored.zip.namelist()), None)
            assert name is None or series.X.tobytes() == stored[name].tobytes()
