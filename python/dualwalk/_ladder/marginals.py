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
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import backends
from .._random import generator
from .._threads import resolve_n_threads
from ..normal_scores import tied_columns

Float = NDArray[np.float64]
Index = NDArray[np.intp]

N_FOLDS = 5
N_LEVELS = 25  # quantiles that stand for a distribution while smoothings are compared
MOST_ROWS = 2000  # whose marginals need smoothing


@dataclass(frozen=True)
class Smoothing:
    """How the columns of a channel share their marginals: a Gaussian window of `width` times has `share` of the say.

    kind : "quantiles" are averaged (columns of like shape round means that drift), or the distributions are mixed ("values":
        columns of one law, whose pooled values tell its tails)
    """

    width: float = 0.0
    share: float = 0.0
    kind: Literal["quantiles", "values"] = "quantiles"

    def __str__(self) -> str:
        if self.share == 0.0:
            return "each column its own marginal"
        reach = "all times" if math.isinf(self.width) else f"times within {self.width:g}"
        return f"marginals {100 * self.share:g} % from the {self.kind} of {reach}"


SMOOTHINGS = (
    Smoothing(),
    *(Smoothing(width, share) for width in (0.5, 1.0, 2.0, 4.0, math.inf) for share in (0.5, 1.0)),
    *(Smoothing(width, share, "values") for width, share in ((2.0, 1.0), (math.inf, 0.5), (math.inf, 1.0))),
)


class Marginals:
    """Quantile functions of the columns of `rows` (n, d), tabulated at the n probabilities (k + 1/2) / n.

    Tied columns (fewer than .9 n distinct values) keep to the values observed in them: what is smoothed goes to the nearest.
    """

    def __init__(self, rows: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> None:
        ordered = np.sort(rows, axis=0)
        self._tied = tied_columns(ordered)
        levels = (np.arange(len(rows)) + 0.5) / len(rows)
        self.table = _smoothed(ordered, levels, feature_shape, smoothing)
        for j in np.flatnonzero(self._tied):
            self.table[:, j] = _nearest_levels(self.table[:, j], ordered[:, j])

    def balanced(self, points: Float, stream: np.random.Generator) -> Float:
        """Values for a block of points (m, d), in any units: column by column, rank r of m takes the quantile (r + u) / m.

        One u a row, uniform in (0, 1), serves all its columns: what is smooth over time stays so.
        """
        place = np.asarray(stream.random(len(points)))
        values: Float = backends.job("balance_columns")(points, place, self.table, self._tied, resolve_n_threads())
        return values

    def placed(self, points: Float, pool: Float, stream: np.random.Generator) -> Float:
        """Values for points (m, d), row by row on its own: a point's rank in the sorted columns of `pool` picks the quantile."""
        place = stream.random(len(points))
        values = np.empty_like(points)
        n, size = len(self.table), len(pool) + 1
        for j, (column, levels) in enumerate(zip(points.T, self.table.T, strict=True)):
            probability = (np.searchsorted(pool[:, j], column) + place) / size
            position = np.clip(probability * n - 0.5, 0.0, n - 1.0)
            if self._tied[j]:
                position = np.floor(position + 0.5)
            values[:, j] = np.interp(position, np.arange(n), levels)
        return values


def _smoothed(ordered: Float, levels: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> Float:
    """Quantile functions (len(levels), d) of sorted columns (n, d), as `smoothing` shares them over the times of a channel."""
    if smoothing.kind == "values" and smoothing.share > 0.0:
        return _mixed(ordered, levels, feature_shape, smoothing)
    own = _between(ordered, levels)
    if smoothing.share == 0.0:
        return own
    series = own.reshape(len(own), *feature_shape)
    average = series @ _window(feature_shape[1], smoothing.width).T
    shared: Float = (series + smoothing.share * (average - series)).reshape(own.shape)  # increasing, as an average of such
    return shared


def _between(ordered: Float, levels: Float) -> Float:
    """Quantiles of sorted columns by Hazen's rule: sorted value k of n stands at (k + 1/2) / n."""
    position = np.clip(levels * len(ordered) - 0.5, 0.0, len(ordered) - 1.0)
    lower = position.astype(np.intp)
    share = (position - lower)[:, None]
    if not share.any():
        return np.asarray(ordered[lower])
    upper = np.minimum(lower + 1, len(ordered) - 1)
    between: Float = (1.0 - share) * ordered[lower] + share * ordered[upper]
    return between


def _mixed(ordered: Float, levels: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> Float:
    """Quantiles of the weighted values of all times of a channel."""
    n, (n_channels, n_times) = len(ordered), feature_shape
    weights = (1.0 - smoothing.share) * np.eye(n_times) + smoothing.share * _window(n_times, smoothing.width)
    same_for_all = math.isinf(smoothing.width) and smoothing.share == 1.0
    series = ordered.reshape(n, n_channels, n_times)
    quantiles = np.empty((len(levels), n_channels, n_times))
    for c in range(n_channels):
        values = series[:, c, :].ravel()
        order = np.argsort(values, kind="stable")
        values, times = values[order], order % n_times
        for t in range(1 if same_for_all else n_times):
            weight = weights[t][times] / n
            quantiles[:, c, t] = np.interp(levels, np.cumsum(weight) - 0.5 * weight, values)
        if same_for_all:
            quantiles[:, c, :] = quantiles[:, c, :1]
    return quantiles.reshape(len(levels), -1)


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
    if len(feature_shape) != 2 or feature_shape[1] < 2 or not 2 * N_FOLDS <= len(rows) <= MOST_ROWS:
        return Smoothing()
    unit = np.arange(len(rows)) if groups is None else groups
    fold = generator(seed, "marginals").permutation(int(unit.max()) + 1)[unit] % N_FOLDS
    deviation = rows.std(axis=0)
    weight = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    levels = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    totals: dict[Smoothing, float] = {}
    for k in range(N_FOLDS):
        fit, held = rows[fold != k], rows[fold == k]
        if not len(fit) or not len(held):
            continue
        ordered = np.sort(fit, axis=0)
        for smoothing in SMOOTHINGS:
            quantiles = _smoothed(ordered, levels, feature_shape, smoothing)
            totals[smoothing] = totals.get(smoothing, 0.0) + float(_crps(quantiles, held) @ weight)
    return min(totals, key=lambda smoothing: totals[smoothing])


def _nearest_levels(values: Float, ordered: Float) -> Float:
    levels = np.unique(ordered)
    nearest: Float = levels[np.searchsorted(0.5 * (levels[1:] + levels[:-1]), values)]
    return nearest


def _crps(quantiles: Float, held: Float) -> Float:
    """Sum over held-out rows (h, d) of the CRPS of the distributions that stand evenly on quantiles (m, d): (d,)."""
    m = len(quantiles)
    error = np.zeros(quantiles.shape[1])
    for values in quantiles:
        error += np.abs(held - values).sum(axis=0)
    spread = ((2 * np.arange(m) + 1 - m) @ quantiles) / m**2
    total: Float = error / m - len(held) * spread
    return total
