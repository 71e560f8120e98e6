"""The table of docs/interchange.md, and what each of its words claims about a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import _checks, backends

PAGE = Path(__file__).parents[1] / "docs" / "interchange.md"
SHAPE = (512, 64)


def table() -> dict[str, dict[str, str]]:
    """{what comes in: {column: word}}."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    (_, *columns), _, *rows = ([cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines)
    return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}


class Given(NamedTuple):
    """A value of a row, and the array whose memory it is in (None: in no array's)."""

    value: Any
    memory: Any
    plain: Any  # the same numbers as an ordinary array, where there are any


@contextmanager
def kernels_inputs() -> Iterator[list[Any]]:
    """The arrays that jobs are given inside this block."""
    seen: list[Any] = []
    find = backends.job

    def job(name: str, *args: Any) -> Callable[..., Any]:
        run = find(name, *args)

        def recording(*inputs: Any) -> Any:
            seen.append(inputs[1] if name.startswith("walk") else inputs[0])
            return run(*inputs)

        return recording

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "job", job)
        yield seen


def _walk(x: Any) -> Any:
    dual = dw.MLPDual([np.ones((1, SHAPE[1]))], [np.zeros(1)])
    return dw.walk(dual, x, n_steps=1, step_size=0.1)[0]


CALLS: dict[str, list[Callable[[Any], Any]]] = {
    "permute_marginals": [lambda x: dw.permute_marginals(x, seed=0)],
    "log_mean_exp": [dw.log_mean_exp, lambda f: dw.log_mean_exp(f, return_gradient=True)[1]],
    "objectives": [lambda f: dw.donsker_varadhan(f, f)[2], lambda f: dw.logistic(f, f)[1]],
    "walk": [_walk],
    "estimators": [lambda x: _checks.samples(_checks.table(x, "X"))[0]],
}


def check(call: Callable[[Any], Any], column: str, word: str, given: Given, shares: Callable[[Any, Any], bool]) -> None:
    """That a cell's word is true of a call."""
    if word.endswith("Error"):
        with pytest.raises(Exception, match=r"(?s)must .*\(.+\)") as caught:
            call(given.value)
        assert isinstance(caught.value, {"TypeError": TypeError, "ValueError": ValueError}[word])
        return
    with kernels_inputs() as seen:
        result = call(given.value)
    read = [result] if column == "estimators" else seen
    assert read
    for array in read:
        assert array.dtype.isnative
        if word != "view or copy":
            assert (given.memory is not None and shares(array, given.memory)) == (word == "view")
        if word == "float64":
            assert array.dtype == np.float64
        else:
            assert array.dtype == given.plain.dtype
    if column != "estimators":
        assert given.memory is None or not shares(result, given.memory)
        expected = call(given.plain)
        assert np.array_equal(result, expected)


def cells(on_device: bool) -> list[Any]:
    """(row, column, word) of the rows for a CUDA device, or of the others."""
    return [
        pytest.param(row, column, word, id=re.sub(r"\W+", "-", f"{row}-{column}"))
        for row, words in table().items()
        for column, word in words.items()
        if row.startswith("CUDA: ") == on_device
    ]
