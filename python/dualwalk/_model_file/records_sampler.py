"""The record of `DualSampler`: its rows, what it chose, and a walk beside the ladder."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._sampler import MODES, WITH_PATH
from .._sampler.modes import GlobalWalk
from ..sampler import DualSampler
from .fields import Array, Flag, Many, Maybe, OneOf, Pairs, Real, Record, Whole, Word, need
from .parameters import NAMES, SHAPE, Parameters, check_names, dressed, names_of, parameters_of
from .records_duals import DUALS, MIXTURE_DUAL
from .records_ladder import APART, CHOSEN, LADDER, built
from .records_paths import TINY, Sizes, Values

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
        "params": parameters_of(model, on_device=on_device),
        "dtype": kept._dtype.str,
        "rows": stored if exact else kept._rows,
        "feature_shape": kept.feature_shape_,
        "names": names_of(kept),
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
    check_names(values["names"], sizes["d"])


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
    need("ladders" in ladder or kept["labels"] is None or np.array_equal(ladder["codes"], params._codes), "codes must be y's")
    made = built(ladder, params._rows, feature_shape)
    params._adopt(made, made if walk is None else _walk(walk, params._rows, params._codes))
    if n_rejected_ is not None:
        params.n_rejected_ = n_rejected_
    if given_choices_ is not None:
        params.given_choices_ = given_choices_
    return cast(DualSampler, dressed(params, names))


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
        need(len(frame["center"]) == d, "the coordinates must be of the features")
        need(
            all(dual.n_features == width and dual.pull for dual in duals), "mixtures must be dual functions of the coordinates"
        )
    else:
        need(frame is None and values["dual"] is None and not values["dual_of"], "this walk has no mixture")
    return GlobalWalk.resumed(rows, codes, **values)


SAMPLER = Record(
    "DualSampler",
    DualSampler,
    {
        "params": Parameters(DualSampler),
        "dtype": Word(*_DTYPES),
        "rows": Array("real", "n d"),
        "feature_shape": SHAPE,
        "names": NAMES,
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
