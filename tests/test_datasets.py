"""The embedded data set: its shapes, its numbers, and that nothing of it is shared between calls."""

from __future__ import annotations

import runpy
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from dualwalk.datasets import load_japanese_vowels

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "make_japanese_vowels.py"


def test_shapes_and_labels():
    vowels = load_japanese_vowels()
    assert vowels.X.shape == (270, 12, 25)
    assert vowels.X_test.shape == (370, 12, 25)
    assert vowels.X.dtype == vowels.X_test.dtype == np.float32
    assert np.isfinite(vowels.X).all()
    assert np.isfinite(vowels.X_test).all()
    np.testing.assert_array_equal(vowels.y, np.repeat(np.arange(1, 10), 30))
    np.testing.assert_array_equal(np.bincount(vowels.y_test)[1:], [31, 35, 88, 44, 29, 24, 40, 50, 29])


def test_first_series_ends_where_the_original_ends():
    vowels = load_japanese_vowels()
    assert vowels.X[0, 0, 0] == np.float32(1.860936)
    assert vowels.X[0, 0, -1] == np.float32(1.261441)


def test_every_call_returns_new_arrays():
    first = load_japanese_vowels()
    first.X[:] = 0
    assert load_japanese_vowels().X.any()


def test_repr_is_short():
    assert repr(load_japanese_vowels()).startswith("Dataset('Japanese Vowels', X (270, 12, 25)")


def test_credit_and_licence_travel_with_the_data():
    notice = (files("dualwalk") / "data" / "NOTICE.md").read_text(encoding="utf-8")
    for text in (notice, load_japanese_vowels().credit):
        assert "CC BY 4.0" in text
        assert "Kudo" in text
    assert "linear interpolation" in notice


@pytest.mark.skipif(not SCRIPT.exists(), reason="the benchmarks folder is not part of an installed package")
def test_the_script_reads_ts_files_and_resamples(tmp_path):
    script = runpy.run_path(str(SCRIPT))
    np.testing.assert_allclose(script["resample"](np.array([0.0, 6.0]), 4), [0, 2, 4, 6])
    channels = ":".join(f"{c},{c + 2},{c + 4}" for c in range(12))
    (tmp_path / "a.ts").write_text(f"# comment\n@classLabel true 1 2\n@data\n{channels}:2\n")
    X, y = script["read_ts"](tmp_path / "a.ts")
    assert X.shape == (1, 12, 25)
    np.testing.assert_allclose(X[0, 3], np.linspace(3, 7, 25), rtol=1e-6)
    assert y.tolist() == [2]
