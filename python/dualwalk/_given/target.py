"""The covariance that regressions are shrunk to: diagonal, channels x times, channels x stationary times, or half diagonal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._ladder.covariance import _fit_separable
from .._lazy import cached_property

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

# More known columns than this: no matrix of known x known columns is formed for a target.
MOST_KNOWN = 3000
# Errors at rows left out hold the target as it is. That is fair while a row has little weight in it: fewer times than this share
# of the series they are learned from (40 x 6 series of 100 times: an error of .57 was seen, of 1.4 met).
MOST_TIMES = 0.12
SMALLEST_POWER = 1e-6  # of a stationary correlation's eigenvalues, where lags that are learned one by one make it indefinite
JITTER = 1e-10


@dataclass(frozen=True)
class _Correlation:
    """Between channels, between times, and what the product is divided by in every channel and time."""

    channels: Float
    times: Float
    scale: Float

    def block(self, rows: Mask, columns: Mask) -> Float:
        (a, s), (b, t) = (np.nonzero(mask.reshape(self.scale.shape)) for mask in (rows, columns))
        block: Float = self.channels[np.ix_(a, b)] * self.times[np.ix_(s, t)]
        block /= np.outer(self.scale[a, s], self.scale[b, t])
        return block


class Target:
    """Deviations of the points' columns, and for series their correlations (channels x channels) x (times x times).

    "diagonal" knows no correlation; "separable" foretells times from times and channels from channels; "stationary" has times
    correlated by their lag alone, which takes few rows to learn; "half" is the mean of the diagonal one and the best the rows
    allow: where a whole channel is unknown, the others say too much.
    """

    def __init__(self, points: Float, feature_shape: tuple[int, ...]) -> None:
        deviation: Float = points.std(axis=0)
        self.deviation = np.where(deviation > 1e-9, deviation, 1.0)
        self._points, self._shape = points, feature_shape
        self._series = len(feature_shape) == 2 and feature_shape[1] >= 4
        self._enough = self._series and feature_shape[0] > 1 and feature_shape[1] <= MOST_TIMES * len(points) * feature_shape[0]

    def names(self, n_known: int) -> tuple[str, ...]:
        """The targets that can be tried."""
        if not self._series or n_known > MOST_KNOWN:
            return ("diagonal",)
        return ("diagonal", "half", "stationary", "separable") if self._enough else ("diagonal", "half", "stationary")

    def whitening(self, name: str, known: Mask) -> tuple[Float, Float]:
        """L^-1 and T_uk L^-T for the target T = [[T_kk, .], [T_uk, .]], T_kk = L L^T; a vector in place of a diagonal L^-1."""
        if name == "diagonal":
            return 1.0 / self.deviation[known], np.zeros((int((~known).sum()), 0))
        model = self.correlation(name)
        share = 0.5 if name == "half" else 1.0
        inside = model.block(known, known) * share
        inside[np.diag_indices_from(inside)] += 1.0 - share + JITTER
        inside *= np.outer(self.deviation[known], self.deviation[known])
        inverse: Float = np.linalg.inv(np.linalg.cholesky(inside))
        across = model.block(~known, known) * np.outer(self.deviation[~known], self.deviation[known] * share)
        return inverse, across @ inverse.T

    def whole(self, name: str) -> Float:
        """T, (d, d)."""
        every = np.ones(self.deviation.shape, dtype=bool)
        if name == "diagonal":
            return np.diag(self.deviation**2)
        share = 0.5 if name == "half" else 1.0
        whole = self.correlation(name).block(every, every) * share
        whole[np.diag_indices_from(whole)] += 1.0 - share + JITTER
        whole *= np.outer(self.deviation, self.deviation)
        return whole

    def correlation(self, name: str) -> _Correlation:
        """What the target of this name is made of, the diagonal aside."""
        return self._separable if name == "separable" or (name == "half" and self._enough) else self._stationary

    @cached_property
    def _units(self) -> Float:
        unit = (self._points - self._points.mean(axis=0)) / self.deviation
        units: Float = unit.reshape(-1, *self._shape)
        return units

    @cached_property
    def _separable(self) -> _Correlation:
        model = _fit_separable(self._units)
        return _Correlation(model.channels @ model.channels.T, model.times @ model.times.T, model.scale)

    @cached_property
    def _stationary(self) -> _Correlation:
        """Times by lag: the mean over rows, channels and times at that lag; channels from the series whitened in time."""
        units = self._units
        n, n_channels, n_times = units.shape
        product = np.einsum("ncs,nct->st", units, units, optimize=True) / (n * n_channels)
        lags = np.abs(np.subtract.outer(np.arange(n_times), np.arange(n_times)))
        mean = np.bincount(lags.ravel(), product.ravel()) / np.bincount(lags.ravel())
        power, axes = np.linalg.eigh(mean[lags])
        power = np.maximum(power, SMALLEST_POWER * power[-1])
        times = (axes * power) @ axes.T
        white = units @ (axes / np.sqrt(power))
        channels = np.tensordot(white, white, axes=([0, 2], [0, 2])) / (n * n_times)
        channels += (1e-6 * np.trace(channels) / n_channels + 1e-12) * np.eye(n_channels)
        return _Correlation(channels, times, np.sqrt(np.outer(np.diagonal(channels), np.diagonal(times))))
