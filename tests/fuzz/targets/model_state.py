"""Model files whose archive is whole and whose content is forged: edits of the manifest and of the arrays of real models.

The first byte of an input chooses a model of `tests/golden`, every four that follow are an edit. What the loader accepts is saved
again and must be what was in the file; then it is put to use, which must end in numbers or in a ValueError.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk._model_file import codec, container

from ._memory import bounded
from ._readers import said

GUIDES = ("dualwalk._model_file",)
GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.npz"))
MOST_EDITS = 8
# What stands in for a value of the manifest: ends of ranges, wrong types, and what must not be believed.
VALUES: list[Any] = [
    0,
    1,
    -1,
    2,
    3,
    7,
    255,
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**63),
    10**40,
    0.0,
    -0.0,
    0.5,
    1.0,
    1e-300,
    1e300,
    -1e9,
]
VALUES += [None, True, False, "", "inf", "-inf", "nan", "density", "__class__", [], {}, [[]], [0, 0], {"class": "NodeDual"}]
NUMBERS = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    3.0,
    7.0,
    1e-320,
    1e-30,
    1e-8,
    1e8,
    1e30,
    1e99,
    1e300,
    -1e300,
    np.inf,
    np.nan,
    2**31,
    2**53,
]
DTYPES = ["f8", "f4", "f2", "i8", "i1", "u8", "b1", "U3", "S2"]


class Golden:
    """A model's manifest, arrays, and the places where both can be edited."""

    def __init__(self, path: Path) -> None:
        contents = container.read(io.BytesIO(path.read_bytes()))
        self.text, self.arrays = contents
        self.places: list[tuple[Any, ...]] = list(_places(json.loads(self.text)["state"]))
        self.names = list(self.arrays)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from _places(tree[key], (*path, key))


MODELS = sorted((Golden(path) for path in GOLDEN), key=lambda golden: len(golden.text))
N_SMALL = 6  # models that load in a fraction of a millisecond, and come more often


def one_input(data: bytes) -> None:
    if not data:
        return
    golden = MODELS[data[0] % (N_SMALL if data[0] < 160 else len(MODELS))]
    tree = json.loads(golden.text)
    arrays = {name: array.copy() for name, array in golden.arrays.items()}
    for at in range(1, min(len(data) - 3, 4 * MOST_EDITS), 4):
        place, what, which = int.from_bytes(data[at : at + 2], "little"), data[at + 2], data[at + 3]
        if place & 1:
            _edit_array(arrays, golden.names[(place >> 1) % len(golden.names)], what, which)
        else:
            _edit_tree(tree, golden.places[(place >> 1) % len(golden.places)], what, which)
    kept = {name: array.copy() for name, array in arrays.items()}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of numbers too large to compute with, which a file may hold
        try:
            with bounded(8_000_000), codec._told("the stream"):
                model = codec.unpacked(container.Contents(json.dumps(tree), arrays))
        except dw.ModelFileError as error:
            said(error, "the stream cannot be loaded: ")
            return
        again = codec.packed(model)
        if kept.keys() == again.arrays.keys():
            _same(tree["state"], json.loads(again.manifest)["state"], "state")
            for name, array in kept.items():
                assert np.array_equal(array, again.arrays[name]), name
        with contextlib.suppress(ValueError):
            _use(model)


def _edit_tree(tree: Any, path: tuple[Any, ...], what: int, which: int) -> None:
    """Put another value at a place, or take the place away, or move it to the end of its list once more."""
    inside, (*way, key) = tree, ("state", *path)
    for step in way:
        if not _there(inside, step):
            return
        inside = inside[step]
    if not _there(inside, key):
        return
    if what < 200:
        inside[key] = VALUES[which % len(VALUES)]
    elif what < 220:
        del inside[key]
    elif what < 240 and isinstance(inside, list):
        inside.append(inside[key])
    elif isinstance(inside[key], (int, float)) and not isinstance(inside[key], bool):
        inside[key] += which - 128


def _there(tree: Any, key: Any) -> bool:
    """Whether there is a `key`, after what earlier edits have done."""
    return key in tree if isinstance(tree, dict) else isinstance(tree, list) and isinstance(key, int) and key < len(tree)


def _edit_array(arrays: dict[str, Any], name: str, what: int, which: int) -> None:
    """Other numbers, one or all; another dtype or shape; two arrays in each other's place."""
    array = arrays.get(name)
    if array is None:
        return
    if array.dtype.kind not in "biuf" and what < 170:
        what = 170
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if what < 128:
            value = np.asarray(NUMBERS[which % len(NUMBERS)]).astype(array.dtype)
            array.reshape(-1, order="A")[what % max(1, array.size) : what % max(1, array.size) + 1] = value
        elif what < 150:
            array[...] = np.asarray(NUMBERS[which % len(NUMBERS)]).astype(array.dtype)
        elif what < 170:
            arrays[name] = array.astype(DTYPES[which % len(DTYPES)])
        elif what < 190:
            arrays[name] = [array.ravel(), array.T, array[None], array[..., None], array[:0], array[..., :0]][which % 6]
        elif what < 210:
            arrays[name] = array[: len(array) - 1 - which % 3] if which & 128 else np.concatenate([array, array[: which % 5]])
        elif what < 230:
            np.random.default_rng(which).shuffle(array)
        elif what < 245:
            other = list(arrays)[which % len(arrays)]
            arrays[name], arrays[other] = arrays[other], array
        else:
            del arrays[name]


def _same(stored: Any, again: Any, at: str) -> None:
    """All that the file says, the model says again; a parameter that the file leaves out has its default."""
    if isinstance(stored, dict):
        for key, value in stored.items():
            _same(value, again[key], f"{at}.{key}")
    elif isinstance(stored, list):
        assert len(stored) == len(again), at
        for k, value in enumerate(stored):
            _same(value, again[k], f"{at}.{k}")
    else:
        rounded = type(stored) is int and float(stored) == again
        same_rows = at.endswith(".code")  # of one class, or of all where there is but one
        assert stored == again or rounded or same_rows, (at, stored, again)


def _use(model: Any) -> None:
    if isinstance(model, dw.DualSampler):
        model.sample(2, seed=1, balanced=False)
        return
    if isinstance(model, dw.LocalCovariance):
        model.apply(np.linspace(-2.0, 2.0, model.factor.shape[0] * model.factor.shape[2]).reshape(model.factor.shape[0], -1))
        return
    if isinstance(model, (dw.NormalScores, dw.DualDivergence)):
        x = np.linspace(-2.0, 2.0, 2 * model.n_features_in_).reshape(2, *model.feature_shape_)
        if isinstance(model, dw.NormalScores):
            model.inverse_transform(model.transform(x))
            return
        model.predict(x)
        model.node_terms(x)
        return
    if model.n_features < 10_000:  # a dual may say that it is of more columns than it reads
        model.value_and_gradient(np.linspace(-2.0, 2.0, 2 * model.n_features).reshape(2, model.n_features))


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for path in GOLDEN:
        _use(dw.load(path))  # what is imported at a first call is not counted as an input's memory
