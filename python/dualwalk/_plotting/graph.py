"""Graphs of who leans on whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks
from .._layout import arcs, grid_places, tree_places
from .._nodepath.graph import DependenceGraph
from . import arguments
from .arguments import takes
from .frame import LIGHT, SMALL, Theme, dress, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.image import AxesImage


def _graph(value: Any, name: str) -> Any:
    return _checks.instance(value, name, DependenceGraph, remedy="pass a DualDivergence's dependence_graph_")


def _shape(value: Any, graph: DependenceGraph, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample of the graph's columns."""
    if not isinstance(value, (tuple, list, np.ndarray)) or np.ndim(np.asarray(value, dtype=object)) != 1:
        raise TypeError(f"feature_shape must be a tuple of whole numbers; got {value!r:.80} (pass X.shape[1:])")
    shape = tuple(_checks.count(size, "feature_shape", minimum=1) for size in value)
    if len(shape) not in lengths or math.prod(shape) != graph.n_features:
        raise ValueError(f"feature_shape must hold the graph's {graph.n_features} columns; got {shape} (pass X.shape[1:])")
    return shape


@takes(graph=_graph, min_nats=_checks.real, names=arguments.names)
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

    shape = (graph.n_features,) if feature_shape is None else _shape(feature_shape, graph, (1, 2))
    if names is not None and len(names) != graph.n_features:
        raise ValueError(f"names must be one for each of {graph.n_features} columns; got {len(names)} (or leave them out)")
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
        axes.set_xticks(ticks(shape[1]), [str(k + 1) for k in ticks(shape[1])])
        rows = ticks(shape[0]) if shape[0] > 1 else []
        axes.set_yticks(rows, [str(k + 1) for k in rows])
    else:
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
    return lines


@takes(graph=_graph)
def between_channels(
    axes: Axes, graph: DependenceGraph, feature_shape: tuple[int, int], *, title: str = "", theme: Theme = LIGHT
) -> AxesImage:
    """Nats of the edges from a channel (row) to a channel (column): the diagonal is a channel's own past and future.

    Colours run with the square root of the nats.
    """
    from matplotlib.colors import PowerNorm

    n_channels, n_times = _shape(feature_shape, graph, (2,))
    nats = np.maximum(graph.between_groups(np.repeat(np.arange(n_channels), n_times)), 0.0)
    scale = PowerNorm(0.5, vmin=0, vmax=float(nats.max()) or 1.0)  # a channel's own past would hide all others
    picture = axes.imshow(nats, cmap=theme.strength, norm=scale)
    dress(axes, theme, title=title, x="child", y="parent", grid=False)
    for set_ticks in (axes.set_yticks, axes.set_xticks):
        set_ticks(ticks(n_channels), [str(k + 1) for k in ticks(n_channels)])
    return picture
