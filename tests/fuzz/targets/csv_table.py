"""Text tables (.csv) as `read_series` reads them; inputs of odd length with `missing`, which takes empty cells for NaN."""

from __future__ import annotations

import csv
import io

from dualwalk._csv import LABEL_COLUMNS

from ._readers import series_or_error, warm

GUIDES = ("dualwalk._checks", "dualwalk._csv", "dualwalk._files", "dualwalk._npy", "dualwalk._zip")
warm("csv_table")


def one_input(data: bytes) -> None:
    if len(data) % 2:
        series_or_error(data, ".csv", fold=25, min_samples=1, missing=True)
        return
    series = series_or_error(data, ".csv", fold=25, min_samples=1)
    if series is None:
        return
    X, y = series
    # Nothing is made up, and nothing is lost: every number is that of a cell, in its order.
    text = data.decode("utf-8-sig")
    delimiter = max(",;\t", key=next(line for line in io.StringIO(text, newline="") if line.strip()).count)
    cells = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(map(str.strip, row))]
    numbers = [[_number(cell) for cell in row] for row in cells[-len(X) :]]
    assert len(cells) in (len(X), len(X) + 1)
    for row, found in zip(X.tolist(), numbers, strict=True):
        left = list(found)
        for value in row:
            while left.pop(0) != value:  # a column of labels stands between
                pass
        assert len(row) == len(found) - (y is not None)
    if y is not None:
        names = [
            row[k].strip() for row in cells[1:] for k, name in enumerate(cells[0]) if name.strip().lower() in LABEL_COLUMNS
        ]
        assert len(set(names)) == len(set(y.tolist())), "two labels became one"


def _number(cell: str) -> float | str:
    try:
        return float(cell.strip())
    except ValueError:
        return cell
