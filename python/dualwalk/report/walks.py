"""Walks to look at frame by frame: between clusters, between labels, and up the dual function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dualspace import assign
from ..estimator import DualDivergence
from ..sampler import DualSampler

Float = NDArray[np.float64]

N_FRAMES = 25
N_STARTS = 9
STEP_SIZE = 0.02  # far enough to see a movement in N_FRAMES steps, near enough to stay in the range of the data


@dataclass(frozen=True)
class Path:
    """Frames (n_frames, *feature_shape), f of each (nats), the distance of each to the nearest real sample (1 is typical),
    where it starts and ends (indices of real samples; no end: -1), and what kind of walk it is.
    """

    kind: str
    frames: NDArray[Any]
    f: Float
    novelty: Float
    start: int
    end: int
    names: tuple[str, str] = ("", "")


def paths(sampler: DualSampler, divergence: DualDivergence, X: NDArray[Any]) -> list[Path]:
    """From the lowest cluster to the highest; between two labels, where there are labels; and one up the dual function."""
    found = [_between_clusters(sampler, divergence, X)]
    if sampler.y_ is not None and len(sampler.classes_) > 1:
        found.append(_between_labels(sampler, divergence, X, sampler.y_))
    upward = _upward(sampler, divergence, X)
    return [*found, upward] if len(upward.f) > 2 else found


def _middle(f: Float, members: NDArray[np.intp], level: float = 0.5) -> int:
    """The member whose f stands at this quantile of theirs."""
    return int(members[np.argsort(f[members], kind="stable")[round(level * (len(members) - 1))]])


def _between_clusters(sampler: DualSampler, divergence: DualDivergence, X: NDArray[Any]) -> Path:
    """From the middle of the lowest cluster of f into the highest; with one cluster, from low f to high f."""
    f = divergence.score_samples(X)
    clusters = assign(f, divergence.cuts_)
    lowest, highest = int(clusters.min()), int(clusters.max())
    if lowest == highest:
        everyone = np.arange(len(X))
        return _interpolated("ends", sampler, divergence, X, _middle(f, everyone, 0.1), _middle(f, everyone, 0.9))
    start = _middle(f, np.flatnonzero(clusters == lowest))
    return _interpolated("clusters", sampler, divergence, X, start, None, highest)


def _between_labels(sampler: DualSampler, divergence: DualDivergence, X: NDArray[Any], y: NDArray[Any]) -> Path:
    """Between the middles of the two labels with the most samples."""
    names, counts = np.unique(y, return_counts=True)
    first, second = np.sort(np.argsort(-counts, kind="stable")[:2])
    ends = [_middle(divergence.dual_values_, np.flatnonzero(y == names[k])) for k in (first, second)]
    return _interpolated("labels", sampler, divergence, X, ends[0], ends[1], names=(str(names[first]), str(names[second])))


def _interpolated(
    kind: str,
    sampler: DualSampler,
    divergence: DualDivergence,
    X: NDArray[Any],
    start: int,
    end: int | None,
    cluster: int = 0,
    names: tuple[str, str] = ("", ""),
) -> Path:
    to = cluster if end is None else X[end]
    found = sampler.interpolate(X[start : start + 1], to, n_frames=N_FRAMES, divergence=divergence)
    last = int(found.end[0]) if end is None else end
    novelty = np.where(np.isfinite(found.novelty[0]), found.novelty[0], 0.0)  # most samples are copies of each other
    return Path(kind, found.frames[0], found.f[0], novelty, start, last, names)


def _upward(sampler: DualSampler, divergence: DualDivergence, X: NDArray[Any]) -> Path:
    """Of a few walks along the gradient, one of the longest that stay between the end points."""
    order = np.argsort(divergence.dual_values_, kind="stable")
    starts = order[np.round(np.linspace(0.06, 0.94, N_STARTS) * (len(X) - 1)).astype(np.intp)]
    result = sampler.walk(X[starts], n_steps=N_FRAMES - 1, step_size=STEP_SIZE, record=True, seed=0)
    trajectory = np.asarray(result.trajectory)
    f = divergence.score_samples(trajectory.reshape(-1, *X.shape[1:])).reshape(trajectory.shape[:2])
    low, high = divergence.end_points_
    outside = (f < low) | (f > high)
    outside[:, 0] = False
    n_frames = N_FRAMES - np.logical_or.accumulate(outside, axis=1).sum(axis=1)
    longest = np.flatnonzero(n_frames == n_frames.max())
    chosen = int(longest[np.argsort(f[longest, 0], kind="stable")[len(longest) // 2]])
    frames = trajectory[chosen, : n_frames[chosen]]
    novelty = sampler.nearest(frames)[2]
    novelty = np.where(np.isfinite(novelty), novelty, 0.0)
    return Path("upward", frames, f[chosen, : n_frames[chosen]], novelty, int(starts[chosen]), -1)
