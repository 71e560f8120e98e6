"""Records of what a sampler chose: rungs, how they were tried, and which rows share one. Walkers are made again from the rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct
from .._given.choice import Chosen
from .._given.settings import Part as GivenPart
from .._given.settings import Settings
from .._ladder.apart import ApartLadders
from .._ladder.choice import OWN, Choice, Tried
from .._ladder.classes import Verdict
from .._ladder.covariance import NoiseModel
from .._ladder.fit import FittedLadder, Part, fitted_part
from .._ladder.marginals import Smoothing
from .._ladder.neighborhoods import METRICS
from .._ladder.rung import Rung, Shared
from .fields import Array, Field, Flag, Many, Maybe, Pairs, Real, Record, Scalar, Whole, Word, need
from .records_paths import Sizes, Values

Float = NDArray[np.float64]

_RUNG: dict[str, Field] = {
    "space": Word("scores", "standard"),
    "n_neighbors": Maybe(Whole(1)),
    "time": Real(0.0, infinite=True),
    "pooled_noise": Real(0.0, 1.0),
    "metric": Word(*METRICS),
}
RUNG = Record("Rung", Rung, {**_RUNG, "balanced": Flag()})
NOISE = Record("NoiseModel", NoiseModel, {"target": Word("diagonal", "separable"), "shrinkage": Maybe(Real(0.0, 1.0))})
SMOOTHING = Record(
    "Smoothing",
    Smoothing,
    {"width": Real(0.0, infinite=True), "share": Real(0.0, 1.0), "kind": Word("quantiles", "values")},
    check=lambda values, sizes: need(values["width"] > 0 or not values["share"], "a share needs a width"),
)
SHARED = Record("Shared", Shared, {"noise": NOISE, "smoothing": SMOOTHING})

_SCORE: dict[str, Field] = {
    name: Real(infinite=True, nan=True) for name in ("criterion", "energy_distance", "coverage", "authenticity")
}
TRIED = Record("Tried", Tried, {**_RUNG, **_SCORE, "label": Scalar()})


class Columns:
    """A long list of one flat record as a list for each of its fields: a third of the text."""

    def __init__(self, record: Record, made: Any) -> None:
        self.record, self.made = record, made

    def pack(self, value: Any, at: str, arrays: Any) -> dict[str, list[Any]]:
        rows = [self.record.pack(one, f"{at}.{k}", arrays) for k, one in enumerate(value)]
        return {name: [row[name] for row in rows] for name in self.record.fields}

    def unpack(self, stored: Any, at: str, source: Any) -> Any:
        names = list(self.record.fields)
        need(isinstance(stored, dict) and list(stored) == names, f"{at} must hold the lists {', '.join(names)}")
        need(all(isinstance(column, list) for column in stored.values()), f"{at} must hold lists")
        rows = zip(*stored.values(), strict=True)
        return self.made(
            self.record.unpack(dict(zip(names, row, strict=True)), f"{at}.{k}", source) for k, row in enumerate(rows)
        )


CHOICE = Record(
    "Choice",
    Choice,
    {
        **_RUNG,
        "covariance": Word(),
        "marginals": Word(),
        "parts": Word(*OWN),
        "criterion": Maybe(Real(infinite=True, nan=True)),
        "candidates": Columns(TRIED, tuple),
    },
)
VERDICT = Record("Verdict", Verdict, {name: Real(infinite=True, nan=True) for name in ("pooled", "per_class")})
_CHOSEN: dict[str, Field] = {
    "choice": CHOICE,
    "choices": Pairs(Scalar(), CHOICE),
    "criteria": Columns(TRIED, list),
    "verdict": Maybe(VERDICT),
    "n_neighbors": Whole(1),
}


def _ladder_parts(ladder: FittedLadder) -> Values:
    names = ("choice", "choices", "criteria", "verdict", "n_neighbors", "codes", "part_of_code", "part_of_label")
    parts = [{"code": _code(part, ladder.codes), "rung": part.rung, "shared": part.walker.shared} for part in ladder.parts]
    return {**{name: getattr(ladder, name) for name in names}, "parts": parts}


def _code(part: Part, codes: NDArray[np.intp]) -> int | None:
    """Whose rows a part has: those of one code, or all (None)."""
    return None if len(part.members) == len(codes) else int(codes[part.members[0]])


def _check_ladder(values: Values, sizes: Sizes) -> None:
    codes, parts = values["codes"], values["parts"]
    need(sizes["n"] and parts and np.array_equal(distinct(codes), np.arange(sizes["classes"])), "every class needs rows")
    need(values["n_neighbors"] < sizes["n"], "n_neighbors must be below the number of rows")
    for name in ("part_of_code", "part_of_label"):
        need((values[name] < len(parts)).all(), f"{name} must be of the parts")
    for number, part in enumerate(parts):
        need(part["code"] is None or part["code"] < sizes["classes"], "parts must be of the classes")
        size = sizes["n"] if part["code"] is None else int((codes == part["code"]).sum())
        reach = part["rung"].n_neighbors
        need(size > 1 and (reach is None or reach < size), "a rung must have more rows than neighbours")
        need(part["rung"].balanced or part["rung"].space == "standard", "rungs that do not balance are of standardized columns")
        users = {int(code) for name in ("part_of_code", "part_of_label") for code in np.flatnonzero(values[name] == number)}
        need(part["code"] is None or users <= {part["code"]}, "a class must use the part of its own rows, or that of all")


LADDER = Record(
    "FittedLadder",
    FittedLadder,
    {
        **_CHOSEN,
        "codes": Array("index", "n", low=0),
        "part_of_code": Array("index", "classes", low=0),
        "part_of_label": Array("index", "classes", low=0),
        "parts": Many(Record("Part", dict, {"code": Maybe(Whole()), "rung": RUNG, "shared": SHARED}, parts=dict), list),
    },
    parts=_ladder_parts,
    make=dict,
    check=_check_ladder,
)
_APART = ("choice", "choices", "criteria", "verdict", "n_neighbors", "ladders")
APART = Record(
    "ApartLadders",
    ApartLadders,
    {
        **_CHOSEN,
        "ends": Many(Whole(1), list, fewest=1),
        "ladders": Many(LADDER, list, fewest=1),
    },
    parts=lambda apart: {
        **{name: getattr(apart, name) for name in _APART},
        "ends": [columns.stop for columns in apart.groups],
    },
    make=dict,
)


def built(values: Values, rows: Float, feature_shape: tuple[int, ...]) -> FittedLadder | ApartLadders:
    """The ladder of a record on its training rows (n, d): its walkers are made again."""
    return _apart(values, rows, feature_shape) if "ladders" in values else _ladder(values, rows, feature_shape)


def _ladder(values: Values, rows: Float, feature_shape: tuple[int, ...]) -> FittedLadder:
    codes = values["codes"]
    need(len(codes) == len(rows), "the ladder's codes must be one a row")
    parts = []
    for part in values.pop("parts"):
        shared = part["shared"]
        need(
            len(feature_shape) == 2 or (shared.noise.target == "diagonal" and not shared.smoothing.share),
            "what channels and times share needs series",
        )
        members = np.arange(len(rows)) if part["code"] is None else np.flatnonzero(codes == part["code"])
        parts.append(fitted_part(rows, feature_shape, members, part["rung"], shared))
    return FittedLadder(parts=parts, **values)


def _apart(values: Values, rows: Float, feature_shape: tuple[int, ...]) -> ApartLadders:
    ends = values.pop("ends")
    need(len(feature_shape) == 2 and ends[-1] == rows.shape[1], "groups of channels must end with the last feature")
    n_times = feature_shape[1]
    groups = [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]
    need(len(groups) == len(values["ladders"]), "every group of channels needs a ladder")
    need(all(g.start < g.stop and g.stop % n_times == 0 for g in groups), "groups must be of whole channels")
    ladders = [
        _ladder(ladder, rows[:, columns], ((columns.stop - columns.start) // n_times, n_times))
        for columns, ladder in zip(groups, values.pop("ladders"), strict=True)
    ]
    return ApartLadders(groups=groups, ladders=ladders, **values)


_GIVEN_PART = Record(
    "Part",
    GivenPart,
    {
        "target": Word("diagonal", "half", "stationary", "separable"),
        "rho": Real(0.0),
        "n_neighbors": Whole(),
        "shared": Real(0.0, 1.0),
        "gain": Real(0.0, 1.0),
        "channels": Maybe(Many(Whole())),
    },
)
_SETTINGS = Record(
    "Settings",
    Settings,
    {"space": Word("scores", "standard"), "parts": Many(_GIVEN_PART), "n_errors": Whole(1), "spread": Real(0.0)},
)
CHOSEN = Record(
    "Chosen",
    Chosen,
    {"settings": _SETTINGS, "n_known": Whole(), "error": Real(0.0, math.inf), "crps": Real(infinite=True, nan=True)},
)
