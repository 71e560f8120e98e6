"""`dualwalk score`: is each new sample like those that a model was fitted on, and how strongly do its values hold together?"""

from __future__ import annotations

import argparse

import numpy as np

from .. import __version__
from ..dualspace import conformal_p_values, false_alarm_rate
from ..estimator import DualDivergence
from ..report import words
from .fitting import fit_divergence, read
from .output import Columns, Output, writable, write

N_SHOWN = 20


def run(options: argparse.Namespace) -> None:
    path = options.out and writable(options.out, ".npz", ".csv")
    out = Output(options, path)
    if options.model is not None:
        model = DualDivergence.load(options.model)
        X, _ = read(options, min_samples=1)
    else:
        X, _ = read(options, min_samples=1)
        model = fit_divergence(options, read(options, options.train).X)
    f = model.score_samples(X)
    p_values = conformal_p_values(f, model.dual_values_[model.held_out_])
    inside = model.predict(X) > 0
    out.line(f"dualwalk {__version__}: {options.file}, {len(X)} samples of {words.shape(X.shape[1:])}")
    low, high = map(words.number, model.end_points_)
    out.row("end points", f"{low} and {high} nats")
    alarms = 100 * false_alarm_rate(words.n_held_out(model), model.confidence_level)
    outside = np.flatnonzero(~inside)
    out.row("outside", f"{len(outside)} of {len(X)} samples (of the model's own source about {alarms:.1f} % would be)")
    for k in outside[:N_SHOWN].tolist():
        out.row(f"  row {k + 1}", f"f = {words.number(f[k])} nats, p = {p_values[k]:.2g}")
    if len(outside) > N_SHOWN:
        out.row("", f"and {len(outside) - N_SHOWN} more (--out writes all)")
    if path is not None:
        table: Columns = {"f": f, "inside": inside.astype(np.int8), "p_value": p_values}
        terms = {"terms": model.node_terms(X)} if model.method == "path" else {}
        write(path, {**table, **terms}, table)
        out.row("scores", path)
    out.result(
        job="score",
        file=options.file,
        n_samples=len(X),
        f=f,
        inside=inside,
        p_value=p_values,
        end_points=model.end_points_,
        unit="nats",
        out=path,
    )
