"""The report's pictures: which arrays go on which axes. Drawing itself is in plots.py."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import plots
from ._story import Story
from .plots import NORMAL, SMALL, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.0  # inches; a hundred CSS pixels each
DOTS = 160  # two device pixels a CSS pixel, nearly


def new_figure(height: float, theme: Theme) -> Figure:
    """An empty page-wide figure: no pyplot, so nothing is registered, shown or left open."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=100, layout="constrained", facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure's bytes; the same figure gives the same bytes, as no date or version is written."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DOTS, metadata={"Software": None}, facecolor=figure.get_facecolor())
    return stream.getvalue()


def beside(story: Story, theme: Theme) -> Figure:
    """Real samples, generated ones of the same rank in f, and the real sample nearest to each of those."""
    n_shown = len(story.shown_real)
    figure = new_figure(5.2, theme)
    axes = figure.subplots(3, n_shown, sharex=True, sharey=True)
    nearest = story.near.index[story.shown_generated]
    rows = (
        ("real", story.X[story.shown_real], theme.real),
        ("generated", story.generated[story.shown_generated], theme.generated),
        ("nearest real to it", story.X[nearest], theme.real),
    )
    standardized = _standardizer(story)
    picture: Any = None
    for i, (name, samples, color) in enumerate(rows):
        for k, values in enumerate(standardized(samples)):
            title = ("lowest f", "", "middle f", "", "highest f")[k] if i == 0 and n_shown == 5 else ""
            if i == 2:
                title = f"{story.near.ratio[story.shown_generated[k]]:.2f} x typical distance"
            picture = plots.image(axes[i, k], values, limit=2.5, title=title, theme=theme)
            for spine in axes[i, k].spines.values():
                spine.set(visible=True, color=color, linewidth=1.6)
        axes[i, 0].set_ylabel(f"{name}\n{_channel_axis(story)}", fontsize=SMALL, color=color)
    for k in range(n_shown):
        axes[2, k].set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    _colorbar(figure, picture, axes, "each channel in its own standard deviations", theme, extend="both")
    return figure


def lines(story: Story, theme: Theme) -> Figure:
    """Medians and bands of a few channels."""
    real, generated = plots.images(story.X), plots.images(story.generated)
    n_channels = real.shape[1]
    chosen = np.unique(np.linspace(0, n_channels - 1, min(n_channels, 4)).round().astype(int))
    figure = new_figure(3.0, theme)
    axes = np.atleast_1d(figure.subplots(1, len(chosen)))
    for axis, channel in zip(axes, chosen, strict=True):
        title = f"channel {channel + 1}" if n_channels > 1 else ""
        plots.bands(axis, real[:, channel], generated[:, channel], title=title, theme=theme)
        axis.set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    axes[0].set_ylabel("value (units of the data)", fontsize=SMALL, color=theme.muted)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False, labelcolor=theme.ink)
    return figure


def dual_space(story: Story, theme: Theme) -> Figure:
    """Clusters, cuts, end points and generated samples in f; below, walks."""
    model = story.divergence
    figure = new_figure(5.0 if story.walks else 3.2, theme)
    if story.walks:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    else:
        top, bottom = figure.subplots(), None
    plots.density(
        top,
        model.dual_values_,
        model.labels_,
        end_points=model.end_points_,
        cuts=model.cuts_,
        valleys=model.cut_valleys_,
        training_end_points=model.training_end_points_,
        generated=story.f_generated,
        theme=theme,
    )
    if story.walks and bottom is not None:
        n_clusters = len(model.cuts_) + 1
        clusters = np.searchsorted(model.cuts_, story.walks.f[:, 0], side="right")
        colors = [theme.cluster(int(k), n_clusters) for k in clusters]
        plots.paths(bottom, story.walks.f, end_points=model.end_points_, colors=colors, theme=theme)
        top.set_xlabel("")
    _dual_space_legend(figure, story, theme)
    return figure


def _dual_space_legend(figure: Figure, story: Story, theme: Theme) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ink = theme.ink
    entries: list[Any] = [
        Patch(color=theme.cluster(1, 3), label="real samples"),
        Line2D([], [], color=theme.generated, linewidth=1.6, label="generated samples"),
        Line2D([], [], color=ink, linewidth=1.6, label="end points"),
    ]
    valleys = np.asarray(story.divergence.cut_valleys_, dtype=bool)
    if valleys.any():
        entries.append(Line2D([], [], color=ink, linewidth=1.1, label="cut, at a valley"))
    if not valleys.all():
        entries.append(Line2D([], [], color=ink, linewidth=1.1, linestyle=(0, (3, 3)), label="cut, no valley"))
    entries.append(Line2D([], [], color=theme.muted, linestyle="none", marker="^", markersize=6, label="range of trained rows"))
    figure.legend(
        handles=entries,
        loc="outside lower center",
        ncols=len(entries),
        fontsize=SMALL,
        frameon=False,
        labelcolor=ink,
        columnspacing=1.4,
    )


def dependence(story: Story, theme: Theme) -> Figure:
    """Mean node terms, channels x times, with their sums beside and above."""
    terms = plots.images(story.terms[None])[0]
    figure = new_figure(3.8 if len(terms) > 1 else 2.8, theme)
    ratios = {"height_ratios": (1, 3), "width_ratios": (6, 1)}
    axes = figure.subplots(2, 2, sharex="col", sharey="row", **ratios)
    picture = plots.image(axes[1, 0], terms, signed=False, theme=theme)
    axes[1, 0].set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    axes[1, 0].set_ylabel(_channel_axis(story), fontsize=SMALL, color=theme.muted)
    plots.totals(axes[0, 0], terms.sum(axis=0), theme=theme)
    axes[0, 0].set_ylabel("nats a time", fontsize=SMALL, color=theme.muted)
    plots.totals(axes[1, 1], terms.sum(axis=1), horizontal=True, theme=theme)
    axes[1, 1].set_xlabel("nats a channel", fontsize=SMALL, color=theme.muted)
    axes[0, 1].set_axis_off()
    _colorbar(figure, picture, axes, "mean term of f (nats)", theme)
    return figure


def novelty(story: Story, theme: Theme) -> Figure:
    """Distances to the nearest real sample."""
    figure = new_figure(2.8, theme)
    plots.distances(figure.subplots(), story.near.ratio, story.near.real_ratio, theme=theme)
    return figure


def attribution(story: Story, theme: Theme) -> Figure:
    """One walk: where it starts, where it ends, what moved and what that did to f."""
    assert story.walks is not None
    walks = story.walks
    figure = new_figure(2.7, theme)
    axes = figure.subplots(1, 4, sharex=True, sharey=True)
    start, end = _standardizer(story)(np.stack([walks.start, walks.end]))
    moved = end - start
    shown = (
        ("start, a real sample", start, 2.5),
        ("end of the walk", end, 2.5),
        ("movement", moved, None),
        ("change of f", walks.f_change, None),
    )
    for k, (title, values, limit) in enumerate(shown):
        picture = plots.image(axes[k], values, limit=limit, title=title, theme=theme)
        axes[k].set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
        if k != 0:
            unit = "nats" if k == 3 else "standard deviations"
            _colorbar(
                figure,
                picture,
                axes[:2] if k == 1 else axes[k],
                unit,
                theme,
                location="bottom",
                extend="both" if k == 1 else "neither",
            )
    axes[0].set_ylabel(_channel_axis(story), fontsize=SMALL, color=theme.muted)
    return figure


def cover(story: Story, theme: Theme) -> Figure:
    """The README's picture: real beside generated, and the dual space under both."""
    figure = new_figure(5.4, theme)
    upper, lower = figure.subfigures(2, 1, height_ratios=(3, 2.2))
    for part in (upper, lower):
        part.set_facecolor(theme.paper)
    axes = upper.subplots(2, 5, sharex=True, sharey=True)
    rows = (
        ("real", story.X[story.shown_real], theme.real),
        ("generated", story.generated[story.shown_generated], theme.generated),
    )
    picture: Any = None
    for i, (name, samples, color) in enumerate(rows):
        for k, values in enumerate(_standardizer(story)(samples)):
            picture = plots.image(axes[i, k], values, limit=2.5, theme=theme)
            for spine in axes[i, k].spines.values():
                spine.set(visible=True, color=color, linewidth=1.6)
        axes[i, 0].set_ylabel(f"{name}\n{_channel_axis(story)}", fontsize=NORMAL, color=color)
    for k in range(5):
        axes[1, k].set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    _colorbar(upper, picture, axes, "standard deviations", theme, extend="both")
    model = story.divergence
    plots.density(
        lower.subplots(),
        model.dual_values_,
        model.labels_,
        end_points=model.end_points_,
        cuts=model.cuts_,
        valleys=model.cut_valleys_,
        generated=story.f_generated,
        theme=theme,
    )
    return figure


def _standardizer(story: Story) -> Callable[[Any], plots.Float]:
    """Each channel in its own mean and standard deviation over the real samples and all times."""
    real = plots.images(story.X)
    axes = (0, 2) if real.shape[1] > 1 else (0,)  # features without channels have a scale each
    mean, deviation = real.mean(axis=axes, keepdims=True), real.std(axis=axes, keepdims=True)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return lambda samples: (plots.images(samples) - mean) / deviation


def _time_axis(story: Story) -> str:
    return "time" if story.X.ndim == 3 else "feature"


def _channel_axis(story: Story) -> str:
    return "channel" if story.X.ndim == 3 else ""


def _colorbar(figure: Any, picture: Any, axes: Any, label: str, theme: Theme, **options: Any) -> None:
    bar = figure.colorbar(picture, ax=axes, aspect=30, pad=0.02, **options)
    bar.set_label(label, fontsize=SMALL, color=theme.muted)
    bar.ax.tick_params(colors=theme.muted, labelsize=SMALL, length=3)
    bar.outline.set_edgecolor(theme.grid)
