"""The cells of the table's third column as words."""

from __future__ import annotations

import importlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw
from dualwalk import plots

from . import things
from .words import Anything, Array, Axes, Bool, Exactly, Float, Int, Labels, Range, Seed, Sizes, Values, Word

_TAKES: dict[str, Any] = {  # what of the pool they mean
    "module": callable,
    "estimator": lambda _: False,
    "chunks": lambda value: True,  # as Dask takes them
    "dask array": lambda _: False,
    "plain array": lambda value: _has_no_objects(value),
    "list of data sets": lambda value: isinstance(value, (list, tuple)) or np.iterable(value),
    "list of fitted DualSampler": lambda value: isinstance(value, (list, tuple)) and not value,
    "key": lambda _: False,
}
_KINDS = {"numbers": "buifc", "reals": "buif", "integers": "biu", "indices": "iu", "bools": "b"}
_SHAPE = re.compile(r"\(([^()]*)\)")


def _has_no_objects(value: Any) -> bool:
    try:
        return not np.asarray(value).dtype.hasobject
    except ValueError:
        return False


class Cell:
    """All alternatives of one cell."""

    def __init__(self, text: str, sizes: Sizes, bound: set[str], shared: set[str], folder: Path) -> None:
        head, *qualities = text.split("; ")
        self.words = [_word(part, qualities, sizes, bound, shared, folder) for part in re.split(r" or (?!\()", head)]

    def inside(self, base: Any) -> list[Any]:
        return [value for word in self.words for value in word.inside(_fitting(word, base))]

    def extreme(self, base: Any) -> list[Any]:
        return [value for word in self.words for value in word.extreme(_fitting(word, base))]

    def outside(self, base: Any, pool: tuple[Any, ...]) -> list[Any]:
        values = [*pool, *(value for word in self.words for value in word.outside(_fitting(word, base)))]
        return [value for value in values if not any(word.takes(value) for word in self.words)]


def _fitting(word: Word, base: Any) -> Any:
    """The base of an argument in the form that a word's values are made from: a number, or an array."""
    if isinstance(word, Array | Labels):
        return np.asarray(base)
    if isinstance(word, Float):
        return float(base) if np.ndim(base) == 0 else float(np.asarray(base).flat[0])
    return base


def shapes(text: str) -> list[tuple[str, ...]]:
    """The shapes that a cell names."""
    return [tuple(re.findall(r"\w+", found)) for found in _SHAPE.findall(text.partition("; ")[0])]


def _word(text: str, qualities: list[str], sizes: Sizes, bound: set[str], shared: set[str], folder: Path) -> Word:
    if text == "None":
        return Exactly(None)
    if text.startswith("None beside "):  # where another argument takes its place
        return Values(list, list, lambda value: value is None)
    if text in ("infinity", "-infinity"):
        return Exactly(float(text))
    if text == "0":
        return Exactly(0)
    if text == "anything":
        return Anything()
    if text == "bool":
        return Bool()
    if text == "seed":
        return Seed()
    if text == "axes of f":
        return Axes()
    if text == "out":
        return Values(list, list, lambda _: False)
    if text.startswith("one of "):
        return Exactly(*re.findall(r"'([^']+)'", text))
    if text == "int" or text.startswith("int "):
        text, _, memory = text.partition(", as")
        return Int(Range.of(text[4:], sizes) if text[4:] else Range(), as_memory_allows=bool(memory))
    if text == "float" or text.startswith("float "):
        return Float(Range.of(text[6:], sizes) if text[6:] else Range())
    if text.startswith(("list of reals ", "pair of reals ")):
        return Values(list, lambda: [[], "text", np.zeros(3)], lambda _: False)
    if text == "fitted paths":
        return Values(
            lambda: [[], things.node_dual().paths],
            lambda: [[1], things.node_dual()],
            lambda value: isinstance(value, (list, tuple)) and not value,
        )
    if text == "floating dtype":
        return Values(lambda: [np.float32, np.float64, "float64"], lambda: [np.int32, "float16", float], lambda _: False)
    if text == "parameters":
        return Values(
            lambda: [{}],
            lambda: [{"nonsense": 1}],
            lambda value: not isinstance(value, dict) or ("nonsense" not in value and "a" not in value),
        )
    if text.startswith(("tensor", "floating tensor")):  # no array of NumPy's is one
        return Values(list, lambda: [np.zeros((6, 5)), [[1.0]]], lambda _: False)
    if text in (
        "module",
        "estimator",
        "chunks",
        "dask array",
        "plain array",
        "list of data sets",
        "list of fitted DualSampler",
        "key",
    ):
        return Values(list, list, _TAKES[text])
    kind, _, rest = text.partition(" ")
    if kind in _KINDS:
        own = None if rest in ("of any shape", "of f's shape") else shapes(text)
        return Array(_KINDS[kind], own, qualities, sizes, bound, shared)
    if kind == "labels":
        return Labels(sizes[rest.strip("(,)")])
    if text.startswith("known labels "):
        return Labels(sizes[rest.split("(")[1].strip(",)")], known=True)
    return _things(text, sizes, folder)


def _is(*kinds: type) -> Any:
    return lambda value: isinstance(value, kinds)


def _things(text: str, sizes: Sizes, folder: Path) -> Word:
    """Words for what is neither a number nor an array of them."""
    nothing: Any = list

    def nothing_is(_: Any) -> bool:
        return False

    new = things
    made: dict[str, Any] = {
        "text": (lambda: ["", "text", "Ωμ"], lambda: [b"text", 3], _is(str)),
        "callable": (lambda: [new.Step()], lambda: ["print"], callable),
        "class": (lambda: [dw.NormalScores], lambda: [dw.NormalScores(), "NormalScores"], _is(type)),
        "dual": (
            lambda: [new.mlp(), new.local(), new.mixture(), new.Bowl()],
            lambda: [dw.MLPDual, new.covariance()],
            _is(new.Bowl),
        ),
        "dual with a path": (lambda: [new.mixture()], lambda: [new.mlp(), new.Bowl()], _is(dw.MixtureDual)),
        "LocalCovariance": (lambda: [new.covariance()], nothing, _is(dw.LocalCovariance)),
        "NodeDual": (lambda: [new.node_dual()], lambda: [new.mixture()], _is(dw.NodeDual)),
        "MLPDual": (lambda: [new.mlp()], lambda: [new.local()], _is(dw.MLPDual)),
        "Generator": (lambda: [np.random.default_rng(1)], lambda: [np.random.RandomState(1)], _is(np.random.Generator)),
        "DependenceGraph": (lambda: [new.graph()], lambda: [new.divergence()], _is(dw.DependenceGraph)),
        "fitted DualDivergence": (
            lambda: [new.divergence()],
            lambda: [dw.DualDivergence(), new.sampler(), dw.DualDivergence],
            lambda value: value is new.divergence(),
        ),
        "fitted DualSampler": (
            lambda: [new.sampler()],
            lambda: [dw.DualSampler(), new.divergence()],
            lambda value: value is new.sampler(),
        ),
        "WalkResult": (lambda: [new.sampler().walk(new.X[:3], n_steps=2, seed=0)], nothing, _is(dw.WalkResult)),
        "label": (
            lambda: [1, np.int64(0)],
            lambda: [7, "1", [0]],
            lambda value: type(value) in (int, bool, np.int64, np.bool_),
        ),
        "cluster": (lambda: [0], lambda: [9, -2], lambda value: type(value) is int and value == 0),
        "Theme": (lambda: [plots.DARK], lambda: [plots.Theme], _is(plots.Theme)),
        "axes": (lambda: [new.axes()], lambda: [type(new.axes())], lambda value: value is new.axes()),
        "list of axes": (nothing, lambda: [new.axes(), [new.axes()], [1, 2, 3]], nothing_is),
        "sample's shape": (
            lambda: [(2, 2), (4,), [1, 4]],
            lambda: [(2, 3), (4, 1, 1), (2.0, 2), (-2, -2), 4],
            lambda value: isinstance(value, tuple) and value == (4,),
        ),
        "pair of int >= 1": (lambda: [(2, 2), [1, 4]], lambda: [(2, 3), (4,), (4, 1, 1), (2.0, 2), (-2, -2)], nothing_is),
        "classifier": (
            lambda: [importlib.import_module("sklearn.naive_bayes").GaussianNB()],
            lambda: [importlib.import_module("sklearn.naive_bayes").GaussianNB],
            nothing_is,
        ),
        "model": (lambda: [new.divergence(), new.sampler()], lambda: [dw.DualSampler(), dw.DualDivergence()], nothing_is),
        "file to read": (nothing, lambda: ["", folder, folder / "missing.npz", "x\0.npz", io.StringIO("x")], lambda _: False),
        "file to write": (
            lambda: [io.BytesIO(), str(folder / "new.npz"), folder / "new.npz"],
            lambda: ["", folder, folder / "missing" / "x.npz", folder / "x.wrong", "x\0.npz", io.StringIO()],
            lambda _: False,
        ),
    }
    if text.startswith("colors ("):
        n = sizes[text[8]]
        return Values(lambda: [["red"] * n, np.zeros((n, 3))], lambda: [["red"], "red", np.zeros((n + 1, 3))], nothing_is)
    if text.startswith("names ("):
        n = sizes[text[7]]
        names = [f"column {k}" for k in range(n)]
        return Values(
            lambda: [names, tuple(names), np.array(names)],
            lambda: [names[:-1], [*names, "x"], "name", [3] * n],
            lambda _: False,
        )
    if text.startswith("path ending in "):
        ending = text.removeprefix("path ending in ").partition(",")[0]
        wrong = ["", ".html", folder, folder / "x.wrong", folder / "missing" / f"x{ending}", f"x\0{ending}", 3]
        return Values(lambda: [folder / f"x{ending}", str(folder / f"y{ending}")], lambda: wrong, lambda _: False)
    assert text in made, f"no word of the table: {text!r}"
    return Values(*made[text])
