"""Are normals normal, and independent of each other? And integers uniform below their bounds?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from . import laws

Floats = NDArray[np.float64]
N_CELLS = 64
FAR = 4.0  # standard deviations


def normals(draw: Callable[[int], Floats]) -> dict[str, float]:
    """Of `draw(seed)`, (n_rows, n_columns): one number by itself, and pairs in one row, in one column, and of two seeds."""
    z, other = draw(1), draw(2)
    cells = np.minimum((stats.norm.cdf(z) * N_CELLS).astype(int), N_CELLS - 1)
    pairs = {f"columns {lag} apart": (z[:, :-lag], z[:, lag:]) for lag in (1, 2, 4)}
    pairs |= {f"rows {lag} apart": (z[:-lag], z[lag:]) for lag in (1, 16)}
    pairs |= {"seeds": (z, other)}
    found = {
        "law": laws.of_sample(z, stats.norm.cdf),
        "cells": laws.of_counts(np.bincount(cells.ravel(), minlength=N_CELLS), z.size / N_CELLS),
        "variance": laws.of_mean(z**2, 1.0),
        "tails": laws.of_rate(int((np.abs(z) > FAR).sum()), z.size, 2 * float(stats.norm.sf(FAR))),
    }
    for name, (a, b) in pairs.items():
        found[name] = laws.of_mean(a * b)
        found[f"{name}: sizes"] = laws.of_mean((a**2 - 1) * (b**2 - 1))
    return found


def integers(draws: NDArray[np.integer], bound: int) -> dict[str, float]:
    """Uniform on [0, bound): in parts of the range, by remainders, and one after the other."""
    values = draws.astype(np.int64)
    if values.min() < 0 or values.max() >= bound:
        return {"range": 0.0}
    parts = min(bound, 48)
    limits = (np.arange(parts + 1) * bound + parts - 1) // parts  # the first value of each part
    part = np.searchsorted(limits, values, side="right") - 1
    found = {"parts": laws.of_counts(np.bincount(part, minlength=parts), np.diff(limits) * (len(values) / bound))}
    few = min(bound, 6)
    share = values * few // bound
    found["one after the other"] = laws.of_table(np.bincount(share[:-1] * few + share[1:], minlength=few**2).reshape(few, few))
    if bound > 1000:
        found["remainders"] = laws.of_counts(np.bincount(values % 3, minlength=3), len(values) / 3)
    return found
