"""What is written is read back: samples in each format, labels, and models, to the bit."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from model_kit import same

import dualwalk as dw
from dualwalk._cli.output import columns, write
from dualwalk._files import read_series

DTYPES = ["?", *"bBhHiIlLqQefd", ">f4", ">f8", ">i2", ">u8"]
SHAPES = hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=4).flatmap(
    lambda inner: st.integers(8, 12).map(lambda n: (n, *inner))
)
FINITE = {"allow_nan": False, "allow_infinity": False}
# Any text but what the writer refuses: ends of white space, carriage returns, NUL, half of a surrogate pair.
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=6).map(str.strip)


@st.composite
def samples(draw, dtypes=DTYPES):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    elements = hnp.from_dtype(dtype, **FINITE) if dtype.kind == "f" else None
    X = draw(hnp.arrays(dtype, draw(SHAPES), elements=elements))
    return np.asfortranarray(X) if draw(st.booleans()) else X


@st.composite
def labels(draw, n):
    words = draw(st.lists(draw(st.sampled_from([WORDS, st.integers(-(2**63), 2**63 - 1)])), min_size=n, max_size=n))
    return np.array(words)


def identical(found, wanted):
    assert (found.dtype, found.shape, found.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


@settings(max_examples=150)
@given(data=st.data(), X=samples())
def test_arrays_in_numpys_formats(tmp_path_factory, data, X):
    folder = tmp_path_factory.getbasetemp()
    y = data.draw(labels(len(X)))
    write(str(folder / "a.npz"), {"X": X, "y": y, "note": "of no matter"}, {})
    write(str(folder / "a.npy"), {"X": X}, {})
    series = read_series(folder / "a.npz")
    identical(series.X, X)
    identical(series.y, y)
    identical(read_series(folder / "a.npy").X, X)


@settings(max_examples=150)
@given(data=st.data(), X=samples(dtypes="?bBhHiIefd"))
def test_tables(tmp_path_factory, data, X):
    """Numbers come back as the same numbers in float64, labels as the same text, or whole numbers for text that is one."""
    path = tmp_path_factory.getbasetemp() / "a.csv"
    numbers = X.astype("u1") if X.dtype == bool else X
    y = data.draw(labels(len(X)))
    write(str(path), {}, columns(numbers, y))
    series = read_series(path, channels=X.shape[1] if X.ndim == 3 else None)
    identical(series.X.astype(numbers.dtype), np.ascontiguousarray(numbers))
    if series.y.dtype.kind in "iu":
        assert series.y.tolist() == [int(label) for label in y.tolist()]
        assert len(set(series.y.tolist())) == len(set(y.tolist()))
    else:
        identical(series.y, y)


@pytest.mark.parametrize("bad", [" a", "a\n", "a\rb", "a\0b"])
def test_labels_that_a_table_cannot_hold_are_not_written(tmp_path, bad):
    with pytest.raises(ValueError, match=r"column y must hold labels that a table can hold; got .* \(write .npz instead\)"):
        write(str(tmp_path / "a.csv"), {}, columns(np.zeros((2, 1)), np.array(["a", bad])))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1", "2", "1"], [1, 2, 1]),
        (["01", "02", "01"], [1, 2, 1]),
        (["7", "007", "1"], ["7", "007", "1"]),  # two labels, which numbers would merge
        (["1_0", "10", "1"], ["1_0", "10", "1"]),
        (["1", "9" * 30, "2"], ["1", "9" * 30, "2"]),
        (["1", str(2**64 - 1), "2"], ["1", str(2**64 - 1), "2"]),  # no integer type of NumPy's holds these and small ones
    ],
)
def test_no_two_labels_of_a_table_become_one(tmp_path, cells, wanted):
    path = tmp_path / "a.csv"
    path.write_text("y,a\n" + "".join(f"{cell},1\n" for cell in cells * 3))
    assert read_series(path).y.tolist() == wanted * 3


@given(X=samples(dtypes="fd"))
def test_normal_scores(X):
    largest = np.abs(X).max(initial=0.0)
    X = X / largest if largest > 1e30 else X  # larger numbers than `fit` takes
    model = dw.NormalScores().fit(X)
    stream = io.BytesIO()
    model.save(stream)
    again = dw.load(stream)
    same(model, again)
    identical(again.transform(X), model.transform(X))


@given(data=st.data(), widths=st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_networks(data, widths):
    def array(shape):
        return data.draw(hnp.arrays("f8", shape, elements=st.floats(-1e3, 1e3, width=32)))

    sizes = [3, *widths, 1]
    weights = [array((b, a)) for a, b in pairwise(sizes)]
    model = dw.MLPDual(weights, [array((b,)) for b in sizes[1:]])
    stream = io.BytesIO()
    model.save(stream)
    again = dw.load(stream)
    same(model, again)
    x = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    for found, wanted in zip(again.value_and_gradient(x), model.value_and_gradient(x), strict=True):
        identical(found, wanted)
