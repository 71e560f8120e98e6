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
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import _device, backends
from .._arrays import distinct
from .._random import generator
from .._threads import resolve_n_threads
from ..normal_scores import n_up_to, tied_columns

Float = NDArray[np.float64]
Index = NDArray[np.intp]

N_FOLDS = 5
N_LEVELS = 25  # quantiles that stand for a distribution while smoothings are compared
MOST_ROWS = 2000  # whose marginals need smoothing
NUMBERS_ON_DEVICE = 2**25  # weights of pooled values at a time, there


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
        tied = np.flatnonzero(_device.to_host(self._tied))
        if _device.is_on_device(rows) and len(tied):
            columns = _device.beside(tied, rows)
            self.table[:, columns] = observed_levels(self.table[:, columns], ordered[:, columns])
            return
        for j in tied:
            self.table[:, j] = _nearest_levels(self.table[:, j], ordered[:, j])

    def balanced(self, points: Float, stream: np.random.Generator) -> Float:
        """Values for a block of points (m, d), in any units: column by column, rank r of m takes the quantile (r + u) / m.

        One u a row, uniform in (0, 1), serves all its columns: what is smooth over time stays so.
        """
        place = _device.beside(np.asarray(stream.random(len(points))), points)
        job = backends.job("balance_columns", None, points)
        values: Float = job(points, place, self.table, self._tied, resolve_n_threads())
        return values

    def placed(self, points: Float, pool: Float, stream: np.random.Generator) -> Float:
        """Values for points (m, d), row by row on its own: a point's rank in the sorted columns of `pool` picks the quantile."""
        place = stream.random(len(points))
        if _device.is_on_device(points):
            return self._placed_together(points, pool, _device.beside(place, points))
        values = np.empty_like(points)
        n, size = len(self.table), len(pool) + 1
        for j, (column, levels) in enumerate(zip(points.T, self.table.T, strict=True)):
            probability = (np.searchsorted(pool[:, j], column) + place) / size
            position = np.clip(probability * n - 0.5, 0.0, n - 1.0)
            if self._tied[j]:
                position = np.floor(position + 0.5)
            values[:, j] = np.interp(position, np.arange(n), levels)
        return values

    def _placed_together(self, points: Float, pool: Float, place: Float) -> Float:
        """`placed` for all columns side by side: on a device a launch costs more than a column."""
        n, size = len(self.table), len(pool) + 1
        below = len(pool) - n_up_to(-pool[::-1], -points)
        position = np.clip((below + place[:, None]) / size * n - 0.5, 0.0, n - 1.0)
        position = np.where(self._tied, np.floor(position + 0.5), position)
        lower = position.astype(np.intp)
        low, high = (np.take_along_axis(self.table, at, axis=0) for at in (lower, np.minimum(lower + 1, n - 1)))
        values: Float = low + (position - lower) * (high - low)
        return values


def _smoothed(ordered: Float, levels: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> Float:
    """Quantile functions (len(levels), d) of sorted columns (n, d), as `smoothing` shares them over the times of a channel."""
    if smoothing.kind == "values" and smoothing.share > 0.0:
        return _mixed(ordered, levels, feature_shape, smoothing)
    own = _between(ordered, levels)
    if smoothing.share == 0.0:
        return own
    series = own.reshape(len(own), *feature_shape)
    average = series @ _device.beside(_window(feature_shape[1], smoothing.width).T, series)
    shared: Float = (series + smoothing.share * (average - series)).reshape(own.shape)  # increasing, as an average of such
    return shared


def _between(ordered: Float, levels: Float) -> Float:
    """Quantiles of sorted columns by Hazen's rule: sorted value k of n stands at (k + 1/2) / n."""
    position = np.clip(levels * len(ordered) - 0.5, 0.0, len(ordered) - 1.0)
    lower = position.astype(np.intp)
    share = (position - lower)[:, None]
    upper = np.minimum(lower + 1, len(ordered) - 1)
    exact = not share.any()
    lower, upper, share = (_device.beside(part, ordered) for part in (lower, upper, share))
    if exact:
        own: Float = ordered[lower]
        return own
    between: Float = (1.0 - share) * ordered[lower] + share * ordered[upper]
    return between


def _mixed(ordered: Float, levels: Float, feature_shape: tuple[int, ...], smoothing: Smoothing) -> Float:
    """Quantiles of the weighted values of all times of a channel."""
    n, (n_channels, n_times) = len(ordered), feature_shape
    weights = (1.0 - smoothing.share) * np.eye(n_times) + smoothing.share * _window(n_times, smoothing.width)
    same_for_all = math.isinf(smoothing.width) and smoothing.share == 1.0
    if _device.is_on_device(ordered):
        own = weights[:1] if same_for_all else weights
        return np.concatenate([_mixed_together(part, levels, own) for part in _channels(ordered, n_times, len(own))], axis=1)
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


def _channels(ordered: Float, n_times: int, n_laws: int) -> list[Float]:
    """Columns (n, channels x n_times), some whole channels at a time."""
    step = n_times * max(1, NUMBERS_ON_DEVICE // (len(ordered) * n_times * n_laws))
    return [ordered[:, begin : begin + step] for begin in range(0, ordered.shape[1], step)]


def _mixed_together(ordered: Float, levels: Float, weights: Float) -> Float:
    """`_mixed` of some channels at once, on their device: weights (n_laws, n_times), one law for every time or one for all."""
    n, (n_laws, n_times) = len(ordered), weights.shape
    xp = _device.namespace(ordered)
    pooled = ordered.reshape(n, -1, n_times).transpose(0, 2, 1).reshape(n * n_times, -1)  # rows: (row, time); columns: channels
    order = np.argsort(pooled, axis=0, kind="stable")
    pooled = np.take_along_axis(pooled, order, axis=0)
    weight = xp.asarray(weights)[:, order % n_times] / n  # (n_laws, n n_times, channels)
    middles = (np.cumsum(weight, axis=1) - 0.5 * weight).transpose(2, 0, 1).reshape(-1, len(pooled))  # rows: (channel, law)
    which = xp.arange(len(middles))[:, None]
    asked = xp.asarray(levels)
    # all between 0 and 1: two apart, every row follows the one before it, and one search finds all places
    found = np.searchsorted((middles + 2.0 * which).ravel(), (asked + 2.0 * which).ravel(), side="right")
    upper = found.reshape(len(middles), -1) - which * len(pooled)
    lower, upper = np.maximum(upper - 1, 0), np.minimum(upper, len(pooled) - 1)
    gap = middles[which, upper] - middles[which, lower]
    share = np.clip((asked - middles[which, lower]) / np.where(gap > 0, gap, np.inf), 0.0, 1.0)
    low, high = (pooled[at, which // n_laws] for at in (lower, upper))
    quantiles = low + share * (high - low)  # (channels x n_laws, n_levels)
    return np.repeat(quantiles.T, n_times // n_laws, axis=1)


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
    weight = np.where(deviation > 0, 1.0 / np.where(deviation > 0, deviation, 1.0), 0.0)
    levels = (np.arange(N_LEVELS) + 0.5) / N_LEVELS
    totals: dict[Smoothing, Any] = {}
    for k in range(N_FOLDS):
        fit, held = (rows[_device.beside(np.flatnonzero(side), rows)] for side in (fold != k, fold == k))
        if not len(fit) or not len(held):
            continue
        ordered = np.sort(fit, axis=0)
        for smoothing in SMOOTHINGS:
            quantiles = _smoothed(ordered, levels, feature_shape, smoothing)
            totals[smoothing] = totals.get(smoothing, 0.0) + _crps(quantiles, held) @ weight
    read = dict(zip(totals, _device.floats(*totals.values()), strict=True))
    return min(read, key=lambda smoothing: read[smoothing])


def _nearest_levels(values: Float, ordered: Float) -> Float:
    levels = distinct(ordered)
    nearest: Float = levels[np.searchsorted(0.5 * (levels[1:] + levels[:-1]), values)]
    return nearest


def observed_levels(values: Float, ordered: Float) -> Float:
    """The nearest entry of each sorted column (n, d) to each of its values (m, d): the lower one from half way down."""
    above = n_up_to(ordered, values)
    low = np.take_along_axis(ordered, np.maximum(above - 1, 0), axis=0)
    high = np.take_along_axis(ordered, np.minimum(above, len(ordered) - 1), axis=0)
    return np.where(values > 0.5 * low + 0.5 * high, high, low)


def _crps(quantiles: Float, held: Float) -> Float:
    """Sum over held-out rows (h, d) of the CRPS of the distributions that stand evenly on quantiles (m, d): (d,)."""
    m = len(quantiles)
    error = np.zeros_like(quantiles[0])
    if _device.is_on_device(held):
        step = max(1, NUMBERS_ON_DEVICE // quantiles.size)
        for begin in range(0, len(held), step):
            error += np.abs(held[begin : begin + step, None] - quantiles).sum(axis=(0, 1))
    else:
        for values in quantiles:
            error += np.abs(held - values).sum(axis=0)
    spread = (_device.beside(2.0 * np.arange(m) + 1 - m, quantiles) @ quantiles) / m**2
    total: Float = error / m - len(held) * spread
    return total
