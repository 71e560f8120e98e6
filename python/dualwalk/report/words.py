"""Words that the report and the command line share: numbers, shapes, places and choices as people read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._nodepath.graph import DependenceGraph
from ..estimator import DualDivergence

LEAST_NATS = 0.005  # edges of less are noise


def number(value: float) -> str:
    """Two to four significant digits, no exponent for what people read."""
    size = abs(value)
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}"


def with_error(value: float, error: float) -> tuple[str, str]:
    """A value and its standard error, both to the error's second digit."""
    if math.isinf(value):
        return "infinite", with_error(0.0, error)[1]
    digits = min(4, max(0, 1 - math.floor(math.log10(error)))) if error > 0 else 2
    return f"{value:.{digits}f}", f"{error:.{digits}f}"


def estimate(model: DualDivergence, plus_minus: str = "±") -> str:
    """The divergence with its standard error and unit."""
    value, error = with_error(model.divergence_, model.divergence_se_)
    return f"{value} {plus_minus} {error} nats" if math.isfinite(model.divergence_) else value


def shape(feature_shape: tuple[int, ...]) -> str:
    """One sample's shape in words."""
    return (
        f"{feature_shape[0]} channels x {feature_shape[1]} times" if len(feature_shape) == 2 else f"{feature_shape[0]} features"
    )


def column(k: int, feature_shape: tuple[int, ...]) -> str:
    """The name of column number k, from 0: where it stands in a sample, counted from 1."""
    if len(feature_shape) == 1:
        return f"feature {k + 1}"
    channel, time = divmod(k, feature_shape[1])
    return f"channel {channel + 1}, time {time + 1}" if feature_shape[0] > 1 else f"time {time + 1}"


def strongest_edges(graph: DependenceGraph, feature_shape: tuple[int, ...], limit: int = 6) -> list[tuple[str, str, str]]:
    """The columns that are told the most: name, main parent, nats."""
    edges = graph.edges(LEAST_NATS)
    first = np.argsort(-graph.nats[edges[:, 1]], kind="stable")[:limit]
    return [
        (column(child, feature_shape), column(parent, feature_shape), f"{graph.nats[child]:.2f}")
        for parent, child in edges[first].tolist()
    ]


def determined(model: DualDivergence, feature_shape: tuple[int, ...]) -> str:
    """Which columns make the divergence infinite."""
    groups = [" and ".join(column(int(k), feature_shape) for k in group) for group in model.determined_[:3]]
    more = f", and {len(model.determined_) - 3} more groups" if len(model.determined_) > 3 else ""
    return (
        f"The divergence is infinite, because these determine each other exactly: {'; '.join(groups)}{more}. "
        "Keep one of each group, or all but one of an exact sum, to see what else there is."
    )


def n_held_out(model: DualDivergence) -> int:
    """How many rows the end points rest on."""
    return int(model.held_out_.sum())


def p_value(p: float) -> str:
    """The permutation test's result in words."""
    return f"p = {p:.3f} in a permutation test (how often independent values would look as dependent as these or more)"


def rung(candidate: Any) -> str:
    """A candidate of the ladder in words."""
    if candidate.n_neighbors is None:
        reach = f"all samples, {100 * candidate.pooled_noise:g} % pooled noise"
    else:
        near = "" if candidate.metric == "distance" else " of like size and direction"
        reach = (
            f"{candidate.n_neighbors} neighbours{near}, {'nothing' if math.isinf(candidate.time) else 'half'} of the start kept"
        )
    columns = "normal scores" if candidate.space == "scores" else "standardized"
    return f"{reach}, {columns}"


# What the walks beside the ladder do, in words.
WALKS = {
    "mixture": "a mix of two near neighbours, renoised and annealed on a Gaussian mixture",
    "gradient": "a gradient walk into the next cluster of f",
    "renoised": "a gradient walk to an f near the start's, then renoised and annealed on a Gaussian mixture",
    "langevin": "Langevin steps on the local dual function",
}


def generator(sampler: Any) -> str:
    """The choice in a line of the command line."""
    chosen, walk = sampler.choice_, sampler.get_params()["walk"]
    if walk in WALKS:
        return WALKS[walk]
    if chosen.parts != "all rows":
        return f"every {part(chosen)} has a way of its own, chosen on held-out samples"
    criterion = "" if chosen.criterion is None else f" (criterion {chosen.criterion:.3f} on held-out samples, 0 is best)"
    return f"{rung(chosen)}{criterion}"


def part(chosen: Any) -> str:
    """What has a choice of its own."""
    return {"classes": "label", "clusters": "cluster of similar samples", "channels": "group of independent channels"}[
        chosen.parts
    ]
