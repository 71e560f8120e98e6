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
from .facts import Facts, facts
from .nearness import Nearness, nearness
from .view import View
from .walks import Path, paths

Float = NDArray[np.float64]
Index = NDArray[np.intp]

N_SHOWN = 5  # samples in a row of pictures
N_KEPT, FEWEST_KEPT = 300, 12  # samples of a kind inside the page ...
MOST_VALUES = 500_000  # ... as far as these numbers allow, then fewer


@dataclass(frozen=True)
class Kept:
    """The samples that the page holds for its reader to choose from: real ones, generated ones, and why those are there.

    real, generated : their indices, increasing. nearest : for each generated one the place of its nearest real one in `real`.
    f_change : of each generated one, how much of the step of its local f from the nearest real one every value carries (nats);
    f_from, f_to : the two ends of that step.
    """

    real: Index
    generated: Index
    nearest: Index
    f_change: Float
    f_from: Float
    f_to: Float


@dataclass(frozen=True)
class Story:
    """A fitted sampler and divergence, generated samples, and what was computed from them."""

    sampler: DualSampler
    divergence: DualDivergence
    X: NDArray[Any]
    generated: NDArray[Any]
    labels: NDArray[Any] | None
    f_generated: Float
    terms: Float
    near: Nearness
    shown_real: Index
    shown_generated: Index
    kept: Kept
    paths: list[Path]
    p_value: float
    graph: DependenceGraph | None
    facts: Facts
    view: View

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which of the generated samples lie between the end points."""
        low, high = self.divergence.end_points_
        return np.asarray((self.f_generated >= low) & (self.f_generated <= high))

    @property
    def share_inside(self) -> float:
        """How many of the generated samples lie between the end points."""
        return float(self.inside.mean())


def tell(
    sampler: DualSampler,
    divergence: DualDivergence,
    X: NDArray[Any],
    generated: NDArray[Any],
    note: Callable[[str], None] = lambda _: None,
    *,
    labels: NDArray[Any] | None = None,
    names: tuple[str, ...] = (),
) -> Story:
    """Score, compare and walk: everything that the page needs. `labels` are those of the generated samples, where known."""
    note("scoring the generated samples")
    f_generated = divergence.score_samples(generated)
    near = nearness(sampler, generated)
    view = View(X, names)
    levels = np.linspace(0.1, 0.9, N_SHOWN)
    shown_generated = at_quantiles(f_generated, levels)
    note("explaining the generated samples")
    kept = _kept(sampler, divergence, view, generated, f_generated, near, shown_generated)
    note("walking in the dual space")
    walked = paths(sampler, divergence, X)
    note("testing for independence")
    return Story(
        sampler=sampler,
        divergence=divergence,
        X=X,
        generated=generated,
        labels=_labels(sampler, near) if labels is None else labels,
        f_generated=f_generated,
        terms=divergence.node_terms(X).mean(axis=0),
        near=near,
        shown_real=at_quantiles(divergence.dual_values_, levels),
        shown_generated=shown_generated,
        kept=kept,
        paths=walked,
        p_value=_p_value(divergence, X),
        graph=graph_of(divergence),
        facts=facts(X, sampler.y_, sampler.groups_),
        view=view,
    )


def _labels(sampler: DualSampler, near: Nearness) -> NDArray[Any] | None:
    """Those of the nearest real samples: the best guess where nobody said what the generated ones are."""
    return None if sampler.y_ is None else sampler.y_[near.index]


def _p_value(divergence: DualDivergence, X: NDArray[Any]) -> float:
    """The model's own test for zero divergence, or one made here."""
    if divergence.p_value_ is None:
        return independence_test(X, random_state=0).p_value
    return divergence.p_value_


def graph_of(divergence: DualDivergence) -> DependenceGraph | None:
    """Its dependence graph; None where no column leans on another."""
    graph = divergence.dependence_graph_
    return graph if graph is not None and len(graph.edges(0.0)) else None


def at_quantiles(f: Float, levels: Float) -> Index:
    """The samples that stand at these quantiles of f: a choice that nobody can prettify."""
    return np.argsort(f, kind="stable")[np.round(levels * (len(f) - 1)).astype(np.intp)]


def _kept(
    sampler: DualSampler,
    divergence: DualDivergence,
    view: View,
    generated: NDArray[Any],
    f_generated: Float,
    near: Nearness,
    shown: Index,
) -> Kept:
    most = int(np.clip(MOST_VALUES // (3 * view.grid.size), FEWEST_KEPT, N_KEPT))
    made = np.union1d(shown, _evenly(f_generated, most))
    real = np.union1d(_evenly(divergence.dual_values_, most), near.index[made])
    found = sampler.explain(generated[made], n_neighbors=1)
    nearest = np.searchsorted(real, found.neighbors[:, 0])  # the neighbours of explain are those of nearness
    return Kept(real, made, nearest, found.f_change, found.f_from, found.f_to)


def _evenly(f: Float, most: int) -> Index:
    """All samples, or as many as that, evenly spaced in the order of f."""
    return at_quantiles(f, np.linspace(0, 1, min(most, len(f))))
