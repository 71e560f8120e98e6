"""The CuPy that is installed (no GPU needed) has what the package asks of it; the stand-in of the other tests is one version's."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from extras import needs

import dualwalk as dw

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CuPy's, where there is no CUDA
    cupy = needs("cupy")

NAMES = json.loads((Path(__file__).parent / "cuda_host" / "cupy_names.json").read_text())
SOURCE = "\n".join(path.read_text() for path in Path(dw.__file__).parent.rglob("*.py"))


def asked_for(name: str, module: str) -> bool:
    return re.search(rf"\b{module}\.{name}\(", SOURCE) is not None


@pytest.mark.parametrize("part", ["functions", "linalg"])
def test_functions_and_their_arguments(part: str) -> None:
    holder, module = (cupy, r"(?:np|xp|cupy)") if part == "functions" else (cupy.linalg, "linalg")
    used = [name for name in NAMES[part] if asked_for(name, module)]
    assert len(used) > (3 if part == "linalg" else 60)
    assert not [name for name in used if not hasattr(holder, name)]
    for name in used:
        wanted: Any = NAMES[part][name]
        if wanted == "ufunc" or not inspect.isfunction(getattr(holder, name)):
            continue
        here = inspect.signature(getattr(holder, name)).parameters
        lost = [argument for argument in wanted if argument.rstrip("*") not in here]
        given = [argument for argument in lost if re.search(rf"\b{module}\.{name}\([^)]*\b{argument}=", SOURCE)]
        assert not given, f"{name} takes no {given}"


def test_methods() -> None:
    missing = [name for name in NAMES["methods"] if not hasattr(cupy.ndarray, name)]
    assert not [name for name in missing if re.search(rf"\.{name}\b", SOURCE)]
