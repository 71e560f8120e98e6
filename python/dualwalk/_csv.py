"""Text tables of numbers, read a line at a time and written whole."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterable, Iterator
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arrays import distinct

LABEL_COLUMNS = ("y", "label", "labels", "class")
_DELIMITERS = ",;\t"


class Row(NamedTuple):
    """A row that is not empty: the number of its last line, and its cells without white space around them."""

    line: int
    cells: list[str]


def read_table(stream: IO[bytes], name: str, *, missing: bool = False) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Numbers of a text table, float64 (n_rows, n_columns), and its column of labels or None; empty cells are NaN with `missing`.

    `name` is that of the file, for errors: ValueError for what is no table of numbers in UTF-8. The stream is closed.
    """
    try:
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            return _table(_rows(text), name, missing)
    except (UnicodeDecodeError, csv.Error) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{name} must be a text table in UTF-8; got {said} (export it as plain CSV)") from None


def _table(rows: Iterator[Row], name: str, missing: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    def is_number(cell: str) -> bool:
        return _is_number(cell) or (missing and not cell)

    first = next(rows, None)
    if first is None:
        raise ValueError(f"{name} holds no rows; a sample a row was wanted (write or copy it again)")
    header: list[str] = [] if all(map(is_number, first.cells)) else first.cells
    if header and any(map(_is_number, header)):
        bad = next(cell for cell in header if not _is_number(cell))
        raise ValueError(
            f"{name} must hold numbers; got {bad!r:.60} in line {first.line} (clean that cell, or name every column in a header)"
        )
    label_at = _label_column(header, name)
    width = len(first.cells)
    values = array("d")  # 8 bytes a number while the table grows
    labels: list[str] = []
    n_rows = 0
    for line, cells in rows if header else _with_first(first, rows):
        if len(cells) != width:
            remedy = "pad, cut or resample every series to one length"
            raise ValueError(
                f"{name} must have the same number of columns in every row; got {len(cells)} in line {line}, not {width} ({remedy})"
            )
        if label_at is not None:
            labels.append(cells.pop(label_at))
        try:
            values.frombytes(_numbers(cells, missing).tobytes())
        except ValueError:
            bad_at = next(k for k, cell in enumerate(cells) if not is_number(cell))
            column = bad_at + (1 if label_at is None or bad_at < label_at else 2)
            raise ValueError(
                f"{name} must hold numbers; got {cells[bad_at] or 'an empty cell'!r:.60} in line {line}, column {column} "
                "(impute it, or drop that row or column)"
            ) from None
        n_rows += 1
    if n_rows == 0:
        raise ValueError(f"{name} holds a header and no rows; a sample a row was wanted (write or copy it again)")
    X = (np.frombuffer(values) if values else np.empty(0)).reshape(n_rows, width - (label_at is not None))
    return X, None if label_at is None else _as_labels(labels)


def _rows(text: io.TextIOWrapper) -> Iterator[Row]:
    """The rows of a table, whose cells are separated by what the first line has most of."""
    first = next((line for line in text if line.strip()), "")
    text.seek(0)
    lines = csv.reader(_without_nul(text), delimiter=max(_DELIMITERS, key=first.count), strict=True)
    for cells in lines:
        row = Row(lines.line_num, [cell.strip() for cell in cells])
        if any(row.cells):
            yield row


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise csv.Error("NUL bytes")
        yield line


def _with_first(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _label_column(header: list[str], name: str) -> int | None:
    """Where the labels stand; two columns that could be them are an error, or one would be taken for numbers."""
    found = [k for k, cell in enumerate(header) if cell.lower() in LABEL_COLUMNS]
    if len(found) > 1:
        raise ValueError(
            f"{name} must have one column of labels at most; got {' and '.join(header[k] for k in found)} (rename or drop all but one)"
        )
    return found[0] if found else None


def _numbers(cells: list[str], missing: bool) -> NDArray[np.float64]:
    if "_" in "".join(cells):  # Python reads 1_5 as 15, but in a table it is somebody's name for something
        raise ValueError
    return np.array([cell or "nan" for cell in cells] if missing else cells, dtype=np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _as_labels(cells: list[str]) -> NDArray[Any]:
    """Whole numbers as integers, where no two labels become one by it (as 7 and 007 would), else text."""
    try:
        numbers = np.array([int(cell) for cell in cells])
    except ValueError:
        return np.array(cells)
    same = numbers.dtype.kind in "iu" and len(distinct(numbers)) == len(set(cells))
    return numbers if same else np.array(cells)


def write_table(stream: IO[bytes], columns: dict[str, NDArray[Any]]) -> None:
    """Columns of numbers or labels as .csv: a header, then a row an entry, in digits that read back to the same numbers.

    Raises ValueError for labels that would not read back, before anything is written.
    """
    cells = {name: [str(value) for value in column] for name, column in columns.items()}
    for name, column in columns.items():
        bad = next((cell for cell in cells[name] if column.dtype.kind not in "biuf" and not _is_readable(cell)), None)
        if bad is not None:
            raise ValueError(
                f"column {name} must hold labels that a table can hold; got {bad!r}, with white space at an end, a carriage return or "
                "NUL (write .npz instead)"
            )
    table = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*cells.values(), strict=True))
    table.detach()


def _is_readable(cell: str) -> bool:
    return cell == cell.strip() and not {"\r", "\0"} & set(cell)
