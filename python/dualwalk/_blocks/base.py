"""The base of a block critic: an elliptical copula between two blocks, Gaussian or Student t, of a chosen rank.

With a = Student scores of the columns (normal scores for infinite degrees of freedom nu), S their scatter matrix, w_x and
w_y the blocks whitened by it, and U diag(r) V' the whitened cross part cut to its leading directions,

    f(x, y) = L_d(delta_xy) - L_dy(delta_y),      L_d(q) = -(nu + d)/2 log(1 + q/nu)      (-q/2 for nu = infinity)
    delta_xy = |w_x|^2 + |w_y|^2 + sum_k ( (u_k^2 + v_k^2) r_k^2 - 2 r_k u_k v_k ) / (1 - r_k^2),    u = U'w_x, v = V'w_y

up to terms in x alone, which the normalization over y takes away. Columns that share a random scale depend on each other at
rank 0 already: that is what the Student t is for. A lifted base (Gaussian only) has the columns' magnitudes as further
columns, so that it sees pairs whose signs are lost: f is then bilinear in columns and magnitudes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .student import student_scores, student_slopes

Floats = NDArray[np.float64]

_LARGEST_CORRELATION = 0.99995
_EM_STEPS = 8
_MAGNITUDE_MEAN, _MAGNITUDE_SD = 0.997255, 0.505453  # of sqrt(z^2 + 1/4), z normal


@dataclass(frozen=True)
class Side:
    """One block's rows as a base sees them: `size` (n,) |w|^2 + sum r^2/(1-r^2) u^2, `own` (n,) |w|^2, `lead` (n, rank).

    The inner product of two leads is sum_k r_k/(1 - r_k^2) u_k v_k.
    """

    size: Floats
    own: Floats
    lead: Floats

    def take(self, rows: NDArray[np.intp] | slice) -> Side:
        return Side(self.size[rows], self.own[rows], self.lead[rows])


@dataclass(frozen=True)
class EllipticalBase:
    """A fitted base: of each block the `centre` (d,), `whiten` (d, d) and the canonical `directions` (d, min(dx, dy))."""

    degrees: float
    lifted: bool
    correlations: Floats  # all of them, (min(dx, dy),), largest first
    rank: int
    centre: tuple[Floats, Floats]
    whiten: tuple[Floats, Floats]  # w = (a - centre) @ whiten
    directions: tuple[Floats, Floats]  # u = w @ directions, (d, min(dx, dy))

    @property
    def n_columns(self) -> tuple[int, int]:
        return len(self.whiten[0]), len(self.whiten[1])

    def cut(self, rank: int) -> EllipticalBase:
        """The same base with another rank."""
        return replace(self, rank=rank)

    def side(self, z: Floats, block: int) -> Side:
        """Rows `z` of block 0 (x) or 1 (y), normal scores."""
        white = self._white(z, block)
        r = self.correlations[: self.rank]
        leading = white @ self.directions[block][:, : self.rank]
        own = np.einsum("ij,ij->i", white, white)
        gain = r / (1 - r * r)
        return Side(own + (leading**2) @ (r * gain), own, leading * np.sqrt(gain))

    def _white(self, z: Floats, block: int) -> Floats:
        return np.asarray((seen_columns(z, self.degrees, self.lifted) - self.centre[block]) @ self.whiten[block])

    def pairs(self, x: Side, y: Side) -> Floats:
        """f of every row of x with every row of y: (n_x, n_y)."""
        distance = x.lead @ y.lead.T
        distance *= -2.0
        distance += x.size[:, None]
        distance += y.size
        f = self._level(distance, sum(self.n_columns))
        f -= self._level(y.own.copy(), self.n_columns[1])
        return f

    def values(self, x: Side, y: Side) -> Floats:
        """f of row i of x with row i of y: (n,)."""
        distance = x.size + y.size - 2 * np.einsum("ij,ij->i", x.lead, y.lead)
        return np.asarray(self._level(distance, sum(self.n_columns)) - self._level(y.own.copy(), self.n_columns[1]))

    def model_values(self, x: Side, y: Side) -> Floats:
        """f of row i of x with row i of y if the copula were exactly this (not lifted) base: no normalization over rows."""
        d, (dx, dy) = sum(self.n_columns), self.n_columns
        r = self.correlations[: self.rank]
        constant = -0.5 * float(np.log1p(-r * r).sum())
        if not math.isinf(self.degrees):
            half = [math.lgamma((self.degrees + columns) / 2) for columns in (d, dx, dy)]
            constant += half[0] + math.lgamma(self.degrees / 2) - half[1] - half[2]
        return np.asarray(self.values(x, y) - self._level(x.own.copy(), dx) + constant)

    def _level(self, distance: Floats, d: int) -> Floats:
        """L_d(distance), in place."""
        if math.isinf(self.degrees):
            distance *= -0.5
            return distance
        distance *= 1 / self.degrees
        distance += 1.0  # not log1p: NumPy's log is vectorized, and distances are of the order of d
        np.log(distance, out=distance)
        distance *= -0.5 * (self.degrees + d)
        return distance

    def _slope(self, distance: Floats, d: int) -> Floats:
        """The derivative of L_d."""
        if math.isinf(self.degrees):
            return np.full_like(distance, -0.5)
        return np.asarray(-0.5 * (self.degrees + d) / (self.degrees + distance))

    def gradient(self, z: tuple[Floats, Floats], grid: Side, own_weight: Floats, grid_weight: Floats) -> tuple[Floats, Floats]:
        """Gradients by rows z = (x, y) of own_weight_i f(x_i, y_i) + sum_j grid_weight_ij f(x_i, grid_j)."""
        x, y = self.side(z[0], 0), self.side(z[1], 1)
        d = sum(self.n_columns)
        own = own_weight * self._slope(x.size + y.size - 2 * np.einsum("ij,ij->i", x.lead, y.lead), d)
        many = grid_weight * self._slope(x.size[:, None] + grid.size - 2 * x.lead @ grid.lead.T, d)
        alone = -own_weight * self._slope(y.own.copy(), self.n_columns[1])
        total = own + many.sum(axis=1)
        by_x = self._pull(z[0], 0, total, np.zeros_like(total), -2 * (own[:, None] * y.lead + many @ grid.lead))
        by_y = self._pull(z[1], 1, own, alone, -2 * own[:, None] * x.lead)
        return by_x, by_y

    def _pull(self, z: Floats, block: int, by_size: Floats, by_own: Floats, by_lead: Floats) -> Floats:
        """From derivatives by a side's parts to those by its normal scores."""
        white = self._white(z, block)
        directions = self.directions[block][:, : self.rank]
        r = self.correlations[: self.rank]
        gain = r / (1 - r * r)
        by_leading = by_lead * np.sqrt(gain) + 2 * by_size[:, None] * (white @ directions) * (r * gain)
        by_white = by_leading @ directions.T + 2 * (by_size + by_own)[:, None] * white
        by_columns = by_white @ self.whiten[block].T
        if self.lifted:
            by_columns = by_columns[:, : z.shape[1]] + by_columns[:, z.shape[1] :] * _magnitude_slope(z)
        return np.asarray(by_columns * student_slopes(z, self.degrees))


def seen_columns(z: Floats, degrees: float, lifted: bool) -> Floats:
    """What a base works on: the Student scores of z, or for a lifted base z and its magnitudes side by side."""
    return np.hstack([z, _magnitude(z)]) if lifted else student_scores(z, degrees)


def _magnitude(z: Floats) -> Floats:
    """|z| without its kink, of mean 0 and variance 1 for normal z."""
    return np.asarray((np.sqrt(z * z + 0.25) - _MAGNITUDE_MEAN) / _MAGNITUDE_SD)


def _magnitude_slope(z: Floats) -> Floats:
    return np.asarray(z / np.sqrt(z * z + 0.25) / _MAGNITUDE_SD)


def scatter(a: Floats, degrees: float) -> tuple[Floats, Floats]:
    """Centre (d,) and scatter matrix (d, d) of a multivariate t with `degrees` of freedom, by expectation maximization.

    Normal scores have mean 0 over all rows, but not over those at hand: with the known centre, cross moments of a fold's rows
    would tell of the means of the rows left out, which have the opposite sign. Fewer rows than columns would make the matrix
    singular: a little of the identity stays in every step.
    """
    n, d = a.shape
    centre = a.mean(axis=0) if math.isinf(degrees) else np.zeros(d)
    if math.isinf(degrees):
        return centre, np.asarray((a - centre).T @ (a - centre) / n)
    matrix = np.eye(d)
    for _ in range(_EM_STEPS):
        away = (a - centre).T
        white = np.linalg.solve(np.linalg.cholesky(matrix + 1e-3 * np.trace(matrix) / d * np.eye(d)), away)
        weight = (degrees + d) / (degrees + np.einsum("ij,ij->j", white, white))
        matrix = (away * weight) @ away.T / n
        centre = weight @ a / weight.sum()
    return centre, matrix


def fit_elliptical(
    moments: tuple[Floats, Floats], n_first: int, degrees: float, shrinkage: float, *, lifted: bool = False
) -> EllipticalBase:
    """The base of full rank from centre and scatter of both blocks' seen columns, shrunk towards the scatter's diagonal.

    `n_first`: how many of them are the first block's.
    """
    centre, matrix = moments
    scale = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    shrunk = (1 - shrinkage) * matrix + shrinkage * np.diag(scale**2)
    shrunk[np.diag_indices(len(matrix))] += 1e-6 * scale**2
    first, second = slice(n_first), slice(n_first, None)
    whiten = tuple(np.linalg.inv(np.linalg.cholesky(shrunk[part, part])).T for part in (first, second))
    left, correlations, right = np.linalg.svd(whiten[0].T @ shrunk[first, second] @ whiten[1], full_matrices=False)
    correlations = np.minimum(correlations, _LARGEST_CORRELATION)
    return EllipticalBase(
        degrees,
        lifted,
        correlations,
        len(correlations),
        (centre[first], centre[second]),
        (whiten[0], whiten[1]),
        (left, right.T),
    )
