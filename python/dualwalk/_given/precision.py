"""The shared regression for many patterns at one shrinkage: all of them are read off one inverse of the whole covariance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .settings import Frame
from .target import Mask

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Where the whole covariance is inverted once: it must fit, and be well conditioned.
MOST_COLUMNS, LEAST_RHO = 2000, 1e-3


class Shrunk:
    """The precision Q of S = sample covariance + rho x target, and the training rows Z (centred) seen through it."""

    def __init__(self, frame: Frame, name: str, rho: float) -> None:
        self.groups = frame.groups
        self.mean = np.concatenate([frame.points.mean(axis=0), frame.extra.mean(axis=0)])
        self.rows = np.hstack([frame.points, frame.extra]) - self.mean
        n, d = frame.points.shape
        covariance = self.rows.T @ self.rows / n
        covariance[:d, :d] += rho * frame.target.whole(name)
        covariance[d:, d:] += rho * np.eye(len(covariance) - d)
        self.precision: Float = np.linalg.inv(covariance)
        self.seen: Float = self.rows @ self.precision
        self.energy: Float = np.einsum("ij,ij->i", self.seen, self.rows)


class PatternRegression:
    """What `Regression` is, at one rho and for one pattern of known columns k, in O(n |u|^2).

    Of a Gaussian with precision Q, what the mean of z_u given z_k misses is Q_uu^-1 (Q z)_u, and z_k^T S_kk^-1 z_k is
    z^T Q z less (Q z)_u^T Q_uu^-1 (Q z)_u.
    """

    def __init__(self, shrunk: Shrunk, known: Mask) -> None:
        self._shrunk, self.groups = shrunk, shrunk.groups
        self._unknown = np.flatnonzero(~known)
        self._rest = np.setdiff1d(np.arange(len(shrunk.mean)), self._unknown)
        seen = shrunk.seen[:, self._unknown]
        among_unknown: Float = shrunk.precision[np.ix_(self._unknown, self._unknown)]
        self._inner: Float = np.linalg.inv(among_unknown).astype(np.float64, copy=False)
        self._fitted: Float = (seen @ self._inner).astype(np.float64, copy=False)
        n = len(seen)
        self._leverage = (shrunk.energy - np.einsum("ij,ij->i", self._fitted, seen) + 1.0) / n
        self.left: Float = shrunk.rows.copy()
        self.left[:, self._unknown] -= self._fitted
        self._right: Float = shrunk.seen / n

    def right(self, rho: float) -> Float:
        """H = 1/n + left right^T."""
        return self._right

    def fitted_errors(self, rho: float, columns: Index, members: Index | None = None) -> Float:
        """As `Regression.fitted_errors`."""
        return self._fitted[:, columns] if members is None else self._fitted[np.ix_(members, columns)]

    def left_out_errors(self, rho: float, members: Index, columns: Index) -> Float:
        """As `Regression.left_out_errors`."""
        if self.groups is None:
            alone: Float = self._fitted[np.ix_(members, columns)] / (1.0 - self._leverage[members])[:, None]
            return alone
        missed = self._fitted[:, columns]
        for rows in self.groups:
            hat = self.left[rows] @ self._right[rows].T + 1.0 / len(self.left)
            missed[rows] = np.linalg.solve(np.eye(len(rows)) - hat, missed[rows])
        return missed[members]

    def predict(self, z_known: Float, extra: Float, rho: float, columns: Index) -> tuple[Float, Float]:
        """As `Regression.predict`; the place of a row is the row itself, completed."""
        shrunk = self._shrunk
        place = np.zeros((len(z_known), len(shrunk.mean)))
        place[:, self._rest] = np.hstack([z_known, extra]) - shrunk.mean[self._rest]
        place[:, self._unknown] = -(place[:, self._rest] @ shrunk.precision[np.ix_(self._rest, self._unknown)]) @ self._inner
        mean: Float = (shrunk.mean + place)[:, self._unknown[columns]]
        return mean, place
