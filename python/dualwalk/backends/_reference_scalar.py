"""Scalar functions that several jobs of the reference share, over arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def silu_and_slope(z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """SiLU z sigmoid(z) and its derivative."""
    small = np.exp(-np.abs(z))
    sigmoid, complement = np.where(z >= 0, 1, small) / (1 + small), np.where(z >= 0, small, 1) / (1 + small)
    return z * sigmoid, sigmoid * (1 + z * complement)
