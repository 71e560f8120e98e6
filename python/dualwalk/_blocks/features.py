"""What a block's critic network is shown of the block, and the way back for gradients.

Plain inputs: the columns' normal scores z (a wide block: its leading canonical directions), and the log of the block's
norm, which carries a scale that columns share. Rich inputs add z times that log norm, for directions that turn with the
scale, and in narrow blocks a few cosines, for edges finer than an initial network resolves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_COLUMNS = 32  # wider blocks are shown through canonical directions
_COSINES = 8  # for one column; fewer for more
_SQUASH = 1.702  # the logistic curve closest to the normal distribution function
_FLOOR = 0.1


@dataclass(frozen=True)
class Features:
    """Inputs of one block. `directions` (d, m) or None for the columns themselves."""

    n_columns: int
    directions: Floats | None
    rich: bool

    @property
    def n_linear(self) -> int:
        return self.n_columns if self.directions is None else self.directions.shape[1]

    @property
    def n_cosines(self) -> int:
        return _COSINES // self.n_linear if self.rich else 0

    @property
    def n_inputs(self) -> int:
        return self.n_linear * (1 + self.rich + self.n_cosines) + 1

    def of(self, z: Floats) -> Floats:
        """Inputs (n, n_inputs) of rows `z` (n, n_columns)."""
        linear = z if self.directions is None else z @ self.directions
        scale = np.log(np.sqrt(np.mean(z * z, axis=1, keepdims=True)) + _FLOOR)
        parts = [linear, scale]
        if self.rich:
            parts.append(linear * scale)
            angle = np.pi / (1 + np.exp(-_SQUASH * linear))
            parts += [np.sqrt(2) * np.cos(k * angle) for k in range(1, self.n_cosines + 1)]
        return np.hstack(parts)

    def pull(self, z: Floats, slope: Floats) -> Floats:
        """From derivatives by the inputs (n, n_inputs) to derivatives by z."""
        linear = z if self.directions is None else z @ self.directions
        norm = np.sqrt(np.mean(z * z, axis=1, keepdims=True))
        m = self.n_linear
        by_linear, by_scale = slope[:, :m].copy(), slope[:, m : m + 1].copy()
        if self.rich:
            product = slope[:, m + 1 : 2 * m + 1]
            by_linear += product * np.log(norm + _FLOOR)
            by_scale += (product * linear).sum(axis=1, keepdims=True)
            share = 1 / (1 + np.exp(-_SQUASH * linear))
            for k in range(1, self.n_cosines + 1):
                part = slope[:, (k + 1) * m + 1 : (k + 2) * m + 1]
                by_linear -= part * np.sqrt(2) * k * np.pi * np.sin(k * np.pi * share) * _SQUASH * share * (1 - share)
        by_z = by_linear if self.directions is None else by_linear @ self.directions.T
        return np.asarray(by_z + by_scale * z / (self.n_columns * np.maximum(norm, 1e-12) * (norm + _FLOOR)))
