"""One pattern of known columns in one space: the conditional mean of rows, and walks on the conditional dual function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._neighbors import squared_distances
from ..duals.local import noise_weights, weighted_rows
from .neighborhood import local_weights
from .regression import Regression
from .space import Space
from .target import Mask, Target

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# A walk of ln 2 relaxation times keeps half of what the regression missed at the row it starts from.
KEPT = 0.5
# A class's own mean is shrunk to the shared one as if its column had this deviation: hardly at all.
LABEL_WEIGHT = 3.0


@dataclass(frozen=True)
class Settings:
    """What the conditional dual function is made of; chosen by `choice` on rows left out.

    space : "scores" (normal scores) or "standard" (standardized columns)
    target : the covariance the regression is shrunk to: "diagonal", "half", "stationary" or "separable" (see `target.Target`)
    rho : how far it is shrunk, s / (1 - s) for a share s of the target
    n_neighbors : rows of the local Gaussian, nearest in the known columns; 0 where the shared regression alone is better
    shared : share of the shared covariance in the local one
    gain : share of the local correction that is taken
    n_errors : nearest rows whose errors the walk's noise is made of
    spread : what the noise is multiplied by: a row has larger errors than those near it, if there are few
    """

    space: str
    target: str
    rho: float
    n_neighbors: int = 0
    shared: float = 1.0
    gain: float = 0.0
    n_errors: int = 80
    spread: float = 1.0


@dataclass(frozen=True)
class Frame:
    """Training rows in one space, and what all patterns share: the target, label columns and groups.

    extra : (n, n_classes), LABEL_WEIGHT in the column of a row's class; (n, 0) where no labels are used
    groups : indices of the rows of every group, and group_codes the group of every row; None without groups
    """

    space: Space
    target: Target
    extra: Float
    groups: list[Index] | None = None
    group_codes: Index | None = None

    @property
    def points(self) -> Float:
        return self.space.points

    def same(self, members: Index) -> NDArray[np.bool_]:
        """(m, n): whether training rows are `members[r]` itself or of its group."""
        codes = np.arange(len(self.points)) if self.group_codes is None else self.group_codes
        same: NDArray[np.bool_] = codes[members][:, None] == codes
        return same


class Conditional:
    """The Gaussian of the unknown columns round any row, given its known columns."""

    def __init__(self, frame: Frame, known: Mask, settings: Settings, regression: Regression | None = None) -> None:
        self._frame, self._known, self.settings = frame, known, settings
        self.regression = regression or Regression(
            frame.points, known, frame.target, settings.target, frame.extra, frame.groups
        )
        self._fitted = self.regression.fitted_errors(settings.rho)
        self._keys = _keys(frame.points[:, known], frame.extra)

    def nearest_others(self, members: Index, k: int, pool: Index | None = None) -> Index:
        """(m, k): the rows of the pool nearest to training rows in the known columns, themselves and their groups left out.

        The pool is all training rows, or the places in `pool` are returned.
        """
        same = self._frame.same(members)
        if pool is None:
            return _nearest(self._keys[members], self._keys, k, same)
        return _nearest(self._keys[members], self._keys[pool], k, same[:, pool])

    def corrections(self, members: Index, weights: Float, neighbors: Index) -> Float:
        """sum_k v_k e_k at training rows `members`, with the errors e_k of the regression that leaves the row's group out."""
        rho, axes = self.settings.rho, self.regression.axes
        moved = weighted_rows(weights, neighbors, self._fitted)
        # The neighbours' leverage on the row, sum_k v_k H_kr: their errors change by it when the row is left out.
        leaning = weighted_rows(weights, neighbors, axes) * self.regression.gains(rho)
        total = weights.sum(axis=1) / len(axes)
        if self._frame.groups is None:
            leverage = np.einsum("mr,mr->m", leaning, axes[members]) + total
            moved += leverage[:, None] * self.regression.left_out_errors(rho, members)
            return moved
        missed = self.regression.left_out_errors(rho, np.arange(len(axes)))
        for group in self._frame.groups:
            inside = np.flatnonzero(np.isin(members, group))
            if len(inside):
                moved[inside] += (leaning[inside] @ axes[group].T + total[inside, None]) @ missed[group]
        return moved

    def errors(self, members: Index) -> Float:
        """What the conditional mean misses at training rows `members` (m, n_unknown), each left out with its group."""
        s = self.settings
        missed = self.regression.left_out_errors(s.rho, members)
        if s.n_neighbors:
            neighbors = self.nearest_others(members, s.n_neighbors)
            weights = self._weights(self.regression.axes[members], neighbors)
            missed -= s.gain * self.corrections(members, weights, neighbors)
        return missed

    def mean(self, z_known: Float, extra: Float) -> Float:
        """E[z_u | z_k] for new rows (m, n_unknown)."""
        s = self.settings
        mean, place = self.regression.predict(z_known, extra, s.rho)
        if s.n_neighbors:
            neighbors = _nearest(_keys(z_known, extra), self._keys, s.n_neighbors)
            mean += s.gain * weighted_rows(self._weights(place, neighbors), neighbors, self._fitted)
        return mean

    def walk(self, z_known: Float, extra: Float, n_draws: int, stream: np.random.Generator) -> Float:
        """(n_draws, m, n_unknown): exact Langevin walks on the conditional dual function, the known columns held."""
        mean = self.mean(z_known, extra)
        near = _nearest(_keys(z_known, extra), self._keys, self.settings.n_errors)
        rows, inverse = np.unique(near, return_inverse=True)
        return mean + diffuse(self.errors(rows) * self.settings.spread, inverse.reshape(near.shape), n_draws, stream)

    def _weights(self, place: Float, neighbors: Index) -> Float:
        s, size = self.settings, neighbors.shape[1]
        return local_weights(self.regression, s.rho, place, neighbors, (size,), (s.shared,))[size, s.shared]


def diffuse(errors: Float, near: Index, n_draws: int, stream: np.random.Generator) -> Float:
    """(n_draws, m, n_unknown) walks of length ln 2 from one of the near errors, under the covariance of the near errors.

    e = a (e_j - mean) + sqrt(1 - a^2) sum_k eps_k (e_k - mean) / sqrt(K - 1),    a = 1/2,    j uniform over the near rows.
    """
    m, k = near.shape
    noise = noise_weights(n_draws * m, k, stream) * math.sqrt(1.0 - KEPT**2)
    start = stream.integers(0, k, size=n_draws * m)
    noise -= KEPT / k
    noise[np.arange(n_draws * m), start] += KEPT
    return weighted_rows(noise, np.tile(near, (n_draws, 1)), errors).reshape(n_draws, m, errors.shape[1])


def label_columns(codes: Index, n_classes: int) -> Float:
    """(n, n_classes): the columns that stand for labels."""
    columns: Float = LABEL_WEIGHT * np.eye(n_classes)[codes]
    return columns


def _keys(z_known: Float, extra: Float) -> Float:
    """What nearness is measured on: the known columns, and labels so heavy that a row of another class comes last."""
    return np.hstack([z_known, extra * math.sqrt(1.0 + z_known.shape[1])]) if extra.shape[1] else z_known


def _nearest(keys: Float, pool: Float, k: int, barred: NDArray[np.bool_] | None = None) -> Index:
    squares = squared_distances(keys, pool)
    n_allowed = len(pool)
    if barred is not None:
        squares[barred] = np.inf
        n_allowed -= int(barred.sum(axis=1).max())
    return np.argsort(squares, axis=1, kind="stable")[:, : min(k, n_allowed)]
