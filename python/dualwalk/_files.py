"""Series in from .npy, .npz and .csv files or stdin, samples out to the same: nothing is unpickled, nothing is ever half written."""

from __future__ import annotations

import csv
import io
import os
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._atomic import atomic

SUFFIXES = (".npy", ".npz", ".csv")
# What NumPy, its header parser and the decompressors raise on damaged bytes: the remedy is always the same.
DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
)
DAMAGE += (SyntaxError, TypeError, ValueError, tokenize.TokenError, zlib.error)
LABEL_COLUMNS = ("y", "label", "labels", "class")


STDIN = "-"


class Series(NamedTuple):
    """What a file holds: X as it was stored (2-D or 3-D, checked), and y or None."""

    X: NDArray[Any]
    y: NDArray[Any] | None


class _Source(NamedTuple):
    """Bytes to read: of a file, or those that came on stdin."""

    name: str
    size: int
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
    holds the labels. Labels that are whole numbers come as integers.

    `channels` shapes rows of n_channels * n_times features, channel after channel, to (n_samples, n_channels, n_times).
    `missing` lets NaN through, and reads empty cells as NaN.

    Raises ValueError, in one line, for a file that is missing, empty, damaged, pickled, ragged or not numeric, for NaN and
    infinity, and for fewer than `min_samples` samples.
    """
    if channels is not None:
        channels = _checks.count(channels, "channels", minimum=1)
    try:
        source = _stdin() if path == STDIN else _file(Path(path))
        if source.size == 0:
            raise ValueError(f"{source} is empty, 0 bytes; a table of numbers was wanted (write or copy it again)")
        X, y = _read_csv(source, missing) if source.suffix == ".csv" else _read_numpy(source)
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
    return _Source(str(path), path.stat().st_size, suffix)


def _stdin() -> _Source:
    """All of stdin: a NumPy file by its first bytes, else a text table."""
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError(
            "stdin must be a file or a pipe to read samples from it; got a terminal (as in: cat a.csv | dualwalk ...)"
        )
    content = sys.stdin.buffer.read()
    binary = content.startswith((b"\x93NUMPY", b"PK", b"\x80"))
    return _Source("stdin", len(content), ".npz" if binary else ".csv", content)


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


def _read_numpy(path: _Source) -> tuple[NDArray[Any], NDArray[Any] | None]:
    with path.open() as stream:
        start = stream.read(6)
    if start.startswith(b"\x93NUMPY"):
        with path.open() as stream:
            return _array(stream, path, "", path.size), None
    if start.startswith(b"PK"):
        return _read_archive(path)
    came = "a pickle" if start.startswith((b"\x80", b"cnumpy", b"(")) else f"a file that starts with {start!r}"
    remedy = "save the array again with numpy.save; pickles can run code, so none is ever loaded"
    raise ValueError(f"{path} must be a NumPy file; got {came} ({remedy})")


def _read_archive(path: _Source) -> tuple[NDArray[Any], NDArray[Any] | None]:
    try:
        with path.open() as stored, zipfile.ZipFile(stored) as archive:
            names = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}

            def load(key: str) -> NDArray[Any]:
                with archive.open(names[key]) as stream:
                    return _array(stream, path, key, archive.getinfo(names[key]).file_size)

            for key, label_key in (("X", "y"), ("X_train", "y_train")):
                if key in names:
                    return load(key), load(label_key) if label_key in names else None
            tables = {key: array for key in names if (array := load(key)).ndim in (2, 3)}
            if len(tables) == 1:
                return next(iter(tables.values())), load("y") if "y" in names else None
            came = ", ".join(sorted(names)) or "no array at all"
            raise ValueError(
                f"{path} must hold an array X (or X_train), or exactly one 2-D or 3-D array; got {came} "
                f"(save it with numpy.savez(path, X=X, y=y))"
            )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged or cut short: {error} (write or copy it again)") from None


def _array(stream: IO[bytes], path: _Source, key: str, size: int) -> NDArray[Any]:
    """One array in NumPy's format. The header is believed only after its promise was compared with the size of the file."""
    place = f"{path}, array {key}" if key else str(path)
    try:
        header_size, shape, dtype = _header(stream)
        promised = header_size + int(np.prod(shape, dtype=object)) * dtype.itemsize
        if not dtype.hasobject and promised != size:
            raise EOFError(f"{promised} bytes are announced and {size} are there")
        stream.seek(0)
        if not dtype.hasobject:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            return array
    except zipfile.BadZipFile:
        raise
    except DAMAGE as error:
        raise ValueError(f"{place} is damaged or cut short: {_one_line(error)} (write or copy it again)") from None
    raise ValueError(
        f"{place} must hold numbers; got Python objects, which are pickled and never loaded "
        "(pad or cut the series to one length and save np.asarray(X, dtype=float))"
    )


def _header(stream: IO[bytes]) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the NumPy format holds records, not numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return stream.tell(), shape, dtype


def _read_csv(path: _Source, missing: bool = False) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """A text table; with `missing`, empty cells are NaN."""

    def is_number(cell: str) -> bool:
        return _is_number(cell) or (missing and not cell)

    try:
        with path.open() as stream:
            text = stream.read().decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it holds NUL bytes")
        first = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = max(",;\t", key=first.count)
        lines = csv.reader(io.StringIO(text), delimiter=delimiter)
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise ValueError(f"{path} must be a text table in UTF-8; got {_one_line(error)} (export it as plain CSV)") from None
    if not rows:
        raise ValueError(f"{path} holds no rows; a sample a row was wanted (write or copy it again)")
    header = [] if all(map(is_number, rows[0][1])) else rows.pop(0)[1]
    if header and any(map(_is_number, header)):
        bad = next(cell for cell in header if not _is_number(cell))
        raise ValueError(f"{path} must hold numbers; got {bad!r} in line 1 (clean that cell, or name every column in a header)")
    if not rows:
        raise ValueError(f"{path} holds a header and no rows; a sample a row was wanted (write or copy it again)")
    width = len(header or rows[0][1])
    label_columns = [i for i, name in enumerate(header) if name.lower() in LABEL_COLUMNS]
    label_at = label_columns[0] if len(label_columns) == 1 else None
    values, labels = [], []
    for number, row in rows:
        if len(row) != width:
            remedy = "pad, cut or resample every series to one length"
            raise ValueError(
                f"{path} must have the same number of columns in every row; got {len(row)} in line {number}, not {width} "
                f"({remedy})"
            )
        if label_at is not None:
            labels.append(row.pop(label_at))
        try:
            values.append(np.array([cell or "nan" for cell in row] if missing else row, dtype=np.float64))
        except ValueError:
            column, bad = next((i, cell) for i, cell in enumerate(row) if not is_number(cell))
            column += 1 if label_at is None or column < label_at else 2
            raise ValueError(
                f"{path} must hold numbers; got {bad or 'an empty cell'!r} in line {number}, column {column} "
                "(impute it, or drop that row or column)"
            ) from None
    return np.array(values), _as_labels(labels) if label_at is not None else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _as_labels(cells: list[str]) -> NDArray[Any]:
    try:
        return np.array([int(cell) for cell in cells])
    except ValueError:
        return np.array(cells)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def output_file(path: str | os.PathLike[str], *suffixes: str) -> Path:
    """`path` as a place where a file with one of these suffixes can be written; said before any work, not after it."""
    path = Path(path)
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


def write_table(stream: IO[bytes], columns: dict[str, NDArray[Any]]) -> None:
    """Columns of numbers or labels as .csv: a header, then a row an entry, in digits that read back to the same numbers."""
    table = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([str(value) for value in column] for column in columns.values()), strict=True))
    table.detach()


def write_text(path: str | os.PathLike[str], text: str, *, suffix: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    with atomic(output_file(path, suffix)) as stream:
        stream.write(text.encode("utf-8"))
