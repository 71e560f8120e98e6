"""`dualwalk report`: the HTML page of a file's samples, or of fitted models."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import _files
from .._model_file.codec import load
from ..estimator import DualDivergence
from ..report import write_report
from ..sampler import DualSampler
from .fitting import fit_divergence, fit_sampler, progress, read
from .output import Output


def run(options: argparse.Namespace) -> None:
    out = Output(options)
    path = _files.output_file(options.out, ".html")
    models = [load(model) for model in options.model]
    for kind in (DualSampler, DualDivergence):
        if sum(isinstance(model, kind) for model in models) > 1:
            raise ValueError(f"--model must name one {kind.__name__} at most; got two (leave one out)")
    sampler = next((model for model in models if isinstance(model, DualSampler)), None)
    divergence = next((model for model in models if isinstance(model, DualDivergence)), None)
    if len(models) > (sampler is not None) + (divergence is not None):
        raise ValueError("--model must name a DualSampler or a DualDivergence; got another model (see dualwalk report --help)")
    if (sampler is None) == (options.file is None):
        raise ValueError(
            "report needs the real samples: FILE, or --model of a sampler, which has them; got "
            f"{'neither' if sampler is None else 'both'} (see dualwalk report --help)"
        )
    if sampler is None:
        X, y = read(options)
        divergence = fit_divergence(options, X) if divergence is None else divergence
        sampler = fit_sampler(options, X, None if options.no_labels else y)
    elif divergence is None:
        divergence = fit_divergence(options, sampler.X_)
    title = options.title or f"dualwalk on {Path(options.file or options.model[0]).name}"
    with progress(options) as show:
        write_report(path, sampler=sampler, divergence=divergence, title=title, progress=show)
    out.row("report", f"{path} (open it in a browser)")
    out.result(job="report", file=options.file, models=options.model, seed=options.seed, out=path)
