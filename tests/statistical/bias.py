"""Means of values of two kinds only, so that the expectation of their log is a finite sum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from . import laws

Floats = NDArray[np.float64]

N, SHARE, SIZE = 20, 0.1, 3.0  # of N values a share is SIZE, the rest 0


def expected_log_mean_exp(n: int = N, share: float = SHARE, size: float = SIZE) -> float:
    """E log mean exp f for n independent values, `size` with probability `share`, else 0: below log E exp f, by Jensen."""
    counts = np.arange(n + 1)
    return float(stats.binom.pmf(counts, n, share) @ np.log1p(np.expm1(size) * counts / n))


def of_log_mean_exp(log_mean_exp: Callable[[Floats], Floats], n_rows: int = 50_000) -> dict[str, float]:
    """`log_mean_exp` of rows (n_rows, N), (n_rows,)."""
    f = SIZE * (np.random.default_rng(41).random((n_rows, N)) < SHARE)
    return {"mean": laws.of_mean(log_mean_exp(f), expected_log_mean_exp())}


def of_donsker_varadhan(values: Callable[[Floats, Floats], Floats], n_batches: int) -> dict[str, float]:
    """Values of batches (n_batches, N) of f under p, where heads have probability .5, and under q, where they have .1."""
    heads, tails = np.log(0.5 / SHARE), np.log(0.5 / (1 - SHARE))
    rng = np.random.default_rng(43)
    joint, marginal = (np.where(rng.random((n_batches, N)) < share, heads, tails) for share in (0.5, SHARE))
    expected = 0.5 * heads + 0.5 * tails - (tails + expected_log_mean_exp(size=heads - tails))
    return {"mean": laws.of_mean(values(joint, marginal), expected)}
