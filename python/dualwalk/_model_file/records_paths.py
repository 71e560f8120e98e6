"""Records of what a fold of the node estimator learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import distinct
from .._nodepath.conditionals import Dense, LowRank, Sparse
from .._nodepath.network import N_HIDDEN
from .._nodepath.path import CODES, N_CONTEXT, NodePath
from .._nodepath.screen import Triples
from .._nodepath.tables import Tables
from .._refine.choice import Refinement
from .._refine.mixture import GaussianMixture, Recipe
from ..backends._reference_nodes import N_OUTPUTS, n_weights
from ..duals.node import FittedPath, NodeDual
from .fields import Array, Many, Maybe, OneOf, Real, Record, Whole, Word, need

_LARGEST = 1e30  # of a weight, which is used in float32
TINY = 1e-300

Values = dict[str, Any]
Sizes = dict[str, int]


def _check_sparse(values: Values, sizes: Sizes) -> None:
    parents, used = values["parents"], values["weights"] != 0
    need((parents < sizes["m"]).all(), "parents must be on the path")
    need((parents < np.arange(sizes["m"])[:, None])[used].all(), "parents must come before their columns")


def _check_dense(values: Values, sizes: Sizes) -> None:
    need((np.triu(values["coefficients"]) == 0).all(), "coefficients must be strictly lower triangular")


_SCALE = Array("float", "m", low=TINY)
CONDITIONALS = OneOf(
    Record("Dense", Dense, {"coefficients": Array("float", "m m"), "scale": _SCALE}, check=_check_dense),
    Record(
        "Sparse",
        Sparse,
        {"parents": Array("index", "m k", low=0), "weights": Array("float", "m k"), "scale": _SCALE},
        check=_check_sparse,
    ),
    Record("LowRank", LowRank, {"read": Array("float", "m q"), "write": Array("float", "m q"), "scale": _SCALE}),
)

TRIPLES = Record(
    "Triples",
    Triples,
    {
        "child": Array("index", "t", low=2),
        "first": Array("index", "t", low=0),
        "second": Array("index", "t", low=0),
        "correlation": Array("float", "t", low=-1.01, high=1.01),
    },
    check=lambda values, sizes: need(
        (np.diff(values["child"]) > 0).all() and (np.maximum(values["first"], values["second"]) < values["child"]).all(),
        "a pair must come before the column it moves",
    ),
)


def _check_path(values: Values, sizes: Sizes) -> None:
    order, n_nodes = values["order"], sizes["nodes"]
    need(n_nodes + 1 == len(order) == len(distinct(order)), "every node needs one column of its own")
    need((values["parent"] <= np.arange(n_nodes)).all(), "parents must come before their nodes")
    for name in ("base", "sizes"):
        need(len(values[name].scale) == len(order), f"{name} must have a scale for every column")
    need((values["triples"].child < len(order)).all(), "triples must be of columns on the path")


PATH = Record(
    "NodePath",
    NodePath,
    {
        "order": Array("index", "m", low=0),
        "parent": Array("index", "nodes", low=0),
        "base": CONDITIONALS,
        "sizes": CONDITIONALS,
        "triples": TRIPLES,
        "statistics": Array("float", f"nodes {len(CODES) - N_CONTEXT}", low=-_LARGEST, high=_LARGEST),
    },
    check=_check_path,
)


def _table_parts(tables: Tables) -> Values:
    places = list(tables.values)
    return {
        "node": tables.node,
        "child": tables.child,
        "parent": tables.parent,
        "places": np.array(places, dtype=np.intp),
        "n_atoms": np.array([len(tables.values[place]) for place in places], dtype=np.intp),
        "atoms": np.concatenate([tables.values[place] for place in places]),
        "log_ratio": np.concatenate([table.ravel() for table in tables.log_ratio]),
        "weight": tables.weight,
    }


def _check_tables(values: Values, sizes: Sizes) -> None:
    places, n_atoms = values["places"], values["n_atoms"]
    need((values["child"] == values["node"] + 1).all(), "the child of a node must stand behind it")
    need(len(distinct(places)) == len(places), "a place must have its atoms once")
    need(np.isin([*values["child"], *values["parent"]], places).all(), "child and parent must have atoms")
    need(int(n_atoms.sum()) == sizes["a"], "atoms must be as many as n_atoms says")
    begins = np.cumsum(n_atoms)[:-1]
    need((np.delete(np.diff(values["atoms"]), begins - 1) > 0).all(), "the atoms of a place must increase")
    count = dict(zip(places.tolist(), n_atoms.tolist(), strict=True))
    pairs = zip(values["parent"].tolist(), values["child"].tolist(), strict=True)
    need(
        sum((count[a] + 1) * (count[b] + 1) for a, b in pairs) == sizes["l"],
        "log_ratio must have an entry for every pair of atoms",
    )


def _make_tables(places: Any, n_atoms: Any, atoms: Any, log_ratio: Any, **rest: Any) -> Tables:
    of_place = dict(zip(places.tolist(), np.split(atoms, np.cumsum(n_atoms)[:-1]), strict=True))
    shapes = [
        (len(of_place[a]) + 1, len(of_place[b]) + 1)
        for a, b in zip(rest["parent"].tolist(), rest["child"].tolist(), strict=True)
    ]
    ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]
    tables = [part.reshape(shape) for part, shape in zip(np.split(log_ratio, ends), shapes, strict=True)]
    return Tables(values=of_place, log_ratio=tuple(tables), **rest)


TABLES = Record(
    "Tables",
    Tables,
    {
        "node": Array("index", "k", low=0),
        "child": Array("index", "k", low=1),
        "parent": Array("index", "k", low=0),
        "places": Array("index", "p", low=0),
        "n_atoms": Array("index", "p", low=1),
        "atoms": Array("float", "a"),
        "log_ratio": Array("float", "l"),
        "weight": Real(TINY, 1.0),
    },
    parts=_table_parts,
    make=_make_tables,
    check=_check_tables,
)


def _check_factors(values: Values, sizes: Sizes) -> None:
    factor = values["factor"]
    need((np.triu(factor, 1) == 0).all(), "factors must be lower triangular")
    need((np.diagonal(factor, axis1=1, axis2=2) > 0).all(), "factors must have a positive diagonal")


MIXTURE = Record(
    "GaussianMixture",
    GaussianMixture,
    {"log_share": Array("float", "k", high=1e-6), "mean": Array("float", "k d"), "factor": Array("float", "k d d")},
    check=_check_factors,
)
RECIPE = Record(
    "Recipe",
    Recipe,
    {
        "n_clusters": Whole(1),
        "start": Word("means", "shells"),
        "target": Word("none", "common"),
        "shrinkage": Real(0.0, 1.0),
    },
)
REFINEMENT = Record(
    "Refinement",
    Refinement,
    {"recipe": RECIPE, "mixture": MIXTURE, "weight": Real(TINY, 1.0 - 1e-12), "gain": Real()},
    check=lambda values, sizes: need(len(values["mixture"].mean), "a mixture needs a cluster"),
)


def _check_fitted_path(values: Values, sizes: Sizes) -> None:
    path, density = values["path"], values["kind"] == "density"
    n_inputs = len(CODES) if density else len(CODES) + 1
    length = n_weights(n_inputs, N_HIDDEN, N_OUTPUTS if density else 1)
    need(sizes["members"] and sizes["w"] == length, f"weights must be networks of {length} numbers each")
    need(sizes["nodes"] == len(path.parent) and sizes["levels"], "grid must have a row of quantiles for every node")
    tables, refinement = values["tables"], values["refinement"]
    if tables is not None:
        need((tables.node < len(path.parent)).all(), "tables must be of nodes on the path")
        need((tables.parent == path.parent[tables.node]).all(), "tables must be of nodes and their parents")
    if refinement is not None:
        need(refinement.mixture.mean.shape[1] == len(path.order), "the mixture must be of the columns on the path")


FITTED_PATH = Record(
    "FittedPath",
    FittedPath,
    {
        "path": PATH,
        "weights": Array("float", "members w", low=-_LARGEST, high=_LARGEST),
        "alpha": Real(0.0, 10.0),
        "grid": Array("float", "nodes levels", low=-_LARGEST, high=_LARGEST),
        "kind": Word("density", "contrastive"),
        "base": Word(),
        "tables": Maybe(TABLES),
        "refinement": Maybe(REFINEMENT),
    },
    check=_check_fitted_path,
)


def _node_parts(dual: NodeDual) -> Values:
    return {"paths": dual.paths, "n_features": dual.n_features, "dtype": np.dtype(dual.dtype).name}


def _make_node(paths: list[FittedPath], n_features: int, dtype: str) -> NodeDual:
    return NodeDual(paths, n_features, dtype={"float32": np.float32, "float64": np.float64}[dtype])


NODE_DUAL = Record(
    "NodeDual",
    NodeDual,
    {"paths": Many(FITTED_PATH, list), "n_features": Whole(1), "dtype": Word("float32", "float64")},
    parts=_node_parts,
    make=_make_node,
    check=lambda values, sizes: need(
        all((fitted.path.order < values["n_features"]).all() for fitted in values["paths"]),
        "a path must be through the features",
    ),
)
