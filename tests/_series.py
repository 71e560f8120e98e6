"""Small data sets, and samplers fitted on them, that several test files share."""

from __future__ import annotations

from functools import cache

import numpy as np

from dualwalk.sampler import DualSampler


def series(n=60, channels=2, times=5, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, channels, times)).cumsum(axis=2) + shift


@cache
def fitted():
    return DualSampler(random_state=0).fit(series())


@cache
def two_classes():
    """Two classes far apart, dependent in opposite ways, and a third of five rows."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(65, 1))
    X = np.hstack([base + 0.3 * rng.normal(size=(65, 1)), base]) + 0.1 * rng.normal(size=(65, 2))
    y = np.repeat(["left", "right", "rare"], [30, 30, 5])
    X[y == "right"] *= np.array([-1.0, 1.0])
    X += np.where(y == "right", 8.0, np.where(y == "rare", -8.0, 0.0))[:, None]
    return DualSampler(random_state=0).fit(X, y), X, y
