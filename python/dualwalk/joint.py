"""`joint_clusters`: series grouped by what they tell about each other, clusters and dual functions learned together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._blas import one_blas_thread
from ._joint.levels import Levels, make_levels
from ._joint.pattern import pattern_dual
from ._joint.search import Members, grow, merge, settle, split

Floats = NDArray[np.float64]
_SURE = 3.0  # standard errors of f above 0, where the number of clusters is free


@dataclass(frozen=True)
class JointClusters:
    """What `joint_clusters` found.

    `labels` (n,) int: the cluster of every series, from 0, the largest first; -1 for one that depends on no other (only where
    the number of clusters was left free). `dual_values` (n, n_clusters) float64, nats a step: f_S of every series for every
    cluster, each judged by the cluster without it; `standard_errors` (n, n_clusters). `divergence` float, nats a step: the
    sum of every labelled series' f for its own cluster, how strongly the clusters hold together.
    """

    labels: NDArray[np.intp]
    dual_values: Floats
    standard_errors: Floats
    divergence: float

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.dual_values.shape[1])


@one_blas_thread()
def joint_clusters(X: ArrayLike, n_clusters: int | None = None, *, n_levels: int = 4) -> JointClusters:
    """Group series that depend on each other, whatever their shapes: the joint mode of the dual space.

    The points to cluster are the rows of X, series that run in parallel. A cluster S has a dual function over series,

        f_S(x) = mean_t log p(x(t) | pattern of S at the other steps like t) / p(x(t))        nats a step, held-out

    which is positive only where x and S are dependent, by pairs or only jointly. As in the joint mode of Garg et al. 2023,
    cut and duals alternate: the cut of sorted f that maximizes the divergence between its sides, both ways, gives the next
    cluster, that cluster the next f. Clusters grow so from the most dependent pairs, settle together (every series goes where
    its f is largest), and merge while one dual tells more than two. The duals are closed-form: nothing is trained by gradients.
    A cluster starts from a dependent pair or, among at most 160 series, triple: four series of which only all together depend
    are not found.

    Parameters
    ----------
    X : (n_series, n_times) or (n_series, n_channels, n_times), at least 8 series of 16 steps in all; the channels of a series
        are read one after the other. Levels are what counts: a series of up to `n_levels` values keeps them, others are cut
        by rank. Of more than 2048 steps, 2048 at equal distances are looked at.
    n_clusters : how many; None finds out, and leaves series out that depend on no other.
    n_levels : at least 2; 4 sees correlation and shared scale, 2 is faster and needs fewer steps.

    Returns `JointClusters`. Deterministic: the same X gives the same bits on one machine. Neighbouring steps of slow series
    resemble each other without any dependence: as many of them as the series' autocorrelation demands never vouch for a step.
    A series that never varies tells nothing and goes anywhere (-1 where the number is free). X is never modified.

    Time grows with n_times^2 at worst and with n_series n_clusters; 80 binary series of 1000 steps in 8 groups take 1 s.

    Raises TypeError or ValueError for an argument that cannot be used, before any work.

    Source: Garg et al. 2023 (UAI), Information theoretic clustering via divergence maximization among clusters, for the
    alternation; the closed-form dual is ours.

    >>> bits = np.random.default_rng(0).integers(0, 2, (9, 400))
    >>> bits[6:] = bits[:3] ^ bits[3:6]        # three groups of three; no pair of series depends on each other
    >>> joint_clusters(bits).labels
    array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    """
    rows, _ = _checks.samples(_checks.on_host(X, "X"))
    if n_clusters is not None:
        n_clusters = _checks.count(n_clusters, "n_clusters", minimum=1)
        if n_clusters > len(rows):
            raise ValueError(f"n_clusters must be at most the number of series, {len(rows)}; got {n_clusters} (ask for fewer)")
    n_levels = _checks.count(n_levels, "n_levels", minimum=2)
    if rows.shape[1] < 16:
        raise ValueError(
            f"X must have at least 16 steps to judge a dependence by; got {rows.shape[1]} (pass longer series, one a row)"
        )
    levels = make_levels(rows, n_levels)
    clusters = merge(levels, settle(levels, grow(levels)), n_clusters)
    if n_clusters is not None and len(clusters) < n_clusters:
        clusters = split(levels, clusters, n_clusters)
    return _result(levels, clusters, free=n_clusters is None)


def _result(levels: Levels, clusters: list[Members], *, free: bool) -> JointClusters:
    """Labels and dual values; where the number is `free`, without series that clearly belong to no cluster."""
    everyone = np.arange(len(levels.codes))
    if free:
        sure = []
        for members in clusters:
            f, error = pattern_dual(levels, members, members)
            if (f > _SURE * error).sum() > 1:
                sure.append(members[f > _SURE * error])
        clusters = sure
    clusters = sorted(clusters, key=lambda members: (-len(members), members[0]))
    labels = np.full(len(everyone), -1)
    f, errors = np.empty((len(everyone), len(clusters))), np.empty((len(everyone), len(clusters)))
    for k, members in enumerate(clusters):
        labels[members] = k
        f[:, k], errors[:, k] = pattern_dual(levels, members, everyone)
    own = np.flatnonzero(labels >= 0)
    return JointClusters(labels, f, errors, float(f[own, labels[own]].sum()))
