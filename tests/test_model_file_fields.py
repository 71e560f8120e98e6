"""What a model file is made of: archives of arrays, and fields that take right values, refuse others, and say what was wanted."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from model_kit import same, through

from dualwalk._model_file import container, fields
from dualwalk._model_file.errors import Misfit

NUMBERS = arrays_of.arrays(
    st.sampled_from(["<f4", ">f8", "<i8", "|u1", "|b1", "<f2"]),
    arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
LETTERS = arrays_of.arrays(
    st.sampled_from(["<U5", "|S3"]), arrays_of.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4)
)


@given(st.dictionaries(st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z0-9_]{1,4}){0,2}", fullmatch=True), NUMBERS | LETTERS), st.text())
def test_archives_give_back_what_they_got(arrays, text):
    stream = io.BytesIO()
    container.write(stream, container.Contents(text.encode("utf-8", "replace").decode(), arrays))
    read = container.read(stream)
    assert read.manifest == text.encode("utf-8", "replace").decode()
    assert list(read.arrays) == list(arrays)
    for name, array in arrays.items():
        found = read.arrays[name]
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.astype(array.dtype).tobytes() == array.tobytes()
        assert found.flags.writeable
        assert found.flags.f_contiguous == array.flags.f_contiguous
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as plain:  # NumPy alone reads them too
        assert set(plain.files) == {container.MANIFEST, *arrays}
        for name, array in arrays.items():
            np.testing.assert_array_equal(plain[name], array)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(SCALARS, st.lists(st.floats()), st.dictionaries(st.text() | st.integers(), st.integers(0, 9)), st.integers(0, 2**64 - 1))
def test_plain_values_come_back(value, numbers, pairs, whole):
    same(through(fields.Scalar(), value), value)
    same(through(fields.Many(fields.Real(infinite=True, nan=True), list), numbers), numbers)
    same(through(fields.Pairs(fields.Scalar(), fields.Whole(0, 9)), pairs), pairs)
    assert through(fields.Whole(0, 2**64 - 1), whole) == whole


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(max_examples=100)
@given(JSON)
def test_no_json_makes_a_field_do_anything_but_take_or_refuse_it(value):
    names = fields.Word("left", "right")
    for field in (fields.Whole(), fields.Real(0, 1), fields.Flag(), names, fields.Scalar(), fields.Array("float", "n")):
        for some in (field, fields.Maybe(field), fields.Many(field), fields.Pairs(fields.Whole(), field)):
            with contextlib.suppress(Misfit):
                some.unpack(value, "state", fields.Source({"a": np.zeros(3)}))


@pytest.mark.parametrize(
    ("field", "stored", "match"),
    [
        (fields.Whole(1, 5), 6, "state must be a whole number from 1 to 5; got 6"),
        (fields.Whole(), True, "got True"),
        (fields.Real(0, 1), "inf", "got 'inf'|got inf"),
        (fields.Word("a", "b"), "c", "one of a, b; got c"),
        (fields.Array("float", "3"), "x", "the name of an array that is in the file; got x"),
        (fields.Array("index", "3"), "a", "of the kind index; got dtype float64"),
        (fields.Array("float", "n 2"), "a", r"shape \(n, 2\); got shape \(3,\)"),
        (fields.Array("float", "4"), "a", r"with 4 = 4; got shape \(3,\)"),
        (fields.Array("float", "n", low=1.0), "a", "from 1 to inf; got numbers from 0.0 to 0.0"),
        (fields.Many(fields.Flag(), fewest=2), [True], "a list of 2 entries or more"),
    ],
)
def test_misfits_say_what_was_wanted(field, stored, match):
    with pytest.raises(Misfit, match=match):
        field.unpack(stored, "state", fields.Source({"a": np.zeros(3)}))


def test_pairs_have_each_key_once():
    field = fields.Pairs(fields.Whole(), fields.Flag())
    assert through(field, {1: True, 0: False}) == {1: True, 0: False}
    with pytest.raises(Misfit, match="pairs whose keys differ; got 1"):
        field.unpack([[1, True], [1, False]], "state", fields.Source({}))
