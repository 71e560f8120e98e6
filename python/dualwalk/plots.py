"""Pictures of a fitted model, drawn on axes that the caller owns (matplotlib, extra `report`).

Every function takes matplotlib axes and plain arrays, changes nothing but those axes, and touches no global state of
matplotlib. The colours are the same everywhere and can be told apart by the colour-blind: blue is real, orange is generated,
purple to green is negative to positive.

    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 3), layout="constrained")
    plots.density(figure.subplots(), model.dual_values_, model.labels_, end_points=model.end_points_, cuts=model.cuts_)
    figure.savefig("dual_space.png")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._layout import arcs, grid_places, tree_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage

    from ._nodepath.graph import DependenceGraph

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Theme:
    """The colours of a picture."""

    paper: str
    ink: str
    muted: str
    grid: str
    real: str
    generated: str
    clusters: tuple[str, str]
    diverging: tuple[str, str, str]

    def cluster(self, k: int, n: int) -> Any:
        """Shades of the real colour, from the cluster of lowest f to that of highest."""
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list("clusters", self.clusters)(k / max(n - 1, 1))

    @property
    def strength(self) -> Colormap:
        """Nothing to much: from nearly the paper's colour to the ink of the real."""
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list("strength", (self.grid, self.real, self.clusters[1]))

    @property
    def signed(self) -> Colormap:
        """Negative to positive through the colour of the paper."""
        from matplotlib.colors import LinearSegmentedColormap

        return LinearSegmentedColormap.from_list("signed", self.diverging)


LIGHT = Theme(
    paper="#ffffff", ink="#1f2933", muted="#5f6c7b", grid="#dfe4ea", real="#0072b2", generated="#d55e00",
    clusters=("#8ec3e6", "#0b4a7a"), diverging=("#6a2c91", "#f7f7f7", "#14733b"),
)  # fmt: skip
DARK = Theme(
    paper="#161b22", ink="#e6edf3", muted="#9aa7b4", grid="#30363d", real="#56b4e9", generated="#ff9a4d",
    clusters=("#2f6f9f", "#b5e0fa"), diverging=("#c79be6", "#20262e", "#6fdc9b"),
)  # fmt: skip
SMALL, NORMAL = 8.5, 9.5


def dress(axes: Axes, theme: Theme, *, title: str = "", x: str = "", y: str = "", grid: bool = True) -> None:
    """Title, labels and quiet frame of one picture."""
    axes.set_facecolor(theme.paper)
    axes.set_title(title, loc="left", fontsize=NORMAL, color=theme.ink)
    axes.set_xlabel(x, fontsize=SMALL, color=theme.muted)
    axes.set_ylabel(y, fontsize=SMALL, color=theme.muted)
    axes.tick_params(colors=theme.muted, labelsize=SMALL, length=3)
    for side, spine in axes.spines.items():
        spine.set_color(theme.grid)
        spine.set_visible(side in ("left", "bottom"))
    if grid:
        axes.grid(True, color=theme.grid, linewidth=0.6)
        axes.set_axisbelow(True)


def legend(axes: Axes, theme: Theme, **options: Any) -> None:
    """A frameless legend in the theme's ink."""
    axes.legend(fontsize=SMALL, frameon=False, labelcolor=theme.ink, **options)


def images(X: ArrayLike) -> Float:
    """Samples as (n_samples, n_channels, n_times): features without channels are one channel."""
    array = np.asarray(X, dtype=np.float64)
    return array[:, None, :] if array.ndim == 2 else array


def image(
    axes: Axes, values: ArrayLike, *, limit: float | None = None, signed: bool = True, title: str = "", theme: Theme = LIGHT
) -> AxesImage:
    """One picture of channels x times. Signed values run to +-`limit` (default: the largest), others from zero up."""
    pixels = images(np.asarray(values, dtype=np.float64)[None])[0]
    top = float((np.abs(pixels) if signed else pixels).max()) if limit is None else limit
    top = top if top > 0 else 1.0
    low = -top if signed else min(0.0, float(pixels.min()))
    picture = axes.imshow(
        pixels, aspect="auto", interpolation="nearest", cmap=theme.signed if signed else "viridis", vmin=low, vmax=top
    )
    dress(axes, theme, title=title, grid=False)
    for set_ticks, n in ((axes.set_yticks, pixels.shape[0]), (axes.set_xticks, pixels.shape[1])):
        set_ticks(_ticks(n), [str(k + 1) for k in _ticks(n)])
    return picture


def _ticks(n: int) -> list[int]:
    step = next(s for s in (1, 2, 3, 5, 10, 20, 25, 50, 100, 200, 500, 10**9) if n / s <= 6)
    return [*([0] if step != 2 else []), *range(max(step - 1, 1), n, step)] if n > 1 else [0]


def bands(axes: Axes, real: ArrayLike, generated: ArrayLike, *, title: str = "", theme: Theme = LIGHT) -> None:
    """One channel, (n_samples, n_times) real and generated: medians, bands with the middle 80 %, a few generated lines."""
    real, generated = np.asarray(real, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    times = np.arange(1, real.shape[1] + 1)
    low, middle, high = np.quantile(real, [0.1, 0.5, 0.9], axis=0)
    axes.fill_between(times, low, high, color=theme.real, alpha=0.22, linewidth=0, label="real, middle 80 %")
    for line in generated[:8]:
        axes.plot(times, line, color=theme.generated, alpha=0.28, linewidth=0.7)
    axes.plot(times, middle, color=theme.real, linewidth=1.8, label="real, median")
    low, middle, high = np.quantile(generated, [0.1, 0.5, 0.9], axis=0)
    axes.plot(times, middle, color=theme.generated, linewidth=1.8, linestyle=(0, (4, 2)), label="generated, median")
    axes.plot(times, low, color=theme.generated, linewidth=1.0, linestyle=(0, (2, 2)), label="generated, middle 80 %")
    axes.plot(times, high, color=theme.generated, linewidth=1.0, linestyle=(0, (2, 2)))
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])
    dress(axes, theme, title=title)


def smooth_density(values: ArrayLike, grid: ArrayLike) -> Float:
    """A Gaussian kernel density of 1-D values on a grid; the width is Silverman's, robust to far points."""
    values, grid = np.asarray(values, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(float(values.std()), float(quartiles[1] - quartiles[0]) / 1.34) or float(values.std()) or 1.0
    width = 0.9 * spread * len(values) ** -0.2
    kernel = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2)
    return np.asarray(kernel.sum(axis=1) / (len(values) * width * np.sqrt(2 * np.pi)))


def density(
    axes: Axes,
    f: ArrayLike,
    labels: ArrayLike,
    *,
    end_points: Sequence[float] | Float,
    cuts: Sequence[float] | Float = (),
    valleys: Sequence[bool] | NDArray[np.bool_] = (),
    training_end_points: Sequence[float] | Float | None = None,
    generated: ArrayLike | None = None,
    theme: Theme = LIGHT,
) -> None:
    """The dual space: density of f (nats) of the real samples by cluster, cuts, end points, below a stroke for every sample."""
    f, labels = np.asarray(f, dtype=np.float64), np.asarray(labels)
    everything = [f, np.asarray(end_points)]
    if training_end_points is not None:
        everything.append(np.asarray(training_end_points))
    low, high = _span(np.concatenate(everything))
    grid = np.linspace(low, high, 600)
    height = smooth_density(f, grid)
    height_new = None if generated is None else smooth_density(generated, grid)
    top = float(max(height.max(), 0.0 if height_new is None else height_new.max()))
    edges = [low, *np.asarray(cuts).tolist(), high]
    n_clusters = len(edges) - 1
    named = [(k, f[labels == k]) for k in range(n_clusters) if (labels == k).any()]
    places = _apart(np.array([np.median(members) for _, members in named]), 0.09 * (high - low))
    for (k, members), place in zip(named, places, strict=True):
        text = f"cluster {k + 1}\n{len(members)}"
        axes.annotate(text, (place, 1.06 * top), ha="center", va="bottom", fontsize=SMALL, color=theme.ink)
    for k in range(n_clusters):
        inside = (grid >= edges[k]) & (grid <= edges[k + 1])
        axes.fill_between(grid[inside], height[inside], color=theme.cluster(k, n_clusters), alpha=0.75, linewidth=0)
        axes.vlines(f[labels == k], -0.10 * top, -0.03 * top, color=theme.cluster(k, n_clusters), linewidth=0.8)
    axes.plot(grid, height, color=theme.real, linewidth=1.2)
    for k, cut in enumerate(cuts):
        real_valley = len(valleys) > k and bool(valleys[k])
        axes.vlines(cut, 0, 1.05 * top, color=theme.ink, linewidth=1.1, linestyle="-" if real_valley else (0, (3, 3)))
    if generated is not None and height_new is not None:
        f_new = np.asarray(generated, dtype=np.float64)
        axes.plot(grid, height_new, color=theme.generated, linewidth=1.6)
        seen = f_new[(f_new >= low) & (f_new <= high)]
        axes.vlines(seen, -0.20 * top, -0.13 * top, color=theme.generated, linewidth=0.6, alpha=0.8)
    for point in end_points:
        axes.axvline(float(point), color=theme.ink, linewidth=1.6)
    if training_end_points is not None:
        axes.plot(
            list(training_end_points), [0, 0], linestyle="none", marker="^", markersize=6, color=theme.muted, clip_on=False
        )
    dress(axes, theme, x="dual value f (nats)", grid=False)
    axes.spines["left"].set_visible(False)
    axes.set(yticks=[], xlim=(low, high), ylim=(-0.24 * top, 1.34 * top))


def _span(values: Float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _apart(places: Float, gap: float) -> Float:
    """Increasing places moved as little as that takes until neighbours are `gap` apart."""
    offsets = gap * np.arange(len(places))
    free = places - offsets  # now they need only be increasing: pool those that are not, as isotonic regression does
    pools: list[list[float]] = []
    for value in free.tolist():
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return np.asarray([float(np.mean(pool)) for pool in pools for _ in pool] + offsets)


def paths(
    axes: Axes, f: ArrayLike, *, end_points: Sequence[float] | Float, colors: Sequence[Any] | None = None, theme: Theme = LIGHT
) -> None:
    """Walks in the dual space, f of (n_walks, n_steps + 1): a dot at each start, an arrow head at the end (before a NaN)."""
    f = np.asarray(f, dtype=np.float64)
    steps = np.arange(f.shape[1])
    for k, path in enumerate(f):
        color = theme.generated if colors is None else colors[k]
        axes.plot(path, steps, color=theme.generated, linewidth=1.3, alpha=0.9)
        axes.plot(path[0], 0, "o", markersize=5, color=color, clip_on=False, zorder=3)
        last = int(np.isfinite(path).sum()) - 1
        if last > 0:
            arrow = {"arrowstyle": "-|>", "color": theme.generated, "linewidth": 1.3}
            axes.annotate("", (path[last], last), (path[last - 1], last - 1), arrowprops=arrow)
    for point in end_points:
        axes.axvline(float(point), color=theme.ink, linewidth=1.6)
    dress(axes, theme, x="dual value f (nats)", y="step of the walk")
    axes.set_ylim(-0.03 * steps[-1], 1.06 * steps[-1])


def totals(axes: Axes, values: ArrayLike, *, horizontal: bool = False, theme: Theme = LIGHT) -> None:
    """Bars beside an image: its sum over the other axis, aligned with its rows (`horizontal`) or columns."""
    values = np.asarray(values, dtype=np.float64)
    places = np.arange(len(values))
    (axes.barh if horizontal else axes.bar)(places, values, 0.8, color=theme.muted, alpha=0.8)
    dress(axes, theme)
    axes.tick_params(labelleft=not horizontal, labelbottom=horizontal)


def node_terms(axes: Axes, terms: ArrayLike, *, limit: float | None = None, title: str = "", theme: Theme = LIGHT) -> AxesImage:
    """The terms of f of one sample, or their mean, in a sample's shape: where its dependence lives, channels x times, nats.

    Colours run from 0 up where no term is clearly negative, else to both sides of 0: a negative term says that the value fits
    its context worse than it would fit by chance.
    """
    pixels = images(np.asarray(terms, dtype=np.float64)[None])[0]
    signed = float(pixels.min()) < -0.1 * float(np.abs(pixels).max())
    return image(axes, pixels, limit=limit, signed=signed, title=title, theme=theme)


def dependence_graph(
    axes: Axes,
    graph: DependenceGraph,
    *,
    feature_shape: tuple[int, ...] | None = None,
    min_nats: float = 0.0,
    names: Sequence[str] | None = None,
    title: str = "",
    theme: Theme = LIGHT,
) -> LineCollection:
    """Who leans on whom: an edge from every column's main parent, the wider and darker the more nats the column carries.

    Columns of series, `feature_shape` (channels, times), stand at their time and channel, an arc bends left of its way from
    parent to child; other columns make a tree, parents on the left. Edges of no more than `min_nats` are left out. `names`
    (d,) label the columns (their numbers, from 1, where there are up to 40 of them). Returns the edges, for a colour bar.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    shape = tuple(feature_shape or (graph.n_features,))
    if np.prod(shape) != graph.n_features:
        raise ValueError(f"feature_shape must hold the graph's {graph.n_features} columns; got {shape} (pass the data's)")
    in_time = len(shape) == 2 and shape[1] > 1
    places = grid_places((shape[0], shape[1])) if in_time else tree_places(graph)
    edges = graph.edges(min_nats)
    nats = graph.nats[edges[:, 1]]
    nats = np.maximum(nats, 0.0)
    top = float(graph.nats.max(initial=0.0)) or 1.0
    order = np.argsort(nats, kind="stable")  # the strongest on top
    curves = arcs(places[edges[order, 0]], places[edges[order, 1]], 0.7 if in_time else 0.0)
    lines = LineCollection(
        list(curves), cmap=theme.strength, linewidths=0.7 + 2.6 * nats[order] / top, capstyle="round", zorder=2
    )
    lines.set_array(nats[order])
    lines.set_clim(0, top)
    axes.add_collection(lines)
    root = graph.parents < 0
    carried = np.maximum(graph.nats, 0.0)
    dot = 26.0 if graph.n_features <= 40 else 9.0
    look: dict[str, Any] = {"cmap": theme.strength, "vmin": 0, "vmax": top, "linewidths": 0.5, "edgecolors": theme.muted}
    axes.scatter(places[~root, 0], places[~root, 1], s=dot, c=carried[~root], zorder=3, **look)
    axes.scatter(
        places[root, 0], places[root, 1], s=dot, c=theme.paper, marker="s", zorder=3, linewidths=1.0, edgecolors=theme.ink
    )
    if names is not None or graph.n_features <= 40:
        labels = [str(k + 1) for k in range(graph.n_features)] if names is None else list(names)
        halo = withStroke(linewidth=2.0, foreground=theme.paper)
        for text, (x, y) in zip(labels, places, strict=True):
            note = axes.annotate(
                text, (x, y), xytext=(0, 5), textcoords="offset points", ha="center", va="bottom",
                fontsize=SMALL - 1, color=theme.ink, annotation_clip=False,
            )  # fmt: skip
            note.set_path_effects([halo])
    dress(axes, theme, title=title, grid=False)
    axes.set(
        xlim=(places[:, 0].min() - 0.7, places[:, 0].max() + 0.7), ylim=(places[:, 1].max() + 0.7, places[:, 1].min() - 0.7)
    )
    if in_time:
        axes.set_xticks(_ticks(shape[1]), [str(k + 1) for k in _ticks(shape[1])])
        rows = _ticks(shape[0]) if shape[0] > 1 else []
        axes.set_yticks(rows, [str(k + 1) for k in rows])
    else:
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
    return lines


def between_channels(
    axes: Axes, graph: DependenceGraph, feature_shape: tuple[int, int], *, title: str = "", theme: Theme = LIGHT
) -> AxesImage:
    """Nats of the edges from a channel (row) to a channel (column): the diagonal is a channel's own past and future.

    Colours run with the square root of the nats.
    """
    from matplotlib.colors import PowerNorm

    n_channels, n_times = feature_shape
    nats = np.maximum(graph.between_groups(np.repeat(np.arange(n_channels), n_times)), 0.0)
    scale = PowerNorm(0.5, vmin=0, vmax=float(nats.max()) or 1.0)  # a channel's own past would hide all others
    picture = axes.imshow(nats, cmap=theme.strength, norm=scale)
    dress(axes, theme, title=title, x="child", y="parent", grid=False)
    for set_ticks in (axes.set_yticks, axes.set_xticks):
        set_ticks(_ticks(n_channels), [str(k + 1) for k in _ticks(n_channels)])
    return picture


def distances(axes: Axes, generated: ArrayLike, real: ArrayLike, *, theme: Theme = LIGHT) -> None:
    """Distance to the nearest training sample over the typical one: generated samples, and training samples to others."""
    generated, real = np.asarray(generated, dtype=np.float64), np.asarray(real, dtype=np.float64)
    high = float(np.quantile(np.concatenate([generated, real]), 0.995)) * 1.1 or 1.0
    grid = np.linspace(0, max(high, 1.5), 400)
    height_real, height_new = smooth_density(real, grid), smooth_density(generated, grid)
    axes.fill_between(grid, height_real, color=theme.real, alpha=0.25, linewidth=0)
    axes.plot(grid, height_real, color=theme.real, linewidth=1.8, label="real samples, each to its nearest other")
    axes.plot(grid, height_new, color=theme.generated, linewidth=1.8, label="generated samples, each to its nearest real one")
    for values, color in ((real, theme.real), (generated, theme.generated)):
        axes.axvline(float(np.median(values)), color=color, linewidth=1.2, linestyle=(0, (4, 2)))
    dress(axes, theme, x="distance to the nearest real sample (1 = typical between real samples, 0 = a copy)")
    axes.spines["left"].set_visible(False)
    axes.set(yticks=[], xlim=(0, grid[-1]), ylim=(0, None))
    legend(axes, theme, loc="best")
