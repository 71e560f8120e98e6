"""What `DualSampler.impute` and `sample(given=)` are asked for, checked, and the answer put together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._arrays import distinct
from .._random import generator
from .choice import Chosen
from .fill import Completer

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# (classes or None, number of rows, seed) -> that many ordinary samples, (n, d)
Sample = Callable[[Index | None, int, int], Float]


def incomplete(value: ArrayLike, name: str, feature_shape: tuple[int, ...]) -> tuple[NDArray[Any], Float]:
    """Samples with NaN where a value is unknown: as an array, and as new float64 rows (m, d)."""
    array = _checks.table(value, name)
    if array.shape[1:] != feature_shape or array.ndim != 1 + len(feature_shape):
        remedy = f"pass {name}[None] for a single sample" if array.shape == feature_shape else "keep unknown values as NaN"
        raise ValueError(
            f"{name} must have shape (n_samples, {', '.join(map(str, feature_shape))}), as in fit; got {array.shape} ({remedy})"
        )
    rows = array.reshape(len(array), math.prod(feature_shape)).astype(np.float64)
    if np.isinf(rows).any():
        raise ValueError(
            f"{name} must hold finite numbers or NaN; got {int(np.isinf(rows).sum())} infinite values (pass NaN there)"
        )
    return array, rows


def one_incomplete(value: ArrayLike, feature_shape: tuple[int, ...]) -> Float:
    """`sample`'s argument given: one sample's shape, NaN where unknown, as one row (1, d)."""
    array = _checks.real_array(value, "given")
    if array.shape != feature_shape:
        remedy = "pass given[0], or impute(X) for several samples" if array.shape[1:] == feature_shape else "NaN where unknown"
        raise ValueError(f"given must have the shape of one sample, {feature_shape}; got {array.shape} ({remedy})")
    row = incomplete(array[None], "given", feature_shape)[1]
    if not np.isnan(row).any():
        raise ValueError(
            f"given must leave something unknown; got shape {array.shape} with no NaN (put NaN where values are to be drawn)"
        )
    return row


def fill_array(
    completer: Completer, array: NDArray[Any], rows: Float, codes: Index | None, n_draws: int, seed: int, sample: Sample
) -> tuple[NDArray[Any], tuple[Chosen, ...]]:
    """(n_draws, *array.shape): the array with every NaN drawn and every other value as it was; rows of NaN are new samples."""
    drawn, chosen = completer.complete(rows, codes, n_draws, seed)
    empty = np.flatnonzero(np.isnan(rows).all(axis=1))
    if len(empty):
        wanted = None if codes is None else np.tile(codes[empty], n_draws)
        drawn[:, empty] = sample(wanted, n_draws * len(empty), seed).reshape(n_draws, len(empty), -1)
    dtype = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)
    filled = drawn.astype(dtype, copy=False).reshape(n_draws, *array.shape)
    return filled, chosen


def draw_given(
    completer: Completer, row: Float, codes: Index | None, n: int, seed: int
) -> tuple[Float, Index, tuple[Chosen, ...]]:
    """n draws (n, d) of the unknown values of one row (1, d), the nearest training row of each, and what was chosen."""
    rows = np.empty((n, row.shape[1]))
    nearest = np.empty(n, dtype=np.intp)
    chosen: dict[Chosen, None] = {}
    for code in [None] if codes is None else distinct(codes).tolist():
        places = np.arange(n) if codes is None else np.flatnonzero(codes == code)
        own = None if code is None else np.array([code], dtype=np.intp)
        own_seed = seed if code is None else int(generator(seed, "given", code).integers(2**63))
        drawn, made = completer.complete(row, own, len(places), own_seed)
        rows[places] = drawn[:, 0]
        nearest[places] = completer.nearest(row, own)[0]
        chosen.update(dict.fromkeys(made))
    return rows, nearest, tuple(chosen)
