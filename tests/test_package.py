"""The package as a whole: what importing costs, what is public, examples in docstrings, errors of the boundary."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extras import needs

import dualwalk as dw
from dualwalk import _checks
from dualwalk._config import config_info

HEAVY = ("numba", "scipy", "sklearn", "matplotlib", "rich", "torch", "jax", "cupy", "dask", "pandas")


def test_import_is_cheap_loads_no_framework_and_starts_no_thread() -> None:
    program = f"""
import json, sys, threading
import dualwalk
print(json.dumps([threading.active_count(), [m for m in {HEAVY!r} if m in sys.modules]]))
for name in dualwalk.__all__:
    getattr(dualwalk, name)
print(json.dumps([threading.active_count(), [m for m in {HEAVY!r} if m in sys.modules]]))
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert [json.loads(line) for line in out.splitlines()] == [[1, []], [1, []]]


def test_public_names() -> None:
    from dualwalk import _MODULE_OF

    assert set(dw.__all__) <= set(dir(dw))
    for name, module in _MODULE_OF.items():
        assert getattr(dw, name).__doc__, name
        assert getattr(importlib.import_module(f"dualwalk.{module}"), name) is getattr(dw, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dw.nothing


def modules() -> list[str]:
    skip = {"dualwalk.__main__", "dualwalk._core", "dualwalk.backends.native", "dualwalk.backends.numba"}
    found = [m.name for m in pkgutil.walk_packages(dw.__path__, "dualwalk.")]
    return [name for name in found if name not in skip and not name.startswith("dualwalk.backends._numba")]


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name: str) -> None:
    if name.startswith("dualwalk.adapters."):
        needs(name.split(".")[2])
    if name == "dualwalk.metrics.series_scores":
        needs("torch")
    module = importlib.import_module(name)
    examples = [example for test in doctest.DocTestFinder().find(module) for example in test.examples]
    assert not [example.source for example in examples if doctest.SKIP in example.options], "these never run"
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_show_config_prints_every_fact(capsys: pytest.CaptureFixture[str]) -> None:
    info = dw.show_config()
    printed = capsys.readouterr().out
    assert info == config_info()
    json.dumps(info)
    for word in ("dualwalk", "native", "numba", "reference", "simd_level", "n_threads", "cuda"):
        assert word in printed
    assert repr(info) == "<the configuration printed above>"


def test_typed_marker_and_stub_are_installed() -> None:
    folder = Path(dw.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_core.pyi").exists()


def test_checks_of_samples() -> None:
    x = np.zeros((10, 2, 5))
    x[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"X must be finite; got nan at index \(3, 1, 2\) and 1 such values"):
        _checks.samples(x)
    with pytest.raises(ValueError, match="at least 8 samples; got 7"):
        _checks.samples(np.zeros((7, 2)))
    with pytest.raises(ValueError, match=r"got shape \(9,\) \(pass X\[None\]"):
        _checks.samples(np.zeros(9))
    with pytest.raises(ValueError, match="at least one feature"):
        _checks.samples(np.zeros((9, 0)))
    with pytest.raises(ValueError, match="rectangular"):
        _checks.samples([[1.0, 2.0], [1.0]])
    with pytest.raises(TypeError, match="got dtype <U1"):
        _checks.samples([["a"]] * 9)
    with pytest.raises(ValueError, match=r"shape seen in fit, \(4,\); got \(3,\)"):
        _checks.samples(np.zeros((9, 3)), feature_shape=(4,))
    with pytest.raises(ValueError, match=r"one label a sample, shape \(9,\); got shape \(8,\)"):
        _checks.labels(np.zeros(8), 9)
    with pytest.raises(ValueError, match="y must be finite"):
        _checks.labels(np.full(9, np.nan), 9)
    with pytest.raises(TypeError, match="seed must be a whole number; got 'x'"):
        _checks.seed("x")
    with pytest.raises(ValueError, match="below 2\\*\\*64"):
        _checks.seed(2**64)
    with pytest.raises(TypeError, match="whole number; got True"):
        _checks.count(True, "n")
    with pytest.raises(ValueError, match="finite; got inf"):
        _checks.real(np.inf, "x")
