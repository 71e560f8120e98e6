"""Are samples as balanced, or as independent, as they are said to be?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from . import laws

Floats = NDArray[np.float64]

LARGEST_SHARE = 0.1  # of the variance that means of independent draws have, for balanced blocks


def starts(draw: Callable[[int], NDArray[np.integer]], n_rows: int, n_calls: int = 4_000) -> dict[str, float]:
    """`draw(n)` starts among n_rows rows, n no multiple of them; every call must be as even as can be."""
    n = 2 * n_rows + 3
    extra, first = np.zeros(n_rows), np.zeros(n_rows)
    for _ in range(n_calls):
        began = draw(n)
        counts = np.bincount(began, minlength=n_rows)
        assert counts.min() >= 2, f"a row serves {counts.min()} times in {n} starts, where 2 or 3 is even"
        assert counts.max() <= 3, f"a row serves {counts.max()} times in {n} starts, where 2 or 3 is even"
        extra += counts == 3
        first[began[0]] += 1
    # three of n_rows without replacement: counts vary less than a multinomial's, by the factor (n_rows - 3) / (n_rows - 1)
    expected = 3 * n_calls / n_rows
    distance = ((extra - expected) ** 2 / expected).sum() * (n_rows - 1) / (n_rows - 3)
    return {
        "left over": float(stats.chi2.sf(distance, n_rows - 1)),
        "first": laws.of_counts(first, n_calls / n_rows),
    }


def _scatter(rows: Floats, block: int) -> Floats:
    """Variance of the means of blocks, over what it is for independent rows; column by column."""
    whole = rows[: len(rows) // block * block]
    means = whole.reshape(-1, block, rows.shape[1]).mean(axis=1)
    return means.var(axis=0, ddof=1) * block / rows.var(axis=0)


def independent(rows: Floats, block: int) -> dict[str, float]:
    """Means of blocks scatter as those of independent rows, and no row tells about the next."""
    n_blocks = len(rows) // block
    centred = rows - rows.mean(axis=0)
    found = {}
    for k, ratio in enumerate(_scatter(rows, block)):
        law = stats.chi2(n_blocks - 1)
        distance = ratio * (n_blocks - 1)
        found[f"means of column {k}"] = float(2 * min(law.cdf(distance), law.sf(distance)))
        found[f"neighbours in column {k}"] = laws.of_mean(centred[1:, k] * centred[:-1, k])
    return found


def same_shares(rows: Floats, others: Floats, within: float) -> dict[str, float]:
    """Shares of independent `rows` below the deciles of `others`, column by column: tenths, give or take `within`."""
    tenths = np.linspace(0.1, 0.9, 9)
    found = {}
    for k, levels in enumerate(np.quantile(others, tenths, axis=0).T):
        each = [laws.of_mean(rows[:, k] <= level, tenth, within=within) for level, tenth in zip(levels, tenths, strict=True)]
        found[f"column {k}"] = min(1.0, len(each) * min(each))
    return found


def balanced(rows: Floats, block: int) -> None:
    """Fail where the means of blocks scatter nearly as much as those of independent rows."""
    worst = float(_scatter(rows, block).max())
    assert worst <= LARGEST_SHARE, (
        f"means of blocks have {worst:.2f} of the variance of independent rows, {LARGEST_SHARE} at most"
    )
