"""The covariance of a neighbourhood as what walks are preconditioned with: products with it and with a root of it, no matrix."""

from __future__ import annotations

import math
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, _device
from .._model_file.saved import Saved
from .local import check_neighbors, check_points, largest_square, positive_definite

Float = NDArray[np.float64]


class LocalCovariance(Saved):
    """The covariance C of the samples around each walk, in the thin form that walks need: `walk(..., preconditioner=C)`.

    With N the rows of a neighbourhood (K + 1 of them) minus their mean, and s the shrinkage,

        C = (1 - s) N^T N / K + s diag(N^T N / K) = factor^T factor + diag(diagonal).

    A walk goes along C grad f, and its noise is factor^T e + sqrt(diagonal) e' with independent standard normal e and e',
    whose covariance is C. With s = 0 walks stay in the span of their neighbours.

    Parameters
    ----------
    points : array (n, d)
        Samples, usually as normal scores.
    neighbors : int array (K + 1,) or (n_walks, K + 1)
        Indices of the samples of the one neighbourhood that serves all walks, or of every walk's own.
    shrinkage : float in [0, 1]

    Attributes
    ----------
    factor : float64 (B, R, d);  diagonal : float64 (B, d)
        C-contiguous, B = 1 or n_walks; what the native loops read. Treat them as read-only.

    Nothing here is random: noise comes from the walk, addressed by (walk, step, number). With points, or a matrix, on a CUDA
    device, the arrays are CuPy's.

    Raises
    ------
    ValueError
        points are not a finite 2-D array, an index is outside them, or shrinkage is outside [0, 1].

    Source: Langevin dynamics preconditioned by the local covariance, the walk of the local dual.

    Examples
    --------
    >>> import numpy as np
    >>> from dualwalk.duals.local_covariance import LocalCovariance
    >>> points = np.random.default_rng(0).normal(size=(30, 4))
    >>> covariance = LocalCovariance(points, np.arange(30))
    >>> bool(np.allclose(covariance.apply(np.eye(4)), np.cov(points.T)))
    True
    """

    factor: Float
    diagonal: Float

    def __init__(self, points: ArrayLike, neighbors: ArrayLike, *, shrinkage: float = 0.0) -> None:
        rows = check_points(points)
        index = _device.beside(check_neighbors(neighbors, len(rows)), rows)
        s = _checks.real(shrinkage, "shrinkage", minimum=0.0, maximum=1.0)
        self.shrinkage = s
        n_neighbors = index.shape[1] - 1
        local = rows[index]
        local -= local.mean(axis=1, keepdims=True)
        self.diagonal = s * np.einsum("bkd,bkd->bd", local, local) / n_neighbors
        local *= math.sqrt((1.0 - s) / n_neighbors)
        self.factor = _device.namespace(local).ascontiguousarray(local)

    @classmethod
    def from_matrix(cls, covariance: ArrayLike) -> Self:
        """One positive definite matrix (d, d) for all walks."""
        return cls._of_matrix(covariance, "covariance")

    @classmethod
    def _of_matrix(cls, covariance: ArrayLike, name: str) -> Self:
        matrix = _checks.real_array(covariance, name).astype(np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
            raise ValueError(
                f"{name} must be a LocalCovariance or a finite matrix (d, d); got shape {matrix.shape}{_strange(matrix)} "
                "(for one number, change step_size)"
            )
        _checks.scale(matrix, name)
        close = 1e-12 * float(np.abs(matrix).max()) if matrix.size else 0.0
        if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=close) or not positive_definite(matrix):
            raise ValueError(
                f"{name} must be symmetric and positive definite, or it is no covariance; got a matrix of shape {matrix.shape} "
                "that is not (add a small multiple of the identity)"
            )
        xp = _device.namespace(matrix)
        made = cls.__new__(cls)
        made.shrinkage = 0.0
        made.factor, made.diagonal = xp.ascontiguousarray(np.linalg.cholesky(matrix).T[None]), xp.zeros((1, len(matrix)))
        return made

    @property
    def n_features(self) -> int:
        """The number of columns d."""
        return int(self.factor.shape[2])

    @property
    def n_walks(self) -> int | None:
        """How many walks it serves; None where one neighbourhood serves any number."""
        return None if len(self.factor) == 1 else len(self.factor)

    @property
    def n_normals(self) -> int:
        """Standard normal numbers a row of noise takes: R, and d more for the diagonal, which is zero without shrinkage."""
        return int(self.factor.shape[1]) + (self.n_features if self.shrinkage > 0 else 0)

    @property
    def largest(self) -> float:
        """A bound on the eigenvalues of C over all walks."""
        return float((largest_square(self.factor) + self.diagonal.max(axis=1)).max())

    def apply(self, vectors: NDArray[Any]) -> Float:
        """C v for rows (n_walks, d): (n_walks, d)."""
        vectors = self._checked(vectors, "vectors", self.n_features)
        if len(self.factor) == 1:
            shared: Float = (vectors @ self.factor[0].T) @ self.factor[0] + self.diagonal * vectors
            return shared
        inner = np.matmul(self.factor, vectors[:, :, None])
        each: Float = np.matmul(inner.transpose(0, 2, 1), self.factor)[:, 0] + self.diagonal * vectors
        return each

    def color(self, normals: NDArray[Any]) -> Float:
        """Noise of covariance C (n_walks, d) from standard normal numbers (n_walks, n_normals)."""
        normals = self._checked(normals, "normals", self.n_normals)
        n_factors = self.factor.shape[1]
        weights = normals[:, :n_factors]
        noise: Float = weights @ self.factor[0] if len(self.factor) == 1 else np.matmul(weights[:, None, :], self.factor)[:, 0]
        if normals.shape[1] > n_factors:
            noise = noise + np.sqrt(self.diagonal) * normals[:, n_factors:]
        return noise

    def _checked(self, value: NDArray[Any], name: str, width: int) -> NDArray[Any]:
        array: NDArray[Any] = _checks.beside(value, name, self.factor, None)
        if array.ndim != 2 or array.shape[1] != width or self.n_walks not in (None, len(array)):
            n_walks = "n_walks" if self.n_walks is None else self.n_walks
            raise ValueError(f"{name} must have shape ({n_walks}, {width}); got shape {array.shape} (one row a walk)")
        return array

    def select(self, walks: NDArray[np.intp]) -> Self:
        """The covariances of these walks alone; one that serves all serves any."""
        walks = _checks.places(walks, self.n_walks, "walks")
        if len(self.factor) == 1:
            return self
        part = copy(self)
        part.factor, part.diagonal = self.factor[walks], self.diagonal[walks]
        return part


def _strange(matrix: Float) -> str:
    return "" if np.isfinite(matrix).all() else " with NaN or infinity"
