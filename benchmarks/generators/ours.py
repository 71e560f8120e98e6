"""dualwalk's sampler with its defaults, in the shape of the other generators."""

from __future__ import annotations

import warnings

import numpy as np

from dualwalk import DualSampler


class Ours:
    def __init__(self, seed: int = 0):
        self.sampler = DualSampler(random_state=seed)

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Ours:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rows, rows that look grouped: said once a set by the sampler's own users
            self.sampler.fit(X, y)
        self.choice = str(self.sampler.choice_)
        return self

    def sample(self, n: int, y: np.ndarray | None = None) -> np.ndarray:
        return self.sampler.sample(n, y)


class Independent(Ours):
    """The same without balance: what a classifier makes of independent rows."""

    def sample(self, n: int, y: np.ndarray | None = None) -> np.ndarray:
        return self.sampler.sample(n, y, balanced=False)
