"""The report: one HTML file with the pictures inside, that opens anywhere and loads nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import __version__, _checks, _device, _files
from ..estimator import DualDivergence
from . import html, words
from .captions import PICTURES
from .story import Story, tell

if TYPE_CHECKING:
    from ..sampler import DualSampler

N_GENERATED = 300


def require_matplotlib() -> None:
    """Raise an ImportError that names the remedy if there is no matplotlib."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ImportError('the report needs matplotlib; it is not installed (pip install "dualwalk[report]")') from None


def write_report(
    path: str | os.PathLike[str],
    *,
    sampler: DualSampler,
    divergence: DualDivergence | None = None,
    generated: ArrayLike | None = None,
    title: str = "dualwalk report",
    credit: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write what was found and made as one self-contained HTML page, whole or not at all.

    `sampler` is a fitted `DualSampler`; `divergence` a `DualDivergence` fitted on the same samples (fitted here if left out,
    with the sampler's `random_state`); `generated` the samples to show (300 of the sampler's own if left out). `credit` names
    the source of the data. The page holds every picture inside, in a light and a dark version, and no script; the same models
    and samples give the same bytes.

    Raises ImportError without matplotlib, ValueError for a path that cannot be written or samples of another shape, and
    NotFittedError: all before any work. Source of the method: Garg et al. 2024, arXiv 2404.07377.

        sampler = DualSampler(random_state=0).fit(X)
        write_report("report.html", sampler=sampler)
    """
    target = _files.output_file(path, ".html")
    require_matplotlib()
    sampler._check_fitted()
    sampler, generated = sampler.to_host(), _device.to_host(generated)
    if divergence is not None:
        divergence._check_fitted()
        if divergence.feature_shape_ != sampler.feature_shape_ or len(divergence.dual_values_) != len(sampler.X_):
            raise ValueError(
                f"divergence must be fitted on the sampler's samples, {sampler.X_.shape}; got one fitted on "
                f"{(len(divergence.dual_values_), *divergence.feature_shape_)} (fit it on the same X, or leave it out)"
            )
    if generated is not None:
        _checks.samples(generated, "generated", min_samples=1, feature_shape=sampler.feature_shape_)
    _files.write_text(target, _page(sampler, divergence, generated, title, credit, progress), suffix=".html")


def _page(
    sampler: DualSampler,
    divergence: DualDivergence | None,
    generated: ArrayLike | None,
    title: str,
    credit: str,
    progress: Callable[[int, int, str], None] | None,
) -> str:
    from . import figures

    if divergence is None:
        divergence = DualDivergence(random_state=sampler.random_state).fit(sampler.X_, progress=progress)
    n_pictures = 2 * len(PICTURES)
    done = 0

    def note(text: str) -> None:
        nonlocal done
        if progress is not None:
            progress(done, n_pictures + 2, text)
        done += 1

    made: NDArray[Any] = np.asarray(sampler.sample(N_GENERATED) if generated is None else generated)
    story = tell(sampler, divergence, sampler.X_, made, note)

    def picture(name: str) -> str:
        from ..plots import DARK, LIGHT

        versions = []
        for theme in (LIGHT, DARK):
            note("drawing")
            versions.append(figures.to_png(getattr(figures, name)(story, theme)))
        alt, caption = PICTURES[name]
        return html.figure(versions[0], versions[1], alt, caption)

    return html.page(title, _body(story, title, credit, picture))


def _body(story: Story, title: str, credit: str, picture: Callable[[str], str]) -> list[str]:
    from html import escape

    rows, chosen = words.tried(story)
    parts = [
        f"<h1>{escape(title)}</h1>",
        html.paragraph(words.lead(story), "lead"),
        html.tiles(words.headlines(story)),
        html.section("Real beside generated", picture("beside"), picture("lines")),
        html.section("The divergence", *map(html.paragraph, words.divergence(story))),
        html.section("The dual space", html.paragraph(words.dual_space(story)), picture("dual_space")),
        html.section("Where the dependence lives", picture("dependence"), *_graph(story, picture)),
        html.section("New, or copied?", html.paragraph(words.novelty(story)), picture("novelty")),
        html.section("Where new samples come from", picture("origins")),
        html.section("From one cluster to another", picture("interpolation")),
    ]
    if story.walks is not None:
        parts.append(html.section("One walk, pixel by pixel", picture("attribution")))
    parts += [
        html.section(
            "What was chosen, and why",
            html.paragraph(words.choice(story)),
            html.table(rows, header=words.TRIED_HEADER, numbers=range(1, len(words.TRIED_HEADER)), chosen=chosen),
        ),
        html.section("Read with care", html.bullets(words.caveats(story))),
        html.section("Data and settings", html.table(words.settings(story, credit))),
        f"<footer>{escape(words.footer(__version__))}</footer>",
    ]
    return parts


def _graph(story: Story, picture: Callable[[str], str]) -> list[str]:
    """Who leans on whom: the strongest edges and the picture; nothing where no column leans on another."""
    if story.graph is None:
        return []
    rows = words.strongest_edges(story.graph, story.X.shape[1:])
    return [html.table(rows, header=words.EDGES_HEADER, numbers=(2,)), picture("graph")]
