"""What every picture of the report shows, in a sentence, for those who cannot see it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .story import Story
from .walks import Path
from .words import number, with_error


def divergence(story: Story) -> str:
    """The numbers on the line."""
    model = story.divergence
    values = (model.divergence_lower_, model.divergence_held_out_, model.divergence_training_, model.divergence_)
    lower, held_out, training, estimate = (with_error(value, model.divergence_se_)[0] for value in values)
    return (
        f"A line of nats: lower limit {lower}, mean over unseen samples {held_out}, over samples trained on {training}, "
        f"estimate {estimate}."
    )


def dual_space(story: Story) -> str:
    """Where both kinds of samples lie, with cuts and end points."""
    model = story.divergence
    real, made = (np.quantile(f, [0.05, 0.5, 0.95]) for f in (model.dual_values_, story.f_generated))
    low, high = map(number, model.end_points_)
    cuts = ", ".join(map(number, model.cuts_)) or "none"
    return (
        f"Density of the dual value f. Real samples: middle 90 % from {number(real[0])} to {number(real[2])} nats, median "
        f"{number(real[1])}. Generated ones: {number(made[0])} to {number(made[2])}, median {number(made[1])}. End points at "
        f"{low} and {high}; cuts at: {cuts}. Below, a stroke for every sample."
    )


def dependence(story: Story) -> str:
    """Where the terms are largest and smallest."""
    terms = story.terms.ravel()
    most, least = int(terms.argmax()), int(terms.argmin())
    return (
        f"Mean term of f of every value, in nats. Most: {story.view.column(most)} with {number(terms[most])}. Least: "
        f"{story.view.column(least)} with {number(terms[least])}. Sum: {number(terms.sum())}."
    )


def graph(story: Story) -> str:
    """How many edges and which is the strongest."""
    found = story.graph
    assert found is not None
    child = int(found.nats.argmax())
    parent = int(found.parents[child])
    told = f" leans on {story.view.column(parent)}" if parent >= 0 else ""
    return (
        f"A graph of the values with an edge from each one's main parent, {len(found.edges(0.0))} in all. The strongest: "
        f"{story.view.column(child)}{told}, {number(found.nats[child])} nats."
    )


def between(story: Story, nats: NDArray[np.float64]) -> str:
    """How much stays inside channels."""
    inside = 100 * float(np.trace(nats)) / (float(nats.sum()) or 1.0)
    return f"Nats from channel to channel as a square map; {inside:.0f} % lies on the diagonal, inside single channels."


def novelty(story: Story) -> str:
    """Both medians and the near copies."""
    near = story.near
    return (
        f"Histogram of the distance to the nearest real sample. Median of real samples {number(np.median(near.real_ratio))}, of "
        f"generated ones {number(near.median_ratio)}; {near.n_near_copies} generated ones lie below 0.5."
    )


def path(story: Story, path: Path) -> str:
    """How f runs."""
    return (
        f"f over {len(path.f)} frames, from {number(path.f[0])} to {number(path.f[-1])} nats, between {number(path.f.min())} and "
        f"{number(path.f.max())}."
    )


def panel(story: Story, row: int, *, generated: bool) -> str:
    """The medians at both ends of a row."""
    view = story.view

    def ends(X: NDArray[Any]) -> str:
        middle = np.median(view.lines(X)[:, row], axis=0)
        return f"{middle[0]:.3g} at the first {view.place} and {middle[-1]:.3g} at the last"

    name = view.row_names[row] or "All samples"
    text = f"{name}: the median of the real samples is {ends(story.X)}"
    return f"{text}; that of the generated ones {ends(story.generated)}." if generated else f"{text}."
