"""Dependence of third order: columns that no other column moves, but the product of two others does.

For every pair (a, b) of earlier columns the feature sign(z_a z_b) sqrt|z_a z_b| is correlated with z_k. A pair is taken where
the correlation is beyond what the largest of all pairs would be by chance (Bonferroni, 1 % over the whole screen).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .. import _device

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Places = NDArray[np.intp]

_FALSE_HITS = 0.01  # chance of one or more in a screen of independent columns
_NUMBERS_AT_ONCE = 1 << 27  # of a device's block of pairs, half a GiB
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
    feature: Floats = np.sign(product) * np.sqrt(np.abs(product))
    return feature


def screen_triples(z: Floats) -> Triples:
    """The best pair of every column of `z` (n_rows, d), in path order, where there is one; none for d > 320."""
    n, d = z.shape
    xp = _device.namespace(z)
    none = xp.empty(0, dtype=np.intp)
    if d < 3 or d > _MOST_COLUMNS:
        return Triples(none, none, none, xp.empty(0))
    unit = z.astype(np.float32)
    unit -= unit.mean(axis=0)
    unit /= np.maximum(unit.std(axis=0), 1e-6)
    rows = xp.ascontiguousarray(z.T, dtype=np.float32)
    best, partner, owner = (_best_pairs if xp is np else _best_pairs_at_once)(unit, rows)
    trials = d * (d - 1) * (d - 2) / 6
    limit = -NormalDist().inv_cdf(_FALSE_HITS / (2 * trials)) / np.sqrt(n)
    child = np.flatnonzero(np.abs(best) > limit)
    return Triples(child, owner[child], partner[child], best[child])


def _best_pairs(unit: Singles, rows: Singles) -> tuple[Floats, Places, Places]:
    """Of every column: the correlation of largest size with a pair (a, b), b < a, of earlier columns, then b and a; (d,) each.

    `unit` (n, d) are the columns at unit variance, `rows` (d, n) as they are.
    """
    n, d = unit.shape
    best, partner, owner = np.zeros(d), np.zeros(d, dtype=np.intp), np.zeros(d, dtype=np.intp)
    for a in range(1, d - 1):
        strength = _standardized(rows[a] * rows[:a]) @ unit[:, a + 1 :] / n
        b = np.abs(strength).argmax(axis=0)
        r = strength[b, np.arange(len(b))]
        better = np.abs(r) > np.abs(best[a + 1 :])
        best[a + 1 :][better], partner[a + 1 :][better], owner[a + 1 :][better] = r[better], b[better], a
    return best, partner, owner


def _best_pairs_at_once(unit: Singles, rows: Singles) -> tuple[Floats, Places, Places]:
    """The same for a device, many pairs at a time: a launch costs more than a small product."""
    xp, (n, d) = _device.namespace(unit), unit.shape
    best, partner, owner = xp.zeros(d), xp.zeros(d, dtype=np.intp), xp.zeros(d, dtype=np.intp)
    every = xp.arange(d)
    first, second = (_device.beside(place, unit) for place in np.tril_indices(d - 1, -1))  # a, then b, as in the loop above
    at_once = max(1, _NUMBERS_AT_ONCE // (n + d))
    for start in range(0, len(first), at_once):
        a, b = first[start : start + at_once], second[start : start + at_once]
        strength = _standardized(rows[a] * rows[b]) @ unit / n
        strength = np.where(every > a[:, None], strength, 0.0)
        pair = np.abs(strength).argmax(axis=0)
        r = strength[pair, every]
        better = np.abs(r) > np.abs(best)
        best, partner, owner = np.where(better, r, best), np.where(better, b[pair], partner), np.where(better, a[pair], owner)
    return best, partner, owner


def _standardized(feature: Singles) -> Singles:
    """sign(p) sqrt|p| of products p (n_pairs, n), at mean 0 and variance 1; written over `feature`."""
    np.copysign(np.sqrt(np.abs(feature)), feature, out=feature)
    feature -= feature.mean(axis=1, keepdims=True)
    feature /= np.maximum(np.sqrt(np.einsum("an,an->a", feature, feature) / feature.shape[1]), 1e-6)[:, None]
    return feature
