"""The dual function of a cluster of series: how much better the others' pattern tells a series' level than its own average.

At step t the members of cluster S show a pattern. Other steps u with a similar pattern vouch for the level of series i there:

    K(t, u)  = rho^(|e_S(t) - e_S(u)|^2 / 4)               rho^(10 / |S|), to rho^4 at most: large clusters forgive
    p(b | t) = (sum_u K(t, u) [x_i(u) = b] + c p_i(b)) / (sum_u K(t, u) + c)          u: all steps but t and its guard
    f_S(i)   = max over c of mean_t log p(x_i(t) | t) / p_i(x_i(t))                   nats a step

No step vouches for itself, so f is a held-out log-likelihood ratio: about 0 for a series that does not depend on S, and the
mutual information, read low, for one that does, of any order: three bits whose exclusive or is 0 are pairwise independent, yet
each is told by the two others. A member i is judged by S without i: its own factor is divided out of K, which costs nothing,
as it is constant over the u of one level.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .levels import Levels

_RHO = 0.2  # weight of a step that differs in one bit
_PRIORS = np.array([1, 4, 16, 64, 256], dtype=np.float32)[:, None, None]  # steps' worth of the series' own average
_MEMBERS = 10  # in larger clusters a difference weighs less, so that similar patterns are still found; in smaller ones more
_SHARPEST = 4.0

Floats = NDArray[np.float64]


def pattern_dual(levels: Levels, members: NDArray[np.intp], rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """f_S of the series `rows`, S being `members` (each judged without itself), and its standard errors: (len(rows),) each."""
    decay = np.log(_RHO) / 4 * min(_SHARPEST, _MEMBERS / max(1, len(members)))
    where, first = _patterns(levels.codes[members], levels.n_levels)
    at = levels.place[members[:, None], levels.codes[members]]  # (members, T)
    shown = at[:, first].T
    similar = np.exp(decay * _square_distances(shown))
    hot = levels.one_hot[:, rows]
    order = np.argsort(where, kind="stable")
    starts = np.searchsorted(where[order], np.arange(len(first)))
    counts = np.add.reduceat(hot[order], starts, axis=0)
    votes = (similar @ counts.reshape(len(first), -1)).reshape(counts.shape)[where]
    votes -= hot  # no step vouches for itself ...
    for lag in range(1, levels.guard + 1):  # ... nor for its neighbours
        weight = np.exp(decay * ((at[:, lag:] - at[:, :-lag]) ** 2).sum(axis=0))[:, None, None]
        votes[lag:] -= weight * hot[:-lag]
        votes[:-lag] -= weight * hot[lag:]
    np.maximum(votes, 0, out=votes)
    inside = np.flatnonzero(np.isin(rows, members))
    if len(inside):
        place = levels.place[rows[inside]]
        own = np.exp(decay * (place[:, :, None] - place[:, None, :]) ** 2)  # factor of level b for a step of level a
        votes[:, inside] /= own[np.arange(len(inside)), levels.codes[rows[inside]].T]
    share = levels.share[rows]
    codes = levels.codes[rows].T[:, :, None]
    found = np.take_along_axis(votes, codes, axis=2)[:, :, 0]
    usual = np.take_along_axis(share[None], codes, axis=2)[:, :, 0]
    ratio, total = found / usual, votes.sum(axis=2)
    told = np.log((ratio + _PRIORS) / (total + _PRIORS))  # (priors, T, rows)
    mean = told.mean(axis=1, dtype=np.float64)
    best = mean.argmax(axis=0), np.arange(len(rows))
    blocks = levels.n_steps / levels.memory
    return mean[best], told.std(axis=1, dtype=np.float64)[best] / np.sqrt(blocks)


def _patterns(codes: NDArray[np.intp], n_levels: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which pattern (column of `codes`) every step shows, from 0, and the first step that shows each."""
    key = np.zeros(codes.shape[1], dtype=np.intp)
    for row in codes:
        if key.max(initial=0) > 2**40:
            key = np.unique(key, return_inverse=True)[1]
        key = key * n_levels + row
    _, first, where = np.unique(key, return_index=True, return_inverse=True)
    return where, first


def _square_distances(x: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = (x * x).sum(axis=1)
    return np.asarray(np.maximum(norms[:, None] + norms - 2 * (x @ x.T), 0))


def worth(levels: Levels, clusters: Iterable[NDArray[np.intp]]) -> list[float]:
    """The sum of f_S over the members of each cluster S: nats a step that it holds together."""
    return [float(pattern_dual(levels, members, members)[0].sum()) for members in clusters]
