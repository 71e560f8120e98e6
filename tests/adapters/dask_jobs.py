"""What the Dask tests run on workers; imported there, so it needs no pytest."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw


def deadly(value: Any, folder: str, *, name: str = "", block_info: Any = None) -> Any:
    """`value`; every run leaves a file `<name>-*.run`, and the first of all runs tells its process id and waits to be killed."""
    place = Path(folder)
    name = name or "-".join(map(str, block_info[0]["chunk-location"]))
    (place / f"{name}-{uuid.uuid4().hex}.run").touch()
    try:
        (place / "first").touch(exist_ok=False)
    except FileExistsError:
        return value
    (place / "pid.part").write_text(str(os.getpid()))
    (place / "pid.part").rename(place / "pid")
    time.sleep(120)
    raise TimeoutError("nobody killed this worker")


def n_threads(value: Any) -> Any:
    """How many threads a kernel would take here, as a block like `value`."""
    from dualwalk._threads import resolve_n_threads

    return np.full_like(value, resolve_n_threads())


class Told(dw.NormalScores):
    """An estimator that keeps how many threads its fit could take."""

    def fit(self, X: Any, y: Any = None) -> Told:
        from dualwalk._threads import resolve_n_threads

        self.n_threads_ = resolve_n_threads()
        super().fit(X)
        return self
