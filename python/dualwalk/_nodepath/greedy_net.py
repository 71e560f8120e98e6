"""Sparse Gaussian networks by forward selection: every column is regressed on the earlier columns that help most.

All columns choose side by side. A column's next parent is the earlier column with the largest partial correlation given the
parents it has; a pivoted Cholesky recursion per column keeps those up to date without solving anything twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .conditionals import Sparse, independent

Floats = NDArray[np.float64]

_MOST_CANDIDATES = 64  # earlier columns a column chooses its parents from: those of largest correlation
_LEAST_VARIANCE = 1e-3  # a candidate that its fellow parents explain to this share brings rounding errors only
_BLOCK, _BLOCK_ON_DEVICE = 1 << 22, 1 << 26  # numbers in a block of columns: a cacheful, and half a GiB


@dataclass(frozen=True)
class GreedyNet:
    """Parents in order of choice, (d, k) places in path order, and the partial correlation of each when it was chosen."""

    parents: NDArray[np.intp]
    partial: Floats
    correlation: Floats
    n_rows: int

    @classmethod
    def grow(cls, correlation: Floats, n_rows: int, most: int) -> GreedyNet:
        """Up to `most` parents a column; `correlation` (d, d) of `n_rows` rows, in path order."""
        xp, d = _device.namespace(correlation), len(correlation)
        most = min(most, d - 1)
        parents = xp.zeros((d, most), dtype=np.intp)
        partial = xp.zeros((d, most))
        width = min(d, _MOST_CANDIDATES)
        at_once = max(1, (_BLOCK if xp is np else _BLOCK_ON_DEVICE) // (width * (most + 4) + d))
        for start in range(0, d, at_once):
            block = slice(start, min(d, start + at_once))
            parents[block], partial[block] = _grow_block(correlation, xp.arange(d)[block], width, most)
        return cls(parents, partial, correlation, n_rows)

    def first(self, n_parents: int) -> Sparse:
        """The network with the first `n_parents` parents of every column."""
        return self._network(np.minimum(_device.namespace(self.parents).arange(len(self.parents)), n_parents))

    def significant(self, t: float) -> Sparse:
        """The network whose parents' partial correlations r all had |r| sqrt(n) > `t` when they were chosen."""
        strong = np.abs(self.partial) > t / np.sqrt(self.n_rows)
        return self._network(np.cumprod(strong, axis=1).sum(axis=1))

    def _network(self, count: NDArray[np.intp]) -> Sparse:
        xp = _device.namespace(count)
        d, most = self.parents.shape
        width = min(most, int(count.max()))
        if width == 0:
            return independent(d, xp)
        place = xp.arange(width)
        used = place < np.minimum(count, most)[:, None]
        used &= self.partial[:, :width] != 0.0
        parents = np.where(used, self.parents[:, :width], 0)
        gram = self.correlation[parents[:, :, None], parents[:, None, :]] * (used[:, :, None] & used[:, None, :])
        gram[:, place, place] = 1.0
        target = self.correlation[parents, xp.arange(d)[:, None]] * used
        weights = (np.linalg.solve(gram, target[:, :, None])[:, :, 0] * used).astype(np.float64, copy=False)
        left = np.maximum(1.0 - (weights * target).sum(axis=1), _LEAST_VARIANCE)
        k = used.sum(axis=1)
        # Akaike's final prediction error: k weights fitted to n rows leave more for new rows than for those
        scale = np.sqrt(left * (self.n_rows + k) / np.maximum(self.n_rows - k, 1))
        return Sparse(parents, weights, np.where(k > 0, scale, 1.0))


def _grow_block(correlation: Floats, columns: NDArray[np.intp], width: int, most: int) -> tuple[NDArray[np.intp], Floats]:
    """Parents and partial correlations of some columns: (n_columns, most) each; 0 where there is no parent left."""
    xp, d, n = _device.namespace(correlation), len(correlation), len(columns)
    strength = np.where(xp.arange(d) < columns[:, None], np.abs(correlation[columns]), -1.0)
    candidates = np.argpartition(-strength, width - 1, axis=1)[:, :width]
    open_ = np.take_along_axis(strength, candidates, axis=1) >= 0.0
    shared = np.take_along_axis(correlation[columns], candidates, axis=1)  # partial covariance with the column
    own = xp.ones((n, width))  # partial variance of the candidates
    steps = xp.zeros((most, n, width))
    rest = xp.ones(n)  # partial variance of the column
    parents, partial = xp.zeros((n, most), dtype=np.intp), xp.zeros((n, most))
    every = xp.arange(n)
    for step in range(most):
        worth = np.where(open_ & (own > _LEAST_VARIANCE), shared**2 / np.maximum(own, _LEAST_VARIANCE), -1.0)
        best = worth.argmax(axis=1)
        found = worth[every, best] > 0.0
        spread = np.sqrt(np.maximum(own[every, best], _LEAST_VARIANCE))
        r = np.where(found, shared[every, best] / spread / np.sqrt(rest), 0.0)
        parents[:, step], partial[:, step] = candidates[every, best], r
        row = correlation[candidates[every, best][:, None], candidates]
        if step:
            row -= np.einsum("sn,snw->nw", steps[:step, every, best], steps[:step])
        row *= np.where(found, 1.0 / spread, 0.0)[:, None]
        steps[step] = row
        shared -= row * (r * np.sqrt(rest))[:, None]
        own -= row**2
        rest = np.maximum(rest * (1.0 - r**2), _LEAST_VARIANCE)
        open_[every, best] = False
    return parents, partial
