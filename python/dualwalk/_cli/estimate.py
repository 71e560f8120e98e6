"""`dualwalk estimate`: total correlation and dual space of a file's samples."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from .. import __version__
from ..dualspace import false_alarm_rate
from ..estimator import DualDivergence
from ..independence import independence_test
from ..report import words
from ..report.story import graph_of
from .fitting import fit_divergence, read
from .output import Output, writable


def run(options: argparse.Namespace) -> None:
    out = Output(options)
    save = options.save and writable(options.save, ".npz")
    X, _ = read(options)
    blocks = np.arange(X.shape[1]) if options.blocks == "channels" else options.blocks
    model = fit_divergence(
        options,
        X,
        cv=options.cv,
        blocks=blocks,
        reverse=options.reverse,
        confidence_level=options.confidence,
        device=options.device,
    )
    p_value = None
    if options.test:
        p_value = independence_test(X, blocks=blocks, random_state=options.seed).p_value
    out.line(f"dualwalk {__version__}: {options.file}, {len(X)} samples of {words.shape(X.shape[1:])}")
    tell(out, model, p_value)
    if save is not None:
        model.save(save)
        out.row("model", save)
    out.result(
        job="estimate",
        file=options.file,
        n_samples=len(X),
        feature_shape=X.shape[1:],
        **content(model),
        p_value=p_value,
        seed=options.seed,
        model=save,
    )


def tell(out: Output, model: DualDivergence, p_value: float | None = None) -> None:
    """The findings in words."""
    level = f"{100 * model.confidence_level:g} %"
    lower, _ = words.with_error(model.divergence_lower_, model.divergence_se_)
    low, high = map(words.number, model.end_points_)
    what = "how strongly a sample's values depend on each other" if model.blocks is None else "between the blocks"
    out.row("divergence", f"{words.estimate(model, '+-')} (total correlation: {what})")
    held_out, _ = words.with_error(model.divergence_held_out_, model.divergence_se_)
    training, _ = words.with_error(model.divergence_training_, model.divergence_se_)
    out.row("made of", f"{held_out} nats on samples that were held out, {training} on those trained on")
    if model.determined_:
        out.row("infinite", words.determined(model, model.feature_shape_))
    out.row("lower limit", f"{lower} nats with {level} confidence")
    if model.reverse:
        value, error = words.with_error(model.reverse_divergence_, model.reverse_divergence_se_)
        out.row("reverse", f"{value} +- {error} nats (of the product of the marginals from the samples)")
    if p_value is not None:
        out.row("dependence", words.p_value(p_value))
    alarms = 100 * false_alarm_rate(words.n_held_out(model), model.confidence_level)
    out.row("end points", f"{low} and {high} nats (a new sample of this source falls outside in about {alarms:.1f} % of cases)")
    sizes = np.bincount(model.labels_).tolist()
    cuts = ", ".join(
        words.number(cut) + ("" if valley else " (no valley)")
        for cut, valley in zip(model.cuts_, model.cut_valleys_, strict=True)
    )
    out.row("clusters", f"{len(sizes)} of {', '.join(map(str, sizes))} samples; {f'cuts at {cuts} nats' if cuts else 'no cut'}")
    graph = graph_of(model)
    if graph is not None:
        for k, (child, parent, nats) in enumerate(words.strongest_edges(graph, model.feature_shape_, limit=3)):
            out.row("" if k else "leans on", f"{child} on {parent}: {nats} nats")


def content(model: DualDivergence) -> dict[str, Any]:
    """The findings for machines. An infinite divergence is null, and `determined` names the columns."""
    graph = graph_of(model)
    found = {
        "divergence": model.divergence_,
        "determined": model.determined_,
        "divergence_se": model.divergence_se_,
        "divergence_lower": model.divergence_lower_,
        "divergence_held_out": model.divergence_held_out_,
        "divergence_training": model.divergence_training_,
        "confidence_level": model.confidence_level,
        "false_alarm_rate": false_alarm_rate(words.n_held_out(model), model.confidence_level),
        "end_points": model.end_points_,
        "cuts": model.cuts_,
        "cut_valleys": model.cut_valleys_,
        "cluster_sizes": np.bincount(model.labels_),
        "dependence_graph": None if graph is None else {"order": graph.order, "parents": graph.parents, "nats": graph.nats},
        "unit": "nats",
    }
    if model.reverse:
        found["reverse_divergence"] = model.reverse_divergence_
        found["reverse_divergence_se"] = model.reverse_divergence_se_
        found["reverse_divergence_lower"] = model.reverse_divergence_lower_
    return found
