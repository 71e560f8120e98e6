"""Student scores: what a normal score becomes where the copula is that of a multivariate Student t."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GAUSSIAN = math.inf  # degrees of freedom
_FARTHEST = 7.0  # scores beyond are as far as this one


@lru_cache(maxsize=32)
def _table(degrees: float) -> tuple[Floats, Floats]:
    """Normal scores 0 .. 7, and asinh of the Student quantile at each: equal probabilities above both."""
    place = np.linspace(0.0, math.asinh(1e13 ** (1 / min(degrees, 13.0)) * math.sqrt(degrees)) + 2.0, 20001)
    t = np.sinh(place)
    log_constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    density = np.exp(log_constant - 0.5 * (degrees + 1) * np.log1p(t * t / degrees)) * np.cosh(place)
    step = place[1]
    beyond = density[-1] / degrees  # the tail t^-(degrees + 1), integrated
    above = np.append(np.cumsum((0.5 * step * (density[1:] + density[:-1]))[::-1])[::-1], 0.0) + beyond
    z = np.linspace(0.0, _FARTHEST, 1401)
    log_above = np.log([0.5 * math.erfc(v / math.sqrt(2)) for v in z])
    quantile = np.interp(-log_above, -np.log(above), place)
    quantile[0] = 0.0
    for array in (z, quantile):
        array.setflags(write=False)
    return z, quantile


def student_scores(z: Floats, degrees: float) -> Floats:
    """The Student quantile with `degrees` of freedom at the probability of every normal score; z itself for infinity.

    >>> bool(abs(student_scores(np.array([0.6744897501960817]), 1.0)[0] - 1.0) < 1e-3)  # upper quartile of a Cauchy
    True
    """
    if math.isinf(degrees):
        return z
    grid, quantile = _table(degrees)
    return np.asarray(np.copysign(np.sinh(np.interp(np.abs(z), grid, quantile)), z))


def student_slopes(z: Floats, degrees: float) -> Floats:
    """The derivative of `student_scores` by z (of the very interpolation that it is made of)."""
    if math.isinf(degrees):
        return np.ones_like(z)
    grid, quantile = _table(degrees)
    size = np.abs(z)
    cell = np.minimum((size / grid[1]).astype(np.intp), len(grid) - 2)
    slope = (quantile[cell + 1] - quantile[cell]) / grid[1]
    slope[size > _FARTHEST] = 0.0
    return np.asarray(slope * np.cosh(np.interp(size, grid, quantile)))
