"""The regression of the unknown columns on the known ones, shared by all rows, with its errors at rows left out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .target import Mask, Target

Float = NDArray[np.float64]
Index = NDArray[np.intp]

RANK_TOLERANCE = 1e-10
LEAST_FREEDOM = 1e-12


class AnyRegression(Protocol):
    """What the local part asks of a regression; `columns` are places among the unknown columns."""

    groups: list[Index] | None

    @property
    def left(self) -> Float:
        """Places of the training rows, (n, rank)."""

    def right(self, rho: float) -> Float:
        """(n, rank), so that the fitted values are H times the true ones, H = 1/n + left right^T."""

    def fitted_errors(self, rho: float, columns: Index, members: Index | None = None) -> Float:
        """What the regression misses at all (or some) training rows, (n, len(columns))."""

    def left_out_errors(self, rho: float, members: Index, columns: Index) -> Float:
        """The same for training rows `members`, each left out with its group."""

    def predict(self, z_known: Float, extra: Float, rho: float, columns: Index) -> tuple[Float, Float]:
        """The mean of new rows (m, len(columns)), and their places (m, rank)."""


class Regression:
    """Mean of the unknown columns u given the known ones k under N(mean, S), S = (1 - s) sample covariance + s target T.

    With T_kk = L L^T, w = L^-1 (z_k - mean_k) and B_0 = T_uk L^-T, it is the ridge regression of the target's own errors:

        E[z_u | z_k] = mean_u + B_0 w + B w,     B = argmin sum_i |r_i - B w_i|^2 + n rho |B|^2,    r_i = z_iu - mean_u - B_0 w_i,

    where rho = s / (1 - s). With w_i = diag(sqrt lambda) p_i in the principal axes of the w (P^T P = I), fitted values are
    P diag(g) P^T r, g = lambda / (lambda + n rho), for every rho at once; and the error at row i, had i (or its group) been left
    out, is (I - H_ii)^-1 (r_i - fitted_i), H = 1/n + P diag(g) P^T: no second fit is needed.

    `extra` (n, e): known columns that the target says nothing of (labels), in units in which the ridge penalty is 1.
    """

    def __init__(self, points: Float, known: Mask, target: Target, name: str, extra: Float, groups: list[Index] | None) -> None:
        self._known, self.groups = known, groups
        self._whitening, self._prior = target.whitening(name, known)
        self._mean, self._extra_mean = points.mean(axis=0), extra.mean(axis=0)
        white = self._white(points[:, known], extra)
        residual = points[:, ~known] - self._mean[~known]
        residual -= self._from_target(white, np.arange(residual.shape[1]))
        n, n_white = white.shape
        if n <= n_white:
            power, axes = np.linalg.eigh(white @ white.T)
            keep = power > RANK_TOLERANCE * max(power[-1], 1e-300)
            power, axes = power[keep], axes[:, keep]
            self._to_axes = white.T @ (axes / power)
        else:
            power, directions = np.linalg.eigh(white.T @ white)
            keep = power > RANK_TOLERANCE * max(power[-1], 1e-300)
            power = power[keep]
            self._to_axes = directions[:, keep] / np.sqrt(power)
            axes = white @ self._to_axes
        self.power: Float = power
        self.axes: Float = axes  # P: (n, rank)
        self._loadings: Float = axes.T @ residual
        # What no regression reaches, and 1 - H_ii without shrinkage; both are 0 where there are more known columns than rows.
        self._beyond = residual - axes @ self._loadings
        self._free = np.maximum(1.0 - 1.0 / n - (axes**2).sum(axis=1), 0.0)

    def gains(self, rho: float) -> Float:
        """g, one a principal axis."""
        gains: Float = self.power / (self.power + rho * len(self.axes))
        return gains

    @property
    def left(self) -> Float:
        """P, with `right`: H = 1/n + left right^T."""
        return self.axes

    def right(self, rho: float) -> Float:
        """P diag(g), (n, rank)."""
        right: Float = self.axes * self.gains(rho)
        return right

    # `columns` are places among the unknown columns.

    def fitted_errors(self, rho: float, columns: Index, members: Index | None = None) -> Float:
        """r - fitted at all (or some) training rows, (n, len(columns))."""
        rows = slice(None) if members is None else members
        fitted: Float = self._beyond[rows][:, columns]
        fitted += self.axes[rows] @ (self._losses(rho)[:, None] * self._loadings[:, columns])
        return fitted

    def left_out_errors(self, rho: float, members: Index, columns: Index) -> Float:
        """What the regression misses at training rows `members` (m, len(columns)), each left out with its group."""
        losses = self._losses(rho)
        if self.groups is None:
            missed = self.fitted_errors(rho, columns, members)
            missed /= np.maximum(self._free[members] + (self.axes[members] ** 2) @ losses, LEAST_FREEDOM)[:, None]
            return missed
        fitted = self.fitted_errors(rho, columns)
        for rows in self.groups:
            axes = self.axes[rows]
            freedom = np.eye(len(rows)) - 1.0 / len(self.axes) - axes @ axes.T + (axes * losses) @ axes.T
            freedom[np.diag_indices_from(freedom)] += LEAST_FREEDOM
            fitted[rows] = np.linalg.solve(freedom, fitted[rows])
        return fitted[members]

    def predict(self, z_known: Float, extra: Float, rho: float, columns: Index) -> tuple[Float, Float]:
        """E[z_u | z_k] (m, len(columns)) of new rows, and their coordinates in the principal axes (m, rank)."""
        white = self._white(z_known, extra)
        place = white @ self._to_axes
        mean: Float = self._mean[~self._known][columns] + self._from_target(white, columns)
        mean += place @ (self.gains(rho)[:, None] * self._loadings[:, columns])
        return mean, place

    def _losses(self, rho: float) -> Float:
        """1 - g, exact where g is nearly 1."""
        losses: Float = rho * len(self.axes) / (self.power + rho * len(self.axes))
        return losses

    def _white(self, z_known: Float, extra: Float) -> Float:
        centred = z_known - self._mean[self._known]
        white = centred * self._whitening if self._whitening.ndim == 1 else centred @ self._whitening.T
        return np.hstack([white, extra - self._extra_mean]) if extra.shape[1] else white

    def _from_target(self, white: Float, columns: Index) -> Float:
        product: Float = white[:, : self._prior.shape[1]] @ self._prior[columns].T
        return product
