"""The covariance that all neighbourhoods share: the sample covariance, shrunk to a target that has n samples enough.

Two targets: the diagonal with Ledoit and Wolf's shrinkage, or, for series, channels x time (separable). Which one, and how
much of it, is decided by held-out Gaussian log-likelihood. No d x d matrix is formed where d exceeds n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._neighbors import squared_lengths
from .._random import generator

Float = NDArray[np.float64]
Index = NDArray[np.intp]

DIAGONAL_SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.4)
SEPARABLE_SHRINKAGES = (0.5, 0.7, 0.9, 0.97)
FLIP_FLOPS = 4
RIDGE = 1e-3


@dataclass(frozen=True)
class NoiseModel:
    """A target ("diagonal" or "separable") and its share; None for Ledoit and Wolf's own."""

    target: str = "diagonal"
    shrinkage: float | None = None

    def __str__(self) -> str:
        if self.target == "diagonal":
            how = "as Ledoit and Wolf do" if self.shrinkage is None else f"by {100 * self.shrinkage:g} %"
            return f"shrunk to its diagonal {how}"
        return f"{100 * (self.shrinkage or 0.0):g} % channels x times"


@dataclass(frozen=True)
class _Separable:
    """A (channels) x B (time), scaled to a unit diagonal: Cholesky factors and the scale."""

    channels: Float
    times: Float
    scale: Float

    def color(self, white: Float) -> Float:
        """Rows (n, c, t) of white noise -> rows with the separable correlation."""
        colored: Float = np.matmul(self.channels @ white, self.times.T) / self.scale
        return colored

    def whiten(self, rows: Float) -> Float:
        half = _solved(self.channels, rows * self.scale)
        return _solved(self.times, half.transpose(0, 2, 1)).transpose(0, 2, 1)

    @property
    def log_det(self) -> Any:
        n_channels, n_times = self.scale.shape
        channels = n_times * np.log(np.diagonal(self.channels)).sum()
        times = n_channels * np.log(np.diagonal(self.times)).sum()
        return 2.0 * (channels + times - np.log(self.scale).sum())


def _solved(lower: Float, rows: Float) -> Float:
    """lower^-1 of every one of rows (n, m, k); CuPy's solve takes no stack of rows for one matrix."""
    if _device.is_on_device(rows):
        product: Float = np.matmul(np.linalg.inv(lower), rows)
        return product
    solved: Float = np.linalg.solve(lower, rows).astype(np.float64, copy=False)
    return solved


def _fit_separable(rows: Float) -> _Separable:
    """Maximum likelihood of a separable covariance of rows (n, c, t) by flip-flop, with a small ridge."""
    n, n_channels, n_times = rows.shape
    xp = _device.namespace(rows)
    channels, times = xp.eye(n_channels), xp.eye(n_times)
    for _ in range(FLIP_FLOPS):
        channels = np.tensordot(rows @ np.linalg.inv(times), rows, axes=([0, 2], [0, 2])) / (n * n_times)
        channels = _ridged(channels)
        mixed = np.tensordot(rows, np.linalg.inv(channels), axes=([1], [0]))  # (n, t, c)
        times = np.tensordot(mixed, rows, axes=([0, 2], [0, 1])) / (n * n_channels)
        times = _ridged(times)
    scale = np.sqrt(np.outer(np.diagonal(channels), np.diagonal(times)))
    lower_channels: Float = np.linalg.cholesky(channels).astype(np.float64)
    lower_times: Float = np.linalg.cholesky(times).astype(np.float64)
    return _Separable(lower_channels, lower_times, scale)


def _ridged(matrix: Float) -> Float:
    mean = np.trace(matrix) / len(matrix)
    identity = _device.namespace(matrix).eye(len(matrix))
    ridged: Float = 0.5 * (matrix + matrix.T) + (RIDGE * mean + 1e-12) * identity
    return ridged


def ledoit_wolf_shrinkage(rows: Float) -> float:
    """The share of the identity that Ledoit and Wolf (2004) give centred rows (n, d); from the n x n Gram matrix if n < d."""
    n, d = rows.shape
    squares = squared_lengths(rows)
    gram = rows @ rows.T if n < d else rows.T @ rows
    total_gram, total, total_squares = _device.floats((gram**2).sum(), squares.sum(), (squares**2).sum())
    norm = total_gram / n**2  # of the sample covariance, squared
    mean = total / (n * d)
    distance = norm - d * mean**2
    spread = (total_squares / n - norm) / n
    return 1.0 if distance <= 0.0 else float(np.clip(spread / distance, 0.0, 1.0))


def _standardized(rows: Float) -> tuple[Float, Float]:
    deviation: Float = rows.std(axis=0)
    deviation[deviation < 1e-12] = 0.0
    return rows / np.where(deviation > 0, deviation, 1.0), deviation


class PooledNoise:
    """Draws from (1 - s) x the sample covariance of centred rows + s x the target, in O(n d) a draw."""

    def __init__(self, rows: Float, feature_shape: tuple[int, ...], model: NoiseModel) -> None:
        self._rows = rows
        self._shape = feature_shape
        unit, self._deviation = _standardized(rows)
        self._separable: _Separable | None = None
        if model.target == "separable":
            self._separable = _fit_separable(unit.reshape(len(rows), *feature_shape))
        self.shrinkage = ledoit_wolf_shrinkage(unit) if model.shrinkage is None else model.shrinkage

    def draw(self, n_rows: int, stream: np.random.Generator) -> Float:
        """Noise (n_rows, d)."""
        n, d = self._rows.shape
        sampled = stream.standard_normal((n_rows, n)) @ self._rows
        sampled *= np.sqrt((1.0 - self.shrinkage) / n)
        noise: Float = sampled + np.sqrt(self.shrinkage) * self.color_target(stream.standard_normal((n_rows, d)))
        return noise

    def color_target(self, white: Float) -> Float:
        """White noise (n_rows, d) -> noise with the covariance of the target alone."""
        if self._separable is not None:
            white = self._separable.color(white.reshape(len(white), *self._shape)).reshape(white.shape)
        return white * self._deviation


def choose_noise_model(
    points: Float, feature_shape: tuple[int, ...], seed: int, *, groups: Index | None = None, n_folds: int = 2
) -> NoiseModel:
    """The target and shrinkage with the highest held-out Gaussian log-likelihood, on `n_folds` of five folds (of groups)."""
    is_series = len(feature_shape) == 2 and min(feature_shape) > 1
    group = np.arange(len(points)) if groups is None else groups
    fold: Index = generator(seed, "noise").permutation(int(group.max()) + 1)[group] % 5
    totals: dict[NoiseModel, float] = {}
    for k in range(n_folds):
        fit, held = (points[_device.beside(np.flatnonzero(side), points)] for side in (fold != k, fold == k))
        if len(fit) < 2 or not len(held):
            continue
        center = fit.mean(axis=0)
        unit, deviation = _standardized(fit - center)
        test = (held - center) / np.where(deviation > 0, deviation, 1.0)
        shrinkages = (max(ledoit_wolf_shrinkage(unit), 1e-3), *DIAGONAL_SHRINKAGES)
        found = _device.floats(*_log_likelihoods(unit, test, shrinkages))
        for s, value in zip((None, *DIAGONAL_SHRINKAGES), found, strict=True):
            totals[NoiseModel("diagonal", s)] = totals.get(NoiseModel("diagonal", s), 0.0) + value
        if not is_series:
            continue
        separable = _fit_separable(unit.reshape(-1, *feature_shape))
        white = separable.whiten(unit.reshape(-1, *feature_shape)).reshape(unit.shape)
        white_test = separable.whiten(test.reshape(-1, *feature_shape)).reshape(test.shape)
        *found, log_det = _device.floats(*_log_likelihoods(white, white_test, SEPARABLE_SHRINKAGES), separable.log_det)
        for s, value in zip(SEPARABLE_SHRINKAGES, found, strict=True):
            model = NoiseModel("separable", s)
            totals[model] = totals.get(model, 0.0) + value - 0.5 * log_det
    return max(totals, key=lambda model: totals[model], default=NoiseModel())


def _log_likelihoods(rows: Float, test: Float, shrinkages: tuple[float, ...]) -> list[Any]:
    """Mean log N(test; 0, (1 - s) rows^T rows / n + s I) for every s, up to the constant in pi; one eigen-decomposition."""
    n, d = rows.shape
    if d <= n:
        eigenvalues, vectors = np.linalg.eigh(rows.T @ rows / n)
        energy = ((test @ vectors) ** 2).mean(axis=0)
        rest: Any = 0.0
        n_rest = 0
    else:
        # The other d - n directions have variance s; the energy in them is what the n directions do not hold.
        eigenvalues, vectors = np.linalg.eigh(rows @ rows.T / n)
        eigenvalues = np.maximum(eigenvalues, 1e-12)
        energy = (((test @ rows.T) @ vectors) ** 2).mean(axis=0) / (n * eigenvalues)
        energy[eigenvalues < 1e-9 * eigenvalues[-1]] = 0.0
        rest, n_rest = (test**2).sum(axis=1).mean() - energy.sum(), d - n
    values = []
    for s in shrinkages:
        variance = (1.0 - s) * eigenvalues + s
        values.append(-0.5 * ((energy / variance + np.log(variance)).sum() + rest / s + n_rest * np.log(s)))
    return values
