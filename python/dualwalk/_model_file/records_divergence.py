"""Records of `NormalScores` and `DualDivergence`."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._nodepath.graph import DependenceGraph
from .._reverse import ReverseDivergence
from ..estimator import DualDivergence
from ..normal_scores import NormalScores
from .fields import Array, Field, Many, Maybe, Real, Record, Whole, Word, need
from .parameters import NAMES, OUTPUT, SHAPE, Parameters, check_names, dressed, names_of, output_of, parameters_of
from .records_duals import DUALS
from .records_paths import Sizes, Values


def _scores_parts(scores: NormalScores) -> Values:
    scores._check_fitted()
    return {
        "params": scores.get_params(deep=False),
        "dtype": scores._dtype.name,
        "feature_shape": scores.feature_shape_,
        "names": names_of(scores),
        "output": output_of(scores),
        "ordered": scores._ordered,
    }


def _check_scores(values: Values, sizes: Sizes) -> None:
    ordered, shape = values["ordered"], values["feature_shape"]
    need(sizes["n"] > 1 and sizes["d"] == int(np.prod(shape, dtype=object)), "ordered must have a column for every feature")
    need((ordered[1:] >= ordered[:-1]).all(), "the columns of ordered must not fall")
    check_names(values["names"], sizes["d"])


def _make_scores(
    params: NormalScores, dtype: str, feature_shape: Any, names: Any, output: Any, ordered: NDArray[Any]
) -> NormalScores:
    params._start(np.dtype(dtype), feature_shape)
    params._fit_rows(np.ascontiguousarray(ordered))
    return cast(NormalScores, dressed(params, names, output))


NORMAL_SCORES = Record(
    "NormalScores",
    NormalScores,
    {
        "params": Parameters(NormalScores),
        "dtype": Word("float32", "float64"),
        "feature_shape": SHAPE,
        "names": NAMES,
        "output": OUTPUT,
        "ordered": Array("float", "n d", narrow=True),
    },
    parts=_scores_parts,
    make=_make_scores,
    check=_check_scores,
)

GRAPH = Record(
    "DependenceGraph",
    DependenceGraph,
    {"order": Array("index", "d", low=0), "parents": Array("index", "d", low=-1), "nats": Array("float", "d")},
)
# What is told about the estimate, and read by no code: NaN where there were too few rows to say it (one held out).
_TOLD = Real(infinite=True, nan=True)
_REVERSE = Record("ReverseDivergence", ReverseDivergence, {"value": _TOLD, "se": _TOLD, "lower": _TOLD})
_LEARNED: dict[str, Field] = {
    "n_features_in_": Whole(1),
    "feature_shape_": SHAPE,
    "determined_": Many(Many(Whole())),
    "dual_values_": Array("float", "n"),
    "held_out_": Array("flag", "n"),
    "labels_": Array("index", "n", low=0),
    "p_value_": Maybe(Real(0.0, 1.0)),
    "dual_": DUALS,
    "base_names_": Many(Word()),
    "dependence_graph_": Maybe(GRAPH),
    "rank_noise_": _TOLD,
    "divergence_held_out_": _TOLD,
    "divergence_training_": _TOLD,
    "divergence_": _TOLD,
    "divergence_se_": _TOLD,
    "divergence_lower_": _TOLD,
    "cuts_": Array("float", "c"),
    "cut_valleys_": Array("flag", "c"),
    "end_points_": Array("float", "2"),
    "training_end_points_": Array("float", "2"),
    "normal_scores_": NORMAL_SCORES,
}


def _divergence_parts(model: DualDivergence) -> Values:
    model._check_fitted()
    found = {name: getattr(model, name) for name in _LEARNED}
    reverse = None
    if hasattr(model, "reverse_divergence_"):
        reverse = ReverseDivergence(model.reverse_divergence_, model.reverse_divergence_se_, model.reverse_divergence_lower_)
    on_device = _device.is_on_device(model.normal_scores_._ordered)
    dress = {"names": names_of(model), "output": output_of(model)}
    return {"params": parameters_of(model, on_device=on_device), "reverse": reverse, **dress, **found}


def _check_divergence(values: Values, sizes: Sizes) -> None:
    d, shape = values["n_features_in_"], values["feature_shape_"]
    need(values["normal_scores_"].feature_shape_ == shape, "normal_scores_ must be of the feature shape")
    need(values["normal_scores_"].n_features_in_ == d == values["dual_"].n_features, "all must be of one number of features")
    need(
        values["dependence_graph_"] is None or values["dependence_graph_"].n_features == d, "the graph must be of the features"
    )
    need(all(column < d for group in values["determined_"] for column in group), "determined columns must be features")
    need(sizes["n"] and (np.diff(values["cuts_"]) >= 0).all(), "cuts must not fall")
    need((values["labels_"] <= sizes["c"]).all(), "labels must be of the clusters between the cuts")
    check_names(values["names"], d)


def _make_divergence(
    params: DualDivergence, reverse: ReverseDivergence | None, names: Any, output: Any, **learned: Any
) -> DualDivergence:
    for name, value in learned.items():
        setattr(params, name, value)
    if reverse is not None:
        params.reverse_divergence_, params.reverse_divergence_se_ = reverse.value, reverse.se
        params.reverse_divergence_lower_ = reverse.lower
    return cast(DualDivergence, dressed(params, names, output))


DIVERGENCE = Record(
    "DualDivergence",
    DualDivergence,
    {"params": Parameters(DualDivergence), "reverse": Maybe(_REVERSE), "names": NAMES, "output": OUTPUT, **_LEARNED},
    parts=_divergence_parts,
    make=_make_divergence,
    check=_check_divergence,
)
