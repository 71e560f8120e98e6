"""Arrays of samples become rows in common units; where there are too many, a seeded part of them is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._neighbors import column_scale
from .._random import generator

Float = NDArray[np.float64]
Index = NDArray[np.intp]


def read(arrays: Mapping[str, ArrayLike], *, min_samples: int = 2) -> tuple[list[Float], tuple[int, ...]]:
    """Every array as float64 rows, in the order given, and the one shape that their samples have."""
    (first, value), *others = arrays.items()
    rows, shape = _checks.samples(_checks.on_host(value, first), first, min_samples=min_samples)
    return [
        _checks.scale(rows, first),
        *(read_like(value, name, shape, first, min_samples=min_samples) for name, value in others),
    ], shape


def read_like(value: ArrayLike, name: str, shape: tuple[int, ...], first: str = "real", *, min_samples: int = 2) -> Float:
    """`value` as float64 rows, whose samples must have the shape of those of `first`."""
    rows, own = _checks.samples(_checks.on_host(value, name), name, min_samples=min_samples)
    if own != shape:
        raise ValueError(
            f"{name} must have samples of the same shape as {first}, {shape}; got {own} "
            "(select or reorder the same channels and times)"
        )
    return _checks.scale(rows, name)


def thin(rows: Float, n_max: int, seed: int, name: str) -> Float:
    """At most n_max rows, drawn without replacement by a stream of their own; fewer rows stay as they are, in order."""
    return rows if len(rows) <= n_max else rows[thinned(len(rows), n_max, seed, name)]


def thinned(n: int, n_max: int, seed: int, name: str) -> Index:
    """The places of the rows that `thin` keeps of n."""
    kept: Index = np.sort(generator(seed, "metrics", "rows", name).permutation(n)[:n_max])
    return kept


def balance(a: Float, b: Float, seed: int) -> tuple[Float, Float]:
    """As many rows on one side as on the other, so that a coin is right half of the time."""
    n = min(len(a), len(b))
    return thin(a, n, seed, "first side"), thin(b, n, seed, "second side")


@dataclass(frozen=True)
class Units:
    """Where a column's zero is and how long its unit: its mean and deviation in the rows these units were taken from.

    No unit is below a tenth of the median one, so that a nearly constant column does not rule all distances.
    """

    center: Float
    scale: Float

    @classmethod
    def of(cls, rows: Float) -> Units:
        return cls(rows.mean(axis=0), column_scale(rows))

    def __call__(self, rows: Float) -> Float:
        return (rows - self.center) / self.scale
