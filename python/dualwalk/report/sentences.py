"""The report's sentences, made from the numbers they speak of: what you see, how to read it, what it cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dualspace import false_alarm_rate
from . import words
from .story import Story
from .walks import Path
from .words import number, with_error

EDGES_HEADER = ("told the most", "main parent", "nats")
TRIED_HEADER = ("what was tried", "criterion", "energy distance", "coverage", "authenticity")
CLUSTERS_HEADER = ("cluster", "f from (nats)", "f to (nats)", "real samples", "generated samples")


def plural(n: int, name: str) -> str:
    """A count and what is counted."""
    return f"{n} {name}" if n == 1 else f"{n} {name}s"


def lead(story: Story) -> str:
    """One line under the title."""
    classes = story.facts.labels
    labels = f" with {plural(len(classes), 'label')}" if classes else ""
    return (
        f"{len(story.X)} real samples of {words.shape(story.X.shape[1:])}{labels}; {plural(len(story.generated), 'generated one')} "
        "beside them."
    )


def headlines(story: Story) -> list[tuple[str, str, str]]:
    """The tiles: name, number, meaning."""
    model, near = story.divergence, story.near
    level = f"{100 * model.confidence_level:g} %"
    sizes = cluster_sizes(story)
    counts = ", ".join(map(str, sizes[:-1])) + f" and {sizes[-1]}" if len(sizes) > 1 else f"all {sizes[0]}"
    lower, _ = with_error(model.divergence_lower_, model.divergence_se_)
    return [
        (
            "Divergence (total correlation)",
            words.estimate(model),
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


def cluster_sizes(story: Story) -> list[int]:
    """How many real samples every cluster has."""
    model = story.divergence
    return [int(size) for size in np.bincount(model.labels_, minlength=len(model.cuts_) + 1)]


def data(story: Story) -> list[tuple[str, str]]:
    """What came in, as name and value."""
    found, d = story.facts, int(np.prod(story.X.shape[1:]))
    rows = [
        ("samples", f"{len(story.X)} of {words.shape(story.X.shape[1:])}: {plural(d, 'value')} each, {story.X.dtype}"),
        ("range", f"{found.low:.4g} to {found.high:.4g} (units of the data)"),
        ("constant values", _count(found.n_constant, d, "the same in all samples; they carry nothing")),
        ("tied values", _count(found.n_tied, d, "few distinct levels; generated samples keep to the observed ones")),
        ("copies", _count(found.n_copies, len(story.X), "samples that are there twice; they count once")),
    ]
    if found.labels:
        shown = ", ".join(f"{name} ({count})" for name, count in found.labels[:12])
        more = f" and {len(found.labels) - 12} more" if len(found.labels) > 12 else ""
        rows.append(("labels", f"{len(found.labels)}: {shown}{more}"))
    if found.n_groups:
        rows.append(("groups", f"{found.n_groups}; samples of one group were held out together"))
    if story.divergence.determined_:
        rows.append(
            ("determined", f"{plural(len(story.divergence.determined_), 'group')} of values that fix each other exactly")
        )
    return rows


def _count(n: int, of: int, meaning: str) -> str:
    return f"{n} of {of} ({meaning})" if n else f"none of {of}"


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
        text.append(words.determined(model, story.X.shape[1:]))
    if story.p_value <= 0.05:
        text.append(f"The values do depend on each other: {words.p_value(story.p_value)}.")
    else:
        text.append(f"Whether the values depend on each other at all is open: {words.p_value(story.p_value)}.")
    return text


def nat(story: Story) -> str:
    """What the unit means, with this estimate a value."""
    d = int(np.prod(story.X.shape[1:])) - story.facts.n_constant
    each = story.divergence.divergence_held_out_ / max(d, 1)
    return (
        "A nat counts likelihood in factors of e, about 2.7: three nats, a factor of 20. The divergence is how many nats more "
        "likely a sample is, on average, as a whole than if each of its values had been drawn by itself, as often as it "
        f"occurs but without regard to the others; unseen samples show {number(each)} nats for each of the {d} values that vary."
    )


def dual_space(story: Story) -> str:
    """What f, clusters and end points are here."""
    model = story.divergence
    low, high = model.end_points_
    alarms = 100 * false_alarm_rate(words.n_held_out(model), model.confidence_level)
    if low == high:
        return f"f is the same for all samples, {number(low)} nats: no dependence between their values was found."
    valleys, n_cuts = int(np.sum(model.cut_valleys_)), len(model.cuts_)
    if n_cuts == 0:
        cuts = "No cut was found: the samples form one cluster."
    elif valleys == 0:
        which = "The cut is not" if n_cuts == 1 else f"None of the {n_cuts} cuts is"
        meaning = "read the clusters as low, middle and high f, not as separate groups"
        cuts = f"{which} at a real valley of the density: {meaning}."
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


def clusters(story: Story) -> list[tuple[str, ...]]:
    """The rows of the table of clusters."""
    model = story.divergence
    made = np.bincount(np.searchsorted(model.cuts_, story.f_generated, side="left"), minlength=len(model.cuts_) + 1)
    edges = ["", *map(number, model.cuts_), ""]
    return [
        (str(k + 1), edges[k] or "lowest", edges[k + 1] or "highest", str(size), str(made[k]))
        for k, size in enumerate(cluster_sizes(story))
    ]


def strongest_edges(story: Story) -> list[tuple[str, ...]]:
    """The values that are told the most, and by which."""
    assert story.graph is not None
    edges = story.graph.edges(words.LEAST_NATS)
    first = np.argsort(-story.graph.nats[edges[:, 1]], kind="stable")[:8]
    return [
        (story.view.column(child), story.view.column(parent), f"{story.graph.nats[child]:.2f}")
        for parent, child in edges[first].tolist()
    ]


def novelty(story: Story) -> str:
    """Copies or not, with the numbers, and who comes nearest to whom."""
    near = story.near
    share, real_share = near.n_near_copies / len(near.ratio), near.n_near_copies_real / len(near.real_ratio)
    whose = "" if near.subject is None else f" of subject {near.subject[near.closest]}"
    return (
        f"The median generated sample is {near.median_ratio:.2f} times as far from its nearest real sample as real samples are "
        f"from each other. {near.n_near_copies} of {len(near.ratio)} ({100 * share:.1f} %) are nearer than half the typical "
        f"distance; so are {near.n_near_copies_real} of {len(near.real_ratio)} real ones ({100 * real_share:.1f} %). Generated "
        f"sample {near.closest + 1} comes nearest: to {near.ratio[near.closest]:.2f} of that distance from real sample "
        f"{int(near.index[near.closest]) + 1}{whose}."
    )


def too_near(story: Story) -> str:
    """A warning where generated samples come too near to real ones, else empty."""
    reason = story.near.too_near
    if reason is None:
        return ""
    return (
        f"Too near to real samples: of the generated samples, {reason}. Do not give them away as if they were nobody's: make them "
        "with min_novelty=, with groups where several samples are of one subject, or from more samples."
    )


def privacy() -> str:
    """What distances do not tell."""
    return (
        "Distances alone do not show that no real sample can be told from these: metrics.membership_inference attacks the "
        "generated samples, given real ones that were left out of the fit."
    )


def walk_title(path: Path) -> str:
    """The name of a walk."""
    return {
        "clusters": "From the lowest cluster of f to the highest",
        "ends": "From low f to high f",
        "labels": f"From label {path.names[0]} to label {path.names[1]}",
        "upward": "Up the dual function",
    }[path.kind]


def walk(path: Path) -> str:
    """What a walk does, where it starts and ends."""
    n = len(path.f)
    if path.kind == "upward":
        return (
            f"From real sample {path.start + 1} along the gradient of the local dual function round it, {n - 1} small steps: where "
            "the dependence pulls its values. It stops before f would leave the end points. What is shown is f, the global one, so "
            "it may turn."
        )
    return (
        f"From real sample {path.start + 1} (frame 1) to real sample {path.end + 1} (frame {n}), past other real ones. The frames "
        "between are new; their distance to the nearest real sample is given (1 is typical between real ones)."
    )


def choice(story: Story) -> str:
    """What was chosen, how, and from how much."""
    sampler, chosen = story.sampler, story.sampler.choice_
    mode = sampler.get_params()["walk"]
    if mode in words.WALKS:
        return f"Nothing was tried: the walk was fixed by hand. Each new sample is {words.WALKS[mode]}."
    if chosen.criterion is None:
        return f"Nothing was tried: the walk was fixed by hand ({words.rung(chosen)})."
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
    own = f"Every {words.part(chosen)} has a way of its own (the table shows the best for each)"
    return f"{own}, because held-out samples were matched better so{why}. {how}"


def _walk(chosen: Any) -> str:
    if chosen.n_neighbors is None:
        return f"Each new sample is drawn from what all real samples have in common: {words.rung(chosen)}."
    if math.isinf(chosen.time):
        return f"Each new sample walks from a real one until it is anywhere in that one's neighbourhood: {words.rung(chosen)}."
    kept = 100 * math.exp(-chosen.time)
    offset = f"{kept:.0f} % of its offset from its neighbours' mean"
    return f"Each new sample walks away from a real one until {offset} is left: {words.rung(chosen)}."


def tried(story: Story, limit: int = 12) -> tuple[list[tuple[str, ...]], int | None]:
    """The rows of the table: every label's choice, or the best candidates with the place of the chosen one."""
    criteria, chosen = story.sampler.criteria_, words.rung(story.sampler.choice_)
    if story.sampler.choice_.parts != "all rows":
        best = {}
        for candidate in sorted(criteria, key=lambda candidate: -candidate.criterion):
            best[candidate.label] = candidate
        shown = [
            (f"{label}: {words.rung(c)}", c)
            for label, c in sorted(best.items(), key=lambda item: str(item[0]))
            if label is not None
        ]
        return [_scores(name, candidate) for name, candidate in shown[: 2 * limit]], None
    ordered = sorted((c for c in criteria if c.label is None), key=lambda candidate: candidate.criterion)[:limit]
    names = [words.rung(candidate) for candidate in ordered]
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
        "An edge of the dependence graph is the best single witness of a dependence, not a cause.",
    ]
    if n < d / 8 or n < 50:
        items.insert(
            0, f"{n} samples are few for {d} values each: trust the pictures more than the numbers, and both with care."
        )
    if near.too_near is not None:
        items.insert(0, too_near(story))
    if near.median_ratio < 0.75:
        items.insert(
            0, "The generated samples keep close to the real ones: they are variations of single samples more than new ones."
        )
    return items


def settings(story: Story, credit: str, version: str, made_on: str) -> list[tuple[str, str]]:
    """Provenance and settings as name and value."""
    rows = [
        ("made by", f"dualwalk {version}, NumPy {np.__version__}"),
        ("made on", f"{made_on} (UTC)"),
        ("divergence", repr(story.divergence)),
        ("sampler", repr(story.sampler)),
        ("SHA-256 of the real samples", story.facts.sha256),
    ]
    return [*rows, ("data", credit)] if credit else rows


def kept(story: Story, error: str) -> str:
    """What the page holds of the samples, and how exactly."""
    real, made = len(story.kept.real), len(story.kept.generated)
    rule = "" if made == len(story.generated) and real == len(story.X) else (
        ", evenly spaced in the order of f, with the nearest real sample of each generated one"
    )  # fmt: skip
    return (
        f"This page holds {real} of {len(story.X)} real and {made} of {len(story.generated)} generated samples{rule}. They are "
        f"rounded to {error} of each channel's range: for pictures, not a copy of the data. {story.view.thinned}".strip()
    )


CITATION = (
    "Garg, Schneider, Raj, Rasul, Nevmyvaka, Gopal, Dhurandhar, Cecchi, Rish: Deep Generative Sampling in the Dual Divergence "
    "Space, arXiv 2404.07377 (2024)."
)
