"""The covariance that regressions are shrunk to: diagonal, channels x time (separable), or half of each."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .._ladder.covariance import _fit_separable, _Separable

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Share of the separable covariance in each target. A separable one foretells times from times; where a whole channel is
# unknown, it says too much, and the diagonal one or half of each does better.
TARGETS = {"diagonal": 0.0, "half": 0.5, "separable": 1.0}
# More known columns than this: the separable target's matrix of known x known columns is not formed.
MOST_KNOWN = 3000
JITTER = 1e-9


class Target:
    """Deviations of the points' columns and their separable correlation, (channels x channels) x (times x times)."""

    def __init__(self, points: Float, feature_shape: tuple[int, ...]) -> None:
        self._points = points
        self._shape = feature_shape
        deviation: Float = points.std(axis=0)
        self.deviation = np.where(deviation > 1e-9, deviation, 1.0)

    def names(self, n_known: int) -> tuple[str, ...]:
        """The targets that can be tried."""
        series = len(self._shape) == 2 and min(self._shape) >= 2
        return tuple(TARGETS) if series and n_known <= MOST_KNOWN else ("diagonal",)

    @cached_property
    def _separable(self) -> _Separable:
        unit = (self._points - self._points.mean(axis=0)) / self.deviation
        return _fit_separable(unit.reshape(-1, *self._shape))

    def whitening(self, name: str, known: Mask) -> tuple[Float, Float]:
        """L^-1 and T_uk L^-T for the target T = [[T_kk, .], [T_uk, .]], T_kk = L L^T; a vector in place of a diagonal L^-1."""
        share = TARGETS[name]
        if share == 0.0:
            return 1.0 / self.deviation[known], np.zeros((int((~known).sum()), 0))
        inside = self._correlation(known, known) * share
        inside[np.diag_indices_from(inside)] += 1.0 - share + JITTER
        inside *= np.outer(self.deviation[known], self.deviation[known])
        inverse: Float = np.linalg.inv(np.linalg.cholesky(inside))
        across = self._correlation(~known, known) * np.outer(self.deviation[~known], self.deviation[known] * share)
        return inverse, across @ inverse.T

    def _correlation(self, rows: Mask, columns: Mask) -> Float:
        model = self._separable
        channels, times = model.channels @ model.channels.T, model.times @ model.times.T
        (a, s), (b, t) = (np.nonzero(mask.reshape(self._shape)) for mask in (rows, columns))
        block: Float = channels[np.ix_(a, b)] * times[np.ix_(s, t)]
        block /= np.outer(model.scale[a, s], model.scale[b, t])
        return block
