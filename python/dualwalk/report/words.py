"""The report's words: every sentence is made from the numbers it speaks of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._nodepath.graph import DependenceGraph
from ..dualspace import false_alarm_rate
from ..estimator import DualDivergence
from .story import Story

LEAST_NATS = 0.005  # edges of less are noise
EDGES_HEADER = ("told the most", "main parent", "nats")
TRIED_HEADER = ("what was tried", "criterion", "energy distance", "coverage", "authenticity")


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


def divergence(story: Story) -> list[str]:
    """The estimate, what it is made of, and whether there is anything to estimate: a paragraph each."""
    model = story.divergence
    held_out, error = with_error(model.divergence_held_out_, model.divergence_se_)
    training, _ = with_error(model.divergence_training_, model.divergence_se_)
    value, _ = with_error(model.divergence_, model.divergence_se_)
    cost, _ = with_error(-model.rank_noise_, model.divergence_se_)
    ranks = f"That f works with ranks among few samples costs another {cost}. " if float(cost) > 0 else ""
    text = [
        (
            f"Samples that f never saw read {held_out} ± {error} nats on average, those it was trained on {training}. "
            "The first is too low by about as much as the second is too high: what f learned of the luck of its samples. "
            f"{ranks}The estimate, {value}{' nats' * math.isfinite(model.divergence_)}, allows for that; the lower limit is that of "
            "unseen samples."
        )
    ]
    if model.determined_:
        text.append(determined(model, story.X.shape[1:]))
    if story.p_value <= 0.05:
        text.append(f"The values do depend on each other: {p_value(story.p_value)}.")
    else:
        text.append(f"Whether the values depend on each other at all is open: {p_value(story.p_value)}.")
    return text


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


def lead(story: Story) -> str:
    """One line under the title."""
    classes = getattr(story.sampler, "classes_", None)
    labels = f" with {len(classes)} labels" if classes is not None else ""
    return (
        f"{len(story.X)} real samples of {shape(story.X.shape[1:])}{labels}; {len(story.generated)} generated ones beside them."
    )


def headlines(story: Story) -> list[tuple[str, str, str]]:
    """The tiles: name, number, meaning."""
    model, near = story.divergence, story.near
    level = f"{100 * model.confidence_level:g} %"
    sizes = np.bincount(model.labels_, minlength=len(model.cuts_) + 1).tolist()
    counts = ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}" if len(sizes) > 1 else f"all {sizes[0]}"
    lower, _ = with_error(model.divergence_lower_, model.divergence_se_)
    return [
        (
            "Divergence (total correlation)",
            estimate(model),
            "how strongly the values of a sample depend on each other; 0 if they did not",
        ),
        ("At least", f"{lower} nats", f"lower limit of the divergence, {level} confidence, one-sided"),
        ("Clusters in the dual space", str(len(sizes)), f"of {counts} real samples, from low f to high"),
        (
            "Between the end points",
            f"{100 * story.share_inside:.0f} %",
            f"of the generated samples; about {level} of new real ones would be",
        ),
        (
            "Distance to the nearest real one",
            f"{near.median_ratio:.2f}",
            "median of the generated samples; 1 is ideal, 0 is a copy",
        ),
        (
            "Near copies",
            f"{near.n_near_copies} of {len(near.ratio)}",
            "generated samples nearer than half the typical distance",
        ),
    ]


def dual_space(story: Story) -> str:
    """What f, clusters and end points are here."""
    model = story.divergence
    low, high = model.end_points_
    alarms = 100 * false_alarm_rate(n_held_out(model), model.confidence_level)
    if low == high:
        return f"f is the same for all samples, {number(low)} nats: no dependence between their values was found."
    valleys = int(np.sum(model.cut_valleys_))
    n_cuts = len(model.cuts_)
    if n_cuts == 0:
        cuts = "No cut was found: the samples form one cluster."
    elif valleys == 0:
        which = "The cut is" if n_cuts == 1 else f"None of the {n_cuts} cuts is"
        not_ = " not" if n_cuts == 1 else ""
        meaning = "read the clusters as low, middle and high f, not as separate groups"
        cuts = f"{which}{not_} at a real valley of the density: {meaning}."
    else:
        cuts = f"{valleys} of {n_cuts} cuts {'is' if valleys == 1 else 'are'} at a real valley of the density (a solid line)."
    return (
        "The dual value f(x) says how much more likely a sample is than if its values were drawn independently of each other, "
        "each from its own marginal: by a factor of e^f. Its mean over held-out samples is the divergence. Samples of this "
        f"source lie between {number(low)} and {number(high)} nats; a new one falls outside in about {alarms:.1f} % of cases. "
        f"{cuts} {_compare(story)}"
    )


def _compare(story: Story) -> str:
    """Generated samples against real ones in f: said only where they differ."""
    real, made = float(np.median(story.divergence.dual_values_)), float(np.median(story.f_generated))
    quartiles = np.quantile(story.divergence.dual_values_, [0.25, 0.75])
    text = f"The median generated sample has f = {number(made)}, the median real one {number(real)}"
    if made < quartiles[0]:
        return f"{text}: generated samples are looser than real ones, some of the dependence is lost."
    if made > quartiles[1]:
        return f"{text}: generated samples are tighter than real ones, some of the variety is lost."
    return f"{text}."


def novelty(story: Story) -> str:
    """Copies or not, in one sentence with the numbers."""
    near = story.near
    share, real_share = near.n_near_copies / len(near.ratio), near.n_near_copies_real / len(near.real_ratio)
    return (
        f"The median generated sample is {near.median_ratio:.2f} times as far from its nearest real sample as real samples are "
        f"from each other. {near.n_near_copies} of {len(near.ratio)} ({100 * share:.1f} %) are nearer than half the typical "
        f"distance; so are {near.n_near_copies_real} of {len(near.real_ratio)} real ones ({100 * real_share:.1f} %)."
    )


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
        return f"every {_part(chosen)} has a way of its own, chosen on held-out samples"
    criterion = "" if chosen.criterion is None else f" (criterion {chosen.criterion:.3f} on held-out samples, 0 is best)"
    return f"{rung(chosen)}{criterion}"


def choice(story: Story) -> str:
    """What was chosen, how, and from how much."""
    sampler, chosen = story.sampler, story.sampler.choice_
    walk = sampler.get_params()["walk"]
    if walk in WALKS:
        return f"Nothing was tried: the walk was fixed by hand. Each new sample is {WALKS[walk]}."
    if chosen.criterion is None:
        return f"Nothing was tried: the walk was fixed by hand ({rung(chosen)})."
    how = (
        "Every candidate generated samples from four fifths of the real ones and was compared with the remaining fifth, on "
        "real samples alone; the lowest criterion wins (a refinement must win clearly). It adds up how the distances to real "
        "samples differ (energy distance, 0 is best), how many held-out samples have a generated one nearby (coverage, 1 is "
        "best) and how near generated samples come to the ones they were made from (authenticity, 1 is best, 0 is a copy)."
    )
    if chosen.parts == "all rows":
        return f"{_walk(chosen)} Its criterion was {chosen.criterion:.3f}, of {len(sampler.criteria_)} candidates. {how}"
    verdict = sampler.class_criteria_
    why = (
        f" ({verdict.per_class:.3f} against {verdict.pooled:.3f} for one way for all, on fresh folds)"
        if verdict is not None
        else ""
    )
    own = f"Every {_part(chosen)} has a way of its own (the table shows the best for each)"
    return f"{own}, because held-out samples were matched better so{why}. {how}"


def _part(chosen: Any) -> str:
    return {"classes": "label", "clusters": "cluster of similar samples", "channels": "group of independent channels"}[
        chosen.parts
    ]


def _walk(chosen: Any) -> str:
    if chosen.n_neighbors is None:
        return f"Each new sample is drawn from what all real samples have in common: {rung(chosen)}."
    if math.isinf(chosen.time):
        return f"Each new sample walks from a real one until it is anywhere in that one's neighbourhood: {rung(chosen)}."
    kept = 100 * math.exp(-chosen.time)
    offset = f"{kept:.0f} % of its offset from its neighbours' mean"
    return f"Each new sample walks away from a real one until {offset} is left: {rung(chosen)}."


def tried(story: Story, limit: int = 12) -> tuple[list[tuple[str, ...]], int | None]:
    """The rows of the table: every label's choice, or the best candidates with the place of the chosen one."""
    criteria, chosen = story.sampler.criteria_, rung(story.sampler.choice_)
    if story.sampler.choice_.parts != "all rows":
        best = {}
        for candidate in sorted(criteria, key=lambda candidate: -candidate.criterion):
            best[candidate.label] = candidate
        shown = [
            (f"{label}: {rung(c)}", c) for label, c in sorted(best.items(), key=lambda item: str(item[0])) if label is not None
        ]
        return [_scores(name, candidate) for name, candidate in shown[: 2 * limit]], None
    ordered = sorted((c for c in criteria if c.label is None), key=lambda candidate: candidate.criterion)[:limit]
    names = [rung(candidate) for candidate in ordered]
    rows = [_scores(name, candidate) for name, candidate in zip(names, ordered, strict=True)]
    return rows, names.index(chosen) if chosen in names else None


def _scores(name: str, c: Any) -> tuple[str, ...]:
    return name, f"{c.criterion:.3f}", f"{c.energy_distance:.3f}", f"{c.coverage:.2f}", f"{c.authenticity:.2f}"


def caveats(story: Story) -> list[str]:
    """What these numbers cannot say."""
    n, near = len(story.X), story.near
    d = int(np.prod(story.X.shape[1:]))
    items = [
        (
            "The divergence is conservative: what the model does not see is missing from it, so the truth is more often above "
            "the estimate than below. The lower limit covers the luck of the samples at hand, not samples that depend on each "
            "other."
        ),
        "f of generated samples comes from models trained on the samples these were made from, which flatters it a little.",
        "A generated sample carries information about the real ones: this is no privacy guarantee.",
        "Walks follow the local dual function of their start; f in the picture is the global one, so a path may turn.",
    ]
    if n < d / 8 or n < 50:
        items.insert(
            0, f"{n} samples are few for {d} values each: trust the pictures more than the numbers, and both with care."
        )
    if near.median_ratio < 0.75:
        items.insert(
            0, "The generated samples keep close to the real ones: they are variations of single samples more than new ones."
        )
    return items


def settings(story: Story, credit: str) -> list[tuple[str, str]]:
    """Data and settings as name and value."""
    rows = [
        ("real samples", f"{len(story.X)} of {shape(story.X.shape[1:])}, {story.X.dtype}"),
        ("generated samples", f"{len(story.generated)}"),
        ("divergence", repr(story.divergence)),
        ("sampler", repr(story.sampler)),
    ]
    return [*rows, ("data", credit)] if credit else rows


def footer(version: str) -> str:
    """Who made this and from what."""
    return (
        f"Made by dualwalk {version}. Method: Garg, Schneider, Raj, Rasul, Nevmyvaka, Gopal, Dhurandhar, Cecchi, Rish, Deep "
        "Generative Sampling in the Dual Divergence Space, arXiv 2404.07377 (2024)."
    )
