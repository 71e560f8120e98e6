"""The Gaussian base: which linear conditionals along the path describe rows that were held out best.

The sample correlation is useless where columns are as many as rows. Four families of remedies compete, and held-out
log-likelihood picks: Ledoit-Wolf and fixed linear shrinkage, factor analysis, and sparse networks. One spectrum serves the
first three, one greedy network the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._lazy import cached_property
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

    A column that does not vary has correlation 0 with all others. Single precision where columns are very many.
    """
    unit: NDArray = _unit(z).astype(np.float64 if z.shape[1] <= DENSE_COLUMNS else np.float32)
    second: Floats = unit.T @ unit
    np.fill_diagonal(second, 1.0)
    return second


def _unit(z: Floats) -> Floats:
    """Columns of length 1, or 0 where a column does not vary."""
    length = np.sqrt((z**2).sum(axis=0))
    unit: Floats = z / np.where(length < 1e-9, np.inf, length)
    return unit


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
    identity = _device.namespace(z).eye(n_factors)
    loading = vectors[:, :n_factors] * np.sqrt(np.maximum(values[:n_factors] - 1.0, 0.05))
    unique = np.clip(1.0 - (loading**2).sum(1), _LEAST_NOISE, None)
    for _ in range(_EM_STEPS):
        scaled = loading / unique[:, None]
        posterior = _inverse(identity + loading.T @ scaled)
        back = scaled @ posterior
        cross = sample @ back if sample is not None else z.T @ (z @ back) / len(z)
        loading = _solution(posterior + back.T @ cross, cross.T).T
        fresh = np.clip(1.0 - (loading * cross).sum(1), _LEAST_NOISE, None)
        step = float(np.abs(fresh - unique).max())
        unique = fresh
        if step < 1e-3:
            break
    return loading, unique


def _inverse(matrix: Floats) -> Floats:
    """Of a few factors' matrix. One on a device goes to the host and back, which takes less time than cuSOLVER on so small a one."""
    inverse: Floats = _device.beside(np.linalg.inv(_device.to_host(matrix)), matrix)
    return inverse


def _solution(matrix: Floats, right: Floats) -> NDArray:
    """np.linalg.solve of a few factors' matrix (q, q) and many right sides (q, d)."""
    return _inverse(matrix) @ right if _device.is_on_device(matrix) else np.linalg.solve(matrix, right)


@dataclass(frozen=True)
class Rows:
    """Rows `z` (n, d), columns in path order, and what the candidates share of them."""

    z: Floats

    @cached_property
    def sample(self) -> Floats:
        """Their correlation, (d, d)."""
        return correlation(self.z)

    @cached_property
    def unit(self) -> Floats:
        """Their columns scaled to variance 1."""
        scaled: Floats = _unit(self.z) * np.sqrt(len(self.z))
        return scaled

    @cached_property
    def spectrum(self) -> tuple[Floats, Floats]:
        """Eigenvalues, largest first, and eigenvectors (columns) of the correlation: all of them, or the n that are not 0."""
        n, d = self.z.shape
        if d <= n:
            values, vectors = np.linalg.eigh(self.sample)
            return values[::-1].copy(), vectors[:, ::-1].copy()
        values, rows = np.linalg.eigh(self.unit @ self.unit.T / n)
        values, rows = values[::-1], rows[:, ::-1]
        kept = values > 1e-9 * max(1.0, values[0])
        values, rows = values[kept], rows[:, kept]
        return values, self.unit.T @ (rows / np.sqrt(values * n))

    @cached_property
    def net(self) -> GreedyNet:
        """The network that all sparse candidates are cut from."""
        return GreedyNet.grow(self.sample, len(self.z), min(_MOST_PARENTS, len(self.z) // 4))


def names(n: int, d: int) -> list[str]:
    """All candidates for n rows of d columns."""
    linear = ["ledoit-wolf", *(f"shrinkage {share:g}" for share in SHRINKAGE)] if 1 < d <= DENSE_COLUMNS else []
    factors = [f"{k} factors" for k in N_FACTORS if k < min(d / 2, n)]
    nets = [f"{k} parents" for k in N_PARENTS if k < d] + [f"parents beyond {t:g} se" for t in SIGNIFICANCE if d > 1]
    return ["independent", *linear, *factors, *nets]


def fit_candidate(name: str, rows: Rows) -> Conditionals:
    """The candidate called `name`, fitted to `rows`; np.linalg.LinAlgError where it is singular to rounding."""
    n, d = rows.z.shape
    share = _share(name, rows)
    if share is not None:
        return Dense.of((1 - share) * rows.sample + share * _device.namespace(rows.z).eye(d))
    if name.endswith("factors"):
        values, vectors = rows.spectrum
        inner = rows.sample if d <= n else None
        n_factors = int(name.split()[0])
        if n_factors > len(values):
            raise np.linalg.LinAlgError(f"{n} rows have {len(values)} directions, too few for {name}")
        return LowRank.of(*factor_analysis(rows.unit, inner, n_factors, (values, vectors)))
    if name.startswith("parents beyond"):
        return rows.net.significant(float(name.split()[2]))
    if name.endswith("parents"):
        return rows.net.first(int(name.split()[0]))
    return independent(d, _device.namespace(rows.z))


def _share(name: str, rows: Rows) -> float | None:
    """The weight of the identity in a linear shrinkage; None for the other families."""
    if name == "ledoit-wolf":
        return ledoit_wolf(rows.unit)
    return float(name.split()[1]) if name.startswith("shrinkage") else None


def _shrunk_log_ratio(share: float, rows: Rows, held: Floats) -> float:
    """Mean of log N(z; 0, (1 - share) S + share I) - log N(z; 0, I) over rows `held`, from the spectrum of S alone."""
    values, vectors = rows.spectrum
    spread = (1 - share) * np.maximum(values, 0.0) + share
    along = (held @ vectors) ** 2
    total = (held**2).sum(axis=1)
    beyond = (total - along.sum(axis=1)) / share if held.shape[1] > len(values) else 0.0
    log_det = np.log(spread).sum() + (held.shape[1] - len(values)) * np.log(share)
    return float(0.5 * (total - (along / spread).sum(axis=1) - beyond).mean() - 0.5 * log_det)


def choose_base(parts: list[tuple[Floats, Floats]]) -> tuple[str, list[Conditionals]]:
    """The candidate with the largest mean log-likelihood of held-out rows over all (train, held out) `parts`.

    Returns its name and its conditionals fitted to each part's training rows. Columns in path order.
    """
    train = [Rows(rows) for rows, _ in parts]
    n, d = parts[0][0].shape
    best, best_score, best_fits = "independent", 0.0, [fit_candidate("independent", rows) for rows in train]
    for name in names(n, d)[1:]:
        fits: list[Conditionals] = []
        score = 0.0
        try:
            for rows, (_, held) in zip(train, parts, strict=True):
                share = _share(name, rows)
                if share is not None and share > 0:
                    score += _shrunk_log_ratio(share, rows, held) / len(parts)
                    continue
                fits.append(fit_candidate(name, rows))
                score += float(log_ratio(fits[-1], held).mean()) / len(parts)
        except np.linalg.LinAlgError:  # so few rows that it is singular: no candidate
            continue
        if score > best_score:
            best, best_score, best_fits = name, score, fits
    return best, best_fits or [fit_candidate(best, rows) for rows in train]


def fit_base(name: str, z: Floats) -> Conditionals:
    """The candidate called `name`, fitted to `z` (columns in path order); independent columns if it is singular there."""
    try:
        return fit_candidate(name, Rows(z))
    except np.linalg.LinAlgError:
        return independent(z.shape[1], _device.namespace(z))
