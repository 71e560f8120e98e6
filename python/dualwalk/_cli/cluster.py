"""`dualwalk cluster`: series of a file that depend on each other, the joint mode."""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..joint import joint_clusters
from ..report import words
from .fitting import read
from .output import Output


def run(options: argparse.Namespace) -> None:
    out = Output(options)
    X, _ = read(options)
    found = joint_clusters(X, options.k)
    out.line(f"dualwalk {__version__}: {options.file}, {len(X)} series of {words.shape(X.shape[1:])}")
    out.row("clusters", f"{found.n_clusters} that hold together by {found.divergence:.3g} nats a step in all")
    for k in range(found.n_clusters):
        members = np.flatnonzero(found.labels == k)
        out.row(f"  {k + 1}", f"{len(members)} series, rows {_ranges(members)}")
    alone = np.flatnonzero(found.labels < 0)
    if len(alone):
        out.row("alone", f"{len(alone)} series that depend on no other, rows {_ranges(alone)}")
    out.result(
        job="cluster",
        file=options.file,
        n_series=len(X),
        n_clusters=found.n_clusters,
        labels=found.labels,
        divergence=found.divergence,
        unit="nats a step",
    )


def _ranges(numbers: NDArray[np.intp]) -> str:
    """Increasing row numbers, counted from 1 as people do, as `1-4, 7`."""
    runs = np.split(numbers + 1, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
