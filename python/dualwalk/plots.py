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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _checks
from ._plotting.arguments import numbers, positive, same_length, takes
from ._plotting.frame import DARK, LIGHT, NORMAL, SMALL, Float, Theme, dress, image, images, legend
from ._plotting.graph import between_channels, dependence_graph
from ._plotting.paths import among_neighbors, changes, interpolation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = [
    "DARK", "LIGHT", "NORMAL", "SMALL", "Float", "Theme", "among_neighbors", "bands", "between_channels", "changes", "density",
    "dependence_graph", "distances", "dress", "image", "images", "interpolation", "legend", "node_terms", "paths",
    "smooth_density", "totals",
]  # fmt: skip


def _ends(value: Any, name: str) -> Float:
    ends: Float = numbers(1)(value, name)
    if len(ends) != 2:
        raise ValueError(f"{name} must be two values of f; got shape {ends.shape} (pass a DualDivergence's {name}_)")
    return ends


def _labels(value: Any, name: str) -> NDArray[Any]:
    labels = _arrays.as_numpy(value, name)
    if labels.ndim != 1 or labels.dtype.kind not in "biu":
        got = f"shape {labels.shape} and dtype {labels.dtype}"
        raise TypeError(f"{name} must be a 1-D array of whole numbers; got {got} (pass a DualDivergence's labels_)")
    return labels


def _flags(value: Any, name: str) -> NDArray[Any]:
    flags = _arrays.as_numpy(value, name)
    if flags.ndim != 1 or (flags.size and flags.dtype.kind != "b"):
        got = f"shape {flags.shape} and dtype {flags.dtype}"
        raise TypeError(f"{name} must be a 1-D array of bool; got {got} (pass a DualDivergence's cut_valleys_)")
    return flags


@takes(real=numbers(2), generated=numbers(2))
def bands(axes: Axes, real: ArrayLike, generated: ArrayLike, *, title: str = "", theme: Theme = LIGHT) -> None:
    """One channel, (n_samples, n_times) real and generated: medians, bands with the middle 80 %, a few generated lines."""
    real, generated = np.asarray(real, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            f"generated must have as many times as real, {real.shape[1]}; got shape {generated.shape} (the same channel)"
        )
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


@takes(values=numbers(1), grid=numbers(1, empty=True))
def smooth_density(values: ArrayLike, grid: ArrayLike) -> Float:
    """A Gaussian kernel density of 1-D values on a grid; the width is Silverman's, robust to far points."""
    values, grid = np.asarray(values, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(float(values.std()), float(quartiles[1] - quartiles[0]) / 1.34) or float(values.std()) or 1.0
    width = 0.9 * spread * len(values) ** -0.2
    kernel = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2)
    return np.asarray(kernel.sum(axis=1) / (len(values) * width * np.sqrt(2 * np.pi)))


@takes(
    f=numbers(1), labels=_labels, end_points=_ends, cuts=numbers(1, empty=True), valleys=_flags, training_end_points=_ends,
    generated=numbers(1),
)  # fmt: skip
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
    same_length(labels, "labels", f, "f")
    if len(valleys):
        same_length(np.asarray(valleys), "valleys", np.asarray(cuts), "cuts")
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


@takes(f=numbers(2, finite=False), end_points=_ends)
def paths(
    axes: Axes, f: ArrayLike, *, end_points: Sequence[float] | Float, colors: Sequence[Any] | None = None, theme: Theme = LIGHT
) -> None:
    """Walks in the dual space, f of (n_walks, n_steps + 1): a dot at each start, an arrow head at the end (before a NaN)."""
    f = np.asarray(f, dtype=np.float64)
    if colors is not None and (
        isinstance(colors, (str, bytes, dict)) or np.shape(np.asarray(colors, dtype=object))[:1] != f.shape[:1]
    ):
        raise ValueError(f"colors must be one for each of {len(f)} walks; got {colors!r:.80} (or leave them out)")
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


@takes(values=numbers(1), horizontal=_checks.flag)
def totals(axes: Axes, values: ArrayLike, *, horizontal: bool = False, theme: Theme = LIGHT) -> None:
    """Bars beside an image: its sum over the other axis, aligned with its rows (`horizontal`) or columns."""
    values = np.asarray(values, dtype=np.float64)
    places = np.arange(len(values))
    (axes.barh if horizontal else axes.bar)(places, values, 0.8, color=theme.muted, alpha=0.8)
    dress(axes, theme)
    axes.tick_params(labelleft=not horizontal, labelbottom=horizontal)


@takes(terms=numbers(1, 2), limit=positive)
def node_terms(axes: Axes, terms: ArrayLike, *, limit: float | None = None, title: str = "", theme: Theme = LIGHT) -> AxesImage:
    """The terms of f of one sample, or their mean, in a sample's shape: where its dependence lives, channels x times, nats.

    Colours run from 0 up where no term is clearly negative, else to both sides of 0: a negative term says that the value fits
    its context worse than it would fit by chance.
    """
    pixels = images(np.asarray(terms, dtype=np.float64)[None])[0]
    signed = float(pixels.min()) < -0.1 * float(np.abs(pixels).max())
    return image(axes, pixels, limit=limit, signed=signed, title=title, theme=theme)


@takes(generated=numbers(1), real=numbers(1))
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
