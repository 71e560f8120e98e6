"""Functions of one column whose averages and products describe a dependence: cosines of its rank, and its size.

For z ~ N(0, 1) the functions sqrt(2) cos(j pi Phi(z)), j = 1, 2, ..., are orthonormal and bounded, so their cross moments
between two columns are coefficients of the copula density, each known to 1 / sqrt(n). The first changes sign with z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SIZE_MEAN, _SIZE_SCALE, _SIZE_LIMIT = 0.7978845608, 0.6028102749, 4.0  # of |z|, z ~ N(0, 1)


def normal_cdf(z: Floats) -> Floats:
    """Phi(z) to 7.5e-8, by the polynomial of Abramowitz and Stegun 26.2.17."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    tail = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail *= np.exp(-0.5 * z * z) * 0.3989422804014327
    return np.where(z > 0, 1.0 - tail, tail)


def cosines(z: Floats) -> tuple[Floats, Floats]:
    """sqrt(2) cos(j pi Phi(z)) for j = 1 and 2, each like z: its place, and how far it is from the middle."""
    first = np.cos(np.pi * normal_cdf(z))
    return np.sqrt(2.0) * first, np.sqrt(2.0) * (2.0 * first * first - 1.0)


def size(e: Floats) -> Floats:
    """|e|, at most 4, centred and scaled to variance 1 for e ~ N(0, 1)."""
    scaled: Floats = (np.minimum(np.abs(e), _SIZE_LIMIT) - _SIZE_MEAN) / _SIZE_SCALE
    return scaled


def size_slope(e: Floats) -> Floats:
    """Derivative of `size` by e; 0 at 0 and beyond the limit."""
    return np.where(np.abs(e) < _SIZE_LIMIT, np.sign(e), 0.0) / _SIZE_SCALE
