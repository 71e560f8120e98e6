"""What every picture of the report is, and how to read it."""

from __future__ import annotations

# name of the picture in figures.py: (what it is, for those who cannot see it; what it shows and how to read it)
PICTURES = {
    "beside": (
        "Heat maps of five real and five generated samples, and the real sample nearest to each generated one",
        (
            "Samples as images. Top: real samples, at the 10th, 30th, 50th, 70th and 90th percentile of the dual value f; "
            "nobody picked them. Middle: generated samples at the same percentiles of theirs. Bottom: for each generated "
            "sample the real one that is nearest to it, and its distance (1 is the typical distance of a real sample to its "
            "nearest other; 0 would be a copy)."
        ),
    ),
    "lines": (
        "Medians and bands of a few channels, real and generated",
        (
            "A few channels over time: where the middle 80 % of the real samples lie (band) and of the generated ones (dotted "
            "lines), both medians, and eight generated samples as thin lines."
        ),
    ),
    "dual_space": (
        "Density of the dual value f of real and generated samples with clusters, cuts and end points, above walks in f",
        (
            "Every stroke is a sample. Blue: real samples, each scored by a model that never saw it, shaded by cluster. "
            "Orange: generated samples. Triangles show where the same real samples would seem to lie if the model that was "
            "trained on them scored them: the reason why end points come from held-out samples. Below: walks from real "
            "samples (dots) along the gradient of their local dual function, step by step upwards, to the arrow heads; a walk "
            "ends before it would leave the end points. What is shown is f, the global one."
        ),
    ),
    "dependence": (
        "Heat map of the mean term of f for every channel and time, with sums by time and by channel",
        (
            "f is a sum with one term a value: what that value's dependence on others contributes, on average over the real "
            "samples. Bright places are predictable from the rest; the first of several values that depend on each other "
            "carries nothing yet, so that nothing is counted twice. The bars sum over channels and over times."
        ),
    ),
    "graph": (
        "Graph of the values: from every value's main parent an edge to it, and a table of nats from channel to channel",
        (
            "Who leans on whom. Every value has one main parent among the values that come before it in the chain rule, chosen "
            "by dependence and not by time; the square is the one that comes first. The wider and darker an edge, the more "
            "the value is told by its parent and all others before it. An edge is the best single witness, not a cause. "
            "Arcs bend to the left of their way from parent to child."
        ),
    ),
    "novelty": (
        "Distribution of distances to the nearest real sample, for generated and for real samples",
        (
            "How far each sample is from the nearest real one. Where the curves agree, generated samples keep the distance "
            "that real samples keep from each other; a peak near 0 would mean copies, a curve far to the right samples unlike "
            "any real one. Dashed: medians."
        ),
    ),
    "origins": (
        "Three generated samples, each drawn over its nearest real samples, with maps of what moved and of the change of f",
        (
            "Where new samples come from: three generated ones, of low, middle and high distance to the real ones (1 is the "
            "typical distance between real samples). Left: the generated sample over the five real ones nearest to it, in the "
            "channel that carries most of the change. Middle: how far every channel and time lies from the nearest real sample. "
            "Right: how much of the change of f, from the real sample to the generated one, each of them carries: green places "
            "bind the values closer together, purple ones loosen them. The parts sum to the whole."
        ),
    ),
    "interpolation": (
        "Frames of a path from a real sample of low f to one of high f, above f along the way",
        (
            "A path through the dual space: from a real sample in the middle of the lowest cluster (first frame) to the real "
            "sample nearest to it in the highest (last frame). The frames between are new, and pass between real samples; "
            "the number is each one's distance to the nearest real sample (1 is typical between real ones). Below: f of every "
            "frame, over the clusters of f; real samples read higher here than in the dual space above, as the model has seen them."
        ),
    ),
    "attribution": (
        "Start and end of one walk, how far each channel and time moved, and its share of the change of f",
        (
            "One of the walks in the dual space above. Left: the real sample it starts from and the sample it ends in. Right: "
            "how far each channel and time moved, and how much of the change of its local f it carries (the parts sum to the "
            "whole)."
        ),
    ),
}
