"""The report's words: every sentence is made from the numbers it speaks of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._nearness import NEAR_COPY
from ._story import Story

# name of the picture in _figures.py: (what it is, for those who cannot see it; what it shows and how to read it)
PICTURES = {
    "beside": (
        "Heat maps of five real and five generated samples, and the real sample nearest to each generated one",
        (
            "Samples as images. Top: real samples, at the 10th, 30th, 50th, 70th and 90th percentile of the dual value f; nobody picked them. "
            "Middle: generated samples at the same percentiles of theirs. Bottom: for each generated sample the real one that is nearest to "
            "it, and how far that is (1 is the typical distance of a real sample to its nearest other; 0 would be a copy)."
        ),
    ),
    "lines": (
        "Medians and bands of a few channels, real and generated",
        (
            "A few channels over time: where the middle 80 % of the real samples lie (band) and of the generated ones (dotted lines), both "
            "medians, and eight generated samples as thin lines."
        ),
    ),
    "dual_space": (
        "Density of the dual value f of real and generated samples with clusters, cuts and end points, above walks in f",
        (
            "Every stroke is a sample. Blue: real samples, each scored by a model that never saw it, light to dark by cluster. Orange: "
            "generated samples. Triangles show where the same real samples would seem to lie if the model that was trained on them scored "
            "them: the reason why end points come from held-out samples. Below: walks from real samples (dots) along the gradient of their "
            "local dual function, step by step upwards, to the arrow heads."
        ),
    ),
    "dependence": (
        "Heat map of the mean term of f for every channel and time, with sums by time and by channel",
        (
            "f is a sum with one term a value: what that value's dependence on others contributes, on average over the real samples. Bright "
            "places are predictable from the rest; the first of several values that depend on each other carries nothing yet, so that nothing "
            "is counted twice. The bars sum over channels and over times."
        ),
    ),
    "novelty": (
        "Distribution of distances to the nearest real sample, for generated and for real samples",
        (
            "How far each sample is from the nearest real one. Where the curves agree, generated samples keep the distance that real samples "
            "keep from each other; a peak near 0 would mean copies, a curve far to the right samples unlike any real one. Dashed: medians."
        ),
    ),
    "attribution": (
        "Start and end of one walk, how far each channel and time moved, and its share of the change of f",
        (
            "The middle walk of the dual space above. Left: the real sample it starts from and the sample it ends in. Right: how far each "
            "channel and time moved, and how much of the change of its local f it carries (the parts sum to the whole)."
        ),
    ),
}
TRIED_HEADER = ("candidate", "criterion", "energy distance", "coverage", "authenticity")


def number(value: float) -> str:
    """Two to four significant digits, no exponent for what people read."""
    size = abs(value)
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}"


def shape(feature_shape: tuple[int, ...]) -> str:
    """One sample's shape in words."""
    return (
        f"{feature_shape[0]} channels x {feature_shape[1]} times" if len(feature_shape) == 2 else f"{feature_shape[0]} features"
    )


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
    sizes = np.bincount(model.labels_, minlength=len(model.cuts_) + 1)
    counts = ", ".join(map(str, sizes.tolist()))
    return [
        (
            "Divergence (total correlation)",
            f"{number(model.divergence_)} ± {number(model.divergence_se_)} nats",
            "how much the values of a sample depend on each other; 0 if they did not at all",
        ),
        ("At least", f"{number(model.divergence_lower_)} nats", f"one-sided lower limit, {level} confidence"),
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
            f"generated samples nearer than {NEAR_COPY:g} of the typical distance",
        ),
    ]


def dual_space(story: Story) -> str:
    """What f, clusters and end points are here."""
    model = story.divergence
    low, high = model.end_points_
    valleys = int(np.sum(model.cut_valleys_))
    n_cuts = len(model.cuts_)
    if n_cuts == 0:
        cuts = "No cut was found: the samples form one cluster."
    elif valleys == 0:
        which = "The cut is" if n_cuts == 1 else f"None of the {n_cuts} cuts is"
        not_ = " not" if n_cuts == 1 else ""
        cuts = f"{which}{not_} at a real valley of the density: read the clusters as low, middle and high f, not as separate groups."
    else:
        cuts = f"{valleys} of {n_cuts} cuts {'is' if valleys == 1 else 'are'} at a real valley of the density (a solid line)."
    return (
        "The dual value f(x) says how much more likely a sample is than if its values were drawn independently of each other, each from its "
        f"own marginal: by a factor of e^f. Its mean over held-out samples is the divergence. Samples of this source lie between "
        f"{number(low)} and {number(high)} nats. {cuts}"
    )


def novelty(story: Story) -> str:
    """Copies or not, in one sentence with the numbers."""
    near = story.near
    share, real_share = near.n_near_copies / len(near.ratio), near.n_near_copies_real / len(near.real_ratio)
    return (
        f"The median generated sample is {near.median_ratio:.2f} times as far from its nearest real sample as real samples are from each "
        f"other. {near.n_near_copies} of {len(near.ratio)} ({100 * share:.1f} %) are nearer than half the typical distance; so are "
        f"{near.n_near_copies_real} of {len(near.real_ratio)} real ones ({100 * real_share:.1f} %)."
    )


def rung(candidate: Any) -> str:
    """A candidate of the ladder in words."""
    if candidate.n_neighbors is None:
        reach = f"all samples, {100 * candidate.pooled_noise:g} % pooled noise"
    else:
        reach = f"{candidate.n_neighbors} neighbours"
    columns = "normal scores" if candidate.space == "scores" else "standardized columns"
    return f"{reach}, {columns}" + (", variance matched" if candidate.variance_match else "")


def choice(story: Story) -> str:
    """What was chosen, how, and from how much."""
    chosen = story.sampler.choice_
    if chosen.criterion is None:
        return f"Nothing was tried: the walk was fixed by hand ({rung(chosen)})."
    if math.isinf(chosen.time):
        walk = "Each new sample is drawn from all samples' common dependence"
    else:
        walk = f"Each new sample starts at a real one, keeps {100 * math.exp(-chosen.time):.0f} % of its offset from its neighbours' mean, and walks"
    own = (
        f" Each label has a choice of its own; the largest one's is shown ({len(story.sampler.choices_)} in all)."
        if chosen.per_class
        else ""
    )
    return (
        f"{walk}: {rung(chosen)}. Every candidate generated samples from four fifths of the real ones and was compared with the remaining "
        f"fifth, on training samples alone; the lowest criterion won ({chosen.criterion:.3f}). It adds up how the distances to real samples "
        "differ (energy distance, 0 is best), how many held-out samples have a generated one nearby (coverage, 1 is best) and how near "
        f"generated samples come to the ones they were made from (authenticity, 1 is best, 0 is a copy).{own}"
    )


def tried(story: Story, limit: int = 12) -> tuple[list[tuple[str, ...]], int | None]:
    """The best candidates for the table, best first, and the place of the chosen one."""
    criteria = [c for c in story.sampler.criteria_ if c.label is None] or list(story.sampler.criteria_)
    best = sorted(criteria, key=lambda candidate: candidate.criterion)[:limit]
    names = [rung(candidate) for candidate in best]
    rows = [
        (name, f"{c.criterion:.3f}", f"{c.energy_distance:.3f}", f"{c.coverage:.2f}", f"{c.authenticity:.2f}")
        for name, c in zip(names, best, strict=True)
    ]
    chosen = rung(story.sampler.choice_)
    return rows, names.index(chosen) if chosen in names else None


def caveats(story: Story) -> list[str]:
    """What these numbers cannot say."""
    n, near = len(story.X), story.near
    d = int(np.prod(story.X.shape[1:]))
    items = [
        (
            "The divergence is conservative: what the model does not see is missing from it, so the truth is more often above the estimate than "
            "below. The lower limit covers the luck of the samples at hand, not samples that depend on each other."
        ),
        "Generated samples start from real ones, which the dual function was trained on, so their f reads somewhat high (see the triangles).",
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
        f"Made by dualwalk {version}. Method: Garg, Schneider, Raj, Rasul, Nevmyvaka, Gopal, Dhurandhar, Cecchi, Rish, Deep Generative "
        "Sampling in the Dual Divergence Space, arXiv 2404.07377 (2024)."
    )
