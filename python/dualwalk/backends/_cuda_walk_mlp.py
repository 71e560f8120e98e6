"""Walks on an MLPDual in one launch: its matrices as the kernels read them, packed once for a dual and a dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _device
from ._cuda_walk import Array, ends, walk_any
from ._reference_walk import WalkPlan, WalkState


def walk_mlp(dual: Any, x: Array, plan: WalkPlan) -> WalkState:
    if plan.preconditioner is not None:
        return walk_any(dual, x, plan)
    parts = dual._once(("walk", x.dtype.name), lambda: _packed(dual, x.dtype))
    state = ends(len(x))
    _device.kernels().walk_mlp(x, *parts, plan.precision or "full", plan, tuple(state), _device.here())
    return state


def _packed(
    dual: Any, dtype: np.dtype[Any]
) -> tuple[list[int], list[tuple[Array, Array, Array]], Array | None, tuple[Array, Array]]:
    """Widths; of every hidden layer the transpose of its weights, the weights, and the bias; the Gram matrix W W^T of the first
    layer, where it is not larger than that layer; the last layer's weights and bias."""
    weights, biases = ([_device.to_device(part) for part in group] for group in (dual.weights, dual.biases))
    layers = [(_fours(w.T, dtype), _fours(w, dtype), b.astype(dtype)) for w, b in zip(weights[:-1], biases[:-1], strict=True)]
    width = [dual.n_features, *(len(weight) for weight in weights[:-1])]
    gram = _fours(weights[0] @ weights[0].T, dtype) if layers and width[1] <= width[0] else None
    return width, layers, gram, (weights[-1][0].astype(dtype), biases[-1].astype(dtype))


def _fours(matrix: Array, dtype: np.dtype[Any]) -> Array:
    """The last axis filled up with zeros to whole groups of four."""
    xp = _device.cupy()
    n_rows, n_columns = matrix.shape
    out = xp.zeros((n_rows, -(-n_columns // 4) * 4), dtype)
    out[:, :n_columns] = matrix
    return out
