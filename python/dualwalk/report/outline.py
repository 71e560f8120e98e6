"""The report's sections in their order: name, short and full heading, what you see, how to read it."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """A section's fixed words; `name` is also its address in the page."""

    name: str
    short: str
    heading: str
    see: str
    read: str


PARTS = (
    Part(
        "data",
        "Data",
        "The data",
        "What came in, before any model: its size, its range, and a few of the samples.",
        "Look for channels that are flat or on other scales, and for samples that are there twice; each channel is coloured in "
        "its own standard deviations.",
    ),
    Part(
        "divergence",
        "Divergence",
        "The divergence and its lower limit",
        "How strongly the values of a sample depend on each other: the estimate, the two means that it lies between, and the "
        "lower limit.",
        "The true divergence is at least the lower limit, with the confidence named; there is no upper limit to give, since "
        "what the model does not see is missing from the estimate.",
    ),
    Part(
        "space",
        "Dual space",
        "The dual space",
        "The dual value f of every sample on one line: real samples as an area, generated ones as a curve, and a stroke for "
        "each.",
        "To the right, values fit together more tightly; a sample outside the two end points does not look like this source.",
    ),
    Part(
        "dependence",
        "Dependence",
        "Where the dependence lives",
        "A map of the values of a sample: how many nats each adds to the divergence, and what it leans on.",
        "Bright places can be told from the others; the first of several values that depend on each other carries nothing yet, "
        "so that nothing is counted twice.",
    ),
    Part(
        "beside",
        "Generated",
        "Generated beside real",
        "Generated samples, and beside each the real sample that is nearest to it.",
        "Good ones look like another sample of the same source: as rough or smooth as real ones, near to some, equal to none "
        "(distance 1 is what real samples keep from each other, 0 is a copy).",
    ),
    Part(
        "novelty",
        "Novelty",
        "New, or copied?",
        "How far every sample is from the nearest real one: generated samples against real ones.",
        "Where the two agree, generated samples keep the distance that real samples keep from each other; a heap near 0 would "
        "mean copies, one far to the right samples unlike any real one.",
    ),
    Part(
        "walks",
        "Walks",
        "Walks, frame by frame",
        "Walks through the dual space: how one sample turns into another, frame by frame, with f at each.",
        "The first frame is a real sample; f below tells how tightly its values fit together on the way (real samples read "
        "higher here than in section 3, as the model has seen them).",
    ),
    Part(
        "made",
        "How it was made",
        "How this was made",
        "What was chosen and why, with which settings, from which data.",
        "With the same samples, settings and versions you get the same numbers; all of them are in this file as JSON, in the "
        "element dualwalk-data.",
    ),
)
