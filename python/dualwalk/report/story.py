"""What the report tells, computed once: numbers and arrays only, no picture and no sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._nodepath.graph import DependenceGraph
from ..estimator import DualDivergence
from ..independence import independence_test
from ..sampler import DualSampler
from .nearness import Nearness, nearness

Float = NDArray[np.float64]
N_SHOWN = 5
N_WALKS = 9
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
