"""`dualwalk evaluate`: generated samples beside real ones that no generator saw."""

from __future__ import annotations

import argparse

from .. import __version__, metrics
from ..report import words
from .fitting import read
from .output import Output


def run(options: argparse.Namespace) -> None:
    out = Output(options)
    (X, y), (train, y_train), (held_out, y_held_out) = (read(options, path) for path in (None, options.train, options.held_out))
    if y is None or y_train is None or y_held_out is None:
        y = y_train = y_held_out = None
    found = metrics.evaluate(X, train, held_out, y=y, y_train=y_train, y_held_out=y_held_out, random_state=options.seed)
    out.line(f"dualwalk {__version__}: {options.file}, {len(X)} generated samples of {words.shape(X.shape[1:])}")
    out.line(str(found))
    out.line("cost: 0 is perfect, a second real sample costs about 0.1; judges at 0.5 cannot tell generated from real")
    out.line("attacks: how often a member (a training sample) is taken for one before a held-out sample; 0.5 is a coin")
    out.result(
        job="evaluate",
        file=options.file,
        n_samples=len(X),
        **found.as_dict(),
        real=found.real(),
        trusted=found.trusted,
        membership=found.membership.as_dict(),
        seed=options.seed,
    )
