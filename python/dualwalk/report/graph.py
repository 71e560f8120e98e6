"""The dependence graph as a chart: who leans on whom, and how much goes from channel to channel."""

from __future__ import annotations

import numpy as np

from .._arrays import distinct
from .._layout import arcs, grid_places, tree_places
from . import alts, pixels
from .charts import places_of, room, row_ticks, short
from .story import Story
from .svg import Chart, path

MOST_EDGES = 600  # the strongest, where there are more


def drawn_edges(story: Story) -> np.ndarray:
    """(parent, child) of the edges that are drawn, weakest first: (n_edges, 2)."""
    assert story.graph is not None
    edges = story.graph.edges(0.0)
    order = np.argsort(story.graph.nats[edges[:, 1]], kind="stable")
    return np.asarray(edges[order[-MOST_EDGES:]])


def graph(story: Story, width: float) -> str:
    """An edge from every value's main parent, the wider the more nats the value carries."""
    found, view = story.graph, story.view
    assert found is not None
    in_time = view.is_series
    places = grid_places((view.shape[0], view.shape[1])) if in_time else tree_places(found)
    edges = drawn_edges(story)
    nodes = distinct(edges)
    low, high = places[nodes].min(axis=0) - 0.7, places[nodes].max(axis=0) + 0.7
    names = not in_time and len(nodes) <= 40
    height = float(np.clip((26 if names or in_time else 12) * (high[1] - low[1]), 90, 460)) + 52
    x, y = (float(low[0]), float(high[0])), (float(high[1]), float(low[1]))
    chart = Chart(width, height, x, y, left=room(story) if in_time else 12)
    nats = found.nats
    top = float(nats.max()) or 1.0
    curves = arcs(places[edges[:, 0]], places[edges[:, 1]], 0.7 if in_time else 0.0)
    for (parent, child), curve in zip(edges.tolist(), curves, strict=True):
        straight = np.abs(places[parent] - places[child]).sum() <= 1 or not in_time
        points = curve[[0, -1]] if straight else curve[::2]
        d = path(chart.px(points[:, 0]), chart.py(points[:, 1]))
        share = float(nats[child]) / top
        look = {"stroke_width": 0.8 + 2.6 * share, "stroke_opacity": f"{0.3 + 0.7 * share:.2f}"}
        chart.add("path", "line edge real", d=d, **look, data_parent=parent, data_child=child)
    roots = set(np.flatnonzero(found.parents < 0).tolist())
    size = 4.0 if len(nodes) <= 40 else 2.4
    for k in nodes.tolist():
        cx, cy = float(chart.px(places[k, 0])), float(chart.py(places[k, 1]))
        if k in roots:
            chart.add("rect", "node root", x=cx - size, y=cy - size, width=2 * size, height=2 * size, data_column=k)
        else:
            chart.add("circle", "node", cx=cx, cy=cy, r=size, data_column=k)
        if names:
            chart.text(cx, cy - 7, short(view.names[k]) if view.names else str(k + 1), "halo")
    if in_time:
        numbers = view.place_numbers
        step = numbers[1] - numbers[0]
        chart.x_axis(view.place, [(place * step - 0.5 * step, name) for place, name in places_of(numbers)])
        rows = view.row_numbers
        row_step = rows[1] - rows[0] if len(rows) > 1 else 1
        if len(rows) > 1:
            chart.y_axis("", [(row_step * (at - 0.5), name) for at, name in row_ticks(story)], grid=False)
    else:
        chart.text(width / 2, chart.bottom + 22, "what comes first stands left; each leans on the one to its left", "label")
    chart.add("circle", "cursor", cx=0.0, cy=0.0, r=size + 4)
    return chart.svg(alts.graph(story), "graph")


def between_channels(story: Story) -> str:
    """Nats of all edges from a channel (row) to a channel (column); colours run with the square root."""
    assert story.graph is not None
    n, n_times = story.view.shape
    nats = np.maximum(story.graph.between_groups(np.repeat(np.arange(n), n_times)), 0.0)
    chart = Chart(300, 300, (0, n), (n, 0), left=max(44.0, room(story) + 14), right=8)
    chart.image(pixels.strength(np.sqrt(nats), float(np.sqrt(nats.max())) or 1.0), chart.x, chart.y)
    numbers = places_of(list(range(1, n + 1)))
    chart.x_axis("leaning channel", numbers)
    chart.y_axis("channel leaned on", numbers, grid=False)
    return chart.svg(alts.between(story, nats))
