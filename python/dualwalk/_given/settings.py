"""What a completion is made of, and the training rows it is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .space import Space
from .target import Target

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# A class's own mean is shrunk to the shared one as if its column had this deviation: hardly at all.
LABEL_WEIGHT = 3.0


@dataclass(frozen=True)
class Part:
    """The conditional dual function of some channels (of a table: columns); see `Regression` and `local_weights`.

    target : the covariance the regression is shrunk to: "diagonal", "half", "stationary" or "separable" (see `target.Target`)
    rho : how far it is shrunk, s / (1 - s) for a share s of the target
    n_neighbors : rows of the local Gaussian, nearest in the known columns; 0 where the shared regression alone is better
    shared : share of the shared covariance in the local one
    gain : share of the local correction that is taken
    channels : which channels it holds for; None for all that no other part names
    """

    target: str
    rho: float
    n_neighbors: int = 0
    shared: float = 1.0
    gain: float = 0.0
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Settings:
    """How rows are completed; chosen by `choice` on rows left out.

    space : "scores" (normal scores) or "standard" (standardized columns)
    parts : the first for all channels that no other names
    n_errors : nearest rows whose errors the walk's noise is made of
    spread : what the noise is multiplied by: a row has larger errors than those near it, if there are few
    """

    space: str
    parts: tuple[Part, ...]
    n_errors: int = 80
    spread: float = 1.0


@dataclass(frozen=True)
class Frame:
    """Training rows in one space, and what all patterns share: the target, label columns and groups.

    channels : (d,), the channel of every column (of a table: the column itself)
    extra : (n, n_classes), LABEL_WEIGHT in the column of a row's class; (n, 0) where no labels are used
    groups : indices of the rows of every group, and group_codes the group of every row; None without groups
    """

    space: Space
    target: Target
    channels: Index
    extra: Float
    groups: list[Index] | None = None
    group_codes: Index | None = None

    @property
    def points(self) -> Float:
        return self.space.points

    def same(self, members: Index) -> NDArray[np.bool_]:
        """(m, n): whether training rows are `members[r]` itself or of its group."""
        codes = np.arange(len(self.points)) if self.group_codes is None else self.group_codes
        same: NDArray[np.bool_] = codes[members][:, None] == codes
        return same


def label_columns(codes: Index, n_classes: int) -> Float:
    """(n, n_classes): the columns that stand for labels."""
    columns: Float = LABEL_WEIGHT * np.eye(n_classes)[codes]
    return columns
