"""Strengths of the dependence of pairs of columns, one tile of columns by columns at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._blas import one_blas_thread
from ..normal_scores import NormalScores

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

TILE = 1024  # columns of a panel; part of the definition, as a product's last bits go by its shape


def panels(rows: Floats) -> list[Singles]:
    """The columns of `rows` (n, d), TILE of them at a time, as unit vectors: (2, t, n) each.

    [0] are the normal scores, [1] their sizes, both at mean 0 and length 1; columns that never vary are 0.
    """
    return [_panel(rows[:, begin : begin + TILE]) for begin in range(0, rows.shape[1], TILE)]


def _panel(rows: Floats) -> Singles:
    z = np.ascontiguousarray(NormalScores()._fit_rows(np.ascontiguousarray(rows)).T)
    unit = np.empty((2, *z.shape), dtype=np.float32)
    for k, feature in enumerate((z, np.abs(z))):
        feature -= feature.mean(axis=1, keepdims=True)
        feature /= np.maximum(feature.std(axis=1, keepdims=True), 1e-6) * math.sqrt(len(rows))
        unit[k] = feature
    return unit


def tile(left: Singles, right: Singles) -> Singles:
    """sqrt(corr(z_a, z_b)^2 + corr(|z_a|, |z_b|)^2) of the columns a of one panel and b of another: (t_a, t_b).

    A panel with itself (the same array) has zeros on the diagonal.
    """
    # arrays that came out of a message may begin at any byte, and NumPy multiplies these by another routine
    alone = left is right
    left = np.require(left, requirements="A")
    right = left if alone else np.require(right, requirements="A")
    with one_blas_thread():
        strength: Singles = left[0] @ right[0].T
        sizes = left[1] @ right[1].T
    np.multiply(strength, strength, out=strength)
    strength += np.multiply(sizes, sizes, out=sizes)
    if alone:
        np.fill_diagonal(strength, 0.0)
    return np.sqrt(strength, out=strength)


def pairs(n_left: int, n_right: int | None = None) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of panels: of one list with itself, i <= j, or of two lists."""
    for i in range(n_left):
        for j in range(i if n_right is None else 0, n_left if n_right is None else n_right):
            yield i, j
