"""Alternation of the cut and the duals: clusters grow from a pair by cuts of their dual, settle, and merge.

1. The most dependent pair (or triple, by its product) of the series that are left is a cluster; its dual is learned, the cut of sorted f that sets the two sides farthest apart makes the next cluster, and
   so on until it stands; then the next pair.
2. All duals are learned, every series goes where its f is largest, and so on until nobody moves.
3. The two clusters that gain most by one common dual become one, and 2 again, until as many are left as wanted, or until no
   two gain: what is held together must be worth more than its parts, on steps that vouch for others only.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..dualspace import best_cut
from .levels import Levels, pair_divergences
from .pattern import pattern_dual, worth

Members = NDArray[np.intp]
_ROUNDS = 10
_CHANCE = 0.01
_CERTAIN = 8.0  # a surprise that needs no comparison with triples
_MOST_FOR_TRIPLES = 160  # series; more would take too long to screen


def grow(levels: Levels) -> list[Members]:
    """Clusters grown from dependent pairs (or triples), one after the other; the last one holds whoever is left."""
    pairs = pair_divergences(levels)
    left = np.arange(len(levels.codes))
    clusters: list[Members] = []
    while len(left) > 2:
        members = _seed(levels, pairs, left)
        if members is None:
            break
        for _ in range(_ROUNDS):
            f, _ = pattern_dual(levels, members, left)
            order = np.argsort(f, kind="stable")
            with_stranger = np.sort(np.append(f, 0.0))  # so that all who are left may belong together
            cut = best_cut(with_stranger, 1, above=0.0)
            if cut is None or len(with_stranger) - cut[1] < 2:
                break
            new = np.sort(left[order[cut[1] - 1 :]])
            if np.array_equal(new, members):
                break
            members = new
        clusters.append(members)
        left = np.setdiff1d(left, members)
    return [*clusters, left] if len(left) else clusters


def _seed(levels: Levels, pairs: NDArray[np.float64], left: Members) -> Members | None:
    """The most surprising pair or triple of those left; None where chance would show as much in 1 % of cases or more."""
    m = len(left)
    surprise, members = _pair(levels, pairs, left)
    number = m * (m - 1) / 2
    if surprise < _CERTAIN and m <= _MOST_FOR_TRIPLES:
        of_three, three = _triple(levels, left)
        if of_three > surprise:
            surprise, members, number = of_three, three, m * (m - 1) * (m - 2) / 6
    return members if surprise > NormalDist().inv_cdf(1 - _CHANCE / number) else None


def _pair(levels: Levels, pairs: NDArray[np.float64], left: Members) -> tuple[float, Members]:
    """The most dependent pair of those left, and its surprise: what a standard normal number would have to be."""
    among = pairs[np.ix_(left, left)]
    pair = np.unravel_index(among.argmax(), among.shape)
    free = (levels.n_levels - 1) ** 2
    if not free:
        return 0.0, left[:2]
    chi_square = max(0.0, 2 * levels.n_steps / levels.memory * float(among[pair]) + free)
    surprise = ((chi_square / free) ** (1 / 3) - 1 + 2 / (9 * free)) / (2 / (9 * free)) ** 0.5  # Wilson and Hilferty
    return surprise, np.sort(left[list(pair)])


def _triple(levels: Levels, left: Members) -> tuple[float, Members]:
    """The three of those left whose product is farthest from 0 on average, and their surprise."""
    m = len(left)
    x = levels.place[left[:, None], levels.codes[left]]
    x = x - x.mean(axis=1, keepdims=True)
    x /= np.maximum(x.std(axis=1, keepdims=True), 1e-6)
    best, chosen = 0.0, (0, 1, 2)
    for i in range(m - 2):
        size = np.triu(np.abs((x[i] * x[i + 1 :]) @ x[i + 1 :].T), 1) / levels.n_steps
        j, k = np.unravel_index(size.argmax(), size.shape)
        if size[j, k] > best:
            best, chosen = float(size[j, k]), (i, i + 1 + int(j), i + 1 + int(k))
    return best * (levels.n_steps / levels.memory) ** 0.5, left[list(chosen)]


def settle(levels: Levels, clusters: list[Members]) -> list[Members]:
    """Every series to the cluster whose dual is largest there, again and again; clusters that lose all are gone."""
    everyone = np.arange(len(levels.codes))
    for _ in range(_ROUNDS):
        f = np.stack([pattern_dual(levels, members, everyone)[0] for members in clusters])
        labels = f.argmax(axis=0)
        new = [np.flatnonzero(labels == k) for k in range(len(clusters)) if (labels == k).any()]
        if len(new) == len(clusters) and all(map(np.array_equal, new, clusters)):
            break
        clusters = new
    return clusters


def merge(levels: Levels, clusters: list[Members], n_clusters: int | None) -> list[Members]:
    """Join the two that gain most by it, until `n_clusters` are left; with None, while two gain at all."""
    alone = worth(levels, clusters)
    gains: dict[tuple[int, ...], float] = {}
    while len(clusters) > (n_clusters or 1):
        best, chosen = -np.inf, (0, 1)
        for a in range(len(clusters)):
            for b in range(a):
                both = np.union1d(clusters[a], clusters[b])
                name = tuple(both.tolist())
                if name not in gains:
                    gains[name] = worth(levels, [both])[0]
                gain = gains[name] - alone[a] - alone[b]
                if gain > best:
                    best, chosen = gain, (a, b)
        if n_clusters is None and best <= 0:
            break
        both = np.union1d(clusters[chosen[0]], clusters[chosen[1]])
        clusters = settle(levels, [members for k, members in enumerate(clusters) if k not in chosen] + [both])
        alone = worth(levels, clusters)
    return clusters


def split(levels: Levels, clusters: list[Members], n_clusters: int) -> list[Members]:
    """Cut the largest cluster at its own dual until there are `n_clusters`, or no cluster can be cut."""
    clusters = list(clusters)
    closed: set[int] = set()
    while len(clusters) < n_clusters and len(closed) < len(clusters):
        k = max((k for k in range(len(clusters)) if k not in closed), key=lambda k: len(clusters[k]))
        members = clusters[k]
        f, _ = pattern_dual(levels, members, members)
        order = np.argsort(f, kind="stable")
        cut = best_cut(f[order], 1)
        if cut is None:
            closed.add(k)
            continue
        clusters[k] = np.sort(members[order[cut[1] :]])
        clusters.append(np.sort(members[order[: cut[1]]]))
    return clusters
