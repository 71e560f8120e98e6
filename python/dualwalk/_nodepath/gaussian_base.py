"""The Gaussian base: which correlation matrix describes rows that were held out best.

The sample correlation is useless where columns are as many as rows. Four families of remedies compete, and held-out
log-likelihood picks: Ledoit-Wolf shrinkage, fixed linear shrinkage, factor analysis, and sparse Gaussian Bayes nets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .path import correlation, spanning_tree

Floats = NDArray[np.float64]

SHRINKAGE = (0.02, 0.05, 0.1, 0.2, 0.4)
N_FACTORS = (1, 2, 3, 5, 8)
N_PARENTS = (1, 2, 4, 8)
_LEAST_NOISE = 0.02  # a column's variance is never explained beyond 98 % by its Bayes net parents or its factors
_EM_STEPS = 60


@dataclass(frozen=True)
class GaussianBase:
    """A candidate by `name`, and its held-out `score` (nats a row, against independence)."""

    name: str
    score: float


def _rescaled(covariance: Floats) -> Floats:
    scale = np.sqrt(np.diag(covariance))
    result = covariance / np.outer(scale, scale)
    np.fill_diagonal(result, 1.0)
    return np.asarray(result)


def ledoit_wolf(z: Floats) -> Floats:
    """Correlation matrix of the Ledoit-Wolf (2004) shrinkage of `z`'s second moments to a multiple of the identity."""
    n, d = z.shape
    second = z.T @ z / n
    level = np.trace(second) / d
    spread = (second**2).sum() - d * level**2
    noise = ((z**2).sum(1) ** 2).mean() - (second**2).sum()
    weight = 1.0 if spread <= 0 else float(np.clip(noise / n / spread, 0.0, 1.0))
    shrunk = (1 - weight) * second
    shrunk[np.diag_indices(d)] += weight * level
    return _rescaled(shrunk)


def factor_analysis(z: Floats, n_factors: int, start: tuple[Floats, Floats]) -> Floats:
    """Correlation matrix L L' + Psi by expectation maximization: O(n_rows n_features n_factors) a step.

    `start` holds the leading eigenvalues of the sample correlation and its eigenvectors (as columns), largest first.
    """
    n = len(z)
    scale = np.sqrt((z**2).mean(0))
    unit = z / np.where(scale < 1e-9, np.inf, scale)
    values, vectors = start
    loading = vectors[:, :n_factors] * np.sqrt(np.maximum(values[:n_factors] - 1.0, 0.05))
    unique = np.clip(1.0 - (loading**2).sum(1), _LEAST_NOISE, None)
    for _ in range(_EM_STEPS):
        scaled = loading / unique[:, None]
        posterior = np.linalg.inv(np.eye(n_factors) + loading.T @ scaled)
        factors = unit @ (scaled @ posterior)
        cross = unit.T @ factors / n
        loading = np.linalg.solve(posterior + factors.T @ factors / n, cross.T).T
        fresh = np.clip(1.0 - (loading * cross).sum(1), _LEAST_NOISE, None)
        step = float(np.abs(fresh - unique).max())
        unique = fresh
        if step < 1e-4:
            break
    return _rescaled(loading @ loading.T + np.diag(unique))


def bayes_net(sample: Floats, n_parents: int) -> Floats:
    """Correlation matrix of a Gaussian net: every column regressed on at most `n_parents` earlier ones in Prim order."""
    d = len(sample)
    order, parents = spanning_tree(np.abs(sample) - np.eye(d), n_parents)
    child, missing = order[1:], parents < 0
    known = np.where(missing, 0, parents)
    gram = sample[known[:, :, None], known[:, None, :]].copy()
    gram[missing[:, :, None] | missing[:, None, :]] = 0.0
    target = np.where(missing, 0.0, sample[known, child[:, None]])
    ridge = np.where(missing, 1.0, _LEAST_NOISE)
    weight = np.linalg.solve(gram + ridge[:, :, None] * np.eye(parents.shape[1]), target[:, :, None])[:, :, 0]
    explained = 2 * (weight * target).sum(1) - np.einsum("ki,kij,kj->k", weight, gram, weight)
    noise = np.ones(d)
    noise[child] = np.maximum(1.0 - explained, _LEAST_NOISE)
    network = np.eye(d)
    rows, slots = np.nonzero(~missing)
    network[child[rows], known[rows, slots]] -= weight[rows, slots]
    spread = np.linalg.inv(network)
    return _rescaled((spread * noise) @ spread.T)


def _leading(sample: Floats, unit: Floats, n_vectors: int) -> tuple[Floats, Floats]:
    """Largest eigenvalues and eigenvectors of the sample correlation, through rows or columns, whichever are fewer."""
    n, d = unit.shape
    if d <= n:
        values, vectors = np.linalg.eigh(sample)
        return values[::-1][:n_vectors].copy(), vectors[:, ::-1][:, :n_vectors].copy()
    values, rows = np.linalg.eigh(unit @ unit.T / n)
    values, rows = values[::-1][:n_vectors], rows[:, ::-1][:, :n_vectors]
    return values.copy(), unit.T @ rows / np.sqrt(np.maximum(values, 1e-12) * n)


def candidates(z: Floats, only: str | None = None) -> Iterator[tuple[str, Floats]]:
    """Every candidate for rows `z` (n_rows, n_features) as (name, correlation matrix), or the one that is named."""

    def wanted(name: str) -> bool:
        return only is None or only == name

    n, d = z.shape
    sample = correlation(z)
    if wanted("ledoit-wolf"):
        yield "ledoit-wolf", ledoit_wolf(z)
    for share in SHRINKAGE:
        if wanted(f"shrinkage {share:g}"):
            yield f"shrinkage {share:g}", (1 - share) * sample + share * np.eye(d)
    factors = [k for k in N_FACTORS if k < min(d / 2, n) and wanted(f"{k} factors")]
    if factors:
        scale = np.sqrt((z**2).mean(0))
        start = _leading(sample, z / np.where(scale < 1e-9, np.inf, scale), max(factors))
        for k in factors:
            yield f"{k} factors", factor_analysis(z, k, start)
    for k in N_PARENTS:
        if k < d and wanted(f"{k} parents"):
            yield f"{k} parents", bayes_net(sample, k)


def gaussian_log_ratio(base: Floats, z: Floats) -> Floats:
    """log N(z; 0, base) - log N(z; 0, I) for every row of `z`: (n_rows,), nats."""
    factor = np.linalg.cholesky(base)
    white = np.linalg.solve(factor, z.T)
    return np.asarray(0.5 * ((z.T**2).sum(0) - (white**2).sum(0)) - np.log(np.diag(factor)).sum())


def choose_base(parts: list[tuple[Floats, Floats]]) -> GaussianBase:
    """The candidate with the largest mean log-likelihood of held-out rows, over all (train, validation) `parts`."""
    scores: dict[str, list[float]] = {}
    for train, validation in parts:
        for name, base in candidates(train):
            try:
                scores.setdefault(name, []).append(float(gaussian_log_ratio(base, validation).mean()))
            except np.linalg.LinAlgError:
                continue  # singular to rounding: this candidate cannot be a base
    mean = {name: sum(values) / len(parts) for name, values in scores.items() if len(values) == len(parts)}
    best = max(mean, key=mean.__getitem__)  # the strongest linear shrinkage is always there: positive definite for any rows
    return GaussianBase(best, mean[best])


def fit_base(name: str, z: Floats) -> Floats:
    """The correlation matrix of the candidate called `name`, fitted to `z`; the strongest shrinkage if that is singular."""
    base = next(matrix for _, matrix in candidates(z, only=name))
    try:
        np.linalg.cholesky(base)
    except np.linalg.LinAlgError:
        return next(matrix for _, matrix in candidates(z, only=f"shrinkage {SHRINKAGE[-1]:g}"))
    return base
