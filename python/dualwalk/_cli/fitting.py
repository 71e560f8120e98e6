"""Samples for a job, and models fitted on them with progress on stderr."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from .. import _files, _progress
from ..estimator import DualDivergence
from ..sampler import DualSampler


@contextmanager
def progress(options: argparse.Namespace) -> Iterator[_progress.Progress | None]:
    """Progress on stderr; None with --quiet."""
    if options.quiet:
        yield None
        return
    with _progress.progress() as show:
        yield show


def read(options: argparse.Namespace, path: str | None = None, **wanted: Any) -> _files.Series:
    """The samples of `path`, else of the job's FILE."""
    return _files.read_series(options.file if path is None else path, channels=options.channels, **wanted)


def fit_divergence(options: argparse.Namespace, X: NDArray[Any], **settings: Any) -> DualDivergence:
    """A `DualDivergence` of X."""
    with progress(options) as show:
        return DualDivergence(random_state=options.seed, **settings).fit(X, progress=show)


def fit_sampler(options: argparse.Namespace, X: NDArray[Any], y: NDArray[Any] | None, **settings: Any) -> DualSampler:
    """A `DualSampler` of X, and of labels where they are wanted."""
    with progress(options) as show:
        return DualSampler(random_state=options.seed, **settings).fit(X, y, progress=show)
