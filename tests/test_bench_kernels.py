"""The kernel benchmarks run, at their smallest, and what the machine can do is measured."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualwalk import backends

ROOT = Path(__file__).resolve().parent.parent
MEMORY = ("read", "write", "write_streaming", "copy", "copy_streaming")


def aligned(n: int, dtype: type) -> np.ndarray:
    """Ones from a cache line on."""
    size = n * np.dtype(dtype).itemsize
    bytes_ = np.ones(size + 64, np.uint8)
    start = -bytes_.ctypes.data % 64
    array = bytes_[start : start + size].view(dtype)
    array[:] = 1
    return array


@pytest.fixture
def core() -> object:
    reason = backends.why_not("native")
    if reason is not None:
        pytest.skip(reason)
    return backends.module("native")._core


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n", [1, 1000, 1 << 16])
def test_limits_are_positive_and_do_what_they_say(core, dtype, n_threads, n):
    x = np.linspace(0.5, 1.0, n, dtype=dtype)
    for name in MEMORY:
        out = aligned(n, dtype)
        rate = core.limit(name, x, out, 1e-3, n_threads)
        assert np.isfinite(rate)
        assert rate > 0 or n == 1
        block = 8 * 64 // x.itemsize  # at every level a share is whole blocks of this many numbers, or smaller ones
        done = n // n_threads // block * block
        if name.startswith("copy"):
            np.testing.assert_array_equal(out[:done], x[:done])
        if name.startswith("write"):
            np.testing.assert_array_equal(out[:done], x[0])
    assert core.limit("multiply_add", x, None, 1e-3, n_threads) > 0


def test_limits_refuse_what_they_cannot_measure(core):
    x = np.ones(64, np.float32)
    for arguments in (("nothing", x, x.copy()), ("copy", x, None), ("write", x, np.ones(3, np.float32)), ("read", x[:0], None)):
        with pytest.raises(ValueError, match=r"dualwalk\._core"):
            core.limit(*arguments, 1e-3, 1)


# the suites


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of the package `benchmarks`, of the checkout that these tests are in."""
    pytest.importorskip("pytest_benchmark")
    monkeypatch.syspath_prepend(str(ROOT))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]


def test_every_job_has_cases_and_every_case_a_limit(suites):
    cases = suites("benchmarks.kernels.suite").all_cases()
    assert {case.job for case in cases} == set(backends.JOBS)
    assert len({case.name for case in cases}) == len(cases)
    assert min(case.n_bytes for case in cases) <= 1024
    assert max(case.n_bytes for case in cases) == 2**30
    for case in cases:
        assert {"native", "numba"} <= case.candidates.keys()
        for n_threads in (1, 2):
            needs = case.needs(n_threads)
            assert needs
            assert all(need.amount > 0 for need in needs)


@pytest.mark.parametrize("candidate", ["native", "numba", "reference", "NumPy", "SciPy"])
def test_small_cases_are_right(suites, candidate):
    """Every candidate does its job: no wrong columns, and numbers as near to float64 as float32 allows."""
    for case in suites("benchmarks.kernels.suite").all_cases(quick=True):
        if candidate not in case.candidates or case.candidates[candidate].why_not() or case.error is None:
            continue
        inputs = case.make()
        result = case.candidates[candidate].prepare(inputs, 1)()
        if case.candidates[candidate].checked:
            ulp = 2.0 if candidate in ("native", "numba", "reference") else 1e4  # next to zero a peer loses digits
            most = {"ULP": ulp, "relative": 2e-6, "of the walk": 1e-4}.get(case.error_unit, 0.0)
            assert case.error(inputs, result) <= most, case.name


def measured(candidate: str, seconds: list[float], lap: int, **more: Any) -> dict[str, Any]:
    """One entry of pytest-benchmark's file, with what the suites add."""
    info = {"job": "philox", "form": "in order", "size": "4 words", "case": "philox: in order, 4 words", "n_bytes": 16}
    info |= {
        "series": "philox: in order",
        "swept": ["bytes", 16],
        "unit": "word",
        "n_units": 4,
        "error": 0.0,
        "first_seconds": 9.0,
    }
    info |= {"error_unit": "wrong words", "n_threads": 1, "lap": lap, "limit_seconds": 1e-6, "limit": "copy", "operations": 0.0}
    info |= {"candidate": candidate, "ours": candidate in ("native", "numba", "reference"), **more}
    return {"extra_info": info, "stats": {"data": seconds}}


def test_laps_are_merged_and_a_loss_shows(suites):
    about = {"processor": "a processor", "n_processors": 2, "caches": {}, "platform": "", "simd_level": "avx2"}
    about |= {"versions": {}, "commit": "abc", "load": [], "time": "today", "rates": [["copy", 16, 1, 0, 1e9]], "skipped": []}
    runs = [("native", [4e-6, 4e-6], 0), ("native", [2e-6, 2e-6, 2e-6], 1), ("numba", [11e-6], 0), ("NumPy", [1e-6, 1e-6], 1)]
    content = {"dualwalk": about, "benchmarks": [measured(*run) for run in runs]}
    results = suites("benchmarks.report.results").Results(content)
    row = results.row("philox: in order, 4 words")
    assert row.ours.median == 2e-6
    assert row.share == pytest.approx(0.5)
    assert row.numba_over_native == pytest.approx(5.5)
    tables = suites("benchmarks.report.tables")
    (loss,) = tables.losses(results).rows
    assert [loss[3].text, loss[4].text, loss[4].mark] == ["NumPy", "0.50x", "lost"]
    numba = {cells[0].text: cells[3] for cells in tables.numba_table(results).rows}
    assert (numba["philox"].text, numba["philox"].mark) == ("5.50x", "missed")
    assert "| philox | 5.50x | 5.50x | 5.50x **missed** |" in tables.numba_table(results).markdown()


def test_one_command_writes_one_page(suites, tmp_path):
    page = tmp_path / "page.html"
    words = [sys.executable, "-m", "benchmarks.report", "--quick", "--threads", "1", "--only", "philox or relax_local"]
    done = subprocess.run([*words, "--out", str(page)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    for words_of_it in ("Where we lose", "relax_local", "share of the limit", "at least 1.9 times", "commit", "load"):
        assert words_of_it in text
    assert not re.search(r"""(src|href)=["']?http""", text)
    markdown, kept = page.with_suffix(".md").read_text(), json.loads(page.with_suffix(".json").read_text())
    assert "### Goals" in markdown
    assert {entry["extra_info"]["candidate"] for entry in kept["benchmarks"]} >= {"numba", "reference", "NumPy"}
    again = tmp_path / "again.html"
    words = [sys.executable, "-m", "benchmarks.report", "--render", str(page.with_suffix(".json")), "--out", str(again)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=120)
    assert again.with_suffix(".md").read_text() == markdown
