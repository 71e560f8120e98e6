"""Files in and out: every damaged file gets one clear ValueError, and nothing is ever half written."""

from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualwalk._files import atomic, output_file, read_series, write_samples, write_text

X2 = np.arange(60.0).reshape(10, 6) / 7
X3 = X2.reshape(10, 2, 3).astype(np.float32)
Y = np.arange(10) % 3


def refused(path, match, **options):
    with pytest.raises(ValueError, match=match) as caught:
        read_series(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert message.endswith(")"), "the remedy stands in brackets at the end"


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


# reading


@pytest.mark.parametrize("X", [X2, X3, X2.astype(np.int16), np.asfortranarray(X2)])
def test_npy_comes_back_as_it_was(tmp_path, X):
    np.save(tmp_path / "a.npy", X)
    series = read_series(tmp_path / "a.npy")
    np.testing.assert_array_equal(series.X, X)
    assert series.X.dtype == X.dtype
    assert series.y is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_by_name(tmp_path, save):
    save(tmp_path / "a.npz", X=X3, y=Y, other=X2)
    series = read_series(tmp_path / "a.npz")
    np.testing.assert_array_equal(series.X, X3)
    np.testing.assert_array_equal(series.y, Y)


def test_npz_train_part_or_the_only_table(tmp_path):
    series = read_series(npz(tmp_path / "a.npz", X_train=X3, y_train=Y, X_test=X3[:8] + 1, y_test=Y[:8]))
    np.testing.assert_array_equal(series.X, X3)
    np.testing.assert_array_equal(series.y, Y)
    series = read_series(npz(tmp_path / "b.npz", anything=X2, scale=np.float64(2), names=np.array(["a"])))
    np.testing.assert_array_equal(series.X, X2)
    assert series.y is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [False, True])
def test_csv(tmp_path, delimiter, header):
    lines = [delimiter.join(map(repr, row)) for row in X2.tolist()]
    if header:
        lines.insert(0, delimiter.join("abcdef"))
    (tmp_path / "a.csv").write_text("\n".join([*lines, "", ""]), encoding="utf-8-sig")
    series = read_series(tmp_path / "a.csv")
    np.testing.assert_array_equal(series.X, X2)
    assert series.y is None


@pytest.mark.parametrize("names", [Y, np.array(list("abcabcabca"))])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_csv_labels(tmp_path, names, place):
    rows = [list("uvwxzt"), *[list(map(repr, row)) for row in X2.tolist()]]
    for row, name in zip(rows, ["label", *names.tolist()], strict=True):
        row.insert(place, str(name))
    (tmp_path / "a.csv").write_text("\n".join(map(",".join, rows)))
    series = read_series(tmp_path / "a.csv", channels=2)
    np.testing.assert_array_equal(series.X, X2.reshape(10, 2, 3))
    np.testing.assert_array_equal(series.y, names)


def test_channels(tmp_path):
    np.save(tmp_path / "a.npy", X2)
    np.testing.assert_array_equal(read_series(tmp_path / "a.npy", channels=3).X, X2.reshape(10, 3, 2))
    refused(tmp_path / "a.npy", "channels=4 must divide the number of columns; got 6", channels=4)
    np.save(tmp_path / "b.npy", X3)
    assert read_series(tmp_path / "b.npy", channels=2).X.shape == (10, 2, 3)
    refused(tmp_path / "b.npy", "needs rows of features", channels=3)
    with pytest.raises(ValueError, match="at least 1"):
        read_series(tmp_path / "a.npy", channels=0)


# what is refused


def test_missing_folder_suffix_and_empty(tmp_path):
    refused(tmp_path / "none.npy", "no such file")
    (tmp_path / "folder.npy").mkdir()
    refused(tmp_path / "folder.npy", "must be a file")
    (tmp_path / "a.mat").write_bytes(b"x")
    refused(tmp_path / "a.mat", r"must end in \.npy, \.npz or \.csv; got '\.mat'")
    for name in ("a.npy", "a.npz", "a.csv"):
        (tmp_path / name).write_bytes(b"")
        refused(tmp_path / name, "is empty")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_unreadable(tmp_path):
    np.save(tmp_path / "a.npy", X2)
    (tmp_path / "a.npy").chmod(0)
    refused(tmp_path / "a.npy", "could not be read")


class Bomb:
    def __reduce__(self):
        return (os._exit, (3,))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_never_loaded(tmp_path, name, protocol):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    refused(tmp_path / name, "must be a NumPy file; got a (pickle|file that starts)")


def test_object_arrays_are_never_loaded(tmp_path):
    objects = np.array([Bomb(), Bomb()], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    refused(tmp_path / "a.npy", "Python objects, which are pickled")
    refused(npz(tmp_path / "a.npz", X=objects), "array X must hold real numbers; got Python objects")
    refused(npz(tmp_path / "b.npz", X=X2, y=objects), "array y must hold real numbers; got Python objects")


@pytest.mark.parametrize("keep", [3, 8, 40, 127, 129, 300, -1])
def test_cut_short(tmp_path, keep):
    np.save(tmp_path / "whole.npy", X2)
    np.savez(tmp_path / "whole.npz", X=X2)
    for name in ("a.npy", "a.npz"):
        whole = (tmp_path / name.replace("a", "whole")).read_bytes()
        (tmp_path / name).write_bytes(whole[:keep])
        refused(tmp_path / name, "damaged or cut short|must be a NumPy file")


def test_a_header_that_promises_too_much_is_not_believed(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**6)})
    (tmp_path / "a.npy").write_bytes(stream.getvalue() + bytes(64))
    refused(tmp_path / "a.npy", "damaged or cut short: 8000000000000000128 bytes are announced and 192 are there")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", stream.getvalue() + bytes(64))
    refused(tmp_path / "a.npz", "array X is damaged")


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), compressed=st.booleans(), suffix=st.sampled_from(["npy", "npz"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_wrong_byte_is_a_value_error_or_harmless(tmp_path, place, byte, compressed, suffix):
    stream = io.BytesIO()
    if suffix == "npy":
        np.save(stream, X2)
    else:
        (np.savez_compressed if compressed else np.savez)(stream, X=X2, y=Y)
    damaged = bytearray(stream.getvalue())
    damaged[place % len(damaged)] = byte
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(damaged)
    message = f"{path}: fine"
    try:
        assert read_series(path).X.ndim in (2, 3)
    except ValueError as error:  # and nothing but a ValueError
        message = str(error)
    assert str(path) in message
    assert "\n" not in message


def test_npz_without_or_with_too_many_tables(tmp_path):
    refused(npz(tmp_path / "a.npz", a=X2, b=X2), r"must hold an array X \(or X_train\).*got a, b")
    refused(npz(tmp_path / "b.npz"), "must be a NumPy file|got no array at all")
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    refused(tmp_path / "c.npz", "got no array at all")


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (X2[:7], "at least 8 samples; got 7"),
        (X2[0], r"got shape \(6,\)"),
        (X2[None, None], "must have shape"),
        (np.where(np.isclose(X2, X2[3, 2]), np.nan, X2), r"must be finite; got nan at index \(3, 2\)"),
        (np.where(np.isclose(X2, X2[3, 2]), np.inf, X2), r"must be finite; got inf at index \(3, 2\)"),
        (X2.astype(complex), "complex128"),
        (X2.astype(str), "must hold real numbers"),
        (np.zeros((10, 0)), "at least one feature"),
        (np.zeros(10, dtype=[("a", "f8")]), "must hold real numbers"),
    ],
)
def test_arrays_that_are_no_samples(tmp_path, X, match):
    np.save(tmp_path / "a.npy", X)
    refused(tmp_path / "a.npy", match)
    refused(npz(tmp_path / "a.npz", X=X), match)


def test_labels_of_another_length(tmp_path):
    refused(npz(tmp_path / "a.npz", X=X2, y=Y[:9]), r"one label a sample, shape \(10,\); got shape \(9,\)")


ROW = "1,2,3\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (ROW * 9 + "1,2\n", "same number of columns in every row; got 2 in line 10, not 3"),
        (ROW * 9 + "1,x,3\n", "must hold numbers; got 'x' in line 10, column 2"),
        (ROW * 9 + "1,,3\n", "must hold numbers; got 'an empty cell' in line 10, column 2"),
        ("1,x,3\n" + ROW * 9, "must hold numbers; got 'x' in line 1"),
        ("y,a,b\n" + ROW * 9 + "1,2,zz\n", "got 'zz' in line 11, column 3"),
        ("a,b,c\n", "holds a header and no rows"),
        ("y,a,Label\n" + ROW * 9, r"one column of labels at most; got y and Label \(rename or drop all but one\)"),
        (ROW * 9 + "1,2_5,3\n", "must hold numbers; got '2_5' in line 10, column 2"),
        (ROW * 9 + '1,"2,3\n1,2,3\n', "must be a text table in UTF-8; got unexpected end of data"),
        ("\n \n", "holds no rows"),
        (ROW * 7, "at least 8 samples; got 7"),
        (ROW * 9 + "1,nan,3\n", r"must be finite; got nan at index \(9, 1\)"),
        (ROW * 9 + "1,1e999,3\n", "must be finite; got inf"),
        ("a\0b,c\n" + ROW * 9, "must be a text table"),
    ],
)
def test_bad_csv(tmp_path, text, match):
    (tmp_path / "a.csv").write_text(text)
    refused(tmp_path / "a.csv", match)


def test_csv_that_is_not_text(tmp_path):
    np.save(tmp_path / "a.npy", X2)
    (tmp_path / "a.npy").rename(tmp_path / "a.csv")
    refused(tmp_path / "a.csv", "must be a text table in UTF-8")


# writing


def test_written_samples_load_without_pickle(tmp_path):
    write_samples(tmp_path / "a.npz", X=X3, y=Y, note="how it was made")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["X"], X3)
        assert str(stored["note"]) == "how it was made"
    np.testing.assert_array_equal(read_series(tmp_path / "a.npz").X, X3)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    write_samples(tmp_path / "a.npz", X=X3)
    before = (tmp_path / "a.npz").read_bytes()

    def interrupted():
        with atomic(tmp_path / "a.npz") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ValueError, match="dtype object"):
        write_samples(tmp_path / "a.npz", X=np.array([None]))
    assert (tmp_path / "a.npz").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.npz; got '\.npy'.*name it a\.npz"):
        output_file(tmp_path / "a.npy", ".npz")
    with pytest.raises(ValueError, match=r"must end in \.npz; got 'no ending'"):
        output_file(tmp_path / "a", ".npz")
    with pytest.raises(ValueError, match=r"folder that exists.*mkdir -p"):
        output_file(tmp_path / "missing" / "a.npz", ".npz")
    (tmp_path / "b.npz").mkdir()
    with pytest.raises(ValueError, match="must be a file; got a folder"):
        output_file(tmp_path / "b.npz", ".npz")


def test_write_text(tmp_path):
    write_text(tmp_path / "a.html", "<p>ä</p>", suffix=".html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "<p>ä</p>"
