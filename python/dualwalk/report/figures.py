"""The report's pictures: which arrays go on which axes. Drawing itself is in plots.py."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plots
from .._layout import tree_places
from ..plots import NORMAL, SMALL, Theme
from .story import Story
from .words import number

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
    figure = new_figure(5.2, theme)
    nearest = story.near.index[story.shown_generated]
    rows = [*_real_and_generated(story, theme), ("nearest real to it", story.X[nearest], theme.real)]
    axes = _image_rows(figure, rows, story, theme, "each channel in its own standard deviations")
    n_shown = len(nearest)
    for k, text in ((0, "lowest f"), (n_shown // 2, "middle f"), (n_shown - 1, "highest f")):
        axes[0, k].set_title(text, loc="left", fontsize=NORMAL, color=theme.ink)
    for k, ratio in enumerate(story.near.ratio[story.shown_generated]):
        axes[2, k].set_title(f"distance {ratio:.2f}", loc="left", fontsize=NORMAL, color=theme.ink)
    return figure


def _real_and_generated(story: Story, theme: Theme) -> list[tuple[str, Any, str]]:
    real, generated = story.X[story.shown_real], story.generated[story.shown_generated]
    return [("real", real, theme.real), ("generated", generated, theme.generated)]


def _image_rows(figure: Any, rows: list[tuple[str, Any, str]], story: Story, theme: Theme, unit: str) -> Any:
    """A row of images for each (name, samples, colour of the frame), on one scale."""
    axes = figure.subplots(len(rows), len(rows[0][1]), sharex=True, sharey=True, squeeze=False)
    standardized = _standardizer(story)
    picture: Any = None
    for i, (name, samples, color) in enumerate(rows):
        for k, values in enumerate(standardized(samples)):
            if len(values) == 1 and story.X.ndim == 3:  # one channel: a line says more than a strip of colours
                axes[i, k].plot(np.arange(1, values.shape[1] + 1), values[0], color=color, linewidth=1.3)
                plots.dress(axes[i, k], theme)
            else:
                picture = plots.image(axes[i, k], values, limit=2.5, theme=theme)
            for spine in axes[i, k].spines.values():
                spine.set(visible=True, color=color, linewidth=1.6)
        axes[i, 0].set_ylabel(f"{name}\n{_channel_axis(story)}".strip(), fontsize=SMALL, color=color)
    for axis in axes[-1]:
        axis.set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    if picture is not None:
        _colorbar(figure, picture, axes, unit, theme, extend="both")
    return axes


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
    model, walks = story.divergence, story.walks
    figure = new_figure(5.0 if walks else 3.2, theme)
    axes = figure.subplots(2 if walks else 1, 1, sharex=True, squeeze=False, height_ratios=(3, 2) if walks else (1,))[:, 0]
    _draw_density(axes[0], story, theme, training_end_points=model.training_end_points_)
    if walks:
        n_clusters = len(model.cuts_) + 1
        clusters = np.searchsorted(model.cuts_, walks.f[:, 0])
        colors = [theme.cluster(int(k), n_clusters) for k in clusters]
        plots.paths(axes[1], walks.f, end_points=model.end_points_, colors=colors, theme=theme)
        axes[0].set_xlabel("")
    entries = _dual_space_entries(story, theme)
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": len(entries), "columnspacing": 1.4}
    figure.legend(handles=entries, fontsize=SMALL, frameon=False, labelcolor=theme.ink, **place)
    return figure


def _draw_density(axes: Any, story: Story, theme: Theme, **options: Any) -> None:
    model = story.divergence
    marks: dict[str, Any] = {"end_points": model.end_points_, "cuts": model.cuts_, "valleys": model.cut_valleys_}
    plots.density(axes, model.dual_values_, model.labels_, generated=story.f_generated, theme=theme, **marks, **options)


def _dual_space_entries(story: Story, theme: Theme, *, with_training: bool = True) -> list[Any]:
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
    if with_training:
        entries.append(
            Line2D([], [], color=theme.muted, linestyle="none", marker="^", markersize=6, label="ends of trained rows")
        )
    return entries


def dependence(story: Story, theme: Theme) -> Figure:
    """Mean node terms, channels x times, with their sums beside and above."""
    terms = plots.images(story.terms[None])[0]
    figure = new_figure(3.8 if len(terms) > 1 else 2.8, theme)
    axes = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=(1, 3), width_ratios=(6, 1))
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


def graph(story: Story, theme: Theme) -> Figure:
    """Who leans on whom; beside it, for several channels, how much goes from channel to channel."""
    assert story.graph is not None
    shape = story.X.shape[1:]
    in_channels = len(shape) == 2 and min(shape) > 1
    depth = tree_places(story.graph)[:, 1].max() if len(shape) == 1 else shape[0]
    figure = new_figure(float(np.clip(1.2 + 0.22 * depth, 2.6, 6.0)), theme)
    axes = figure.subplots(1, 2, width_ratios=(2.3, 1), squeeze=False)[0] if in_channels else [figure.subplots()]
    edges = plots.dependence_graph(axes[0], story.graph, feature_shape=shape, theme=theme)
    if len(shape) == 2:
        axes[0].set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
        axes[0].set_ylabel("channel" if shape[0] > 1 else "", fontsize=SMALL, color=theme.muted)
    below: dict[str, Any] = {"location": "bottom", "shrink": 0.8}
    _colorbar(figure, edges, axes[0], "nats that a value adds", theme, aspect=50, **below)
    if in_channels:
        between = plots.between_channels(axes[1], story.graph, (shape[0], shape[1]), theme=theme)
        axes[1].set(xlabel="to channel", ylabel="from channel")
        _colorbar(figure, between, axes[1], "nats in all", theme, aspect=25, **below)
    return figure


def novelty(story: Story, theme: Theme) -> Figure:
    """Distances to the nearest real sample."""
    figure = new_figure(2.8, theme)
    plots.distances(figure.subplots(), story.near.ratio, story.near.real_ratio, theme=theme)
    return figure


def attribution(story: Story, theme: Theme) -> Figure:
    """One walk: where it starts, where it ends, what moved and what that did to f."""
    assert story.walks is not None
    figure = new_figure(2.8, theme)
    axes = figure.subplots(1, 4, sharex=True, sharey=True)
    start, end = _standardizer(story)(np.stack([story.walks.start, story.walks.end]))
    plots.image(axes[0], start, limit=2.5, title="start, a real sample", theme=theme)
    ended = plots.image(axes[1], end, limit=2.5, title="end of the walk", theme=theme)
    moved = plots.image(axes[2], end - start, title="movement", theme=theme)
    changed = plots.image(axes[3], story.walks.f_change, title="change of local f", theme=theme)
    for axis in axes:
        axis.set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    axes[0].set_ylabel(_channel_axis(story), fontsize=SMALL, color=theme.muted)
    below = {"location": "bottom", "aspect": 22}
    _colorbar(figure, ended, axes[:2], "standard deviations", theme, extend="both", location="bottom", aspect=46)
    _colorbar(figure, moved, axes[2], "standard deviations", theme, **below)
    _colorbar(figure, changed, axes[3], "nats", theme, **below)
    return figure


def origins(story: Story, theme: Theme) -> Figure:
    """For a few generated samples: the series over its real neighbours, what moved, and what that did to f."""
    found = story.origins
    n, n_channels = len(found.shown), plots.images(story.X).shape[1]
    figure = new_figure(0.6 + 2.05 * n, theme)
    axes = figure.subplots(n, 3, squeeze=False, width_ratios=(1.35, 1, 1))
    scale = _deviations(story)
    moved = plots.images(found.movement) / scale
    changed = plots.images(found.f_change)
    extreme = 0.995 if n_channels > 1 else 1.0  # of many pixels a few may be off the scale, of bars none
    limits = [float(np.quantile(np.abs(v), extreme)) or 1.0 for v in (moved, changed)]
    pictures: list[Any] = [None, None]
    for row in range(n):
        channel = int(np.abs(changed[row]).sum(axis=1).argmax())
        name = f"; channel {channel + 1}" if n_channels > 1 else ""
        near = story.near.ratio[found.shown[row]]
        plots.among_neighbors(
            axes[row, 0],
            found.samples[row],
            found.neighbors[row],
            channel=channel,
            title=f"distance {near:.2f}{name}",
            theme=theme,
        )
        total = f"change of f: {number(found.f_from[row])} to {number(found.f_to[row])} nats"
        for k, (values, title) in enumerate(((moved[row], "difference from the nearest"), (changed[row], total))):
            pictures[k] = plots.changes(axes[row, 1 + k], values, limit=limits[k], title=title, theme=theme)
        if n_channels > 1:
            axes[row, 1].set_ylabel(_channel_axis(story), fontsize=SMALL, color=theme.muted)
        axes[row, 0].set_ylabel("value", fontsize=SMALL, color=theme.muted)
    for axis in axes[-1]:
        axis.set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    for k, unit in enumerate(("standard deviations", "nats")):
        if pictures[k] is not None:
            _colorbar(figure, pictures[k], axes[:, 1 + k], unit, theme, extend="both", location="bottom", aspect=26)
        else:
            axes[0, 1 + k].set_ylabel(unit, fontsize=SMALL, color=theme.muted)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3, fontsize=SMALL, frameon=False, labelcolor=theme.ink)
    return figure


def interpolation(story: Story, theme: Theme) -> Figure:
    """A path between clusters: its frames, and f along the way."""
    path = story.path
    n_frames, wide = path.f.shape[1], plots.images(story.X).shape[1] > 1
    figure = new_figure(4.1 if wide else 3.6, theme)
    grid = figure.add_gridspec(2, n_frames, height_ratios=(1.15, 1))
    top = [figure.add_subplot(grid[0, k]) for k in range(n_frames)]
    below = figure.add_subplot(grid[1, :])
    series = story.X.ndim == 3 and not wide  # one channel: lines in the units of the data
    frames = plots.images(path.frames[0]) if series else _standardizer(story)(path.frames[0])
    picture = plots.interpolation(top, below, frames, path.f[0], cuts=path.cuts, limit=2.5 if wide else None, theme=theme)
    for k, axis in enumerate(top):
        if k:
            axis.set_yticklabels([])
        axis.set_title(f"{path.novelty[0, k]:.2f}" if 0 < k < n_frames - 1 else "real", fontsize=NORMAL, color=theme.ink)
    unit = "value" if series else _channel_axis(story) or "standard deviations"
    top[0].set_ylabel(unit, fontsize=SMALL, color=theme.muted)
    top[n_frames // 2].set_xlabel(_time_axis(story), fontsize=SMALL, color=theme.muted)
    if picture is not None:
        _colorbar(figure, picture, top, "standard deviations", theme, extend="both", aspect=14)
    return figure


def cover(story: Story, theme: Theme) -> Figure:
    """The README's picture: real beside generated, and the dual space under both."""
    figure = new_figure(5.6, theme)
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(3, 2.4)))
    for part in (upper, lower):
        part.set_facecolor(theme.paper)
    _image_rows(upper, _real_and_generated(story, theme), story, theme, "standard deviations")
    axis = lower.subplots()
    _draw_density(axis, story, theme)
    axis.legend(
        handles=_dual_space_entries(story, theme, with_training=False),
        loc="center left", fontsize=SMALL, frameon=False, labelcolor=theme.ink,
    )  # fmt: skip
    return figure


def _standardizer(story: Story) -> Callable[[Any], plots.Float]:
    """Each channel in its own mean and standard deviation over the real samples and all times."""
    real, deviation = plots.images(story.X), _deviations(story)
    mean = real.mean(axis=_pooled(real), keepdims=True)
    return lambda samples: (plots.images(samples) - mean) / deviation


def _deviations(story: Story) -> Any:
    """Each channel's standard deviation over the real samples and all times, 1 where it is 0: (1, n_channels, 1 or n_times)."""
    real = plots.images(story.X)
    deviation = real.std(axis=_pooled(real), keepdims=True)
    return np.where(deviation > 0, deviation, 1.0)


def _pooled(real: Any) -> tuple[int, ...]:
    return (0, 2) if real.shape[1] > 1 else (0,)  # features without channels have a scale each


def _time_axis(story: Story) -> str:
    return "time" if story.X.ndim == 3 else "feature"


def _channel_axis(story: Story) -> str:
    if story.X.ndim == 2:
        return ""
    return "channel" if story.X.shape[1] > 1 else "standard deviations"


def _colorbar(figure: Any, picture: Any, axes: Any, label: str, theme: Theme, **options: Any) -> None:
    bar = figure.colorbar(picture, ax=axes, pad=0.02, **{"aspect": 30, **options})
    bar.set_label(label, fontsize=SMALL, color=theme.muted)
    bar.ax.tick_params(colors=theme.muted, labelsize=SMALL, length=3)
    bar.outline.set_edgecolor(theme.grid)
