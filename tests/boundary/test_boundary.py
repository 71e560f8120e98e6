"""What docs/boundary.md says of every argument of every public function: what is inside works, what is outside is told."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extras import needs

import dualwalk as dw
from dualwalk import metrics, plots, report
from dualwalk.metrics import downstream, two_sample

for package in ("matplotlib", "sklearn"):
    needs(package)

from . import page
from .calls import CALLS, Call, of_files
from .cells import Cell, shapes
from .numbers import POOL
from .page import Row
from .told import what_is_missing

TABLE = page.table() if page.PAGE.exists() else {}
ROWS = [row for name in CALLS for row in TABLE.get(name, [])]

pytestmark = pytest.mark.skipif(not TABLE, reason="needs the source tree")


@pytest.fixture(autouse=True)
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (two_sample, downstream):
        monkeypatch.setattr(module, "N_TREES", 2)


def test_every_argument_of_every_public_function_is_in_the_table() -> None:
    found = {
        **page.public(dw, "", dw.__all__),
        **page.public(metrics, "metrics.", metrics.__all__),
        **page.public(plots, "plots.", plots.__all__),
        **page.public(report, "report.", ["write_report"]),
    }
    here = {name: [row.argument for row in rows] for name, rows in TABLE.items() if not name.startswith("adapters.")}
    assert here == found


def test_every_function_of_the_table_is_called() -> None:
    elsewhere = ("adapters.", "metrics.discriminative_score", "metrics.predictive_score")  # they need PyTorch: tests/adapters
    assert {name for name, rows in TABLE.items() if rows and not name.startswith(elsewhere)} <= CALLS.keys() <= TABLE.keys()


def cell_of(row: Row, call: Call, folder: Path) -> Cell:
    """The row's cell, with the sizes that other arguments give its letters."""
    sizes: dict[str, Any] = {}
    bound: set[str] = set()
    owner = row.function.rpartition(".")[0]
    begins = row.function.endswith((".fit", ".fit_transform", ".from_matrix", ".load"))
    context = [] if begins else [name for name in (owner, f"{owner}.fit") if name in CALLS]
    earlier = [(TABLE[name], CALLS[name]) for name in context] + [(TABLE[row.function], call)]
    for rows, own in earlier:
        before = True
        for other in rows:
            before &= other is not row
            base = (call.beside.get(row.argument, {}) | {other.argument: own.base(other.argument)}).get(other.argument)
            for letter, size in _sizes(other, base).items():
                sizes.setdefault(letter, size)
                if before or rows is not TABLE[row.function]:
                    bound.add(letter)
            if isinstance(base, int):
                sizes.setdefault(other.argument, base)
    bound |= call.sizes.keys()
    others = " ".join(other.takes for other in TABLE[row.function] if other is not row)
    shared = set(re.findall(r"(?<![\w'])[a-z](?![\w'])", others))
    return Cell(row.takes, sizes | call.sizes, bound, shared, folder)


def _sizes(row: Row, base: Any) -> dict[str, int]:
    if base is None or isinstance(base, (list, tuple, str)):
        return {}
    shape = np.shape(base)
    own = next((letters for letters in shapes(row.takes) if len(letters) == len(shape)), ())
    return {letter: size for letter, size in zip(own, shape, strict=False) if not letter.isdigit()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.function}-{row.argument}")
def test_what_is_outside_is_told(row: Row, tmp_path: Path) -> None:
    call = CALLS[row.function]
    wrong = []
    cell = cell_of(row, call, tmp_path)
    base = of_files(call, tmp_path) if row.takes == "file to read" else call.base(row.argument)
    values = cell.outside(base, POOL) + (call.also_outside[row.argument]() if row.argument in call.also_outside else [])
    for value in values:
        found = complaint(row, call, value)
        if found:
            wrong.append(f"{_short(value)}: {found}")
    assert not wrong, "\n".join(wrong)


def complaint(row: Row, call: Call, value: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call.with_value(row.argument, value)
        except Exception as error:  # noqa: BLE001
            names = {kind.__name__ for kind in type(error).__mro__}
            if not names & set(row.errors):
                return f"{type(error).__name__}, which the table does not name: {error}"
            missing = what_is_missing(str(error), row.argument, value)
            return f"{missing}: {error}" if missing else ""
    return "accepted"


def _short(value: Any) -> str:
    text = f"{type(value).__name__} {value.dtype} {value.shape} {value}" if isinstance(value, np.ndarray) else repr(value)
    return " ".join(text.split())[:90]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.function}-{row.argument}")
def test_what_is_inside_works(row: Row, tmp_path: Path) -> None:
    call = CALLS[row.function]
    cell = cell_of(row, call, tmp_path)
    base = of_files(call, tmp_path) if row.takes == "file to read" else call.base(row.argument)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in cell.inside(base)[:: 5 if call.slow else 1]:
            if isinstance(value, str) and value in call.apart:
                continue
            try:
                call.with_value(row.argument, value)
            except Exception as error:
                raise AssertionError(f"{_short(value)}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.function}-{row.argument}")
def test_what_is_extreme_works_or_is_told(row: Row, tmp_path: Path) -> None:
    call = CALLS[row.function]
    for value in cell_of(row, call, tmp_path).extreme(call.base(row.argument)):
        found = complaint(row, call, value)
        assert found in ("", "accepted"), f"{_short(value)}: {found}"
