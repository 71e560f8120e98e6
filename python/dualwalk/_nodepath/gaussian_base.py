"""The Gaussian base: which linear conditionals along the path describe rows that were held out best.

The sample correlation is useless where columns are as many as rows. Four families of remedies compete, and held-out
log-likelihood picks: Ledoit-Wolf and fixed linear shrinkage, factor analysis, and sparse networks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .conditionals import Conditionals, Dense, LowRank, independent, log_ratio
from .greedy_net import GreedyNet

Floats = NDArray[np.float64]

SHRINKAGE = (0.02, 0.05, 0.1, 0.2, 0.4)
N_FACTORS = (1, 2, 3, 5, 8)
N_PARENTS = (1, 2, 4, 8)
SIGNIFICANCE = (2.5, 3.0, 3.5)  # of a parent, in standard errors of its partial correlation
DENSE_COLUMNS = 1024  # beyond, only the families that need no d x d factorization
_MOST_PARENTS = 12
_LEAST_NOISE = 0.02  # a column's variance is never explained beyond 98 % by its factors
_EM_STEPS = 60


def correlation(z: Floats) -> Floats:
    """Correlations of columns that are centred and scaled by construction (normal scores): second moments, rescaled.

    A column that does not vary has correlation 0 with all others.
    """
    second = z.T @ z
    second /= len(z)
    scale = np.sqrt(np.diag(second))
    scale[scale < 1e-9] = 1.0
    second /= scale
    second /= scale[:, None]
    np.fill_diagonal(second, 1.0)
    return second


def ledoit_wolf(z: Floats) -> float:
    """The weight of the identity in the Ledoit-Wolf (2004) shrinkage of `z`'s second moments, columns of unit variance."""
    n, d = z.shape
    squares = (z**2).sum(axis=1)
    gram = z @ z.T if n < d else z.T @ z
    size = float((gram**2).sum()) / n**2
    spread = size - (squares.mean() / d) ** 2 * d
    noise = float((squares**2).mean()) - size
    return 1.0 if spread <= 0 else float(np.clip(noise / n / spread, 0.0, 1.0))


def factor_analysis(z: Floats, sample: Floats | None, n_factors: int, start: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Loadings (d, n_factors) and unique variances (d,) of unit-variance columns, by expectation maximization.

    `sample` is the correlation matrix, or None where there are more columns than rows: products then go through the rows.
    `start` holds the leading eigenvalues of the sample correlation and its eigenvectors (as columns), largest first.
    """
    values, vectors = start
    loading = vectors[:, :n_factors] * np.sqrt(np.maximum(values[:n_factors] - 1.0, 0.05))
    unique = np.clip(1.0 - (loading**2).sum(1), _LEAST_NOISE, None)
    for _ in range(_EM_STEPS):
        scaled = loading / unique[:, None]
        posterior = np.linalg.inv(np.eye(n_factors) + loading.T @ scaled)
        back = scaled @ posterior
        cross = sample @ back if sample is not None else z.T @ (z @ back) / len(z)
        loading = np.linalg.solve(posterior + back.T @ cross, cross.T).T
        fresh = np.clip(1.0 - (loading * cross).sum(1), _LEAST_NOISE, None)
        step = float(np.abs(fresh - unique).max())
        unique = fresh
        if step < 1e-3:
            break
    return loading, unique


def _leading(z: Floats, sample: Floats | None, n_vectors: int) -> tuple[Floats, Floats]:
    """Largest eigenvalues and eigenvectors of the sample correlation, through rows where `sample` is None."""
    if sample is not None:
        values, vectors = np.linalg.eigh(sample)
        return values[::-1][:n_vectors].copy(), vectors[:, ::-1][:, :n_vectors].copy()
    values, rows = np.linalg.eigh(z @ z.T / len(z))
    values, rows = values[::-1][:n_vectors], rows[:, ::-1][:, :n_vectors]
    return values.copy(), z.T @ rows / np.sqrt(np.maximum(values, 1e-12) * len(z))


def candidates(z: Floats, sample: Floats, only: str | None = None) -> Iterator[tuple[str, Conditionals]]:
    """Every candidate for rows `z` (n_rows, d), columns in path order, as (name, conditionals), or the one that is named.

    `sample` is their correlation. A candidate that is singular to rounding is left out; "independent" is always there.
    """
    n, d = z.shape

    def wanted(name: str) -> bool:
        return only is None or only == name

    if wanted("independent"):
        yield "independent", independent(d)
    shares = {f"shrinkage {share:g}": share for share in SHRINKAGE if d <= DENSE_COLUMNS and wanted(f"shrinkage {share:g}")}
    if d <= DENSE_COLUMNS and wanted("ledoit-wolf"):
        shares["ledoit-wolf"] = ledoit_wolf(z)
    for name, share in shares.items():
        try:
            yield name, Dense.of((1 - share) * sample + share * np.eye(d))
        except np.linalg.LinAlgError:
            continue
    factors = [k for k in N_FACTORS if k < min(d / 2, n) and wanted(f"{k} factors")]
    if factors:
        unit = z / np.maximum(np.sqrt((z**2).mean(axis=0)), 1e-9)
        inner = sample if d <= n else None
        start = _leading(unit, inner, max(factors))
        for k in factors:
            yield f"{k} factors", LowRank.of(*factor_analysis(unit, inner, k, start))
    nets = [f"{k} parents" for k in N_PARENTS if k < d] + [f"parents beyond {t:g} se" for t in SIGNIFICANCE if d > 1]
    if any(map(wanted, nets)):
        net = GreedyNet.grow(sample, n, min(_MOST_PARENTS, n // 4))
        for k in N_PARENTS:
            if k < d and wanted(f"{k} parents"):
                yield f"{k} parents", net.first(k)
        for t in SIGNIFICANCE:
            if wanted(f"parents beyond {t:g} se"):
                yield f"parents beyond {t:g} se", net.significant(t)


def choose_base(parts: list[tuple[Floats, Floats]]) -> tuple[str, list[Conditionals]]:
    """The candidate with the largest mean log-likelihood of held-out rows over all (train, held out) `parts`.

    Returns its name and its conditionals fitted to each part's training rows. Columns in path order.
    """
    fitted: dict[str, list[tuple[float, Conditionals]]] = {}
    for train, held in parts:
        for name, conditionals in candidates(train, correlation(train)):
            fitted.setdefault(name, []).append((float(log_ratio(conditionals, held).mean()), conditionals))
    whole = {name: runs for name, runs in fitted.items() if len(runs) == len(parts)}
    best = max(whole, key=lambda name: sum(score for score, _ in whole[name]))
    return best, [conditionals for _, conditionals in whole[best]]


def fit_base(name: str, z: Floats) -> Conditionals:
    """The candidate called `name`, fitted to `z` (columns in path order); independent columns if that is singular."""
    sample = correlation(z)
    for _, conditionals in candidates(z, sample, only=name):
        return conditionals
    return independent(z.shape[1])
