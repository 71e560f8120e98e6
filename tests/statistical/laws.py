"""p-values of what was seen, if what is stated holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


def of_counts(counts: ArrayLike, expected: ArrayLike) -> float:
    """Counts of independent draws in cells of known expectation, by chi-square."""
    seen, wanted = np.asarray(counts, float), np.broadcast_to(np.asarray(expected, float), np.shape(counts))
    return float(stats.chi2.sf(((seen - wanted) ** 2 / wanted).sum(), seen.size - 1))


def of_table(table: ArrayLike) -> float:
    """A table of counts whose rows and columns do not depend on each other."""
    return float(stats.chi2_contingency(np.asarray(table), correction=False).pvalue)


def of_rate(hits: int, trials: int, rate: float, alternative: str = "two-sided") -> float:
    """Hits among independent trials. alternative "less": the stated rate is the least, "greater": the most that is allowed."""
    return float(stats.binomtest(int(hits), int(trials), rate, alternative=alternative).pvalue)


def of_mean(values: ArrayLike, mean: float = 0.0, *, within: float = 0.0) -> float:
    """Independent values, many of them, whose mean is `mean` give or take `within`."""
    sample = np.asarray(values, float).ravel()
    away = max(abs(float(sample.mean()) - mean) - within, 0.0)
    return float(2 * stats.norm.sf(away * np.sqrt(sample.size) / sample.std(ddof=1)))


def of_most(values: ArrayLike, most: float) -> float:
    """Independent values, many of them, whose mean is at most this."""
    sample = np.asarray(values, float).ravel()
    error = float(sample.std(ddof=1)) / np.sqrt(sample.size)
    return float(stats.norm.sf((sample.mean() - most) / error)) if error else float(sample.mean() <= most)


def of_scores(scores: ArrayLike) -> float:
    """Independent values of mean 0, variance 1 and nearly normal, as many as there are: the mean, or the scatter, whichever is worse."""
    z = np.asarray(scores, float).ravel()
    mean = 2 * stats.norm.sf(abs(z.sum()) / np.sqrt(z.size))
    scatter = 2 * min(stats.chi2.cdf((z**2).sum(), z.size), stats.chi2.sf((z**2).sum(), z.size))
    return float(min(1.0, 2 * min(mean, scatter)))


def of_sample(values: ArrayLike, cdf: Callable[[Any], Any]) -> float:
    """Independent draws from a continuous law, by Kolmogorov and Smirnov."""
    return float(stats.kstest(np.asarray(values, float).ravel(), cdf).pvalue)


def of_scatter(values: ArrayLike, errors: ArrayLike, *, at_least: float, at_most: float) -> dict[str, float]:
    """Estimates whose standard deviation is `at_least` to `at_most` times the standard error that each of them states."""
    seen, stated = np.asarray(values, float), np.asarray(errors, float)
    squares = (seen - seen.mean()) ** 2 * (seen.size / (seen.size - 1)) / np.mean(stated**2)
    return {
        "scatters more than stated": of_most(squares, at_most**2),
        "scatters less than stated": of_most(-squares, -(at_least**2)),
    }


def of_permutation_p_values(p_values: ArrayLike, n_permutations: int) -> dict[str, float]:
    """Exact p-values of independent tests: each of 1 / (n + 1), ..., 1 equally often."""
    ranks = np.round(np.asarray(p_values, float) * (n_permutations + 1)).astype(int) - 1
    counts = np.bincount(ranks, minlength=n_permutations + 1)
    smallest = max(1, (n_permutations + 1) // 20)
    return {
        "uniform": of_counts(counts, ranks.size / (n_permutations + 1)),
        "at most 5 %": of_rate(int(counts[:smallest].sum()), ranks.size, smallest / (n_permutations + 1)),
    }


def of_gaussians(points: Floats, mean: ArrayLike, covariance: ArrayLike) -> dict[str, float]:
    """Independent rows (n, d) of a Gaussian: every column, its square, all products of two columns, and the distance."""
    white = np.linalg.solve(np.linalg.cholesky(np.asarray(covariance, float)), (points - mean).T)
    d = len(white)
    products = [white[a] * white[b] for a in range(d) for b in range(a)]
    return {
        "each": of_sample(white, stats.norm.cdf),
        "means": _of_means(white),
        "squares": of_mean(white**2, 1.0),
        **({"products": _of_means(np.array(products))} if products else {}),
        "distances": of_sample((white**2).sum(axis=0), stats.chi2(d).cdf),
    }


def _of_means(rows: Floats) -> float:
    """Rows of uncorrelated values of mean 0: the sum of their squared standard scores."""
    scores = rows.mean(axis=1) * np.sqrt(rows.shape[1]) / rows.std(axis=1, ddof=1)
    return float(stats.chi2.sf((scores**2).sum(), len(rows)))
