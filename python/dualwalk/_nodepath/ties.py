"""Values that occur more than once: how much of a column they are, and how to keep a density finite on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._runs import runs

Floats = NDArray[np.float64]


def tie_share(z: Floats) -> Floats:
    """The chance that two different rows of `z` (n_rows, d) have the same value, column by column: (d,)."""
    n = len(z)
    first, last = runs(np.sort(z, axis=0))
    share: Floats = (last - first).mean(axis=0) / max(1, n - 1)
    return share


def tie_blur(z: Floats) -> Floats:
    """How far to blur each value of `z` (n_rows, d), as a standard deviation: 0 for values that occur once.

    A density would otherwise grow without bound on a value that occurs often. A third of the distance to the nearest other
    value keeps neighbours apart; the sum over the marginal's own values then makes a probability of the density.
    """
    order = np.argsort(z, axis=0, kind="stable")
    values = np.take_along_axis(z, order, axis=0)
    first, last = runs(values)
    edge = _device.namespace(z).full((1, z.shape[1]), np.inf)
    padded = np.vstack([-edge, values, edge])
    gap = np.minimum(values - np.take_along_axis(padded, first, axis=0), np.take_along_axis(padded, last + 2, axis=0) - values)
    gap[(first == last) | ~np.isfinite(gap)] = 0.0
    blur = np.empty_like(z)
    np.put_along_axis(blur, order, gap / 3, axis=0)
    return blur
