"""Where a job's findings go: words for people, one JSON object for machines, samples and scores into files or down a pipe."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__, _files
from .._atomic import atomic
from .._csv import write_table

STDOUT = "-"
Columns = dict[str, NDArray[Any]]


class Output:
    """What a job says: in words, or as one JSON object with --json. Words go to stderr where data take stdout."""

    def __init__(self, options: argparse.Namespace, *paths: str | None) -> None:
        self.json = options.json
        self._data = STDOUT in paths
        if self.json and self._data:
            raise ValueError("--json and --out - both want stdout (write the data to a file, or leave --json out)")

    def line(self, text: str) -> None:
        """A line of words."""
        if not self.json:
            safe = "\n".join(map(_files.printable, text.split("\n")))  # labels and names may come from a stranger's file
            print(safe, file=sys.stderr if self._data else sys.stdout, flush=True)

    def row(self, name: str, text: str) -> None:
        """A named line of words."""
        self.line(f"{name:<14}{text}")

    def result(self, **content: Any) -> None:
        """The JSON object, with the version that made it; numbers that JSON does not know are null."""
        if self.json:
            print(json.dumps(_plain({**content, "version": __version__}), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def writable(path: str, *suffixes: str) -> str:
    """`path` where an output can be written, checked before any work; - is stdout, where .csv is among the suffixes."""
    if path == STDOUT and ".csv" in suffixes:
        return path
    if path == STDOUT:
        raise ValueError(f"the output must be a {' or '.join(suffixes)} file; got - (name a file)")
    return str(_files.output_file(path, *suffixes))


def write(path: str, arrays: dict[str, Any], table: Columns) -> None:
    """`arrays` as .npz, arrays["X"] alone as .npy, or `table` as .csv, into a file or down the pipe."""
    if path == STDOUT:
        content = io.BytesIO()
        write_table(content, table)
        sys.stdout.flush()
        sys.stdout.buffer.write(content.getvalue())
        sys.stdout.buffer.flush()
        return
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        _files.write_samples(path, **arrays)
    elif suffix == ".npy":
        _files.write_array(path, arrays["X"])
    else:
        with atomic(Path(path)) as stream:
            write_table(stream, table)


def columns(X: NDArray[Any], y: NDArray[Any] | None = None) -> Columns:
    """Samples as the named columns of a table, labels last: what read_series reads back (with channels= if there were any)."""
    if X.ndim == 3:
        names = [f"channel_{c + 1}_time_{t + 1}" for c in range(X.shape[1]) for t in range(X.shape[2])]
    else:
        names = [f"feature_{k + 1}" for k in range(X.shape[1])]
    table = dict(zip(names, X.reshape(len(X), -1).T, strict=True))
    return table if y is None else {**table, "y": y}
