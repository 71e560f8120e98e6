"""The machine-readable block of the page: results as numbers, and the samples that its script draws."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._arrays import distinct
from . import pixels, sentences
from .graph import drawn_edges
from .story import Story

FORMAT = "dualwalk-report/1"
LEVELS = 65535  # of a value of a sample, from the lowest of its row to the highest
PART_LEVELS = 127  # of a part of a change of f, either side of 0


def content(story: Story, *, title: str, credit: str, version: str, made_on: str) -> dict[str, Any]:
    """Everything, ready for JSON: no NaN, no infinity (None stands for an infinite divergence), no object of NumPy."""
    model = story.divergence
    return {
        "format": FORMAT,
        "made_by": f"dualwalk {version}",
        "made_on": made_on,
        "title": title,
        "credit": credit,
        "data": {
            "n_samples": len(story.X),
            "feature_shape": list(story.view.shape),
            "channel_names": list(story.view.names) or None,
            "dtype": str(story.X.dtype),
            "range": [story.facts.low, story.facts.high],
            "n_constant_values": story.facts.n_constant,
            "n_tied_values": story.facts.n_tied,
            "n_copies": story.facts.n_copies,
            "labels": dict(story.facts.labels) or None,
            "sha256": story.facts.sha256,
        },
        "divergence": {
            "unit": "nats",
            "estimate": model.divergence_ if math.isfinite(model.divergence_) else None,
            "standard_error": model.divergence_se_,
            "lower_limit": model.divergence_lower_,
            "confidence_level": model.confidence_level,
            "held_out": model.divergence_held_out_,
            "training": model.divergence_training_,
            "p_value": story.p_value,
            "end_points": model.end_points_.tolist(),
            "cuts": model.cuts_.tolist(),
            "cuts_at_valleys": np.asarray(model.cut_valleys_, dtype=bool).tolist(),
            "determined": [[int(k) for k in group] for group in model.determined_],
        },
        "sampler": {"choice": str(story.sampler.choice_), "settings": repr(story.sampler)},
        "generated": {
            "n_samples": len(story.generated),
            "share_between_end_points": story.share_inside,
            "median_novelty": story.near.median_ratio,
            "n_near_copies": story.near.n_near_copies,
            "nearest_novelty": float(story.near.ratio[story.near.closest]),
            "too_near": story.near.too_near,
        },
        "pictures": _pictures(story),
    }


def _pictures(story: Story) -> dict[str, Any]:
    """What the page's script draws; samples are packed, see `packed`."""
    view, kept, model = story.view, story.kept, story.divergence
    real, made = view.lines(story.X[kept.real]), view.lines(story.generated[kept.generated])
    frames = [view.lines(path.frames) for path in story.paths]
    everything = [real, made, *frames]
    low = np.min([part.min(axis=(0, 2)) for part in everything], axis=0)
    high = np.max([part.max(axis=(0, 2)) for part in everything], axis=0)
    step = np.where(high > low, (high - low) / LEVELS, 1.0)
    mean, deviation = view.scale()
    bands = np.quantile(view.lines(story.X), [0.1, 0.5, 0.9], axis=0)
    changes, change_step = _parts(view.parts(kept.f_change))
    labels = None if story.labels is None else [str(label) for label in story.labels[kept.generated]]
    own, subjects = story.sampler.y_, story.sampler.groups_
    return {
        "rows": view.row_names,
        "places": view.place_numbers,
        "place": view.place,
        "unit": view.unit,
        "columns": view.grid.tolist(),
        "low": _rounded(low, 9),
        "step": _rounded(step, 9),
        "mean": _rounded(mean, 9),
        "deviation": _rounded(deviation, 9),
        "limit": pixels.LIMIT,
        "signed": pixels.SIGNED.tolist(),
        "bands": [packed(part[None], low, step) for part in bands],
        "terms": _rounded(view.parts(story.terms[None])[0].ravel()),
        "graph": _graph(story),
        "real": {
            "index": kept.real.tolist(),
            "f": _rounded(model.dual_values_[kept.real]),
            "cluster": model.labels_[kept.real].tolist(),
            "label": None if own is None else [str(label) for label in own[kept.real]],
            "subject": None if subjects is None else [str(subject) for subject in subjects[kept.real]],
            "novelty": _rounded(story.near.real_ratio[kept.real]),
            "values": packed(real, low, step),
        },
        "generated": {
            "index": kept.generated.tolist(),
            "f": _rounded(story.f_generated[kept.generated]),
            "cluster": np.searchsorted(model.cuts_, story.f_generated[kept.generated], side="left").tolist(),
            "label": labels,
            "novelty": _rounded(story.near.ratio[kept.generated]),
            "nearest": kept.nearest.tolist(),
            "f_change": changes,
            "f_change_step": change_step,
            "f_from": _rounded(kept.f_from),
            "f_to": _rounded(kept.f_to),
            "values": packed(made, low, step),
        },
        "walks": [
            {
                "title": sentences.walk_title(path),
                "f": _rounded(path.f),
                "novelty": _rounded(path.novelty),
                "start": path.start,
                "end": path.end,
                "values": packed(part, low, step),
            }
            for path, part in zip(story.paths, frames, strict=True)
        ],
    }


def _graph(story: Story) -> dict[str, Any] | None:
    """The drawn edges: for the page's script to tell who leans on whom."""
    if story.graph is None:
        return None
    edges = drawn_edges(story)
    names = {int(k): story.view.column(int(k)) for k in distinct(edges)}
    return {"edges": edges.tolist(), "nats": _rounded(story.graph.nats[edges[:, 1]]), "names": names}


def packed(lines: NDArray[np.float64], low: NDArray[np.float64], step: NDArray[np.float64]) -> str:
    """(n, n_rows, n_places) as base64 of little-endian uint16 q, value = low + step q, low and step of every row."""
    levels = np.round((lines - low[:, None]) / step[:, None])
    return base64.b64encode(np.clip(levels, 0, LEVELS).astype("<u2").tobytes()).decode("ascii")


def _parts(values: NDArray[np.float64]) -> tuple[str, list[float]]:
    """(n, ...) as base64 of int8, and what one of them is worth in each of the n."""
    flat = values.reshape(len(values), -1)
    top = np.abs(flat).max(axis=1)
    step = np.where(top > 0, top / PART_LEVELS, 1.0)
    return base64.b64encode(np.round(flat / step[:, None]).astype(np.int8).tobytes()).decode("ascii"), _rounded(step)


def _rounded(values: ArrayLike, digits: int = 6) -> list[float]:
    """Numbers to so many significant digits: what a reader can see, in fewer bytes."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=np.float64).tolist()]


def script_text(found: dict[str, Any]) -> str:
    """JSON that stands inside a <script> element whatever its strings hold."""
    text = json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
