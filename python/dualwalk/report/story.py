"""What the report tells, computed once: numbers and arrays only, no picture and no sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._nodepath.graph import DependenceGraph
from .._sampler.interpolation import Interpolation
from ..dualspace import assign
from ..estimator import DualDivergence
from ..independence import independence_test
from ..sampler import DualSampler
from .nearness import Nearness, nearness

Float = NDArray[np.float64]
N_SHOWN = 5
N_WALKS = 9
N_FRAMES = 9
N_STEPS, STEP_SIZE = 24, 0.02  # far enough to see a movement, near enough to stay in the range of the data


@dataclass(frozen=True)
class Walks:
    """Walks up the dual function from real samples: f along each, (n_walks, n_steps + 1), NaN after its end; one in detail."""

    f: Float
    start: Float
    end: Float
    movement: Float
    f_change: Float


@dataclass(frozen=True)
class Origins:
    """A few generated samples: what tells them from the real sample nearest to each, and the k nearest ones."""

    shown: NDArray[np.intp]
    samples: NDArray[Any]
    neighbors: NDArray[Any]
    movement: Float
    f_change: Float
    f_from: Float
    f_to: Float
    index: NDArray[np.intp]


@dataclass(frozen=True)
class Story:
    """A fitted sampler and divergence, generated samples, and what was computed from them."""

    sampler: DualSampler
    divergence: DualDivergence
    X: NDArray[Any]
    generated: NDArray[Any]
    f_generated: Float
    terms: Float
    near: Nearness
    shown_real: NDArray[np.intp]
    shown_generated: NDArray[np.intp]
    walks: Walks | None
    origins: Origins
    path: Interpolation
    p_value: float
    graph: DependenceGraph | None

    @property
    def share_inside(self) -> float:
        """How many of the generated samples lie between the end points."""
        low, high = self.divergence.end_points_
        return float(((self.f_generated >= low) & (self.f_generated <= high)).mean())


def tell(
    sampler: DualSampler,
    divergence: DualDivergence,
    X: NDArray[Any],
    generated: NDArray[Any],
    note: Callable[[str], None] = lambda _: None,
) -> Story:
    """Score, compare and walk: everything that the pictures need."""
    note("scoring the generated samples")
    f_generated = divergence.score_samples(generated)
    terms = divergence.node_terms(X).mean(axis=0)
    near = nearness(sampler, generated)
    shown = np.linspace(0.1, 0.9, N_SHOWN)
    note("walking in the dual space")
    return Story(
        sampler=sampler,
        divergence=divergence,
        X=X,
        generated=generated,
        f_generated=f_generated,
        terms=terms,
        near=near,
        shown_real=at_quantiles(divergence.dual_values_, shown),
        shown_generated=at_quantiles(f_generated, shown),
        walks=_walks(sampler, divergence, X),
        origins=_origins(sampler, generated, near),
        path=_path(sampler, divergence, X),
        p_value=_p_value(divergence, X),
        graph=graph_of(divergence),
    )


def _p_value(divergence: DualDivergence, X: NDArray[Any]) -> float:
    """The model's own test for zero divergence, or one made here."""
    if divergence.p_value_ is None:
        return independence_test(X, random_state=0).p_value
    return divergence.p_value_


def graph_of(divergence: DualDivergence) -> DependenceGraph | None:
    """Its dependence graph; None where no column leans on another."""
    graph = divergence.dependence_graph_
    return graph if graph is not None and len(graph.edges(0.0)) else None


def at_quantiles(f: Float, levels: Float) -> NDArray[np.intp]:
    """The samples that stand at these quantiles of f: a choice that nobody can prettify."""
    return np.argsort(f, kind="stable")[np.round(levels * (len(f) - 1)).astype(np.intp)]


def _origins(sampler: DualSampler, generated: NDArray[Any], near: Nearness) -> Origins:
    """Samples of low, middle and high novelty: nobody picked them."""
    shown = np.unique(at_quantiles(near.ratio, np.array([0.1, 0.5, 0.9])))
    shown = shown[np.argsort(near.ratio[shown], kind="stable")]
    samples = generated[shown]
    found = sampler.explain(samples)
    neighbors = sampler.X_[found.neighbors]
    return Origins(shown, samples, neighbors, found.movement, found.f_change, found.f_from, found.f_to, found.neighbors[:, 0])


def _path(sampler: DualSampler, divergence: DualDivergence, X: NDArray[Any]) -> Interpolation:
    """From the middle of the lowest cluster of f into the highest; with one cluster, from low f to high f."""
    f = divergence.score_samples(X)
    clusters = assign(f, divergence.cuts_)
    lowest, highest = clusters.min(), clusters.max()
    if lowest == highest:
        begin, end = at_quantiles(f, np.array([0.1, 0.9]))
        return sampler.interpolate(X[begin : begin + 1], X[end], n_frames=N_FRAMES, divergence=divergence)
    members = np.flatnonzero(clusters == lowest)
    begin = members[at_quantiles(f[members], np.array([0.5]))[0]]
    return sampler.interpolate(X[begin : begin + 1], highest, n_frames=N_FRAMES, divergence=divergence)


def _walks(sampler: DualSampler, divergence: DualDivergence, X: NDArray[Any]) -> Walks:
    """Walks from real samples of low to high f, each cut where its next step would leave the end points."""
    starts = X[at_quantiles(divergence.dual_values_, np.linspace(0.06, 0.94, N_WALKS))]
    result = sampler.walk(starts, n_steps=N_STEPS, step_size=STEP_SIZE, record=True, seed=0)
    trajectory = np.asarray(result.trajectory)
    path = divergence.score_samples(trajectory.reshape(-1, *X.shape[1:])).reshape(trajectory.shape[:2])
    low, high = divergence.end_points_
    outside = (path < low) | (path > high)
    outside[:, 0] = False
    gone = np.logical_or.accumulate(outside, axis=1)
    last = N_STEPS - gone.sum(axis=1)
    ends = trajectory[np.arange(N_WALKS), last]
    shown = np.argsort(-last, kind="stable")[: N_WALKS // 2 + 1]  # of the longer half of the walks ...
    middle = shown[np.argsort(path[shown, 0])[len(shown) // 2]]  # ... the one that starts in the middle
    attribution = sampler.explain(starts, ends)
    path[gone] = np.nan
    return Walks(path, starts[middle], ends[middle], attribution.movement[middle], attribution.f_change[middle])
