"""One fitted term: the dual function of a block y against the columns x before it, normalized over y."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._lazy import cached_property
from .base import EllipticalBase, Side
from .critic import Critic

Floats = NDArray[np.float64]
Columns = NDArray[np.intp]

_PAIRS = 1 << 18  # pairs looked at at once


def log_ratio(own: NDArray, grid: NDArray) -> Floats:
    """own_i - log of the mean of exp over own_i and grid_i1 .. grid_iG: (n,), at most log(G + 1).

    Own counts among its negatives: so the mean of the result over new rows is a lower bound of the mutual information in
    expectation, whatever f is (van den Oord et al. 2018), and no row can claim more than the grid supports.
    """
    top = np.maximum(grid.max(axis=1), own)
    total = np.exp(grid - top[:, None]).sum(axis=1, dtype=np.float64) + np.exp(own - top)
    return np.asarray(own - top - np.log(total) + np.log(grid.shape[1] + 1), dtype=np.float64)


@dataclass(frozen=True)
class Reduction:
    """Columns of the rows, and the linear map (n_columns, m) to what the term works on; None for the columns themselves."""

    columns: Columns
    directions: Floats | None

    def of(self, z: Floats) -> Floats:
        part = z[:, self.columns]
        return part if self.directions is None else part @ self.directions

    def pull(self, slope: Floats) -> Floats:
        return slope if self.directions is None else slope @ self.directions.T


@dataclass(frozen=True)
class BlockTerm:
    """f(x, y) = base + strength x mean of the critics, minus its log-mean-exp over y and the rows of `grid` (G, dy)."""

    blocks: tuple[Reduction, Reduction]
    base: EllipticalBase
    critics: tuple[Critic, ...]
    strength: float
    grid: Floats

    @property
    def is_zero(self) -> bool:
        """Nothing depends on anything: f = 0 for all rows."""
        return not self.critics and self.base.rank == 0 and np.isinf(self.base.degrees)

    def values(self, z: Floats, *, seen: bool = False) -> Floats:
        """f of rows `z` (n, n_features): (n,), nats. `seen`: the rows are in the grid already and are not counted twice."""
        result = np.zeros(len(z))
        if self.is_zero:
            return result
        for rows in self._tiles(len(z)):
            x, y = (block.of(z[rows]) for block in self.blocks)
            x_side, y_side = self.base.side(x, 0), self.base.side(y, 1)
            g, h = self._products(x, 0), self._products(y, 1)
            own = self.base.values(x_side, y_side) + np.einsum("ij,ij->i", g, h)
            others = self.base.pairs(x_side, self._grid_side)
            others += g @ self._grid_products.T
            result[rows] = own - _log_mean_exp(others) if seen else log_ratio(own, others)
        return result

    def own_part(self, f: Floats, part: float = 1.0) -> Floats:
        """How much higher rows with these values would read if their own partner counted less by `part`: (n,), nats."""
        if self.is_zero:
            return np.zeros(len(f))
        share = np.exp(f - np.log(len(self.grid) + 1))
        return np.asarray(-np.log1p(-part * np.minimum(share, 1 - 1e-9)))

    def model_values(self, z: Floats) -> Floats | None:
        """f of rows `z` by the base's own normalization, which no grid limits; None where f is more than a copula model."""
        if self.critics or self.base.lifted:
            return None
        x, y = (block.of(z) for block in self.blocks)
        return self.base.model_values(self.base.side(x, 0), self.base.side(y, 1))

    def value_and_gradient(self, z: Floats) -> tuple[Floats, Floats]:
        """f (n,) and its gradient by the rows (n, n_features)."""
        value, gradient = np.zeros(len(z)), np.zeros(z.shape)
        if self.is_zero:
            return value, gradient
        for rows in self._tiles(len(z)):
            x, y = (block.of(z[rows]) for block in self.blocks)
            x_side, y_side = self.base.side(x, 0), self.base.side(y, 1)
            g, h = self._products(x, 0), self._products(y, 1)
            own = self.base.values(x_side, y_side) + np.einsum("ij,ij->i", g, h)
            others = self.base.pairs(x_side, self._grid_side) + g @ self._grid_products.T
            value[rows] = log_ratio(own, others)
            # The softmax over own and grid is what the log-mean-exp's gradient weighs its members with.
            share = np.exp(value[rows] - np.log(len(self.grid) + 1))
            weight = -np.exp(others - own[:, None]) * share[:, None]
            by_x, by_y = self.base.gradient((x, y), self._grid_side, 1 - share, weight)
            by_g, by_h = (1 - share)[:, None] * h + weight @ self._grid_products, (1 - share)[:, None] * g
            for number, critic in enumerate(self.critics):
                part = slice(number * self._width, (number + 1) * self._width)
                by_x += critic.pull(x, 0, by_g[:, part] * self._scale)
                by_y += critic.pull(y, 1, by_h[:, part] * self._scale)
            for block, slope in zip(self.blocks, (by_x, by_y), strict=True):
                gradient[rows, block.columns] += block.pull(slope)
        return value, gradient

    @property
    def _scale(self) -> float:
        return float(np.sqrt(self.strength / max(1, len(self.critics))))

    @property
    def _width(self) -> int:
        return len(self._grid_products[0]) // max(1, len(self.critics))

    def _products(self, part: Floats, block: int) -> Floats:
        """All critics' products side by side, scaled so that inner products are strength times their mean."""
        if not self.critics:
            return np.zeros((len(part), 0))
        return np.hstack([critic.products(part, block) for critic in self.critics]) * self._scale

    @cached_property
    def _grid_side(self) -> Side:
        return self.base.side(self.grid, 1)

    @cached_property
    def _grid_products(self) -> Floats:
        return self._products(self.grid, 1)

    def _tiles(self, n: int) -> Iterator[slice]:
        size = max(1, _PAIRS // len(self.grid))
        return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _log_mean_exp(f: Floats) -> Floats:
    top = f.max(axis=1)
    return np.asarray(np.log(np.exp(f - top[:, None]).mean(axis=1)) + top)
