"""Model files that are damaged or forged: one clear error, or the very model; no code run, no memory taken on a file's word."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import warnings
import zipfile
from functools import cache

import numpy as np
import pytest
from _series import series, two_classes

import dualwalk as dw
from dualwalk._model_file import container, versions

SCORES = dw.NormalScores().fit(np.random.default_rng(0).normal(size=(8, 2)))


def saved(model=SCORES):
    stream = io.BytesIO()
    model.save(stream)
    return stream.getvalue()


def refused(data, match):
    tracemalloc.start()
    with pytest.raises(dw.ModelFileError, match=match) as caught:
        dw.load(io.BytesIO(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 + 8 * len(data), f"{peak} bytes for a file of {len(data)}"
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("the stream cannot be loaded: ")
    assert message.endswith(")"), "the remedy stands in brackets at the end"
    assert isinstance(caught.value, ValueError)


def with_members(*members, keep=True, method=zipfile.ZIP_STORED):
    """The file of SCORES (or an empty one) with more members, (name, bytes)."""
    stream = io.BytesIO(saved() if keep else b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there already
        with zipfile.ZipFile(stream, "a" if keep else "w", method) as archive:
            for name, data in members:
                archive.writestr(name, data)
    return stream.getvalue()


def edited(change, model=SCORES):
    """A file whose manifest and arrays were changed by someone who can write valid archives."""
    manifest, arrays = container.read(io.BytesIO(saved(model)))
    tree = json.loads(manifest)
    tree = change(tree, arrays) or tree
    stream = io.BytesIO()
    container.write(stream, container.Contents(tree if isinstance(tree, str) else json.dumps(tree), arrays))
    return stream.getvalue()


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_array(data):
    """The file of SCORES with other bytes as its array."""
    manifest, _ = container.read(io.BytesIO(saved()))
    return with_members((container.MANIFEST, manifest), ("state.ordered.npy", data), keep=False)


def header(text):
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line


# archives


def test_files_of_other_kinds():
    good = saved()
    refused(b"", "no archive, or it was cut short")
    refused(b"\x80\x04K\x01.", "no archive")
    refused(npy(np.zeros(3)), "no archive")
    refused(good + b"more", "does not end as one|cut short")
    refused(b"before" + good, "something was put before or behind it")
    refused(good[:-1], "does not end as one|cut short")
    refused(with_members(("a.npy", npy(np.zeros(3))), keep=False), "holds no manifest.json, so it is no model")
    stream = io.BytesIO()
    np.savez(stream, X=np.zeros((9, 3)))
    refused(stream.getvalue(), "holds no manifest.json")


@pytest.mark.parametrize(
    "name",
    ["../outside.npy", "/etc/outside.npy", "folder/array.npy", "a\\b.npy", "C:outside.npy", "state.ordered.txt", ".npy", "a/"],
)
def test_names_that_are_none_of_a_models(name):
    refused(with_members((name, npy(np.zeros(3)))), "a member called")


def test_two_members_of_one_name():
    refused(with_members(("state.ordered.npy", npy(np.zeros((8, 2))))), "two of its members have one name")


def test_a_zip_bomb_is_refused_by_what_it_announces():
    bomb = with_members(("state.bomb.npy", npy(np.zeros(1 << 23))), method=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    refused(bomb, "state.bomb.npy is compressed or encrypted")
    manifest = with_members((container.MANIFEST, b"[" * (1 << 24)), keep=False)
    refused(manifest, "its manifest announces 16777216 bytes")
    refused(with_members((container.MANIFEST, b"[" * 100_000), keep=False), "recursion")


def test_members_that_overlap():
    """Many entries of the directory that lead to the same bytes."""
    good = saved()
    start = good.index(b"PK\1\2")
    end = good.index(b"PK\5\6")
    entries = good[start:end]
    last = entries[entries.rindex(b"PK\1\2") :]
    more = b"".join(last.replace(b"state.ordered", b"state.%07d" % k) for k in range(3000))
    n, length = 2 + 3000, len(entries) + len(more)
    tail = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, n, n, length, start, 0)
    refused(good[:end] + more + tail, r"announces \d+ bytes of arrays in a file of|Overlapped")


def test_a_directory_that_announces_too_much():
    good = bytearray(saved())
    end = good.index(b"PK\5\6")
    good[end + 8 : end + 12] = b"\xff\xff\xff\xff"
    refused(bytes(good), "announces 65535 members")


# arrays


class Exploit:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (npy(np.array([Exploit()]), allow_pickle=True), "Python objects, which are pickled and never loaded"),
        (npy(np.zeros(2, dtype=[("a", "f8")])), "which is not that of an array of numbers"),
        (npy(np.zeros((8, 2), dtype=">f8")), "holds dtype >f8"),
        (npy(np.zeros((8, 2), dtype=complex)), "holds dtype <c16"),
        (npy(np.zeros((8, 2)))[:-1], "256 bytes are announced and 255 are there"),
        (npy(np.zeros((8, 2))) + b"x", "256 bytes are announced and 257 are there"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (2000000000000,), }"), "160000000000.. bytes are announced"),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }"),
            "80000000.. bytes are announced and .. are there",
        ),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 0, 0, 0, 0), }"), "absurd shape"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 0), }"), "absurd shape"),
        (header("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,), }"), "holds dtype <U0"),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
            "which is not that of an array of numbers|no array of numbers has",
        ),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os'),), }"),
            "which is not that of an array of numbers|no array of numbers has",
        ),
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 70_000, "which is not that of an array of numbers|no array of numbers has"),
        (b"\x93NUMPY\x03\x00" + npy(np.zeros(3))[8:], "no array in NumPy's format 1.0 or 2.0"),
        (b"", "no array in NumPy's format 1.0 or 2.0"),
        (npy(np.array([2, 1], np.uint8)).replace(b"|u1", b"|b1"), "neither true nor false"),
        (npy(np.array([0x110000], "<u4")).replace(b"<u4", b"<U1"), "no letters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_are_not_what_they_announce(data, match):
    refused(with_array(data), match)


# manifests


def put(*keys):
    """A change of the manifest: the last of `keys` is the value that goes where the others lead."""
    *path, last, value = keys

    def change(tree, arrays):
        for key in path:
            tree = tree[key]
        tree[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda *_: "[1, 2]", "its manifest must be an object"),
        (lambda *_: "{", "Expecting"),
        (lambda *_: '{"a": NaN}', "holds NaN, which is no JSON"),
        (lambda *_: '{"a": 1, "a": 2}', "has a name twice"),
        (lambda *_: '{"a": ' + "1" * 10_000 + "}", "integer"),
        (put("format", "a cake"), "its format must be 'dualwalk model'; got 'a cake'"),
        (put("format_version", "1"), "must name a version of the format"),
        (
            put("format_version", 3),
            rf"made by dualwalk {dw.__version__} in format 3.*reads formats up to 1 \(pip install -U dualwalk\)",
        ),
        (put("format_version", -1), "format -1, which no version of dualwalk has written"),
        (put("class", "os.system"), "its class must be one of DualDivergence, DualSampler, NormalScores.*got 'os.system'"),
        (put("class", ["NormalScores"]), "its class must be one of"),
        (put("class", "MLPDual"), "state must be an object with weights, biases"),
        (put("state", []), "state must be an object with"),
        (put("more", 1), "its manifest must have"),
        (put("state", "more", 1), "state must be an object with"),
        (lambda tree, _: tree["state"].pop("dtype") and None, "state must be an object with"),
        (put("state", "params", "colour", "red"), "parameters that this version knows; got colour"),
        (put("state", "dtype", "float16"), "state.dtype must be one of float32, float64; got float16"),
        (put("state", "feature_shape", [3]), "a column for every feature"),
        (put("state", "feature_shape", [0]), "state.feature_shape.0 must be a whole number from 1"),
        (put("state", "ordered", "other"), "state.ordered must be the name of an array that is in the file; got other"),
        (lambda _, arrays: arrays.pop("state.ordered") is None or None, "the name of an array that is in the file"),
        (
            lambda _, arrays: arrays.update({"state.more": np.zeros(3)}),
            "arrays that no part of the model is made of: state.more",
        ),
        (lambda _, arrays: arrays.update({"state.ordered": np.zeros((8, 2), int)}), "of the kind float; got dtype int64"),
        (lambda _, arrays: arrays.update({"state.ordered": np.zeros(16)}), r"of shape \(n, d\); got shape \(16,\)"),
        (
            lambda _, arrays: arrays["state.ordered"].__setitem__((3, 1), np.nan),
            "finite, from -inf to inf; got numbers from nan",
        ),
        (lambda _, arrays: arrays["state.ordered"].__setitem__((3, 1), 9.0), "the columns of ordered must not fall"),
    ],
)
def test_manifests_that_do_not_fit(change, match):
    refused(edited(change), match)


def test_what_is_extra_is_left_alone():
    def change(tree, arrays):
        tree["extra"] = {"by": "someone", "when": [2031, None]}
        arrays["extra.picture"] = np.zeros(3)

    again = dw.load(io.BytesIO(edited(change)))
    assert saved(again) == saved()


def test_a_file_of_another_class():
    with pytest.raises(
        dw.ModelFileError, match=r"it holds a NormalScores, no DualSampler \(load it with NormalScores.load, or"
    ):
        dw.DualSampler.load(io.BytesIO(saved()))


def test_the_error_names_the_file(tmp_path):
    (tmp_path / "model.npz").write_bytes(saved()[:100])
    with pytest.raises(dw.ModelFileError, match=r"model\.npz cannot be loaded: it is no archive"):
        dw.load(tmp_path / "model.npz")


def test_older_files_are_brought_up_to_date(monkeypatch):
    """As if format 0 had called the sorted columns `sorted`, and stored them upside down."""

    def upgrade(manifest, arrays):
        state = manifest["state"]
        assert state.pop("sorted") == "state.sorted"
        state["ordered"] = "state.ordered"
        arrays["state.ordered"] = arrays.pop("state.sorted")[::-1]

    def older(tree, arrays):
        tree["format_version"] = 0
        tree["state"]["sorted"] = "state.sorted"
        arrays["state.sorted"] = arrays.pop(tree["state"].pop("ordered"))[::-1]

    file = edited(older)
    refused(file, "format 0, which no version of dualwalk has written")
    monkeypatch.setitem(versions.UPGRADES, 0, upgrade)
    assert saved(dw.load(io.BytesIO(file))) == saved()


# state that hangs together


def sampler():
    return two_classes()[0]


def first(tree):
    return tree["state"]["ladder"]["parts"][0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t, a: a["state.ladder.codes"].__setitem__(0, 7), "every class needs rows"),
        (lambda t, a: a["state.ladder.codes"].__setitem__(slice(0, 2), [1, 2]), "codes must be y's"),
        (lambda t, a: a["state.ladder.part_of_label"].__setitem__(0, 99), "part_of_label must be of the parts"),
        (lambda t, a: a["state.ladder.part_of_label"].__setitem__(slice(None), 1), "a class must use the part of its own rows"),
        (lambda t, a: a.update({"state.labels": a["state.labels"][:-1]}), "with n = 65"),
        (lambda t, a: a["state.rows"].__setitem__((0, 0), np.inf), "finite"),
        (lambda t, a: a["state.rows"].__setitem__((0, 0), 1e200), "below 1e100"),
        (lambda t, a: first(t)["rung"].update(n_neighbors=65), "a rung must have more rows than neighbours"),
        (lambda t, a: first(t)["rung"].update(space="outer"), "one of scores, standard; got outer"),
        (lambda t, a: first(t)["rung"].update(balanced=False, space="scores"), "rungs that do not balance"),
        (lambda t, a: first(t)["shared"]["smoothing"].update(share=0.5, width=1.0), "needs series"),
        (lambda t, a: first(t).update(code=12), "parts must be of the classes"),
        (lambda t, a: t["state"].update(seed=2**64), "whole number from 0 to 18446744073709551615"),
        (
            lambda t, a: t["state"]["ladder"].update({"class": "Walker"}),
            "state.ladder must be one of FittedLadder, ApartLadders",
        ),
        (lambda t, a: t["state"]["ladder"].update(n_neighbors=65), "n_neighbors must be below the number of rows"),
    ],
)
def test_samplers_whose_parts_do_not_go_together(change, match):
    refused(edited(lambda tree, arrays: change(tree, arrays) and None, sampler()), match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t, a: t["state"]["walk"].update(dual=None), "needs a mixture and its coordinates"),
        (lambda t, a: t["state"]["walk"]["dual"].update(pull=0.0), "dual functions of the coordinates"),
        (lambda t, a: t["state"]["walk"].update(time=1.0), "from 0.01 to 0.99"),
        (lambda t, a: t["state"]["walk"].update(mode="langevin"), "this walk has no mixture"),
        (lambda t, a: a["state.walk.dual.axes"].__setitem__((0, 0, 0), 3.0), "axes of a component must be orthonormal"),
        (lambda t, a: a["state.walk.dual.eigenvalues"].__setitem__((0, 0), 0.0), "from 1e-300"),
    ],
)
def test_walks_whose_parts_do_not_go_together(change, match):
    refused(edited(lambda tree, arrays: change(tree, arrays) and None, mixture_walk()), match)


@cache
def mixture_walk():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dw.DualSampler("mixture", random_state=0).fit(series(n=40, channels=1, times=4))


@cache
def divergence():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(series(n=40, channels=1, times=5))


PATH = "state.dual_.paths.0"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t, a: a[f"{PATH}.path.order"].__setitem__(0, 5), "a path must be through the features"),
        (lambda t, a: a[f"{PATH}.path.order"].__setitem__(0, a[f"{PATH}.path.order"][1]), "one column of its own"),
        (lambda t, a: a[f"{PATH}.path.parent"].__setitem__(0, 1), "parents must come before their nodes"),
        (lambda t, a: a[f"{PATH}.path.parent"].__setitem__(0, -1), "finite, from 0"),
        (lambda t, a: a[f"{PATH}.path.base.scale"].__setitem__(0, 0.0), "finite, from 1e-300"),
        (lambda t, a: a.update({f"{PATH}.weights": a[f"{PATH}.weights"][:, :-1]}), "weights must be networks of"),
        (lambda t, a: a.update({f"{PATH}.grid": a[f"{PATH}.grid"][1:]}), "grid must have a row of quantiles"),
        (lambda t, a: t["state"]["dual_"].update(n_features=6), "one number of features"),
        (lambda t, a: t["state"].update(feature_shape_=[5]), "of the feature shape"),
        (lambda t, a: a["state.labels_"].__setitem__(0, 40), "labels must be of the clusters"),
        (lambda t, a: a["state.dependence_graph_.order"].__setitem__(0, 4), "hold every column number once|earlier in order"),
        (lambda t, a: t["state"].update(determined_=[[9]]), "determined columns must be features"),
        (
            lambda t, a: a.update({"state.dependence_graph_.parents": a["state.dependence_graph_.parents"].astype("u8")}),
            r"finite, from -1 to 9\.0072e\+15; got numbers from .* to 18446744073709551615",
        ),
    ],
)
def test_divergences_whose_parts_do_not_go_together(change, match):
    refused(edited(lambda tree, arrays: change(tree, arrays) and None, divergence()), match)


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.PCG64])
def test_generators_cannot_be_told_to_read_beyond_their_numbers(bits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dw.DualSampler("local", random_state=np.random.Generator(bits(0))).fit(series())

    def change(tree, arrays):
        state = tree["state"]["params"]["random_state"]["Generator"]
        state.update({name: 10**6 for name in ("buffer_pos", "has_uint32") if name in state})
        if "pos" in state["state"]:
            state["state"]["pos"] = 10**6

    refused(edited(change, model), "part of the state of a generator")


# bytes at random


@pytest.mark.parametrize(("make", "n_trials"), [(lambda: SCORES, 2500), (sampler, 500)], ids=["scores", "sampler"])
def test_bytes_changed_at_random_give_the_model_or_an_error(make, n_trials):
    good = saved(make())
    rng = np.random.default_rng(0)
    n_loaded = 0
    for _ in range(n_trials):
        data = bytearray(good)
        for place in rng.integers(len(good), size=rng.integers(1, 4)):
            data[place] = rng.integers(256)
        try:
            model = dw.load(io.BytesIO(data))
        except dw.ModelFileError:
            continue
        n_loaded += 1  # a byte that says nothing, such as a date, or one that was drawn as it was
        assert saved(model) == good
    assert 0 < n_loaded < n_trials / 2


def test_a_file_cut_anywhere_is_an_error():
    good = saved()
    for length in range(len(good)):
        with pytest.raises(dw.ModelFileError):
            dw.load(io.BytesIO(good[:length]))


def test_checksums_are_compared():
    good = bytearray(saved())
    place = good.index(b"state.ordered.npy") + 200
    good[place] ^= 1
    with pytest.raises(dw.ModelFileError, match="CRC"):
        dw.load(io.BytesIO(good))


def test_out_of_memory_is_no_damage(monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(container, "read", full)
    with pytest.raises(MemoryError):
        dw.load(io.BytesIO(saved()))
