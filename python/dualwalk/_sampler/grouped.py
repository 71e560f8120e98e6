"""Do rows come in groups (subjects, recordings, overlapping windows) that nobody has told of? Then held-out rows are no test.

Among independent rows, the steps between the distances r_1 < r_2 < ... from a row to its neighbours are known: with D the
intrinsic dimension, k D log(r_{k+1} / r_k) is exponential with mean 1 for every k (Facco et al. 2017 use k = 1). A group of m
rows close together shows as a leap at k = m - 1. Rows cut one after the other from a recording show in another way: each is
nearest to the one before or after it.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._hashes import row_hashes
from .._neighbors import squared_distances
from ..normal_scores import NormalScores

Float = NDArray[np.float64]
Index = NDArray[np.intp]

MOST_ROWS = 1000  # asked for their neighbours, where there are more
BLOCK = 2**22  # distances at a time
MOST_STEPS = 20
# Measured on 19 sets of real series and tables, whose rows are not copies: a mean leap of at most 1.7 times the usual one (3.6
# in one, of spectra), leaps in at most 0.09 of the rows, neighbours in order in at most 0.15. Five copies with noise of 0.05
# to 0.2 deviations: a mean leap of 12 to 170, and leaps in 44 % of the rows or more. Pairs: 4.8 to 22.
MEAN_LEAP = 4.0
ROW_LEAP, LEAST_RATIO, SHARE_OF_ROWS = 12.0, 1.5, 0.2
SHARE_IN_ORDER = 0.5
SHARE_OF_COPIES = 0.2
MOST_TIES = 0.1  # distances between rows of few levels are equal or not for reasons of their own


class GroupedDataWarning(UserWarning):
    """The rows look as if several came from one subject or recording, and fit was not told which: it may choose copies."""


def warn_if_grouped(rows: Float, codes: Index) -> None:
    """Warn the caller of the caller of `fit` where rows look grouped; `codes` are classes, which are no groups."""
    reason = grouped(rows, codes)
    if reason is not None:
        warnings.warn(
            f"the data look grouped: {reason}. Rows of one subject, recording or trial that are held out from each other tell "
            "nothing about new ones, so what is chosen may be copies. Pass fit(X, groups=...), the subject or recording of "
            "every row (for windows of one series: the stretch they were cut from), or drop the repeated rows.",
            GroupedDataWarning,
            stacklevel=4,  # past fit and its decorator
        )


def grouped(rows: Float, codes: Index) -> str | None:
    """What makes rows look grouped, in words; None where nothing does."""
    n = len(rows)
    n_copies = _n_copies(rows)
    if n_copies > SHARE_OF_COPIES * n:
        return f"{n_copies} of {n} rows are exact copies of others"
    n_steps = min(MOST_STEPS, n // 8)
    if n_steps < 2:
        return None
    distance, first, asked = _nearest(rows, codes, n_steps + 1)
    in_order = float((np.abs(first - asked) == 1).mean())
    if in_order >= SHARE_IN_ORDER and n >= 20:
        return (
            f"{100 * in_order:.0f} % of the rows are nearest to the row before or after them ({200 / (n - 1):.1g} % by chance)"
        )
    return _leaps(distance)


def _n_copies(rows: Float) -> int:
    """Rows that are copies of others, and not equal by chance: then most columns would have fewer values than there are rows."""
    n_rows = len(np.unique(_device.to_host(row_hashes(rows))) if _device.is_on_device(rows) else np.unique(rows, axis=0))
    ordered = np.sort(rows, axis=0)
    n_values = 1 + _device.to_host(np.count_nonzero(ordered[1:] != ordered[:-1], axis=0))
    varying = n_values[n_values > 1]
    return len(rows) - n_rows if len(varying) and 2 * np.median(varying) > n_rows else 0


def _nearest(rows: Float, codes: Index, k: int) -> tuple[Float, Index, Index]:
    """Of some rows: distances to the k nearest others of their class (inf where it has fewer), the nearest one, their index."""
    n = len(rows)
    scaled = NormalScores()._fit_rows(rows)  # a few far values must not decide which rows are near
    asked = np.arange(n) if n <= MOST_ROWS else np.linspace(0, n - 1, MOST_ROWS).astype(np.intp)
    distance, first = np.empty_like(rows, shape=(len(asked), k)), np.empty_like(rows, dtype=np.intp, shape=(len(asked),))
    kind = _device.beside(codes, rows)
    size = max(1, BLOCK // n)
    for begin in range(0, len(asked), size):
        own = asked[begin : begin + size]
        place, some = (_device.beside(index, rows) for index in (np.arange(len(own)), own))
        squares = squared_distances(scaled[some], scaled)
        squares[kind[some][:, None] != kind] = np.inf
        squares[place, some] = np.inf
        first[begin : begin + size] = squares.argmin(axis=1)
        distance[begin : begin + size] = np.sqrt(np.sort(np.partition(squares, k - 1, axis=1)[:, :k], axis=1))
    return _device.to_host(distance), _device.to_host(first), asked


def _leaps(distance: Float) -> str | None:
    known = np.isfinite(distance[:, 1:]) & (distance[:, :-1] > 0)  # equal rows have been looked at
    usual = float(np.median(distance[:, 0]))
    ratio = np.ones_like(distance[:, 1:])
    np.divide(distance[:, 1:], np.maximum(distance[:, :-1], 1e-4 * usual), out=ratio, where=known)
    step = np.log(ratio) * np.arange(1, ratio.shape[1] + 1)
    enough = known.mean(axis=0) > 0.5
    if usual == 0 or not enough.any() or (step[known] == 0).mean() > MOST_TIES:
        return None
    mean = np.array([step[known[:, k], k].mean() for k in np.flatnonzero(enough)])
    leap = float(mean.max() / np.median(mean))
    typical = float(np.median(step[known])) / math.log(2.0)  # the mean of an exponential variable, whatever a few rows do
    leaping = float(((step > ROW_LEAP * typical) & (ratio > LEAST_RATIO)).any(axis=1).mean())
    if leap < MEAN_LEAP and leaping < SHARE_OF_ROWS:
        return None
    where = 1 + int(np.argmax(ratio.mean(axis=0)))
    return (
        f"neighbours {where} and {where + 1} of a row differ {ratio[:, where - 1].mean():.3g}-fold in their distance, where "
        f"independent rows would make it {math.exp(typical / where):.3g}"
    )
