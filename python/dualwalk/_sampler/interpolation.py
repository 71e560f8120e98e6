"""Paths from samples to another cluster of the dual space that stay near the data, in normal scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _checks
from .._ladder.covariance import ledoit_wolf_shrinkage
from .._lazy import cached_property
from .._neighbors import squared_distances
from ..duals.local import LocalDual
from ..dualspace import DualSpace, find_clusters

Float = NDArray[np.float64]
Index = NDArray[np.intp]

MOST_ROWS = 1500  # that paths run between, and that the Gaussian dual is made of
LEAST_SHRINKAGE, MOST_SHRINKAGE = 0.05, 0.95
LEAST_NEIGHBORS, MOST_NEIGHBORS = 5, 40


@dataclass(frozen=True)
class Interpolation:
    """Paths from samples to others, frame by frame.

    frames : (n, n_frames, *feature_shape_), in the units of X: the first is the sample, the last the end of the path
    f : (n, n_frames), the dual function along the way, in nats
    novelty : (n, n_frames), distance to the nearest training row over the typical one among them: 0 is a real row, up to about
        1 a frame as near to the data as a new real row would be
    end : (n,), index of the training row where the path ends, -1 where the end was given
    cuts : (n_cuts,), the values of f between clusters
    """

    frames: NDArray[Any]
    f: Float
    novelty: Float
    end: Index
    cuts: Float

    @property
    def clusters(self) -> Index:
        """(n, n_frames): the cluster of every frame's f, 0 the lowest."""
        return np.searchsorted(self.cuts, self.f, side="left")


class Space:
    """The Gaussian dual function of all rows, and the clusters that its values fall into."""

    def __init__(self, points: Float) -> None:
        self._points = points

    @cached_property
    def _dual(self) -> LocalDual:
        n = len(self._points)
        members = np.arange(n) if n <= MOST_ROWS else np.linspace(0, n - 1, MOST_ROWS).astype(np.intp)
        centred = self._points[members] - self._points[members].mean(axis=0)
        deviation = centred.std(axis=0)
        shrinkage = ledoit_wolf_shrinkage(centred / np.where(deviation > 1e-9, deviation, 1.0))
        return LocalDual(self._points, members, shrinkage=float(np.clip(shrinkage, LEAST_SHRINKAGE, MOST_SHRINKAGE)))

    def value(self, z: Float) -> Float:
        return self._dual.value(z)

    @cached_property
    def _clusters(self) -> DualSpace:
        return find_clusters(self.value(self._points))

    @property
    def labels(self) -> Index:
        return self._clusters.labels

    @property
    def cuts(self) -> Float:
        return self._clusters.cuts


def target_rows(
    to: Any,
    z: Float,
    points: Float,
    labels: Index,
    n_clusters: int,
    feature_shape: tuple[int, ...],
    scores: Callable[[Float], Float],
) -> tuple[Float, Index]:
    """Where every path ends: scores (n, d), and the training row's index, -1 for rows that were given."""
    if _checks.real_array(to, "to").ndim == 0:
        cluster = _checks.count(to, "to")
        sizes = np.bincount(labels, minlength=n_clusters).tolist()
        if cluster >= n_clusters or not sizes[cluster]:
            raise ValueError(
                f"to must be the number of a cluster with rows, of 0 to {n_clusters - 1}, which have {sizes} rows from low f to "
                f"high; got {cluster} (or pass the sample to walk to)"
            )
        members = np.flatnonzero(labels == cluster)
        distance = squared_distances(z, points[members])
        distance[(z[:, None, :] == points[members]).all(axis=2)] = np.inf if len(members) > 1 else 0.0
        index = members[distance.argmin(axis=1)]
        return points[index], index
    given = _checks.real_array(to, "to")
    rows, _ = _checks.samples(
        given[None] if given.shape == feature_shape else given, "to", min_samples=1, feature_shape=feature_shape
    )
    if len(rows) not in (1, len(z)):
        raise ValueError(f"to must be one sample or {len(z)}, as X holds; got {len(rows)} (pair them row by row)")
    return np.broadcast_to(scores(rows), z.shape), np.full(len(z), -1, dtype=np.intp)


def interpolate(z: Float, ends: Float, points: Float, n_neighbors: int, n_frames: int) -> Float:
    """Paths (n, n_frames, d) from the rows of z to those of ends, along the rows of points."""
    if len(points) > MOST_ROWS:
        points = points[np.linspace(0, len(points) - 1, MOST_ROWS).astype(np.intp)]
    k = min(max(n_neighbors, LEAST_NEIGHBORS), MOST_NEIGHBORS, len(points) - 1)
    share = np.linspace(0.0, 1.0, n_frames)[:, None]
    turn = 0.5 * np.pi * share
    path = np.empty((len(z), n_frames, z.shape[1]))
    for row, (begin, end) in enumerate(zip(z, ends, strict=True)):
        chain = _along(_chain(begin, end, points), share[:, 0])
        mean = _local_means(chain, points, k)
        path[row] = mean + np.cos(turn) * (begin - mean[0]) + np.sin(turn) * (end - mean[-1])
        path[row, 0], path[row, -1] = begin, end
    return path


def _chain(begin: Float, end: Float, points: Float) -> Float:
    """The rows from begin to end, both included, whose hops have the least sum of squares (Dijkstra)."""
    nodes = np.concatenate([begin[None], end[None], points])
    cost = np.full(len(nodes), np.inf)
    before = np.zeros(len(nodes), dtype=np.intp)
    done = np.zeros(len(nodes), dtype=bool)
    cost[0] = 0.0
    for _ in range(len(nodes)):
        here = int(np.where(done, np.inf, cost).argmin())
        if here == 1:
            break
        done[here] = True
        through = cost[here] + squared_distances(nodes[here : here + 1], nodes)[0]
        better = ~done & (through < cost)
        cost[better], before[better] = through[better], here
    chain = [1]
    while chain[-1] != 0:
        chain.append(int(before[chain[-1]]))
    return nodes[chain[::-1]]


def _along(chain: Float, share: Float) -> Float:
    """Points at these shares of the chain's length."""
    length = np.r_[0.0, np.cumsum(np.sqrt((np.diff(chain, axis=0) ** 2).sum(axis=1)))]
    if length[-1] == 0:
        return np.repeat(chain[:1], len(share), axis=0)
    at = share * length[-1]
    piece = np.clip(np.searchsorted(length, at, side="right") - 1, 0, len(chain) - 2)
    width = length[piece + 1] - length[piece]
    inside = np.where(width > 0, (at - length[piece]) / np.where(width > 0, width, 1.0), 0.0)[:, None]
    along: Float = (1.0 - inside) * chain[piece] + inside * chain[piece + 1]
    return along


def _local_means(centers: Float, points: Float, k: int) -> Float:
    """Means of the k rows nearest to every center, alike for the nearer half, then with weights that fall to 0 at the next one.

    So a center that is a row does not outweigh the others: means are no copies.
    """
    squares = squared_distances(centers, points)
    order = np.argsort(squares, axis=1, kind="stable")[:, : k + 1]
    ordered = np.take_along_axis(squares, order, axis=1)
    ordered = np.maximum(ordered, ordered[:, k // 2, None])
    reach = ordered[:, -1:]
    weights = np.where(reach > 0, 1.0 - ordered / np.where(reach > 0, reach, 1.0), 1.0) + 1e-9
    weights /= weights.sum(axis=1, keepdims=True)
    return np.stack([w @ points[i] for w, i in zip(weights, order, strict=True)])
