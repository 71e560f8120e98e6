"""The exact law of unadjusted Langevin chains: closed for Gaussians, by a transition matrix on a grid for any law of one column."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import laws

Floats = NDArray[np.float64]


def gaussian_chain(
    mean: Floats, covariance: Floats, start: Floats, step_size: float, n_steps: int, shape: Floats
) -> tuple[Floats, Floats]:
    """Mean and covariance after n_steps of  x += h C P (mean - x) + sqrt(2 h) C^(1/2) e,  P the inverse of the covariance."""
    d = len(mean)
    turn = np.eye(d) - step_size * shape @ np.linalg.inv(covariance)
    offset, spread = start - mean, np.zeros((d, d))
    for _ in range(n_steps):
        offset = turn @ offset
        spread = turn @ spread @ turn.T + 2 * step_size * shape
    return mean + offset, spread


def chain_on_grid(slope: Callable[[Floats], Floats], start: float, step_size: float, n_steps: int, grid: Floats) -> Floats:
    """The distribution function, at the points of an even grid, of one column after n_steps of  x += h slope(x) + sqrt(2 h) e."""
    width, moved = grid[1] - grid[0], grid + step_size * slope(grid)
    kernel = np.exp(-((grid[:, None] - moved) ** 2) / (4 * step_size)) * (width / np.sqrt(4 * np.pi * step_size))
    first = start + step_size * float(slope(np.array([start]))[0])
    law = np.exp(-((grid - first) ** 2) / (4 * step_size)) * (width / np.sqrt(4 * np.pi * step_size))
    for _ in range(n_steps - 1):
        law = kernel @ law
    assert abs(law.sum() - 1) < 1e-6, "the grid holds all of the law"
    return np.cumsum(law) - law / 2


def on_grid(x: Floats, grid: Floats, distribution: Floats) -> dict[str, float]:
    """Independent values x (n,) whose distribution function is known on a grid."""
    return {"law": laws.of_sample(x, lambda at: np.interp(at, grid, distribution))}
