"""One pattern of known columns in one space: the conditional mean of rows, and walks on the conditional dual function."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct
from .._neighbors import squared_distances
from ..duals.local import noise_weights, weighted_rows
from .neighborhood import local_weights
from .regression import AnyRegression, Regression
from .settings import Frame, Part, Settings
from .target import Mask

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# A walk of ln 2 relaxation times keeps half of what the regression missed at the row it starts from.
KEPT = 0.5
MOST_POOL = 2000  # rows that noise is made of
ROWS_AT_A_TIME = 512


class PartModel:
    """The conditional mean of the unknown columns that one part holds for, places `columns` among all unknown ones."""

    def __init__(self, regression: AnyRegression, part: Part, columns: Index) -> None:
        self.regression, self.part, self.columns = regression, part, columns
        self._fitted = regression.fitted_errors(part.rho, columns)

    def corrections(self, members: Index, weights: Float, neighbors: Index) -> Float:
        """sum_k v_k e_k at training rows `members`, with the errors e_k of the regression that leaves the row's group out."""
        regression, rho = self.regression, self.part.rho
        n = len(regression.left)
        moved = weighted_rows(weights, neighbors, self._fitted)
        # The neighbours' leverage on the row, sum_k v_k H_kr: their errors change by it when the row is left out.
        leaning = weighted_rows(weights, neighbors, regression.right(rho))
        total = weights.sum(axis=1) / n
        if regression.groups is None:
            leverage = np.einsum("mr,mr->m", leaning, regression.left[members]) + total
            moved += leverage[:, None] * regression.left_out_errors(rho, members, self.columns)
            return moved
        missed = regression.left_out_errors(rho, np.arange(n), self.columns)
        for group in regression.groups:
            inside = np.flatnonzero(np.isin(members, group))
            if len(inside):
                moved[inside] += (leaning[inside] @ regression.left[group].T + total[inside, None]) @ missed[group]
        return moved

    def errors(self, members: Index, neighbors: Index) -> Float:
        """What the mean misses at training rows `members`, each left out with its group."""
        missed = self.regression.left_out_errors(self.part.rho, members, self.columns)
        if self.part.n_neighbors:
            near = neighbors[:, : self.part.n_neighbors]
            weights = self._weights(self.regression.left[members], near)
            missed -= self.part.gain * self.corrections(members, weights, near)
        return missed

    def mean(self, z_known: Float, extra: Float, neighbors: Index) -> Float:
        """The mean of new rows."""
        mean, place = self.regression.predict(z_known, extra, self.part.rho, self.columns)
        if self.part.n_neighbors:
            near = neighbors[:, : self.part.n_neighbors]
            mean += self.part.gain * weighted_rows(self._weights(place, near), near, self._fitted)
        return mean

    def _weights(self, place: Float, neighbors: Index) -> Float:
        size, share = neighbors.shape[1], self.part.shared
        return local_weights(self.regression, self.part.rho, place, neighbors, (size,), (share,))[size, share]


class Conditional:
    """The Gaussian of the unknown columns round any row, given its known columns."""

    def __init__(
        self, frame: Frame, known: Mask, settings: Settings, regress: Callable[[Part], AnyRegression] | None = None
    ) -> None:
        self._frame, self._n_unknown = frame, int((~known).sum())
        self.settings = settings
        self._keys = _keys(frame.points[:, known], frame.extra)
        self.regress = regress or cache(
            lambda part: Regression(frame.points, known, frame.target, part.target, frame.extra, frame.groups)
        )
        self.parts = []
        for part, columns in zip(settings.parts, columns_of_parts(settings.parts, frame.channels[~known]), strict=True):
            if len(columns):
                self.parts.append(PartModel(self.regress(part), part, columns))
        # Errors of the rows that noise is made of, computed when they are asked for.
        self._pool = evenly(len(frame.points), MOST_POOL)
        self._missed = np.empty((len(self._pool), self._n_unknown))
        self._is_known = np.zeros(len(self._pool), dtype=bool)
        self._n_near = max(model.part.n_neighbors for model in self.parts)

    def nearest_others(self, members: Index, k: int, pool: Index | None = None) -> Index:
        """(m, k): the training rows nearest to training rows in the known columns, themselves and their groups left out.

        With a pool, only its rows count, and their places in it are returned.
        """
        same = self._frame.same(members)
        if pool is None:
            return _nearest(self._keys[members], self._keys, k, same)
        return _nearest(self._keys[members], self._keys[pool], k, same[:, pool])

    def errors(self, members: Index) -> Float:
        """What the conditional mean misses at training rows `members` (m, n_unknown), each left out with its group."""
        neighbors = self.nearest_others(members, self._n_near)
        missed = np.empty((len(members), self._n_unknown))
        for model in self.parts:
            missed[:, model.columns] = model.errors(members, neighbors)
        return missed

    def walk(self, z_known: Float, extra: Float, n_draws: int, stream: np.random.Generator) -> Float:
        """(n_draws, m, n_unknown): exact Langevin walks on the conditional dual function, the known columns held."""
        keys = _keys(z_known, extra)
        neighbors = _nearest(keys, self._keys, self._n_near)
        mean = np.empty((len(z_known), self._n_unknown))
        for model in self.parts:
            mean[:, model.columns] = model.mean(z_known, extra, neighbors)
        near = _nearest(keys, self._keys[self._pool], self.settings.n_errors)
        wanted = distinct(near)
        wanted = wanted[~self._is_known[wanted]]
        for begin in range(0, len(wanted), ROWS_AT_A_TIME):
            some = wanted[begin : begin + ROWS_AT_A_TIME]
            self._missed[some] = self.errors(self._pool[some])
            self._is_known[some] = True
        rows, place = np.unique(near, return_inverse=True)
        return mean + diffuse(self._missed[rows] * self.settings.spread, place.reshape(near.shape), n_draws, stream)


def columns_of_parts(parts: tuple[Part, ...], channels: Index) -> list[Index]:
    """For every part, the places of its columns among unknown columns of these channels."""
    owner = np.zeros(len(channels), dtype=np.intp)
    for p, part in enumerate(parts):
        if part.channels is not None:
            owner[np.isin(channels, part.channels)] = p
    return [np.flatnonzero(owner == p) for p in range(len(parts))]


def evenly(n: int, most: int) -> Index:
    """At most `most` of n indices, evenly spaced."""
    return distinct(np.linspace(0, n - 1, min(n, most)).astype(np.intp))


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
