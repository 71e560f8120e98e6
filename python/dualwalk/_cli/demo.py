"""`dualwalk demo`: everything on the embedded data set."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from .. import __version__, _files
from .._arrays import distinct
from ..datasets import load_japanese_vowels
from ..report import words, write_report
from ..report.nearness import nearness
from . import estimate, sample
from .fitting import fit_divergence, fit_sampler, progress
from .output import Output


def run(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    out = Output(options)
    folder = Path(options.out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} must be a folder; got a file (name another)")
    if not folder.parent.is_dir():
        raise ValueError(
            f"--out {folder} must lie in a folder that exists; got {folder.parent} (create it first: mkdir -p {folder.parent})"
        )
    folder.mkdir(exist_ok=True)
    samples_path = _files.output_file(folder / "samples.npz", ".npz")
    report_path = _files.output_file(folder / "report.html", ".html")
    vowels = load_japanese_vowels()
    out.line(f"dualwalk {__version__}: {vowels.name}, {len(vowels.X)} series of {words.shape(vowels.X.shape[1:])}, 9 speakers")
    divergence = fit_divergence(options, vowels.X)
    estimate.tell(out, divergence)
    sampler = fit_sampler(options, vowels.X, vowels.y)
    out.row("generator", words.generator(sampler))
    y = np.resize(distinct(vowels.y), options.n)
    X = sampler.sample(options.n, y)
    near = nearness(sampler, X)
    sample.tell_nearness(out, near)
    origin = {"source": vowels.name, "credit": vowels.credit, "seed": options.seed}
    _files.write_samples(samples_path, **sample.arrays(X, y, near, **origin), f=divergence.score_samples(X))
    out.row("samples", str(samples_path))
    with progress(options) as show:
        write_report(
            report_path,
            sampler=sampler,
            divergence=divergence,
            generated=X,
            generated_labels=y,
            title=f"dualwalk on {vowels.name}",
            credit=f"{vowels.description} {vowels.credit}",
            progress=show,
        )
    out.row("report", f"{report_path} (open it in a browser)")
    seconds = time.perf_counter() - start
    out.row("time", f"{seconds:.0f} s")
    out.result(
        job="demo",
        divergence=estimate.content(divergence),
        samples=samples_path,
        report=report_path,
        **sample.content(sampler, near),
        seed=options.seed,
        seconds=round(seconds, 2),
    )
