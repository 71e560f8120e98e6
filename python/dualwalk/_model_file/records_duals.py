"""Records of the dual functions that stand by themselves, and of those of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import distinct
from .._blocks.base import EllipticalBase
from .._blocks.critic import N_HIDDEN, N_PRODUCTS, Critic
from .._blocks.dual import BlocksDual
from .._blocks.features import Features
from .._blocks.term import BlockTerm, Reduction
from .._critic.convolution import ConvShape
from .._critic.network import n_weights
from ..duals.conv import ConvDual
from ..duals.local import LocalDual
from ..duals.local_covariance import LocalCovariance
from ..duals.mixture import MixtureDual
from ..duals.mlp import MLPDual
from .fields import Array, Field, Flag, Many, Maybe, OneOf, Pairs, Real, Record, Whole, Word, need
from .records_paths import NODE_DUAL, TINY, Sizes, Values


class _Recipe:
    """A key of `MixtureDual.candidates`, (n_components, shrinkage, target), as a list."""

    fields: tuple[Field, ...] = (Whole(1), Real(0.0, 1.0), Word())

    def pack(self, value: Any, at: str, arrays: Any) -> list[Any]:
        return [field.pack(part, at, arrays) for field, part in zip(self.fields, value, strict=True)]

    def unpack(self, stored: Any, at: str, source: Any) -> tuple[Any, ...]:
        need(isinstance(stored, list), f"{at} must have a list as its key")
        return tuple(field.unpack(part, at, source) for field, part in zip(self.fields, stored, strict=True))


def _check_mixture(values: Values, sizes: Sizes) -> None:
    need(sizes["k"] and sizes["d"], "a mixture needs a component and a column")
    axes = values["axes"]
    products = np.matmul(axes.transpose(0, 2, 1), axes)
    need(np.allclose(products, np.eye(sizes["d"]), atol=1e-6), "the axes of a component must be orthonormal")


def _make_mixture(candidates: Any, **parts: Any) -> MixtureDual:
    made = MixtureDual.__new__(MixtureDual)
    for name, value in parts.items():
        setattr(made, name, value)
    made._centres = np.einsum("kji,kj->ki", made.axes, made.means)
    made.axes.flags.writeable = False
    if candidates is not None:
        made.candidates = candidates
    return made


MIXTURE_DUAL = Record(
    "MixtureDual",
    MixtureDual,
    {
        "log_weights": Array("float", "k", high=1e-6),
        "means": Array("float", "k d"),
        "axes": Array("float", "k d d"),
        "eigenvalues": Array("float", "k d", low=TINY),
        "time": Real(0.0, 1.0),
        "pull": Real(0.0, 1.0),
        "constant": Real(),
        "candidates": Maybe(Pairs(_Recipe(), Real())),
    },
    make=_make_mixture,
    check=_check_mixture,
)

MLP_DUAL = Record(
    "MLPDual",
    MLPDual,
    {"weights": Many(Array("float", "_ _")), "biases": Many(Array("float", "_"))},
)


def _check_local(values: Values, sizes: Sizes) -> None:
    need(sizes["b"] and sizes["k"] >= 2 and sizes["d"], "a neighbourhood needs two members and a column")
    need((values["neighbors"] < sizes["n"]).all(), "neighbors must be rows of points")


def _make_local(points: Any, neighbors: Any, **parts: Any) -> LocalDual:
    made = LocalDual.__new__(LocalDual)
    made._points, made._neighbors = points, neighbors
    for name, value in parts.items():
        setattr(made, name, value)
    return made


LOCAL_DUAL = Record(
    "LocalDual",
    LocalDual,
    {
        "points": Array("float", "n d"),
        "neighbors": Array("index", "b k", low=0),
        "shrinkage": Real(TINY, 1.0),
        "mean": Array("float", "b d"),
        "curvature": Array("float", "b d"),
        "factor": Array("float", "b k d"),
        "constant": Array("float", "b"),
        "deviation": Array("float", "b d", low=TINY),
    },
    parts=lambda dual: {**vars(dual), "points": dual._points, "neighbors": dual._neighbors},
    make=_make_local,
    check=_check_local,
)


def _make_covariance(**parts: Any) -> LocalCovariance:
    made = LocalCovariance.__new__(LocalCovariance)
    for name, value in parts.items():
        setattr(made, name, value)
    return made


LOCAL_COVARIANCE = Record(
    "LocalCovariance",
    LocalCovariance,
    {"shrinkage": Real(0.0, 1.0), "factor": Array("float", "b k d"), "diagonal": Array("float", "b d", low=0.0)},
    make=_make_covariance,
    check=lambda values, sizes: need(sizes["b"] and sizes["k"] and sizes["d"], "a covariance needs a factor"),
)

CONV_DUAL = Record(
    "ConvDual",
    ConvDual,
    {
        "shape": Record("ConvShape", ConvShape, {"n_channels": Whole(1), "n_times": Whole(1), "n_filters": Whole(1)}),
        "members": Array("float", "members w"),
    },
    check=lambda values, sizes: need(
        sizes["members"] and sizes["w"] == values["shape"].n_weights, "members must be networks of the shape"
    ),
)

REDUCTION = Record(
    "Reduction",
    Reduction,
    {"columns": Array("index", "c", low=0), "directions": Maybe(Array("float", "c m"))},
    check=lambda values, sizes: need(
        len(distinct(values["columns"])) == sizes["c"] > 0, "a block has each of its columns once"
    ),
)
FEATURES = Record(
    "Features",
    Features,
    {"n_columns": Whole(1), "directions": Maybe(Array("float", "c m")), "rich": Flag()},
    check=lambda values, sizes: need(
        values["directions"] is None or (sizes["c"] == values["n_columns"] and sizes["m"]), "directions must be of the columns"
    ),
)


def _check_critic(values: Values, sizes: Sizes) -> None:
    length = sum(n_weights((part.n_inputs, N_HIDDEN, N_HIDDEN, N_PRODUCTS)) for part in values["features"])
    need(sizes["w"] == length, f"weights must be networks of {length} numbers in all")


CRITIC = Record(
    "Critic", Critic, {"features": Many(FEATURES, fewest=2, most=2), "weights": Array("float", "w")}, check=_check_critic
)


def _check_base(values: Values, sizes: Sizes) -> None:
    r, rank = values["correlations"], values["rank"]
    need(rank <= len(r) and (np.diff(r) <= 0).all(), "rank must be within the correlations, which fall")
    for centre, whiten, directions in zip(values["centre"], values["whiten"], values["directions"], strict=True):
        d = len(centre)
        need(
            d and whiten.shape == (d, d) and directions.shape == (d, len(r)), "centre, whiten and directions must be of a block"
        )


BASE = Record(
    "EllipticalBase",
    EllipticalBase,
    {
        "degrees": Real(0.1, infinite=True),
        "lifted": Flag(),
        "correlations": Array("float", "r", low=0.0, high=1.0 - 1e-9),
        "rank": Whole(),
        "centre": Many(Array("float", "_"), fewest=2, most=2),
        "whiten": Many(Array("float", "_ _"), fewest=2, most=2),
        "directions": Many(Array("float", "_ _"), fewest=2, most=2),
    },
    check=_check_base,
)


def _check_term(values: Values, sizes: Sizes) -> None:
    widths = [len(b.columns) if b.directions is None else b.directions.shape[1] for b in values["blocks"]]
    seen = tuple(width * (1 + values["base"].lifted) for width in widths)
    need(values["base"].n_columns == seen, "the base must be of the blocks' columns")
    need(sizes["g"] and sizes["w"] == widths[1], "grid must hold rows of the second block")
    for critic in values["critics"]:
        need([part.n_columns for part in critic.features] == widths, "critics must be of the blocks' columns")


TERM = Record(
    "BlockTerm",
    BlockTerm,
    {
        "blocks": Many(REDUCTION, fewest=2, most=2),
        "base": BASE,
        "critics": Many(CRITIC),
        "strength": Real(0.0, 100.0),
        "grid": Array("float", "g w"),
    },
    check=_check_term,
)
BLOCKS_DUAL = Record(
    "BlocksDual",
    BlocksDual,
    {"folds": Many(Many(TERM, list), list), "n_features": Whole(1)},
    check=lambda values, sizes: need(
        all((b.columns < values["n_features"]).all() for fold in values["folds"] for term in fold for b in term.blocks),
        "blocks must be of the features",
    ),
)

DUALS = OneOf(NODE_DUAL, MLP_DUAL, MIXTURE_DUAL, LOCAL_DUAL, CONV_DUAL, BLOCKS_DUAL)
