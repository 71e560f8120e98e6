"""How near generated samples are to the real ones: the number that tells new samples from copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._sampler.nearness import NEAR_COPY, too_near

if TYPE_CHECKING:
    from ..sampler import DualSampler


@dataclass(frozen=True)
class Nearness:
    """Distances to the nearest training row over the typical one among training rows: generated rows, training rows.

    index : the nearest training row of every generated one; subject : whose it is, None where the sampler got no groups
    """

    index: NDArray[np.integer]
    ratio: NDArray[np.float64]
    real_ratio: NDArray[np.float64]
    subject: NDArray[Any] | None

    @property
    def median_ratio(self) -> float:
        """1 is what another real sample would show; 0 is a copy."""
        return float(np.median(self.ratio))

    @property
    def closest(self) -> int:
        """The generated row that comes nearest to a training row."""
        return int(self.ratio.argmin())

    @property
    def too_near(self) -> str | None:
        """Why the generated rows come too near, in words; None where they do not."""
        return too_near(self.ratio, self.real_ratio)

    @property
    def n_near_copies(self) -> int:
        """Generated rows nearer to a training row than half the typical distance."""
        return int((self.ratio < NEAR_COPY).sum())

    @property
    def n_near_copies_real(self) -> int:
        """Training rows that have another training row that near."""
        return int((self.real_ratio < NEAR_COPY).sum())


def nearness(sampler: DualSampler, generated: NDArray[Any]) -> Nearness:
    """Compare the sampler's `nearest` for generated rows with the distances among its training rows."""
    index, distance, ratio = sampler.nearest(generated)
    own = sampler.training_distances()
    typical = float(np.median(own))
    if typical == 0:  # most rows are there twice: the others say what is typical
        typical = float(np.median(own[own > 0])) if (own > 0).any() else 1.0
        ratio = distance / typical
    groups = sampler.groups_
    return Nearness(index, ratio, own / typical, None if groups is None else groups[index])
