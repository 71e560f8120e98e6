"""Series in from .npy, .npz and .csv files or stdin, samples out to the same: nothing is unpickled, nothing is ever half written.

`_npy`, `_zip` and `_csv` believe no file more than its bytes.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _npy, _zip
from ._atomic import atomic
from ._csv import read_table

SUFFIXES = (".npy", ".npz", ".csv")
# What zipfile and the decompressors raise on damaged bytes: the remedy is always the same.
DAMAGE = (EOFError, LookupError, NotImplementedError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)
MOST_MEMBERS = 20_000

STDIN = "-"


class Series(NamedTuple):
    """What a file holds: X as it was stored (2-D or 3-D, checked), and y or None."""

    X: NDArray[Any]
    y: NDArray[Any] | None


class _Source(NamedTuple):
    """Bytes to read: of a file, or those that came on stdin."""

    name: str
    suffix: str
    content: bytes | None = None

    def __str__(self) -> str:
        return self.name

    def open(self) -> IO[bytes]:
        return Path(self.name).open("rb") if self.content is None else io.BytesIO(self.content)


def read_series(
    path: str | os.PathLike[str],
    *,
    channels: int | None = None,
    min_samples: int = _checks.MIN_SAMPLES,
    missing: bool = False,
) -> Series:
    """Read samples, and labels where there are any, from a .npy, .npz or .csv file, or from stdin if the path is "-".

    A .npy file holds X, of shape (n_samples, n_features) or (n_samples, n_channels, n_times). A .npz file holds `X` or
    `X_train`, or exactly one array of two or three dimensions; labels are read from `y` or `y_train`. A .csv file holds a
    sample a row, separated by commas, semicolons or tabs, with or without a header; a column named y, label, labels or class
    holds the labels. Labels that are whole numbers come as integers, unless two would become one by it, as 7 and 007.

    `channels` shapes rows of n_channels * n_times features, channel after channel, to (n_samples, n_channels, n_times).
    `missing` lets NaN through, and reads empty cells as NaN.

    Raises ValueError, in one line, for a file that is missing, empty, damaged, pickled, ragged or not numeric, for NaN and
    infinity, and for fewer than `min_samples` samples.
    """
    if channels is not None:
        channels = _checks.count(channels, "channels", minimum=1)
    try:
        source = _stdin() if path == STDIN else _file(Path(path))
        with source.open() as stream:
            X, y = _read(stream, source, missing)
    except OSError as error:
        raise ValueError(f"{path} could not be read: {error.strerror or error} (check its permissions)") from None
    try:
        if channels is not None:
            X = _with_channels(X, channels)
        _checks.samples(np.where(np.isnan(X), 0.0, X) if missing and X.dtype.kind == "f" else X, min_samples=min_samples)
        y = _checks.labels(y, len(X))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source}: {error}") from None
    return Series(X, y)


def _file(path: Path) -> _Source:
    if not path.exists():
        raise ValueError(f"{path}: there is no such file (check the path; it is read relative to {Path.cwd()})")
    if not path.is_file():
        raise ValueError(f"{path} must be a file; got a folder or a device (name a .npy, .npz or .csv file)")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path} must end in .npy, .npz or .csv; got {suffix or 'no ending'!r} (save the array with numpy.save)"
        )
    return _Source(str(path), suffix)


def _stdin() -> _Source:
    """All of stdin: a NumPy file by its first bytes, else a text table."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError(
            "stdin must be a file or a pipe to read samples from it; got a terminal (as in: cat a.csv | dualwalk ...)"
        )
    content = sys.stdin.buffer.read()
    binary = content.startswith((b"\x93NUMPY", b"PK", b"\x80"))
    return _Source("stdin", ".npz" if binary else ".csv", content)


def _with_channels(X: NDArray[Any], channels: int) -> NDArray[Any]:
    if X.ndim == 3 and X.shape[1] == channels:
        return X
    if X.ndim != 2:
        raise ValueError(f"channels={channels} needs rows of features, 2-D; got shape {X.shape} (leave channels out)")
    if X.shape[1] == 0 or X.shape[1] % channels:
        raise ValueError(
            f"channels={channels} must divide the number of columns; got {X.shape[1]} columns (a row holds channel after "
            "channel)"
        )
    return X.reshape(len(X), channels, X.shape[1] // channels)


def _read(stream: IO[bytes], source: _Source, missing: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    size = stream.seek(0, io.SEEK_END)  # of what was opened: `path` may be another file by now
    stream.seek(0)
    if size == 0:
        raise ValueError(f"{source} is empty, 0 bytes; a table of numbers was wanted (write or copy it again)")
    if source.suffix == ".csv":
        return read_table(stream, source.name, missing=missing)
    start = stream.read(len(_npy.MAGIC))
    stream.seek(0)
    if start == _npy.MAGIC:
        with _told(source.name):
            return _npy.read_numbers(stream, _npy.read_header(stream), size), None
    if start.startswith(b"PK"):
        return _read_archive(stream, source.name, size)
    came = "a pickle" if start.startswith((b"\x80", b"cnumpy", b"(")) else f"a file that starts with {start!r}"
    remedy = "save the array again with numpy.save; pickles can run code, so none is ever loaded"
    raise ValueError(f"{source} must be a NumPy file; got {came} ({remedy})")


def _read_archive(stream: IO[bytes], name: str, size: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    with _told(name):
        _zip.check_directory(stream, MOST_MEMBERS)
        archive = zipfile.ZipFile(stream)
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")}

    @contextmanager
    def opened(key: str) -> Iterator[IO[bytes]]:
        with _told(f"{name}, array {printable(key)}"):
            _zip.check_member(members[key], size)
            with archive.open(members[key]) as part:
                yield part

    def load(key: str) -> NDArray[Any]:
        with opened(key) as part:
            return _npy.read_numbers(part, _npy.read_header(part), members[key].file_size)

    def is_table(key: str) -> bool:
        with opened(key) as part:
            return len(_npy.read_header(part).shape) in (2, 3)

    for key, label_key in (("X", "y"), ("X_train", "y_train")):
        if key in members:
            return load(key), load(label_key) if label_key in members else None
    tables = [key for key in members if is_table(key)]
    if len(tables) == 1:
        return load(tables[0]), load("y") if "y" in members else None
    came = ", ".join(map(printable, sorted(members)))[:200] or "no array at all"
    raise ValueError(
        f"{name} must hold an array X (or X_train), or exactly one 2-D or 3-D array; got {came} "
        f"(save it with numpy.savez(path, X=X, y=y))"
    )


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Whatever damaged bytes raise, as one error with the place and the remedy."""
    try:
        yield
    except _npy.NotNumbers as error:
        raise ValueError(
            f"{place} must hold real numbers; got {error} (pad or cut the series to one length and save np.asarray(X, dtype=float))"
        ) from None
    except DAMAGE as error:
        said = printable(" ".join(str(error).split())) or type(error).__name__
        raise ValueError(f"{place} is damaged or cut short: {said} (write or copy it again)") from None


def printable(name: str) -> str:
    """A name from a file, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def as_path(value: Any, name: str) -> Path:
    """A path, of whatever is there or not."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path: a str or a pathlib.Path; got {value!r:.80} (pass the name of a file)")
    try:
        path = Path(value)
    except TypeError as error:
        raise TypeError(f"{name} must be a path: a str or a pathlib.Path; got {value!r:.80}: {error} (pass a str)") from None
    if "\0" in str(path):
        raise ValueError(f"{name} must not hold a null character; got {str(path)!r} (leave it out)")
    return path


def output_file(path: str | os.PathLike[str], *suffixes: str) -> Path:
    """`path` as a place where a file with one of these suffixes can be written; said before any work, not after it."""
    path = as_path(path, "path")
    if path.suffix.lower() not in suffixes:
        wanted = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise ValueError(
            f"the output {path} must end in {wanted}; got {path.suffix or 'no ending'!r} (name it {path.stem or 'out'}{suffixes[0]})"
        )
    if path.is_dir():
        raise ValueError(
            f"the output {path} must be a file; got a folder (name a file in it, as {path / ('out' + suffixes[0])})"
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"the output {path} must lie in a folder that exists; got {path.parent} (create it first: mkdir -p {path.parent})"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"the output {path} must lie in a folder you can write to; got {path.parent} (choose another, or its permissions)"
        )
    return path


def write_samples(path: str | os.PathLike[str], **arrays: ArrayLike) -> None:
    """Write arrays to a compressed .npz file, whole or not at all; no Python objects, so that it loads without pickle."""
    path = output_file(path, ".npz")
    ready: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    for name, array in ready.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name} must hold numbers or strings; got dtype {array.dtype} (convert it before writing)")
    with atomic(path) as stream:
        np.savez_compressed(stream, **ready)


def write_array(path: str | os.PathLike[str], array: ArrayLike) -> None:
    """Write one array to a .npy file, whole or not at all."""
    with atomic(output_file(path, ".npy")) as stream:
        np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)


def write_text(path: str | os.PathLike[str], text: str, *, suffix: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    with atomic(output_file(path, suffix)) as stream:
        stream.write(text.encode("utf-8"))
