"""Dependence of third order: columns that no other column moves, but the product of two others does.

For every pair (a, b) of earlier columns the feature sign(z_a z_b) sqrt|z_a z_b| is correlated with z_k. A pair is taken where
the correlation is beyond what the largest of all pairs would be by chance (Bonferroni, 1 % over the whole screen).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FALSE_HITS = 0.01  # chance of one or more in a screen of independent columns
_MOST_COLUMNS = 320  # d^3 / 3 products a row: beyond, the screen costs more than all the rest


@dataclass(frozen=True)
class Triples:
    """For `child` (m,), places in path order: the earlier places `first` and `second` whose product moves it, and the `correlation`."""

    child: NDArray[np.intp]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    correlation: Floats


def pair_feature(a: Floats, b: Floats) -> Floats:
    """sign(a b) sqrt|a b|."""
    product = a * b
    return np.asarray(np.sign(product) * np.sqrt(np.abs(product)))


def screen_triples(z: Floats) -> Triples:
    """The best pair of every column of `z` (n_rows, d), in path order, where there is one; none for d > 320."""
    n, d = z.shape
    none = np.empty(0, dtype=np.intp)
    if d < 3 or d > _MOST_COLUMNS:
        return Triples(none, none, none, np.empty(0))
    unit = z.astype(np.float32)
    unit -= unit.mean(axis=0)
    unit /= np.maximum(unit.std(axis=0), 1e-6)
    rows = np.ascontiguousarray(z.T, dtype=np.float32)
    best, partner, owner = np.zeros(d), np.zeros(d, dtype=np.intp), np.zeros(d, dtype=np.intp)
    # pairs (a, b) with b < a: they may serve the columns after a
    for a in range(1, d - 1):
        feature = rows[a] * rows[:a]
        np.copysign(np.sqrt(np.abs(feature)), feature, out=feature)
        feature -= feature.mean(axis=1, keepdims=True)
        feature /= np.maximum(np.sqrt(np.einsum("an,an->a", feature, feature) / n), 1e-6)[:, None]
        strength = feature @ unit[:, a + 1 :] / n
        b = np.abs(strength).argmax(axis=0)
        r = strength[b, np.arange(len(b))]
        better = np.abs(r) > np.abs(best[a + 1 :])
        best[a + 1 :][better], partner[a + 1 :][better], owner[a + 1 :][better] = r[better], b[better], a
    trials = d * (d - 1) * (d - 2) / 6
    limit = -NormalDist().inv_cdf(_FALSE_HITS / (2 * trials)) / np.sqrt(n)
    child = np.flatnonzero(np.abs(best) > limit)
    return Triples(child, owner[child], partner[child], best[child])
