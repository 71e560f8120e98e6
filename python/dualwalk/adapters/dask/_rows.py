"""What a fitted `DualDivergence` says of rows, for dask arrays of them: lazily, block by block."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import dask
import numpy as np

from ... import _checks
from ..._threads import threads_limit
from ...dualspace import inside
from ...estimator import DualDivergence, rows_at_once
from ._files import numbers


def score_samples(model: DualDivergence, x: Any) -> Any:
    """`model.score_samples(x)` as a dask array (n,), float64, nats, with the bits of the call on the whole of x.

    x : a dask array (n, *model.feature_shape_), or a path that `open_array` takes, or an array. Chunks are joined to whole samples
        and to multiples of the rows (1024, fewer where they are wide) that the model computes together.

    The model is sent once, not with each task. Raises ValueError for rows of another shape, at once; for values that are not
    finite when the block with them is computed (its indices then count from the block's beginning).
    """
    rows = _rows(model, x)
    return rows.map_blocks(
        _call,
        model=dask.delayed(model, traverse=False),
        method="score_samples",
        drop_axis=list(range(1, rows.ndim)),
        dtype=np.float64,
        meta=np.empty(0),
    )


def transform(model: DualDivergence, x: Any) -> Any:
    """`score_samples` as a column: (n, 1)."""
    return score_samples(model, x)[:, None]


def predict(model: DualDivergence, x: Any) -> Any:
    """+1 for rows between the model's end points (in distribution), -1 outside: (n,)."""
    return score_samples(model, x).map_blocks(inside, model.end_points_, dtype=np.intp, meta=np.empty(0, dtype=np.intp))


def node_terms(model: DualDivergence, x: Any) -> Any:
    """`model.node_terms(x)`: each column's share of f, in the shape of x, float64, nats. See `score_samples`."""
    rows = _rows(model, x)
    meta = np.empty((0,) * rows.ndim)
    return rows.map_blocks(_call, model=dask.delayed(model, traverse=False), method="node_terms", dtype=np.float64, meta=meta)


def checked_model(model: Any) -> None:
    """TypeError or NotFittedError for what is no fitted DualDivergence."""
    _checks.instance(model, "model", DualDivergence, remedy="pass DualDivergence().fit(X)")
    model._check_fitted("model")


def _rows(model: DualDivergence, x: Any) -> Any:
    checked_model(model)
    rows = numbers(x, "x")
    if rows.shape[1:] != model.feature_shape_:
        raise ValueError(
            f"x must have samples of the shape seen in fit, {model.feature_shape_}; got {rows.shape[1:]} (select or reorder the same "
            "channels and times)"
        )
    together = rows_at_once(model.n_features_in_)
    sizes: Any = rows.chunks[0]
    if any(end % together for end in list(accumulate(sizes))[:-1]):
        sizes = -(-max(sizes) // together) * together
    return rows.rechunk((sizes, *rows.shape[1:]))


def _call(block: Any, *, model: DualDivergence, method: str) -> Any:
    with threads_limit(1):
        return getattr(model, method)(block)
