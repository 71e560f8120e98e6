"""The local dual function: Gaussian in the neighbourhood of a sample, hence closed in value, gradient and walk."""

from __future__ import annotations

import math
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays, _checks, _device
from .._model_file.saved import Saved

Float = NDArray[np.float64]

# A column that varies less than this share of its neighbourhood's mean variance counts as constant there.
VARIANCE_FLOOR = 1e-6
_LOG_2PI = math.log(2.0 * math.pi)


class LocalDual(Saved):
    """log N(z; m, S) against the product of its marginals, for one neighbourhood of samples or a stack of them.

    With N the rows of a neighbourhood (K + 1 of them) minus their mean m, and s the shrinkage,

        S = (1 - s) N^T N / K + s diag(N^T N / K),
        f(z) = log N(z; m, S) - sum_j log N(z_j; m_j, S_jj)        (nats).

    No d x d matrix is formed. By the Woodbury identity, with y = z - m,

        f(z) = constant + sum_j curvature_j y_j^2 / 2 + |factor y|^2 / 2,
        grad f(z) = curvature * y + factor^T (factor y),

    where curvature_j = 1/S_jj - 1/delta_j, delta = s S_jj, and factor is (K + 1, d). A column that is constant in the
    neighbourhood (its variance is floored) carries nothing: its curvature and its factor are 0.

    Parameters
    ----------
    points : array (n, d)
        Samples, usually as normal scores.
    neighbors : int array (K + 1,) or (n_rows, K + 1)
        Indices of the samples of the one neighbourhood that serves all rows, or row r's own neighbourhood.
    shrinkage : float in (0, 1]
        s above; positive, so that S is positive definite however few the neighbours are.

    Attributes
    ----------
    mean, curvature : float64 (B, d);  factor : float64 (B, K + 1, d);  constant : float64 (B,)
        C-contiguous, B = 1 or n_rows; everything a native loop needs. Treat them as read-only.
    deviation : float64 (B, d)
        sqrt(S_jj), the marginal standard deviations of the neighbourhood.

    `value`, `gradient` and `value_and_gradient` take x (n_rows, d), float32 or float64, and return new float64 arrays
    (n_rows,) and (n_rows, d). Nothing here is random except `diffuse`, which draws from the generator it is given.

    With points on a CUDA device the dual lives there: its arrays are CuPy's, and x must be on the device too. Checks of the
    arguments and `density("normal")` wait for the device; nothing else does.

    Raises
    ------
    ValueError
        points are not a finite 2-D array, an index is outside them, shrinkage is outside (0, 1], or x has another shape.

    Source: the dual function log p/q of Garg et al. 2024 (arXiv 2404.07377), Gaussian in the neighbourhood of a sample.

    Examples
    --------
    >>> import numpy as np
    >>> from dualwalk.duals.local import LocalDual
    >>> points = np.random.default_rng(0).normal(size=(30, 4))
    >>> dual = LocalDual(points, np.arange(11), shrinkage=0.2)
    >>> f, gradient = dual.value_and_gradient(points[:5])
    >>> f.shape, gradient.shape
    ((5,), (5, 4))
    """

    mean: Float
    curvature: Float
    factor: Float
    constant: Float
    deviation: Float

    walk_job = "walk_local"

    def __init__(self, points: ArrayLike, neighbors: ArrayLike, *, shrinkage: float) -> None:
        rows = check_points(points)
        index = _device.beside(check_neighbors(neighbors, len(rows)), rows)
        xp = _device.namespace(rows)
        s = _checks.real(shrinkage, "shrinkage", above=0.0, maximum=1.0)
        self.shrinkage = s
        self._points = rows
        self._neighbors = index

        n_neighbors = index.shape[1] - 1
        local = rows[index]
        self.mean = xp.ascontiguousarray(local.mean(axis=1))
        local -= self.mean[:, None, :]
        spread = np.einsum("bkd,bkd->bd", local, local) / n_neighbors
        floor = np.maximum(VARIANCE_FLOOR * spread.mean(axis=1, keepdims=True), 1e-12)
        variance = np.maximum(spread, floor)
        delta = variance - (1.0 - s) * spread  # s * variance, except where the floor holds the variance up

        scaled = math.sqrt((1.0 - s) / n_neighbors) * local  # U, with S = U^T U + diag(delta)
        capacitance = xp.eye(index.shape[1]) + (scaled / delta[:, None, :]) @ scaled.transpose(0, 2, 1)
        lower = np.linalg.cholesky(capacitance)
        scaled /= delta[:, None, :]
        self.factor = xp.ascontiguousarray(np.linalg.solve(lower, scaled))
        self.deviation = np.sqrt(variance)
        self.curvature = xp.ascontiguousarray(1.0 / variance - 1.0 / delta)
        log_det = 2.0 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        self.constant = -0.5 * log_det + 0.5 * np.log(variance / delta).sum(axis=1)

    @property
    def n_features(self) -> int:
        """The number of columns d."""
        return int(self.mean.shape[1])

    @property
    def n_walks(self) -> int | None:
        """How many rows the stack serves; None where one neighbourhood serves any number."""
        return None if len(self.mean) == 1 else len(self.mean)

    def check_beside(self, x: Any, name: str) -> None:
        """ValueError where x and the dual are not in one memory."""
        _checks.beside(x, name, self.mean, None)

    def value(self, x: ArrayLike) -> Float:
        """f at the rows of x, (n_rows,), in nats."""
        y = self._offset(x)
        return self._value(y, self._project(y))

    def gradient(self, x: ArrayLike) -> Float:
        """The gradient of f at the rows of x, (n_rows, d), in nats per unit of x."""
        y = self._offset(x)
        return self._gradient(y, self._project(y))

    def value_and_gradient(self, x: ArrayLike) -> tuple[Float, Float]:
        """Both at once; they share most of the work."""
        y = self._offset(x)
        projection = self._project(y)
        return self._value(y, projection), self._gradient(y, projection)

    def select(self, rows: NDArray[np.intp]) -> Self:
        """The dual of these rows alone (the walks of a stack that are still under way); one neighbourhood serves any rows."""
        rows = _checks.places(rows, self.n_walks, "rows")
        if len(self.mean) == 1:
            return self
        xp = _device.namespace(self.mean)
        part = copy(self)
        for name in ("mean", "curvature", "factor", "constant", "deviation", "_neighbors"):
            setattr(part, name, xp.ascontiguousarray(getattr(self, name)[rows]))
        return part

    def in_deviations(self) -> Self:
        """The same f as a function of x / deviation, where every column has unit variance in every neighbourhood.

        Its Hessian lies between 1 - 1/s and 1, so that one step size suits all columns and neighbourhoods.
        """
        scaled = copy(self)
        scaled.mean = self.mean / self.deviation
        scaled.curvature = self.curvature * self.deviation**2
        scaled.factor = self.factor * self.deviation[:, None, :]
        scaled.deviation = np.ones_like(self.deviation)
        return scaled

    def density(self, base: str) -> Self:
        """log p = f + log q up to a constant, as something to walk on: `walk(..., base=...)` of a local dual.

        base "marginals": q is the product of the neighbourhood's own marginals, which f is against, so p = N(m, S).
        base "normal": q = N(0, I); where the neighbourhood varies less than q, N(0, I) exp f may have no finite integral, and
        that is a ValueError.
        """
        _checks.choice(base, "base", ("normal", "marginals"))
        part = copy(self)
        if base == "marginals":
            part.curvature = self.curvature - 1.0 / self.deviation**2
            part.constant = self.constant - np.log(self.deviation).sum(axis=1) - 0.5 * self.n_features * _LOG_2PI
            return part
        # f - |z|^2 / 2 is a quadratic about another centre: solve (diag(bent) + factor^T factor) shift = mean.
        bent = self.curvature - 1.0
        weighted = self.factor / -bent[:, None, :]
        inner = _device.namespace(weighted).eye(self.factor.shape[1]) - np.matmul(weighted, self.factor.transpose(0, 2, 1))
        if not positive_definite(inner):
            raise ValueError(
                "base='normal' makes no density of this local dual: N(0, I) exp f grows without bound along some direction "
                "(use base='marginals', the neighbourhood's own marginals, which this f is against)"
            )
        first = self.mean / bent
        correction = np.linalg.solve(inner, np.matmul(self.factor, first[:, :, None]))
        shift = first + np.matmul(correction.transpose(0, 2, 1), weighted)[:, 0]
        part.mean, part.curvature = self.mean + shift, bent
        # the value at the new centre, from that at the old one: there y = shift
        projection = np.matmul(self.factor, shift[:, :, None])[:, :, 0]
        there = self.constant + 0.5 * ((self.curvature * shift**2).sum(axis=1) + (projection**2).sum(axis=1))
        part.constant = there - 0.5 * ((part.mean**2).sum(axis=1) + self.n_features * _LOG_2PI)
        return part

    def reachable(self, x0: ArrayLike, path_length: float, low: Float | None, high: Float | None) -> tuple[Float, Float]:
        """Bounds (n_rows,) on f that no deterministic walk from x0 leaves; path_length is n_steps x step_size.

        The Hessian's eigenvalues lie between the least curvature (not above 0) and |factor|^2, so a walk's distance from m
        grows at most exponentially; inside a box it is bounded by the corners.
        """
        y = self._offset(x0, "x0")
        path_length = _checks.real(path_length, "path_length", minimum=0.0)
        low, high = (check_bound(end, name, self.mean) for end, name in ((low, "low"), (high, "high")))
        steepest = largest_square(self.factor)
        lowest = -self.curvature.min(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("nd,nd->n", y, y) * np.exp(2.0 * path_length * np.maximum(steepest, lowest))
            if low is not None and high is not None:
                corner = np.maximum(np.abs(low - self.mean), np.abs(high - self.mean))
                squares = np.minimum(squares, np.einsum("nd,nd->n", corner, corner))
            below = self.constant - 0.5 * np.where(lowest > 0, lowest * squares, 0.0)
            above = self.constant + 0.5 * np.where(steepest > 0, steepest * squares, 0.0)
        return below, above

    def diffuse(self, x: ArrayLike, time: float, generator: np.random.Generator) -> Float:
        """The exact Langevin walk on f for a time t, preconditioned by the UNSHRUNK local covariance (Ornstein-Uhlenbeck):

            z = m + e^-t (x - m) + sqrt(1 - e^-2t) N^T eps / sqrt(K),   eps ~ N(0, I).

        x is (n_rows, d); time is in units of the walk's relaxation time, `math.inf` forgets the start. Returns float64. The
        generator's numbers are made by the host, and copied for a dual on a device.
        """
        y = self._offset(x)
        t = math.inf if isinstance(time, float) and time == math.inf else _checks.real(time, "time", minimum=0.0)
        _checks.instance(generator, "generator", np.random.Generator, remedy="pass np.random.default_rng(seed)")
        decay = math.exp(-t)
        index = np.broadcast_to(self._neighbors, (len(y), self._neighbors.shape[1]))
        noise = math.sqrt(1.0 - decay**2) * _device.beside(noise_weights(len(index), index.shape[1], generator), y)
        return self.mean + decay * y + weighted_rows(noise, index, self._points)

    def _offset(self, x: ArrayLike, name: str = "x") -> Float:
        array = _checks.beside(x, name, self.mean, None)
        stack = len(self.mean)
        if array.ndim != 2 or array.shape[1] != self.n_features or stack not in (1, len(array)):
            wanted = f"({'n_rows' if stack == 1 else stack}, {self.n_features})"
            raise ValueError(
                f"{name} must have shape {wanted}; got {array.shape} (row r lives in neighbourhood r; "
                "build the dual with one neighbourhood to use it for any number of rows)"
            )
        offset: Float = array.astype(np.float64, copy=False) - self.mean
        return offset

    def _project(self, y: Float) -> Float:
        if len(self.factor) == 1:
            shared: Float = y @ self.factor[0].T
            return shared
        projection: Float = np.matmul(self.factor, y[:, :, None])[:, :, 0]
        return projection

    def _value(self, y: Float, projection: Float) -> Float:
        curved = np.einsum("nd,nd->n", np.broadcast_to(self.curvature, y.shape), y * y)
        value: Float = self.constant + 0.5 * curved + 0.5 * np.einsum("nk,nk->n", projection, projection)
        return value

    def _gradient(self, y: Float, projection: Float) -> Float:
        if len(self.factor) == 1:
            shared: Float = self.curvature * y + projection @ self.factor[0]
            return shared
        gradient: Float = self.curvature * y + np.matmul(projection[:, None, :], self.factor)[:, 0, :]
        return gradient


def noise_weights(n_rows: int, n_members: int, generator: np.random.Generator) -> Float:
    """Weights (n_rows, n_members) that turn a neighbourhood's rows into a draw from N(0, its sample covariance).

    N^T eps / sqrt(K) = sum_k (eps_k - mean eps) z_k / sqrt(K): the centring moves from the rows to the weights.
    """
    weights = generator.standard_normal((n_rows, n_members))
    weights -= weights.mean(axis=1, keepdims=True)
    weights /= math.sqrt(n_members - 1)
    return weights


def weighted_rows(weights: Float, index: NDArray[np.intp], points: Float) -> Float:
    """sum_k weights[r, k] points[index[r, k]], (n_rows, d), by matrix products over blocks of rows."""
    xp = _device.namespace(points)
    total: Float = xp.empty((len(weights), points.shape[1]))
    block = max(1, 2**22 // len(points))
    for begin in range(0, len(weights), block):
        part = slice(begin, begin + block)
        spread = xp.zeros((len(weights[part]), len(points)))
        np.put_along_axis(spread, index[part], weights[part], axis=1)
        np.matmul(spread, points, out=total[part])
    return total


def positive_definite(matrices: Float) -> bool:
    """Whether all of some symmetric matrices (..., n, n) are."""
    if _device.is_on_device(matrices):  # where a factorization that fails does not say so
        return bool((np.linalg.eigvalsh(matrices) > 0).all())
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        return False
    return True


def largest_square(factors: Float) -> Float:
    """The largest eigenvalue of F^T F for each of some factors F (B, r, d): (B,)."""
    if _device.is_on_device(factors):
        return np.linalg.eigvalsh(np.matmul(factors, factors.transpose(0, 2, 1)))[:, -1]
    norms: Float = np.linalg.norm(factors, ord=2, axis=(1, 2)) ** 2
    return norms


def check_bound(end: Any, name: str, beside: NDArray[Any]) -> Any:
    """One side of a box, (d,) for arrays (..., d) `beside` it, where they are; None stays None."""
    if end is None:
        return None
    array = _checks.beside(end, name, beside, None)
    if array.shape != beside.shape[-1:]:
        raise ValueError(f"{name} must have shape {beside.shape[-1:]}; got shape {array.shape} (one number for each feature)")
    if not _device.is_on_device(array) and np.isnan(array).any():
        raise ValueError(f"{name} must not hold NaN; got {int(np.isnan(array).sum())} NaN (infinity is no bound)")
    return array


def check_points(points: ArrayLike) -> Float:
    """points as finite float64 rows (n, d), at least two."""
    rows, shape = _checks.samples(points, "points", min_samples=2)
    if len(shape) != 1:
        raise ValueError(f"points must have shape (n, d); got {(len(rows), *shape)} (pass points.reshape(len(points), -1))")
    return _checks.scale(rows, "points")


def check_neighbors(neighbors: ArrayLike, n_points: int) -> NDArray[np.intp]:
    """neighbors as indices (B, K + 1) of points, none repeated in a row."""
    given: NDArray[Any] = _arrays.as_array(neighbors, "neighbors")
    if given.dtype.kind not in "iu" or given.ndim not in (1, 2) or given.shape[-1] < 2 or given.size == 0:
        raise ValueError(
            "neighbors must hold whole numbers, shape (K + 1,) or (n_rows, K + 1) with K >= 1; "
            f"got shape {given.shape} and dtype {given.dtype} (pass the indices of a sample and its K nearest ones)"
        )
    if given.min() < 0 or given.max() >= n_points:
        raise ValueError(
            f"neighbors must be in [0, {n_points}); got {int(given.min())} to {int(given.max())} (index the rows of points, from 0)"
        )
    index: NDArray[np.intp] = np.atleast_2d(given).astype(np.intp)
    ordered = np.sort(index, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        row = int((ordered[:, 1:] == ordered[:, :-1]).any(axis=1).argmax())
        raise ValueError(
            f"neighbors must not repeat an index within a neighbourhood; got {index[row].tolist()} (drop the repeated ones)"
        )
    return index
