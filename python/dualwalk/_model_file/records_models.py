"""Records of the estimators: their parameters, and what `fit` learned."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._nodepath.graph import DependenceGraph
from .._reverse import ReverseDivergence
from .._sampler import MODES, WITH_PATH
from .._sampler.modes import GlobalWalk
from ..estimator import DualDivergence
from ..normal_scores import NormalScores
from ..sampler import DualSampler
from .fields import Array, Field, Flag, Many, Maybe, OneOf, Pairs, Real, Record, Scalar, Source, Whole, Word, need
from .generators import RandomState
from .records_duals import DUALS, MIXTURE_DUAL
from .records_ladder import APART, CHOSEN, LADDER, built
from .records_paths import TINY, Sizes, Values

SHAPE = Many(Whole(1), fewest=1, most=2)


class _Blocks:
    """The parameter `blocks`: None, a list (of lists) of labels, or an array of them, as it was given."""

    _array, _list = Array("real", "_"), Many(Scalar(), list)

    def pack(self, value: Any, at: str, arrays: Any) -> Any:
        if value is None or isinstance(value, (list, tuple)):
            return value if value is None else np.asarray(value).tolist()
        labels = np.asarray(_device.to_host(value))
        return {"array": self._array.pack(labels.ravel(), at, arrays), "shape": list(labels.shape)}

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        if stored is None or isinstance(stored, list):
            np.asarray(stored, dtype=np.float64)  # a rectangle of numbers
            return stored
        need(isinstance(stored, dict) and stored.keys() == {"array", "shape"}, f"{at} must be labels")
        return self._array.unpack(stored["array"], at, source).reshape(SHAPE.unpack(stored["shape"], at, source))


_PARAMETERS: dict[str, Field] = {"random_state": RandomState(), "blocks": _Blocks(), "dual": Maybe(DUALS)}


class _Parameters:
    """An estimator's constructor arguments. One that a file does not have keeps its default: later versions may have more."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def pack(self, value: Any, at: str, arrays: Any) -> dict[str, Any]:
        return {name: _PARAMETERS.get(name, Scalar()).pack(one, f"{at}.{name}", arrays) for name, one in value.items()}

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        need(isinstance(stored, dict), f"{at} must be an object")
        strange = ", ".join(sorted(stored.keys() - self.kind().get_params(deep=False).keys()))
        need(not strange, f"{at} must be parameters that this version knows; got {strange}")
        values = {name: _PARAMETERS.get(name, Scalar()).unpack(one, f"{at}.{name}", source) for name, one in stored.items()}
        return self.kind(**values)


def _parameters(model: Any, *, on_device: bool) -> dict[str, Any]:
    """What is saved of a model on a device is its copy in the host's memory."""
    found: dict[str, Any] = model.get_params(deep=False)
    return {**found, "device": "cpu"} if on_device else found


_NAMES = Maybe(Many(Word()))
_OUTPUT = Maybe(Word("default", "pandas", "polars"))


def _names(model: Any) -> tuple[str, ...] | None:
    """The names of the columns of X, where it was a data frame."""
    return tuple(model.feature_names_in_) if hasattr(model, "feature_names_in_") else None


def _output(model: Any) -> str | None:
    """What `set_output` asked for."""
    chosen: dict[str, str] = getattr(model, "_sklearn_output_config", {})
    return chosen.get("transform")


def _check_names(names: tuple[str, ...] | None, n_features: int) -> None:
    need(names is None or len(names) == n_features, "feature_names_in_ must be a name for every feature")


def _dressed(model: Any, names: tuple[str, ...] | None, output: str | None = None) -> Any:
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    if output is not None:
        model._sklearn_output_config = {"transform": output}
    return model


# NormalScores


def _scores_parts(scores: NormalScores) -> Values:
    scores._check_fitted()
    return {
        "params": scores.get_params(deep=False),
        "dtype": scores._dtype.name,
        "feature_shape": scores.feature_shape_,
        "names": _names(scores),
        "output": _output(scores),
        "ordered": scores._ordered,
    }


def _check_scores(values: Values, sizes: Sizes) -> None:
    ordered, shape = values["ordered"], values["feature_shape"]
    need(sizes["n"] > 1 and sizes["d"] == int(np.prod(shape, dtype=object)), "ordered must have a column for every feature")
    need((ordered[1:] >= ordered[:-1]).all(), "the columns of ordered must not fall")
    _check_names(values["names"], sizes["d"])


def _make_scores(
    params: NormalScores, dtype: str, feature_shape: Any, names: Any, output: Any, ordered: NDArray[Any]
) -> NormalScores:
    params._start(np.dtype(dtype), feature_shape)
    params._fit_rows(np.ascontiguousarray(ordered))
    return cast(NormalScores, _dressed(params, names, output))


NORMAL_SCORES = Record(
    "NormalScores",
    NormalScores,
    {
        "params": _Parameters(NormalScores),
        "dtype": Word("float32", "float64"),
        "feature_shape": SHAPE,
        "names": _NAMES,
        "output": _OUTPUT,
        "ordered": Array("float", "n d", narrow=True),
    },
    parts=_scores_parts,
    make=_make_scores,
    check=_check_scores,
)

# DualDivergence

GRAPH = Record(
    "DependenceGraph",
    DependenceGraph,
    {"order": Array("index", "d", low=0), "parents": Array("index", "d", low=-1), "nats": Array("float", "d")},
)
_REVERSE = Record("ReverseDivergence", ReverseDivergence, {"value": Real(), "se": Real(0.0), "lower": Real(infinite=True)})
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
    "rank_noise_": Real(),
    "divergence_held_out_": Real(),
    "divergence_training_": Real(),
    "divergence_": Real(infinite=True),
    "divergence_se_": Real(0.0),
    "divergence_lower_": Real(),
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
    dress = {"names": _names(model), "output": _output(model)}
    return {"params": _parameters(model, on_device=on_device), "reverse": reverse, **dress, **found}


def _check_divergence(values: Values, sizes: Sizes) -> None:
    d, shape = values["n_features_in_"], values["feature_shape_"]
    need(values["normal_scores_"].feature_shape_ == shape, "normal_scores_ must be of the feature shape")
    need(values["normal_scores_"].n_features_in_ == d == values["dual_"].n_features, "all must be of one number of features")
    need(
        values["dependence_graph_"] is None or values["dependence_graph_"].n_features == d, "the graph must be of the features"
    )
    need(all(column < d for group in values["determined_"] for column in group), "determined columns must be features")
    need(sizes["n"] and (np.diff(values["cuts_"]) > 0).all(), "cuts must increase")
    need((values["labels_"] <= sizes["c"]).all(), "labels must be of the clusters between the cuts")
    _check_names(values["names"], d)


def _make_divergence(
    params: DualDivergence, reverse: ReverseDivergence | None, names: Any, output: Any, **learned: Any
) -> DualDivergence:
    for name, value in learned.items():
        setattr(params, name, value)
    if reverse is not None:
        params.reverse_divergence_, params.reverse_divergence_se_ = reverse.value, reverse.se
        params.reverse_divergence_lower_ = reverse.lower
    return cast(DualDivergence, _dressed(params, names, output))


DIVERGENCE = Record(
    "DualDivergence",
    DualDivergence,
    {"params": _Parameters(DualDivergence), "reverse": Maybe(_REVERSE), "names": _NAMES, "output": _OUTPUT, **_LEARNED},
    parts=_divergence_parts,
    make=_make_divergence,
    check=_check_divergence,
)

# DualSampler

_DTYPES = (
    "|b1",
    "|i1",
    "|u1",
    *(f"{order}{kind}" for order in "<>" for kind in ("i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8")),
)
_FRAME = Record(
    "Frame",
    dict,
    {"center": Array("float", "d"), "basis": Array("float", "d r"), "scale": Array("float", "r", low=TINY)},
    parts=dict,
    make=dict,
)
WALK = Record(
    "GlobalWalk",
    GlobalWalk,
    {
        "mode": Word(*MODES),
        "n_neighbors": Whole(1),
        "own_dual": Maybe(DUALS),
        "frame": Maybe(_FRAME),
        "dual": Maybe(MIXTURE_DUAL),
        "dual_of": Pairs(Whole(), MIXTURE_DUAL),
        "time": Real(0.01, 0.99),
    },
    parts=GlobalWalk.learned,
    make=dict,
)


def _sampler_parts(model: DualSampler) -> Values:
    model._check_fitted()
    on_device = _device.is_on_device(model._rows)
    kept = model.to_host()
    with np.errstate(invalid="ignore"):  # integers beyond 2^53 do not survive float64
        stored = kept._rows.astype(kept._dtype)
    exact = np.array_equal(stored.astype(np.float64), kept._rows)
    return {
        "params": _parameters(model, on_device=on_device),
        "dtype": kept._dtype.str,
        "rows": stored if exact else kept._rows,
        "feature_shape": kept.feature_shape_,
        "names": _names(kept),
        "labels": kept._labels,
        "groups": kept._groups,
        "seed": kept._seed,
        "fresh": kept._fresh,
        "ladder": kept._ladder,
        "walk": kept._maker if isinstance(kept._maker, GlobalWalk) else None,
        "n_rejected_": getattr(kept, "n_rejected_", None),
        "given_choices_": getattr(kept, "given_choices_", None),
    }


def _check_sampler(values: Values, sizes: Sizes) -> None:
    need(sizes["d"] == int(np.prod(values["feature_shape"], dtype=object)), "rows must have a column for every feature")
    _check_names(values["names"], sizes["d"])


def _make_sampler(
    params: DualSampler,
    dtype: str,
    rows: NDArray[Any],
    feature_shape: tuple[int, ...],
    names: tuple[str, ...] | None,
    ladder: Values,
    walk: Values | None,
    n_rejected_: int | None,
    given_choices_: Any,
    **kept: Any,
) -> DualSampler:
    params._resume(rows.reshape(len(rows), *feature_shape), np.dtype(dtype), **kept)
    data = (params._rows, params._codes)
    need("ladders" in ladder or kept["labels"] is None or np.array_equal(ladder["codes"], params._codes), "codes must be y's")
    made = built(ladder, params._rows, feature_shape)
    params._adopt(made, made if walk is None else _walk(walk, *data))
    if n_rejected_ is not None:
        params.n_rejected_ = n_rejected_
    if given_choices_ is not None:
        params.given_choices_ = given_choices_
    return cast(DualSampler, _dressed(params, names))


def _walk(values: Values, rows: NDArray[Any], codes: NDArray[np.intp]) -> GlobalWalk:
    (n, d), own, frame = rows.shape, values["own_dual"], values["frame"]
    need(values["n_neighbors"] < n, "n_neighbors must be below the number of rows")
    needed = "at" if values["mode"] in WITH_PATH else "value_and_gradient"
    need(
        own is None or (own.n_features == d and hasattr(own, needed)),
        f"the walk's dual must take {d} features and have {needed}",
    )
    if own is None and values["mode"] != "langevin":
        need(frame is not None and values["dual"] is not None, "this walk needs a mixture and its coordinates")
        width = frame["basis"].shape[1]
        duals = [values["dual"], *values["dual_of"].values()]
        need(
            len(frame["center"]) == d and all(dual.n_features == width for dual in duals), "mixtures must be of the coordinates"
        )
    else:
        need(frame is None and values["dual"] is None and not values["dual_of"], "this walk has no mixture")
    return GlobalWalk.resumed(rows, codes, **values)


SAMPLER = Record(
    "DualSampler",
    DualSampler,
    {
        "params": _Parameters(DualSampler),
        "dtype": Word(*_DTYPES),
        "rows": Array("real", "n d"),
        "feature_shape": SHAPE,
        "names": _NAMES,
        "labels": Maybe(Array("label", "n")),
        "groups": Maybe(Array("label", "n")),
        "seed": Whole(0, 2**64 - 1),
        "fresh": Flag(),
        "ladder": OneOf(LADDER, APART),
        "walk": Maybe(WALK),
        "n_rejected_": Maybe(Whole()),
        "given_choices_": Maybe(Many(CHOSEN)),
    },
    parts=_sampler_parts,
    make=_make_sampler,
    check=_check_sampler,
)
