"""Model files, byte by byte: `dualwalk.load` gives a model that can be saved and loaded again, or a ModelFileError."""

from __future__ import annotations

import io
from pathlib import Path

import dualwalk as dw

from ._archives import mutate  # noqa: F401
from ._memory import bounded
from ._readers import said

GUIDES = ("dualwalk._model_file", "dualwalk._npy", "dualwalk._zip")

for path in (Path(__file__).parents[2] / "golden").glob("*.npz"):
    dw.load(path)  # what is imported at a first call is not counted as an input's memory


def one_input(data: bytes) -> None:
    try:
        with bounded(2_000_000 + 24 * len(data)):
            model = dw.load(io.BytesIO(data))
    except dw.ModelFileError as error:
        said(error, "the stream cannot be loaded: ")
        return
    first, second = io.BytesIO(), io.BytesIO()
    model.save(first)
    dw.load(first).save(second)
    assert second.getvalue() == first.getvalue()
