"""The report: one HTML file that shows and explains everything, opens anywhere and loads nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import __version__, _checks, _device, _files
from ..estimator import DualDivergence
from . import html, sections
from .content import content, script_text
from .story import tell
from .view import checked_names

if TYPE_CHECKING:
    from ..sampler import DualSampler

N_GENERATED = 300
N_STEPS = 5  # that progress is told of


def write_report(
    path: str | os.PathLike[str],
    *,
    sampler: DualSampler,
    divergence: DualDivergence | None = None,
    generated: ArrayLike | None = None,
    generated_labels: ArrayLike | None = None,
    channel_names: Sequence[str] | None = None,
    title: str = "dualwalk report",
    credit: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write what was found and made as one self-contained HTML page, whole or not at all.

    `sampler` is a fitted `DualSampler`; `divergence` a `DualDivergence` fitted on the same samples (fitted here if left out,
    with the sampler's `random_state`). `generated` are the samples to show (300 of the sampler's own if left out) and
    `generated_labels` their labels (those of the nearest real samples if left out). `channel_names` (of the features, where
    there are no channels; those of the data frame in `fit` if left out) stand in place of numbers; `credit` names the source of the data.

    The page needs nothing but a browser: no network (its own policy forbids it), and no script either, which only adds
    what moves. Up to 300 samples of each kind are inside, rounded for pictures. Apart from the date, which the environment
    variable SOURCE_DATE_EPOCH fixes, the same models and samples give the same bytes.

    Raises ValueError for a path that cannot be written, samples of another shape, or names or labels of another number, and
    NotFittedError: all before any work. Source of the method: Garg et al. 2024, arXiv 2404.07377.

        sampler = DualSampler(random_state=0).fit(X)
        write_report("report.html", sampler=sampler)
    """
    target = _files.output_file(path, ".html")
    from ..sampler import DualSampler

    _checks.instance(sampler, "sampler", DualSampler, remedy="pass DualSampler().fit(X)")
    sampler._check_fitted("sampler")
    _checks.instance(title, "title", str, remedy="pass a str")
    _checks.instance(credit, "credit", str, remedy="pass a str")
    progress = _checks.callback(progress, "progress")
    sampler = sampler.to_host()
    made: NDArray[Any] | None = None if generated is None else _checks.real_array(_device.to_host(generated), "generated")
    if channel_names is None:  # of a data frame, where fit was given one
        channel_names = getattr(sampler, "feature_names_in_", None)
    names = checked_names(channel_names, sampler.feature_shape_)
    if divergence is not None:
        _checks.instance(divergence, "divergence", DualDivergence, remedy="fit one on the sampler's X, or leave it out")
        divergence._check_fitted("divergence")
        if divergence.feature_shape_ != sampler.feature_shape_ or len(divergence.dual_values_) != len(sampler.X_):
            raise ValueError(
                f"divergence must be fitted on the sampler's samples, {sampler.X_.shape}; got one fitted on "
                f"{(len(divergence.dual_values_), *divergence.feature_shape_)} (fit it on the same X, or leave it out)"
            )
        if not hasattr(divergence.dual_, "terms"):
            raise ValueError(
                f"divergence must have a term of f for every value; got one fitted with method={divergence.method!r} (fit it with "
                'method="path", the default)'
            )
        divergence = _on_host(divergence)
    labels = None
    if made is not None:
        _checks.scale(_checks.samples(made, "generated", min_samples=1, feature_shape=sampler.feature_shape_)[0], "generated")
        labels = _checks.labels(_device.to_host(generated_labels), len(made), "generated_labels")
    elif generated_labels is not None:
        raise ValueError("generated_labels must come with generated samples; got them alone (pass generated= as well)")
    about = {"title": title, "credit": credit, "version": __version__, "made_on": _today()}
    _files.write_text(target, _page(sampler, divergence, made, labels, names, about, progress), suffix=".html")


def _page(
    sampler: DualSampler,
    divergence: DualDivergence | None,
    generated: NDArray[Any] | None,
    labels: NDArray[Any] | None,
    names: tuple[str, ...],
    about: dict[str, str],
    progress: Callable[[int, int, str], None] | None,
) -> str:
    X = sampler.X_
    if divergence is None:
        divergence = DualDivergence(random_state=sampler.random_state).fit(X, progress=progress)
    done = 0

    def note(text: str) -> None:
        nonlocal done
        if progress is not None:
            progress(done, N_STEPS, text)
        done += 1

    if generated is None:
        rows, starts, _ = sampler._sampled(N_GENERATED)  # without a warning of near-copies: the page says so itself
        generated = sampler._in_memory_of_X(rows)
        labels = None if sampler._labels is None else sampler._labels_at(starts)
    story = tell(sampler, divergence, X, np.asarray(generated), note, labels=labels, names=names)
    note("drawing")
    return html.page(about["title"], sections.body(story, **about), script_text(content(story, **about)))


def _on_host(divergence: DualDivergence) -> DualDivergence:
    """The model, or its copy in the host's memory where it was fitted on a device."""
    if not _device.is_on_device(divergence.normal_scores_._ordered):
        return divergence
    copied: DualDivergence = _device.copied_to_host(divergence)
    return copied.set_params(device="cpu")


def _today() -> str:
    """The date in UTC; SOURCE_DATE_EPOCH, where set, stands for the clock, so that the same report has the same bytes."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return datetime.fromtimestamp(seconds, tz=UTC).date().isoformat()
