"""The marginals of generated rows: quantile functions of the training columns, shrunk over time, and balanced over a block.

Two errors of a generator show in its marginals before anything else. The quantiles of n training rows are off by 1 / sqrt(n)
in every column, all in ways that a classifier adds up: columns of one channel lend each other their quantiles where
held-out rows say that this brings them nearer to the truth (a stationary channel has one marginal, not one a time). And
independent draws scatter round their law where real rows of one sample share a fixed total: a block of rows is balanced, as
in Latin hypercube sampling, so that it has exactly these marginals, whatever the walk did to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import backends
from .._random import generator
from .._threads import resolve_n_threads
from ..normal_scores import TIED_BELOW

Float = NDArray[np.float64]
Index = NDArray[np.intp]

WIDTHS = (0.5, 1.0, 2.0, 4.0, math.inf)  # of the window over time, in time steps
SHARES = (0.5, 1.0)
N_FOLDS = 5
N_LEVELS = 25  # quantiles that stand for a distribution while smoothings are compared
MOST_ROWS = 2000  # that the smoothing is chosen on


@dataclass(frozen=True)
class Smoothing:
    """How a channel's columns share their quantiles: a Gaussian window of `width` times has `share` of the say."""

    width: float = 0.0
    share: float = 0.0

    def __str__(self) -> str:
        if self.share == 0.0:
            return "each column its own marginal"
        reach = "all times" if math.isinf(self.width) else f"times within {self.width:g}"
        return f"marginals {100 * self.share:g} % from {reach}"


class Marginals:
    """Quantile functions of the columns of `rows` (n, d), tabulated at the n probabilities (k + 1/2) / n.

    Tied columns (fewer than .9 n distinct values) are not smoothed: their values are those observed.
    """

    def __init__(self, rows: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> None:
        ordered = np.sort(rows, axis=0)
        self._tied = _tied(ordered)
        self.table = _smoothed(ordered, feature_shape, smoothing)
        self.table[:, self._tied] = ordered[:, self._tied]

    def balanced(self, points: Float, stream: np.random.Generator) -> Float:
        """Values for a block of points (m, d), in any units: column by column, rank r of m takes the quantile (r + u) / m.

        One u a row, uniform in (0, 1), serves all its columns: what is smooth over time stays so.
        """
        place = np.asarray(stream.random(len(points)))
        values: Float = backends.job("balance_columns")(points, place, self.table, self._tied, resolve_n_threads())
        return values


def _smoothed(quantiles: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> Float:
    """Quantile functions (m, d) averaged over the times of their channel; an average of increasing functions increases."""
    if smoothing.share == 0.0:
        return quantiles.copy()
    series = quantiles.reshape(len(quantiles), *feature_shape)
    average = series @ _window(feature_shape[1], smoothing.width).T
    mixed: Float = (series + smoothing.share * (average - series)).reshape(quantiles.shape)
    return mixed


def _window(n_times: int, width: float) -> Float:
    if math.isinf(width):
        return np.full((n_times, n_times), 1.0 / n_times)
    distance = np.subtract.outer(np.arange(n_times), np.arange(n_times)) / width
    weight: Float = np.exp(-0.5 * distance**2)
    weight /= weight.sum(axis=1, keepdims=True)
    return weight


def choose_smoothing(rows: Float, feature_shape: tuple[int, ...], seed: int, groups: Index | None = None) -> Smoothing:
    """The smoothing with the smallest mean CRPS over held-out rows (whole groups where given), columns in deviations.

    The CRPS of a quantile function is its mean distance to the values it should have foretold, less half the mean distance
    between two of its own (Gneiting and Raftery 2007): proper, and finite where a density is not.
    """
    if len(feature_shape) != 2 or feature_shape[1] < 2 or len(rows) < 2 * N_FOLDS:
        return Smoothing()
    if len(rows) > MOST_ROWS:
        rows, groups = rows[:MOST_ROWS], None if groups is None else groups[:MOST_ROWS]
    unit = np.arange(len(rows)) if groups is None else groups
    fold = generator(seed, "marginals").permutation(int(unit.max()) + 1)[unit] % N_FOLDS
    deviation = rows.std(axis=0)
    deviation[_tied(np.sort(rows, axis=0))] = 0.0  # these are not smoothed
    weight = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    levels = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    totals: dict[Smoothing, float] = {}
    for k in range(N_FOLDS):
        fit, held = rows[fold != k], rows[fold == k]
        if not len(fit) or not len(held):
            continue
        own = np.quantile(fit, levels, axis=0, method="hazen")
        for smoothing in [Smoothing(), *(Smoothing(w, s) for w in WIDTHS for s in SHARES)]:
            quantiles = _smoothed(own, feature_shape, smoothing)
            totals[smoothing] = totals.get(smoothing, 0.0) + float(_crps(quantiles, held) @ weight)
    return min(totals, key=lambda smoothing: totals[smoothing])


def _tied(ordered: Float) -> NDArray[np.bool_]:
    n_distinct = 1 + np.count_nonzero(ordered[1:] != ordered[:-1], axis=0)
    return np.asarray(n_distinct < TIED_BELOW * len(ordered))


def _crps(quantiles: Float, held: Float) -> Float:
    """Sum over held-out rows (h, d) of the CRPS of the distributions that stand evenly on quantiles (m, d): (d,)."""
    m = len(quantiles)
    error = np.zeros(quantiles.shape[1])
    for values in quantiles:
        error += np.abs(held - values).sum(axis=0)
    spread = ((2 * np.arange(m) + 1 - m) @ quantiles) / m**2
    total: Float = error / m - len(held) * spread
    return total
