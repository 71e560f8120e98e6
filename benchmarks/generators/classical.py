"""Peers without networks: copies, SMOTE, a kernel density, a Gaussian copula, principal components.

All take float64 rows (n, n_features or n_channels x n_times) and draw as many new ones as asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity, NearestNeighbors
from sklearn.preprocessing import QuantileTransformer, StandardScaler


class Flat:
    """Rows as vectors inside, in their own shape outside."""

    choice = ""

    def __init__(self, seed: int = 0):
        self.seed = seed
        self.random = np.random.default_rng(seed)

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Flat:
        self.shape = X.shape[1:]
        self.fit_rows(X.reshape(len(X), -1))
        return self

    def sample(self, n: int, y: np.ndarray | None = None) -> np.ndarray:
        return self.draw(n).reshape(n, *self.shape)

    def fit_rows(self, rows: np.ndarray) -> None:
        self.rows = rows

    def draw(self, n: int) -> np.ndarray:
        raise NotImplementedError

    def starts(self, n: int) -> np.ndarray:
        """Indices of training rows, each as often as the others."""
        return np.concatenate([self.random.permutation(len(self.rows)) for _ in range(-(-n // len(self.rows)))])[:n]


class Copies(Flat):
    """Training rows, unchanged: what a generator must not do."""

    def draw(self, n: int) -> np.ndarray:
        return self.rows[self.starts(n)]


class SMOTE(Flat):
    """A random point between a row and one of its five nearest neighbours (Chawla et al. 2002)."""

    def fit_rows(self, rows: np.ndarray) -> None:
        self.rows = rows
        k = min(5, len(rows) - 1)
        self.neighbors = NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows, return_distance=False)[:, 1:]

    def draw(self, n: int) -> np.ndarray:
        start = self.starts(n)
        other = self.neighbors[start, self.random.integers(self.neighbors.shape[1], size=n)]
        return self.rows[start] + self.random.random((n, 1)) * (self.rows[other] - self.rows[start])


class KDE(Flat):
    """A Gaussian kernel on standardized columns, its bandwidth by cross-validated likelihood."""

    def fit_rows(self, rows: np.ndarray) -> None:
        self.scaler = StandardScaler().fit(rows)
        search = GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.03, 2, 16)}, cv=min(5, len(rows)))
        self.density = search.fit(self.scaler.transform(rows)).best_estimator_
        self.choice = f"bandwidth {self.density.bandwidth:.2f}"

    def draw(self, n: int) -> np.ndarray:
        return self.scaler.inverse_transform(self.density.sample(n, random_state=self.random.integers(2**31)))


class GaussianCopula(Flat):
    """Normal scores of the columns, one Ledoit-Wolf covariance, the quantiles back."""

    def fit_rows(self, rows: np.ndarray) -> None:
        self.scores = QuantileTransformer(n_quantiles=len(rows), output_distribution="normal").fit(rows)
        z = np.clip(self.scores.transform(rows), -3.5, 3.5)
        covariance = LedoitWolf().fit(z).covariance_
        deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
        self.root = vectors * np.sqrt(np.maximum(values, 0))

    def draw(self, n: int) -> np.ndarray:
        return self.scores.inverse_transform(self.random.standard_normal((n, len(self.root))) @ self.root.T)


class PCAGaussian(Flat):
    """Probabilistic PCA: a Gaussian with the number of components of the best cross-validated likelihood."""

    def fit_rows(self, rows: np.ndarray) -> None:
        deviation = rows.std(axis=0)
        self.unit = np.maximum(deviation, 0.1 * np.median(deviation[deviation > 0]))
        most = min(rows.shape[1] - 1, 4 * len(rows) // 5 - 2)
        counts = sorted({k for k in (1, 2, 4, 8, 16, 32, 64, 128, 256) if k < most} | {most})
        search = GridSearchCV(PCA(svd_solver="full"), {"n_components": counts}, cv=5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a number of components without a likelihood in some fold is not chosen
            search.fit(rows / self.unit)
        self.model = search.best_estimator_
        self.choice = f"{self.model.n_components_} components"

    def draw(self, n: int) -> np.ndarray:
        model = self.model
        noise = np.sqrt(max(model.noise_variance_, 0.0))
        scale = np.sqrt(np.maximum(model.explained_variance_ - model.noise_variance_, 0))
        rows = self.random.standard_normal((n, len(scale))) * scale @ model.components_
        return (rows + noise * self.random.standard_normal(rows.shape) + model.mean_) * self.unit


class PerClass:
    """One generator a class; `sample` answers the classes asked for."""

    def __init__(self, make: Callable[[], Flat]):
        self.make = make

    def fit(self, X: np.ndarray, y: np.ndarray) -> PerClass:
        self.parts = {int(label): self.make().fit(X[y == label]) for label in np.unique(y)}
        self.choice = next(iter(self.parts.values())).choice
        return self

    def sample(self, n: int, y: np.ndarray) -> np.ndarray:
        out: np.ndarray | None = None
        for label, part in self.parts.items():
            chosen = y == label
            if chosen.any():
                drawn = part.sample(int(chosen.sum()))
                out = np.empty((n, *drawn.shape[1:])) if out is None else out
                out[chosen] = drawn
        if out is None:
            raise ValueError(f"y has none of the classes {sorted(self.parts)}")
        return out
