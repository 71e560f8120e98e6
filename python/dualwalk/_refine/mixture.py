"""Clusters of rows in the space of normal scores, each with a Gaussian dependence of its own: a dual function in closed form.

    f(z) = log sum_k pi_k N(z; m_k, S_k) - log N(z; 0, I)            nats

One parent a column sees no cluster that all columns show a little; a row's cluster, read off all of it, does. Fitted by
expectation-maximization, started from k-means or from shells of equal norm (clusters that differ in scale). Correlations are
shrunk towards none at all or towards what the clusters have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import _device, _random

Floats = NDArray[np.float64]

_PRIOR_ROWS = 5.0  # a cluster's variances are worth so many rows less, its mean one
_POOLED = 0.85  # of the common correlations in the target that clusters share
_RIDGE = 1e-6
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Recipe:
    """How a mixture is fitted: `n_clusters`; `start` from k-means or shells; `shrinkage` in (0, 1] towards `target`."""

    n_clusters: int
    start: Literal["means", "shells"]
    target: Literal["none", "common"]
    shrinkage: float


@dataclass(frozen=True)
class GaussianMixture:
    """`log_share` (k,), `mean` (k, d), and the lower Cholesky factors `factor` (k, d, d) of the clusters' covariances."""

    log_share: Floats
    mean: Floats
    factor: Floats

    def log_densities(self, z: Floats) -> Floats:
        """log pi_k N(z; m_k, S_k) of rows `z` (n, d): (n, k)."""
        whitened, log_scale = self._whitened(z)
        d = z.shape[1]
        log_density: Floats = self.log_share - log_scale.sum(1) - 0.5 * (d * _LOG_2PI + (whitened**2).sum(1))
        return log_density.reshape(len(z), -1)

    def value(self, z: Floats) -> Floats:
        """f of rows `z` (n, d): (n,)."""
        f: Floats = _log_sum(self.log_densities(z)) + 0.5 * (z**2).sum(1) + 0.5 * z.shape[1] * _LOG_2PI
        return f

    def value_and_gradient(self, z: Floats) -> tuple[Floats, Floats]:
        """f (n,) and its gradient by z (n, d)."""
        log_densities = self.log_densities(z)
        f = _log_sum(log_densities)
        weight = np.exp(log_densities - f[:, None])
        gradient = z.copy()
        for k, (mean, factor) in enumerate(zip(self.mean, self.factor, strict=True)):
            inverse = np.linalg.inv(factor)
            gradient -= weight[:, k, None] * ((z - mean) @ inverse.T @ inverse)
        return f + 0.5 * (z**2).sum(1) + 0.5 * z.shape[1] * _LOG_2PI, gradient

    def cumulative(self, z: Floats, order: NDArray[np.intp]) -> Floats:
        """f of the first 1, 2, .. d columns in `order` alone: (n, d), the last one f itself.

        Differences along the second axis are conditional log-ratios, the terms of f by the chain rule.
        """
        parts = []
        for share, mean, factor in zip(self.log_share, self.mean, self.factor, strict=True):
            ordered = np.linalg.cholesky((factor @ factor.T)[np.ix_(order, order)])
            residual = np.linalg.solve(ordered, (z - mean)[:, order].T).T
            steps = -0.5 * (residual**2 + _LOG_2PI) - np.log(np.diag(ordered))
            parts.append(share + np.cumsum(steps, axis=1))
        alone = np.cumsum(-0.5 * (z[:, order] ** 2 + _LOG_2PI), axis=1)
        together: Floats = reduce(np.logaddexp, parts)
        return together - alone

    def _whitened(self, z: Floats) -> tuple[Floats, Floats]:
        """Rows in every cluster's own units, (n, d, k), and the logs of its scales, (k, d)."""
        centred = [np.linalg.solve(factor, (z - mean).T).T for mean, factor in zip(self.mean, self.factor, strict=True)]
        return np.stack(centred, axis=2), np.log(np.diagonal(self.factor, axis1=1, axis2=2))


def _log_sum(values: Floats) -> Floats:
    top = values.max(axis=1, keepdims=True)
    total: Floats = top + np.log(np.exp(values - top).sum(axis=1, keepdims=True))
    return total[:, 0]


def fit_mixture(z: Floats, recipe: Recipe, *, n_steps: int = 25, seed: int = 0) -> GaussianMixture:
    """The mixture of `recipe` for rows `z` (n, d), after `n_steps` of expectation-maximization. Deterministic by `seed`."""
    start: dict[str, Callable[[], NDArray[np.intp]]] = {
        "means": lambda: k_means(z, recipe.n_clusters, seed),
        "shells": lambda: _shells(z, recipe.n_clusters),
    }
    xp = _device.namespace(z)
    weight: Floats = xp.full((len(z), recipe.n_clusters), 0.1 / recipe.n_clusters)
    weight[xp.arange(len(z)), start[recipe.start]()] += 0.9
    for _ in range(n_steps):
        mixture = _maximize(z, weight, recipe)
        log_densities = mixture.log_densities(z)
        weight = np.exp(log_densities - _log_sum(log_densities)[:, None])
    return _maximize(z, weight, recipe)


def _maximize(z: Floats, weight: Floats, recipe: Recipe) -> GaussianMixture:
    """Shares, means and covariances of rows that belong to every cluster with `weight` (n, k)."""
    total = weight.sum(axis=0) + 1e-9
    mean = (weight.T @ z) / (total[:, None] + 1)
    correlations, scales = [], []
    for k, rows in enumerate(total):
        centred = z - mean[k]
        second = (weight[:, k, None] * centred).T @ centred / rows
        variance = np.maximum(np.diag(second), 1e-12)
        correlations.append(second / np.sqrt(np.outer(variance, variance)))
        scales.append(np.sqrt((variance * rows + _PRIOR_ROWS) / (rows + _PRIOR_ROWS)))
    identity = _device.namespace(z).eye(z.shape[1])
    target = identity
    if recipe.target == "common":
        common = np.tensordot(total / total.sum(), np.stack(correlations), 1)
        target = _POOLED * common + (1 - _POOLED) * identity
    keep = 1 - recipe.shrinkage
    covariance = [
        (keep * own + recipe.shrinkage * target + _RIDGE * identity) * np.outer(scale, scale)
        for own, scale in zip(correlations, scales, strict=True)
    ]
    return GaussianMixture(np.log(total / total.sum()), mean, np.linalg.cholesky(np.stack(covariance)))


def k_means(z: Floats, n_clusters: int, seed: int, n_starts: int = 3, n_steps: int = 20) -> NDArray[np.intp]:
    """Labels (n,) of the best of a few runs of Lloyd's algorithm, centres started far apart (k-means++)."""
    xp = _device.namespace(z)
    best = np.inf
    labels: NDArray[np.intp] = xp.zeros(len(z), dtype=np.intp)
    square = (z**2).sum(axis=1)
    for run in range(n_starts):
        rng = _random.generator(seed, "k-means", n_clusters, run)
        centre = z[[int(rng.integers(len(z)))]]
        while len(centre) < n_clusters:
            distance = _square_distances(z, square, centre).min(axis=1)
            share = _device.to_host(distance / distance.sum()) if distance.sum() > 0 else None
            centre = np.vstack([centre, z[int(rng.choice(len(z), p=share))]])
        for _ in range(n_steps):
            distance = _square_distances(z, square, centre)
            found = distance.argmin(axis=1)
            weight = xp.eye(n_clusters)[found]
            count = weight.sum(axis=0)
            centre = np.where(count[:, None] > 0, weight.T @ z / np.maximum(count, 1)[:, None], centre)
        spread = float(distance.min(axis=1).sum())
        if spread < best:
            best, labels = spread, found
    return labels


def _square_distances(z: Floats, square: Floats, centre: Floats) -> Floats:
    distance: Floats = np.maximum(square[:, None] + (centre**2).sum(axis=1) - 2 * z @ centre.T, 0.0)
    return distance


def _shells(z: Floats, n_clusters: int) -> NDArray[np.intp]:
    """Rows by their norm, in equal numbers."""
    rank = np.argsort(np.argsort((z**2).sum(axis=1), kind="stable"), kind="stable")
    shell: NDArray[np.intp] = rank * n_clusters // len(z)
    return shell
