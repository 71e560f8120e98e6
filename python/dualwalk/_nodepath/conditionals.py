"""Linear conditionals along an order of columns: what the columns that came before say about the mean of the next one.

    mean_k = sum_{j < k} c_kj z_j,   scale_k = the standard deviation that is left            (z in path order)

Three forms of one thing, by how c is stored: dense, a few parents a column, or a factor model's low rank. The last two need
no d x d matrix, neither to fit nor to apply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _device

Floats = NDArray[np.float64]


class Conditionals(Protocol):
    """`scale` (d,); `mean(z)` and its transpose `pull(slope)`, (n, d) to (n, d), columns in path order."""

    @property
    def scale(self) -> Floats: ...
    def mean(self, z: Floats) -> Floats: ...
    def pull(self, slope: Floats) -> Floats: ...


@dataclass(frozen=True)
class Dense:
    """`coefficients` (d, d), strictly lower triangular."""

    coefficients: Floats
    scale: Floats

    @classmethod
    def of(cls, correlation: Floats) -> Dense:
        """From a positive definite matrix, in path order; np.linalg.LinAlgError if it is not.

        With its Cholesky factor C, z = C e: mean_k is what C e has of the earlier e, and C_kk is what is left.
        """
        with _device.linear_algebra_errors(correlation):
            factor = np.linalg.cholesky(correlation)
        scale = np.diag(factor).copy()
        whitening = np.linalg.inv(factor)
        return cls(-scale[:, None] * np.tril(whitening, -1), scale)

    def mean(self, z: Floats) -> Floats:
        mean: Floats = z @ self.coefficients.T
        return mean

    def pull(self, slope: Floats) -> Floats:
        pulled: Floats = slope @ self.coefficients
        return pulled


@dataclass(frozen=True)
class Sparse:
    """`parents` (d, k) places of earlier columns and their `weights` (d, k); a slot that is not used has weight 0."""

    parents: NDArray[np.intp]
    weights: Floats
    scale: Floats

    def mean(self, z: Floats) -> Floats:
        total = np.zeros_like(z)
        for parent, weight in zip(self.parents.T, self.weights.T, strict=True):
            total += z[:, parent] * weight
        return total

    def pull(self, slope: Floats) -> Floats:
        if _device.is_on_device(slope):
            return self._dense_pull(slope)
        total = np.zeros((slope.shape[1], slope.shape[0]))
        for parent, weight in zip(self.parents.T, self.weights.T, strict=True):
            np.add.at(total, parent, (slope * weight).T)
        return total.T.copy()

    def _dense_pull(self, slope: Floats) -> Floats:
        """By the whole matrix: sums in a fixed order, which np.add.at has on no device."""
        xp, d = _device.namespace(slope), len(self.scale)
        coefficients, every = xp.zeros((d, d)), xp.arange(d)
        for parent, weight in zip(self.parents.T, self.weights.T, strict=True):
            coefficients[every, parent] += weight
        pulled: Floats = slope @ coefficients
        return pulled


@dataclass(frozen=True)
class LowRank:
    """c_kj = sum_q read[k, q] write[j, q] for j < k: a factor model, whose factors are known better column by column."""

    read: Floats
    write: Floats
    scale: Floats

    @classmethod
    def of(cls, loading: Floats, unique: Floats) -> LowRank:
        """From the correlation loading loading' + diag(unique), rows in path order.

        After k columns the factors have precision I + sum_{j <= k} l_j l_j' / u_j (Woodbury, one column at a time).
        """
        d, q = loading.shape
        write = loading / unique[:, None]
        precision = np.broadcast_to(_device.namespace(loading).eye(q), (d, q, q)).copy()
        precision[1:] += np.cumsum(write[:-1, :, None] * loading[:-1, None, :], axis=0)
        read = np.linalg.solve(precision, loading[:, :, None])[:, :, 0].astype(np.float64, copy=False)
        return cls(read, write, np.sqrt(unique + (loading * read).sum(axis=1)))

    def mean(self, z: Floats) -> Floats:
        total = np.zeros_like(z)
        for read, write in zip(self.read.T, self.write.T, strict=True):
            total[:, 1:] += np.cumsum(z[:, :-1] * write[:-1], axis=1) * read[1:]
        return total

    def pull(self, slope: Floats) -> Floats:
        total = np.zeros_like(slope)
        for read, write in zip(self.read.T, self.write.T, strict=True):
            later = np.cumsum((slope * read)[:, :0:-1], axis=1)[:, ::-1]
            total[:, :-1] += later * write[:-1]
        return total


def log_ratio(conditionals: Conditionals, z: Floats) -> Floats:
    """log N(z; the conditionals) - log N(z; 0, I) of every row in path order: (n,), nats."""
    left = (z - conditionals.mean(z)) / conditionals.scale
    ratio: Floats = 0.5 * ((z**2).sum(axis=1) - (left**2).sum(axis=1)) - np.log(conditionals.scale).sum()
    return ratio


def independent(d: int, xp: Any = np) -> Sparse:
    """Columns that know nothing of each other; `xp` is the module that makes arrays where the rows will be."""
    return Sparse(xp.zeros((d, 0), dtype=np.intp), xp.zeros((d, 0)), xp.ones(d))
