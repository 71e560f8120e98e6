"""Series as a few levels each: what a dependence between series is judged on, whatever their scale or shape."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct

MAX_STEPS = 2048  # the dual's patterns are compared pair by pair
_MAX_GUARD = 32
_ALIKE = 0.2  # an autocorrelation that matters


@dataclass(frozen=True)
class Levels:
    """`codes` (n, T) the level of every series at every step, from 0; `one_hot` (T, n, L) the same, as float32;

    `share` (n, L) how often each level occurs; `place` (n, L) where it lies on an axis of unit variance; `guard` the number
    of neighbouring steps that may not vouch for a step, as they resemble it anyway (0 where steps are independent); `memory`
    how many steps are worth one independent step.
    """

    codes: NDArray[np.intp]
    one_hot: NDArray[np.float32]
    share: NDArray[np.float32]
    place: NDArray[np.float32]
    guard: int
    memory: float

    @property
    def n_steps(self) -> int:
        """Steps that are looked at."""
        return int(self.codes.shape[1])

    @property
    def n_levels(self) -> int:
        """The largest number of levels of any series."""
        return int(self.share.shape[1])


def make_levels(rows: NDArray[np.float64], n_levels: int) -> Levels:
    """Levels of the series in `rows` (n, T): a series of at most `n_levels` values keeps them, others are cut by rank.

    Of more than 2048 steps, 2048 at equal distances are looked at.
    """
    n, n_steps = rows.shape
    if n_steps > MAX_STEPS:
        rows = rows[:, np.linspace(0, n_steps - 1, MAX_STEPS).round().astype(np.intp)]
        n_steps = MAX_STEPS
    codes = np.empty((n, n_steps), dtype=np.intp)
    used = np.empty(n, dtype=np.intp)
    for k, row in enumerate(rows):
        values, codes[k] = np.unique(row, return_inverse=True)
        if len(values) > n_levels:
            edges = distinct(np.quantile(row, np.arange(1, n_levels) / n_levels))
            values, codes[k] = np.unique(np.searchsorted(edges, row, side="right"), return_inverse=True)
        used[k] = len(values)
    most = int(used.max())
    one_hot = np.zeros((n_steps, n, most), dtype=np.float32)
    np.put_along_axis(one_hot, codes.T[:, :, None], np.float32(1), axis=2)
    place = np.zeros((n, most), dtype=np.float32)
    for count in distinct(used):
        scores = np.array([NormalDist().inv_cdf((j + 0.5) / count) for j in range(count)])
        place[used == count, :count] = scores / (scores.std() or 1.0)
    return Levels(codes, one_hot, one_hot.mean(axis=0), place, *_memory(codes))


def _memory(codes: NDArray[np.intp]) -> tuple[int, float]:
    """The guard, and how many steps are worth one independent step to a product of two series (Bartlett's formula)."""
    centred = codes - codes.mean(axis=1, keepdims=True)
    power = np.maximum((centred**2).sum(axis=1), 1e-12)
    n_steps = codes.shape[1]
    guard, worth = 0, 1.0
    for lag in range(1, min(_MAX_GUARD, n_steps // 4) + 1):
        alike = (centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / power
        typical = float((alike**2).mean()) - 1 / n_steps
        if typical < max(_ALIKE**2, 2 / n_steps):
            break
        guard, worth = lag, worth + 2 * typical
    return guard, worth


def pair_divergences(levels: Levels) -> NDArray[np.float64]:
    """Mutual information of all pairs of series, in nats a step, less what independent ones would show: (n, n)."""
    n_steps, n, most = levels.one_hot.shape
    flat = levels.one_hot.reshape(n_steps, n * most)
    joint = (flat.T @ flat).astype(np.float64).reshape(n, most, n, most) / n_steps
    product = levels.share[:, :, None, None].astype(np.float64) * levels.share
    ratio = np.divide(joint, product, out=np.ones_like(joint), where=joint > 0)
    information = (joint * np.log(ratio)).sum(axis=(1, 3))
    free = (levels.share > 0).sum(axis=1) - 1
    information -= np.outer(free, free) / (2 * n_steps)
    np.fill_diagonal(information, 0.0)
    return np.asarray(information)
