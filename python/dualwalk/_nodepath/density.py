"""The grid that node terms are normalized over: quantiles of every column's own marginal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _device

N_QUANTILES = 96


def marginal_quantiles(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up to 96 equally likely values of every column of `z` (n_rows, n_columns): (n_columns, n_quantiles)."""
    xp, n = _device.namespace(z), len(z)
    count = min(N_QUANTILES, n)
    place = ((np.arange(count) + 0.5) / count * n).astype(np.intp)
    quantiles: NDArray[np.float64] = xp.ascontiguousarray(np.sort(z, axis=0)[_device.beside(place, z)].T)
    return quantiles
