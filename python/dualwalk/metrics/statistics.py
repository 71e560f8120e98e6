"""Moments of generated samples beside those of real ones: correlations, marginals, spikes in time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._blas import one_blas_thread
from .._random import generator
from ._rows import Float, Units, read

MOST_FEATURES = 1000  # of more, as many are drawn: all pairs of them are looked at
MOST_LAGS = 24


@dataclass(frozen=True)
class CorrelationError:
    """Mean absolute differences of correlations.

    Attributes
    ----------
    features : over all pairs of features.
    channels : over all pairs of channels, all times together; nan for fewer than two channels.
    times : of the autocorrelations, over channels and lags up to 24; nan for fewer than two times.
    """

    features: float
    channels: float
    times: float


def _correlation(rows: Float) -> Float:
    """Of all pairs of columns; 0 with a constant one."""
    centered = rows - rows.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", centered, centered))
    constant = length <= 1e-12 * (np.abs(rows).max(axis=0) + 1e-300) * math.sqrt(len(rows))
    unit = centered / np.where(constant, np.inf, length)
    correlation: Float = unit.T @ unit
    return correlation


def _autocorrelation(series: Float) -> Float:
    """Of every channel at lags 1 to 24, all rows and times together, (n_channels, n_lags); 0 for a constant channel."""
    centered = series - series.mean(axis=(0, 2), keepdims=True)
    variance = np.mean(centered**2, axis=(0, 2))
    floor = 1e-24 * np.max(np.abs(series), axis=(0, 2)) ** 2 + 1e-300
    variance = np.where(variance > floor, variance, np.inf)
    lags = range(1, min(MOST_LAGS, series.shape[2] - 1) + 1)
    return np.stack([np.mean(centered[..., lag:] * centered[..., :-lag], axis=(0, 2)) / variance for lag in lags], axis=1)


def correlation_of(real: Float, generated: Float, shape: tuple[int, ...], seed: int) -> CorrelationError:
    """The three errors of rows whose samples have `shape`."""
    columns = np.arange(real.shape[1])
    if len(columns) > MOST_FEATURES:
        columns = np.sort(generator(seed, "metrics", "features").permutation(columns)[:MOST_FEATURES])
    features = _pairs_error(real[:, columns], generated[:, columns])
    if len(shape) == 1:
        return CorrelationError(features, math.nan, math.nan)
    a, b = (rows.reshape(len(rows), *shape) for rows in (real, generated))
    n_channels, n_times = shape
    channels = _pairs_error(*(np.moveaxis(x, 1, 2).reshape(-1, n_channels) for x in (a, b)))
    times = float(np.abs(_autocorrelation(a) - _autocorrelation(b)).mean()) if n_times > 1 else math.nan
    return CorrelationError(features, channels, times)


def _pairs_error(a: Float, b: Float) -> float:
    if a.shape[1] < 2:
        return math.nan
    above = np.triu_indices(a.shape[1], 1)
    return float(np.abs(_correlation(a)[above] - _correlation(b)[above]).mean())


def marginal_of(real: Float, generated: Float) -> float:
    """Mean over columns of the 1-D Wasserstein distance between rows in common units.

    Between two neighbouring steps i / n or j / m of the two distribution functions both quantile functions are constant.
    """
    a, b = np.sort(real, axis=0), np.sort(generated, axis=0)
    steps = np.union1d(np.arange(len(a) + 1) * len(b), np.arange(len(b) + 1) * len(a))  # in units of 1 / (n m): exact
    start, width = steps[:-1], np.diff(steps) / (len(a) * len(b))
    gaps = np.abs(a[start // len(b)] - b[start // len(a)])
    return float((width @ gaps).mean())


@one_blas_thread()
def correlation_error(real: ArrayLike, generated: ArrayLike, *, random_state: int = 0) -> CorrelationError:
    """How far the correlations of generated samples are from those of real ones, mean absolute differences.

    Parameters
    ----------
    real, generated : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows each; not
        changed. Single series without channels: pass X[:, None, :] for the autocorrelations.
    random_state : int; of more than 1000 features, as many are drawn for `.features`. Nothing else is random.

    Returns
    -------
    CorrelationError with `.features`, `.channels` and `.times`. A second real sample of n rows has about .8 / sqrt(n) to
    1.1 / sqrt(n) in `.features`; a correlation with a constant counts as 0.

    Raises TypeError or ValueError for arrays that cannot be used, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((500, 2, 1))
    >>> same = np.concatenate([x[:, :1], x[:, :1]], axis=1)       # correlation 1 against about 0
    >>> round(correlation_error(x, same).channels, 1)
    1.0
    """
    seed = _checks.seed(random_state, "random_state")
    (a, b), shape = read({"real": real, "generated": generated})
    return correlation_of(a, b, shape, seed)


def marginal_error(real: ArrayLike, generated: ArrayLike) -> float:
    """The mean over features of the 1-D Wasserstein distance between real and generated values, in standard deviations.

        W_j = integral |F_j^-1(u) - G_j^-1(u)| du,   divided by the deviation of the real column j

    Parameters
    ----------
    real, generated : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows each; not
        changed. No unit is below a tenth of the median deviation.

    Returns
    -------
    float: 0 for equal marginals; a second real sample of n normal rows has about .8 / sqrt(n / 2).

    Raises TypeError or ValueError for arrays that cannot be used, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((50, 3))
    >>> float(round(marginal_error(x / x.std(axis=0), x / x.std(axis=0) + 0.25), 6))
    0.25
    """
    (a, b), _ = read({"real": real, "generated": generated})
    scaled = Units.of(a)
    return marginal_of(scaled(a), scaled(b))


def difference_kurtosis(X: ArrayLike) -> float:
    """The kurtosis of the steps from one time to the next: 3 for normal steps, more for series that jump, spike or hold.

        mean_c  E[(D - E D)^4] / (E[(D - E D)^2])^2,   D = x[:, c, 1:] - x[:, c, :-1], all rows and times together

    Parameters
    ----------
    X : array (n, n_times) of single series, or (n, n_channels, n_times); finite, any real dtype, at least two rows and two
        times; not changed.

    Returns
    -------
    float, the mean over channels; channels whose steps are all equal do not count, nan where all are so. Compare it with that
    of real rows: a generator that smooths reads low.

    Raises TypeError or ValueError for an array that cannot be used, before any work.

    Examples
    --------
    >>> import numpy as np
    >>> steps = np.random.default_rng(0).standard_normal((2000, 20))
    >>> round(difference_kurtosis(steps.cumsum(axis=1)), 1)
    3.0
    """
    (rows,), shape = read({"X": X})
    if shape[-1] < 2:
        raise ValueError(f"X must have at least two times; got shape {np.shape(X)} (time is the last axis)")
    return kurtosis_of(rows, shape)


def kurtosis_of(rows: Float, shape: tuple[int, ...]) -> float:
    steps = np.diff(rows.reshape(len(rows), -1, shape[-1]), axis=2)
    size = np.abs(steps).max(axis=(0, 2))
    steps = steps - steps.mean(axis=(0, 2), keepdims=True)
    second = np.mean(steps**2, axis=(0, 2))
    moving = second > 1e-20 * size**2
    if not moving.any():
        return math.nan
    fourth = np.mean(steps[:, moving] ** 4, axis=(0, 2))
    return float((fourth / second[moving] ** 2).mean())
