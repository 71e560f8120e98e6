"""Gradients against finite differences in extended precision (np.longdouble: 64 bits of mantissa on x86).

Values are written down here once more, from the definition and in extended precision, wherever they are a short formula; no
chance is involved, so a gradient either is right to its rounding or is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Long = np.longdouble
Longs = NDArray[np.longdouble]
Value = Callable[[Longs], Longs]

STEP = Long(2) ** -12
TOLERANCE = {"float64": 1e-9, "float32": 1e-3}  # of the largest slope of the row


def slopes(value: Value, x: ArrayLike) -> Longs:
    """The gradient of `value`: (..., d) -> (...) at x (..., d), to about 1e-12 of its third derivatives."""
    at = np.asarray(x, Long)
    found = np.empty_like(at)
    for k in range(at.shape[-1]):

        def central(step: Longs, k: int = k) -> Longs:
            ahead, behind = at.copy(), at.copy()
            ahead[..., k] += step
            behind[..., k] -= step
            return (value(ahead) - value(behind)) / (2 * step)

        found[..., k] = (64 * central(STEP / 4) - 20 * central(STEP / 2) + central(STEP)) / 45  # Romberg: exact to step**6
    return found


def accept(value: Value, gradient: ArrayLike, x: ArrayLike, *, tolerance: float = TOLERANCE["float64"]) -> None:
    """Fail where `gradient` at x is off by more than `tolerance` of the largest slope of its row."""
    wanted, got = slopes(value, x), np.asarray(gradient, Long)
    assert got.shape == wanted.shape, f"a gradient of shape {got.shape}, where {wanted.shape} is wanted"
    scale = np.abs(wanted).max(axis=-1, keepdims=True)
    off = float((np.abs(got - wanted) / np.where(scale > 0, scale, 1)).max())
    assert off <= tolerance, f"the gradient is off by {off:.2g} of the largest slope, where {tolerance:.2g} is rounding"


def log_normal(x: Longs, mean: ArrayLike, covariance: ArrayLike) -> Longs:
    """log N(x; mean, covariance) of rows (..., d), by Cholesky's factor; NumPy has none in this precision."""
    matrix = np.asarray(covariance, Long)
    d = len(matrix)
    lower = np.zeros((d, d), Long)
    for j in range(d):
        lower[j, j] = np.sqrt(matrix[j, j] - (lower[j, :j] ** 2).sum())
        lower[j + 1 :, j] = (matrix[j + 1 :, j] - lower[j + 1 :, :j] @ lower[j, :j]) / lower[j, j]
    offset, white = x - np.asarray(mean, Long), []
    for j in range(d):
        white.append((offset[..., j] - sum(lower[j, i] * white[i] for i in range(j))) / lower[j, j])
    return -Long(0.5) * sum(w * w for w in white) - np.log(np.diag(lower)).sum() - d * np.log(2 * np.arccos(Long(-1))) / 2


def log_mean_exp(f: Longs, weights: ArrayLike | None = None) -> Longs:
    """log(sum w exp f / sum w) over the last axis."""
    w = np.ones(f.shape[-1], Long) if weights is None else np.asarray(weights, Long)
    top = f.max(axis=-1, keepdims=True)
    return np.log((w * np.exp(f - top)).sum(axis=-1) / w.sum(axis=-1)) + top[..., 0]


def mean_log_sigmoid(f: Longs) -> Longs:
    """mean log(1 / (1 + exp(-f))) over the last axis."""
    return -(np.log1p(np.exp(-np.abs(f))) + np.maximum(-f, 0)).mean(axis=-1)


def perceptron(weights: list[NDArray], biases: list[NDArray]) -> Value:
    """w_L silu(... silu(W_1 x + b_1) ...) + b_L."""

    def value(x: Longs) -> Longs:
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = x @ np.asarray(weight, Long).T + np.asarray(bias, Long)
            if layer < len(weights) - 1:
                x = x / (1 + np.exp(-x))
        return x[..., 0]

    return value


def local(points: NDArray, neighbors: NDArray, shrinkage: float, base: str | None = None) -> Value:
    """log N(z; m, S) - sum_j log N(z_j; m_j, S_jj) of one neighbourhood, or with `base` that plus its log density."""
    rows = np.asarray(points, Long)[neighbors]
    mean = rows.mean(axis=0)
    spread = (rows - mean).T @ (rows - mean) / (len(rows) - 1)
    variance = np.diag(np.diag(spread))
    covariance = (1 - Long(shrinkage)) * spread + Long(shrinkage) * variance

    def value(x: Longs) -> Longs:
        f = log_normal(x, mean, covariance)
        if base != "marginals":
            f = f - log_normal(x, mean, variance)
        return f + log_normal(x, np.zeros(len(mean)), np.eye(len(mean))) if base == "normal" else f

    return value


def mixture(weights: ArrayLike, means: NDArray, covariances: NDArray, time: float, base: str | None = None) -> Value:
    """log sum_k pi_k N(x; a mu_k, a^2 S_k + s^2 I) - log N(x; 0, I), or with base="normal" without the last term."""
    angle = np.arccos(Long(-1)) * Long(time) / 2
    a, s = np.cos(angle), np.sin(angle)
    shares = np.asarray(weights, Long) / np.asarray(weights, Long).sum()

    def value(x: Longs) -> Longs:
        one = np.eye(x.shape[-1], dtype=Long)
        parts = [
            np.log(share) + log_normal(x, a * np.asarray(m, Long), a * a * np.asarray(c, Long) + s * s * one)
            for share, m, c in zip(shares, means, covariances, strict=True)
        ]
        f = log_mean_exp(np.stack(parts, axis=-1)) + np.log(Long(len(parts)))
        return f if base == "normal" else f - log_normal(x, np.zeros(len(one)), one)

    return value
