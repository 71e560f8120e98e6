"""How often something fires where there is nothing to see: end points, conformal and permutation p-values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from . import laws

Floats = NDArray[np.float64]
Rng = np.random.Generator

# Values of exchangeable rows, as f may be distributed; `levels` has ties, which may only make alarms rarer.
SHAPES: dict[str, Callable[[Rng, int], Floats]] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n),
    "two humps": lambda rng, n: rng.standard_normal(n) + 8 * rng.integers(0, 2, n),
    "levels": lambda rng, n: rng.integers(0, 12, n).astype(float),
}


def end_points(ends: Callable[[Floats], Floats], stated: float, shape: str, n: int, n_trials: int = 5_000) -> dict[str, float]:
    """One new value a trial outside the `ends` of n others: with probability `stated`, at most where there are ties."""
    rng, outside = np.random.default_rng([0, n]), 0
    for _ in range(n_trials):
        values = SHAPES[shape](rng, n + 1)
        low, high = ends(values[:n])
        outside += int(not low <= values[n] <= high)
    side = "greater" if shape == "levels" else "two-sided"
    return {f"{shape}, {n} rows": laws.of_rate(outside, n_trials, stated, side)}


def conformal(p_value: Callable[[Floats, Floats], Floats], shape: str, n: int, n_trials: int = 5_000) -> dict[str, float]:
    """One new value a trial: P(p <= k / (n + 1)) is 2 floor(k / 2) / (n + 1), or less where there are ties."""
    rng, p = np.random.default_rng([1, n]), np.empty(n_trials)
    for trial in range(n_trials):
        values = SHAPES[shape](rng, n + 1)
        p[trial] = p_value(values[n:], values[:n])[0]
    found = {}
    for part in (0.05, 0.1, 0.2, 0.5):
        k = int(part * (n + 1)) // 2 * 2
        side = "greater" if shape == "levels" else "two-sided"
        found[f"{shape}: p <= {part}"] = laws.of_rate(int((p <= k / (n + 1) + 1e-9).sum()), n_trials, k / (n + 1), side)
    return found


def correlated_blocks(rng: Rng, n: int) -> Floats:
    """Columns 0 to 2, 3 to 5 and 6: dependent inside, independent of each other."""
    shared = np.repeat(rng.standard_normal((n, 2)), 3, axis=1)
    return np.hstack([shared + 0.3 * rng.standard_normal((n, 6)), rng.standard_normal((n, 1))])


# Independent columns or blocks of them: how rows are drawn, and the blocks.
NULLS: dict[str, tuple[Callable[[Rng], Floats], list[int] | None]] = {
    "continuous": (lambda rng: rng.standard_normal((24, 4)), None),
    "bits": (lambda rng: rng.integers(0, 2, (20, 3)).astype(float), None),
    "zeros and heavy tails, n < d": (lambda rng: rng.standard_cauchy((12, 20)) * (rng.random((12, 20)) < 0.5), None),
    "blocks": (lambda rng: correlated_blocks(rng, 24), [0, 0, 0, 1, 1, 1, 2]),
}


def permutation_test(p_value: Callable[[Floats, list[int] | None, int], float], null: str, n_tests: int) -> Floats:
    """p-values of `n_tests` data sets of a null, each with a seed of its own."""
    draw, blocks = NULLS[null]
    rng = np.random.default_rng(47)
    return np.array([p_value(draw(rng), blocks, k) for k in range(n_tests)])


Attack = Callable[[Floats, Floats, NDArray[np.intp]], tuple[float, float, float]]


def areas(attack: Attack, shift: float, n_trials: int, *, n_subjects: int = 30, n_rows: int = 3) -> dict[str, float]:
    """Intervals and p-values of the AUC of scores whose true AUC is known; rows of a subject depend on each other.

    `attack(members, non_members, subject of every row)` gives (lower, upper, p-value). Stated: 95 % of the intervals hold the truth,
    and without a shift 5 % of the p-values are below .05; both by an approximation, so give or take a hundredth.
    """
    rng, subject = np.random.default_rng(83), np.repeat(np.arange(n_subjects), n_rows)
    truth = float(stats.norm.cdf(shift / np.sqrt(2)))

    def scores(middle: float) -> Floats:
        own = rng.standard_normal(n_subjects)[subject] + rng.standard_normal(len(subject))
        return middle + own / np.sqrt(2)

    found = np.array([attack(scores(shift), scores(0.0), subject) for _ in range(n_trials)])
    held = int(((found[:, 0] <= truth) & (truth <= found[:, 1])).sum())
    p_values = {"intervals": laws.of_rate(held, n_trials, 0.94, "less")}
    if not shift:
        p_values["p below .05"] = laws.of_rate(int((found[:, 2] < 0.05).sum()), n_trials, 0.06, "greater")
    return p_values
