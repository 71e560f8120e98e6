"""The report's charts: which numbers stand where. Each takes the width that it is drawn for: a page's, or a phone's."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct
from .._plotting.frame import ticks as index_ticks
from ..plots import smooth_density
from . import alts, pixels
from .story import Story
from .svg import Chart
from .walks import Path
from .words import number, with_error

Float = NDArray[np.float64]

N_BINS = 40
MOST_PANELS = 6
MOST_NAMES = 12  # on an axis
BAND = (0.1, 0.9)


def span(values: Float, margin: float = 0.05) -> tuple[float, float]:
    """The range of the values and a margin on both sides; never empty."""
    low, high = float(values.min()), float(values.max())
    aside = margin * (high - low) or 1.0
    return low - aside, high + aside


def shade(k: int, n: int) -> int:
    """The shade, 0 to 3, of cluster k of n."""
    return round(3 * k / (n - 1)) if n > 1 else 1


def divergence(story: Story, width: float) -> str:
    """The estimate, what it is made of, and its lower limit, on one line of nats."""
    model = story.divergence
    error = model.divergence_se_
    rows = [
        (f"at least ({100 * model.confidence_level:g} %)", model.divergence_lower_, "limit"),
        ("unseen samples", model.divergence_held_out_, "real"),
        ("trained on", model.divergence_training_, "real"),
        ("estimate", model.divergence_, "made"),
    ]
    finite = np.array([value for _, value, _ in rows if np.isfinite(value)])
    low, high = span(np.r_[finite, finite[1] - error, finite[1] + error], 0.12)
    if 0 < low < 0.6 * high:  # near enough to zero to show it
        low = 0.0
    chart = Chart(width, 34 * len(rows) + 44, (low, high), (len(rows) - 0.5, -0.5), left=116, right=76)
    chart.x_axis("nats", grid=True)
    for k, (name, value, kind) in enumerate(rows):
        y = float(chart.py(k))
        chart.text(108, y + 4, name, anchor="end")
        if not np.isfinite(value):
            chart.text((chart.left + chart.right) / 2, y + 4, "infinite", "strong")
            continue
        x = float(chart.px(value))
        if kind == "limit":
            chart.rect((value, high), (k - 0.22, k + 0.22), "allowed")
            chart.line([value, value], [k - 0.3, k + 0.3], "ink thick")
        else:
            if name == "unseen samples":
                chart.line([value - error, value + error], [k, k], f"{kind} thick")
            chart.add("circle", f"dot {kind}", cx=x, cy=y, r=6)
        chart.text(width - 4, y + 4, with_error(value, error)[0], "strong", "end")
    return chart.svg(alts.divergence(story))


def space(story: Story) -> tuple[float, float]:
    """The range of f that is drawn: without the farthest generated samples, which must not squeeze all others."""
    model, made = story.divergence, story.f_generated
    seen = np.clip(made, *np.quantile(made, [0.005, 0.995]))
    return span(np.concatenate([model.dual_values_, seen, model.end_points_, model.training_end_points_]))


def dual_space(story: Story, width: float) -> str:
    """Density of f of real samples by cluster and of generated ones; cuts, end points; below, a stroke a sample."""
    model = story.divergence
    f, made = model.dual_values_, story.f_generated
    low, high = space(story)
    chart = Chart(width, 292, (low, high), (0, 1), left=10, right=10, top=12, bottom=106)
    grid = np.linspace(low, high, 240)
    heights, height_made = smooth_density(f, grid), smooth_density(made, grid)
    top = 1.04 * max(float(heights.max()), float(height_made.max()))
    edges = [low, *model.cuts_.tolist(), high]
    n = len(edges) - 1
    row = chart.bottom
    for k, (left, right) in enumerate(pairwise(edges)):
        inner = grid[(grid > left) & (grid < right)]
        x = np.r_[left, inner, right]
        chart.area(x, 0, np.interp(x, grid, heights) / top, f"shade{shade(k, n)}")
        chart.strokes(f[model.labels_ == k], row + 6, row + 22, f"stroke shade{shade(k, n)}")
        a, b = chart.px([left, right]).tolist()
        chart.add("rect", f"shade{shade(k, n)}", x=a, y=row + 48, width=b - a, height=18)
        if b - a > 16:
            chart.text((a + b) / 2, row + 61, str(k + 1), f"on-shade{shade(k, n)}")
    chart.strokes(np.clip(made, low, high), row + 26, row + 42, "stroke made")
    chart.line(grid, heights / top, "real")
    chart.line(grid, height_made / top, "made thick")
    for cut, valley in zip(model.cuts_, model.cut_valleys_, strict=True):
        chart.line([cut, cut], [0, 1], "ink" if valley else "ink dashed")
    for point in model.end_points_:
        x = float(chart.px(point))
        chart.add("path", "line ink thick", d=f"M{x:.1f} {chart.top}V{row + 44:.1f}")
    for point in model.training_end_points_:
        x = float(chart.px(point))
        chart.add("path", "muted-fill", d=f"M{x:.1f} {row - 8:.1f}l5 8h-10z")
    chart.add("path", "line cursor", d=f"M0 {chart.top}V{row + 44:.1f}")
    chart.bottom = row + 66
    chart.x_axis("dual value f (nats)")
    return chart.svg(alts.dual_space(story), "space", low=low, high=high, left=chart.left, right=chart.right, split=row + 24)


def dependence(story: Story, width: float) -> str:
    """Mean terms of f: a map of channels x times with its sums beside it, or bars where there is one row."""
    terms = story.view.parts(story.terms[None])[0]
    if len(terms) == 1:
        return _bars(story, terms[0], width)
    n_rows, n_places = terms.shape
    side, above = 0.14 * width, 54.0
    height = float(np.clip(18 * n_rows, 90, 460))
    grid = (0.0, float(n_places)), (float(n_rows), 0.0)
    chart = Chart(width, height + above + 54, *grid, left=room(story), right=side + 16, top=above, bottom=42)
    chart.image(pixels.strength(terms, _top(terms)), *grid)
    chart.x_axis(story.view.place, place_ticks(story))
    chart.y_axis("", row_ticks(story), grid=False)
    by_place = np.maximum(terms.sum(axis=0), 0)
    for k, value in enumerate(by_place / (by_place.max() or 1.0)):
        a, b = chart.px([k + 0.1, k + 0.9]).tolist()
        tall = float(value) * (above - 22)
        chart.add("rect", "bar", x=a, y=above - 4 - tall, width=b - a, height=tall)
    chart.text(chart.left, 12, f"nats a {story.view.place}, up to {number(by_place.max())}", "label", "start")
    by_row = np.maximum(terms.sum(axis=1), 0)
    for k, value in enumerate(by_row / (by_row.max() or 1.0)):
        a, b = chart.py([k + 0.1, k + 0.9]).tolist()
        chart.add("rect", "bar", x=chart.right + 4, y=a, width=float(value) * side, height=b - a)
    chart.text(width - 4, chart.bottom + 32, f"a channel: up to {number(by_row.max())}", "label", "end")
    a, b = chart.px([0, 1]).tolist()
    c, d = chart.py([0, 1]).tolist()
    chart.add("rect", "cursor", x=a, y=c, width=b - a, height=d - c)
    return chart.svg(alts.dependence(story), "map", **_box(chart))


def _bars(story: Story, terms: Float, width: float) -> str:
    """One row: a bar for every place."""
    chart = Chart(width, 220, (0, len(terms)), (min(0.0, float(terms.min())), _top(terms) * 1.05), left=52)
    chart.y_axis("nats")
    for k, value in enumerate(terms):
        chart.rect((k + 0.1, k + 0.9), (0.0, float(value)), "real-fill")
    chart.x_axis(story.view.place, place_ticks(story))
    a, b = chart.px([0, 1]).tolist()
    chart.add("rect", "cursor", x=a, y=chart.top, width=b - a, height=chart.bottom - chart.top)
    return chart.svg(alts.dependence(story), "map", **_box(chart))


def novelty(story: Story, width: float) -> str:
    """Histograms of the distance to the nearest real sample: of real samples to their nearest other, and of generated ones."""
    near = story.near
    both = np.concatenate([near.ratio, near.real_ratio])
    high = max(1.5, 1.05 * float(np.quantile(both, 0.995)))
    edges = np.linspace(0, high, N_BINS + 1)
    real, made = (
        np.histogram(np.clip(of, 0, high), edges)[0] / len(of) * 100 for of in (near.real_ratio, near.ratio)
    )  # those beyond the edge count in the last bin
    chart = Chart(width, 260, (0, high), (0, 1.12 * float(max(real.max(), made.max()))), left=52)
    chart.rect((0, 0.5), chart.y, "warn-fill")
    chart.text(float(chart.px(0.25)), chart.top + 14, "near copies", "label")
    chart.y_axis("% of samples")
    corners = np.repeat(edges, 2)
    chart.area(corners, 0, np.r_[0, np.repeat(real, 2), 0], "real-soft")
    chart.line(corners, np.r_[0, np.repeat(made, 2), 0], "made thick")
    for of, kind in ((near.real_ratio, "real"), (near.ratio, "made")):
        middle = float(np.median(of))
        chart.line([middle, middle], chart.y, f"{kind} dashed")
    label = "distance to the nearest real sample (1 = typical, 0 = a copy)"
    chart.x_axis(label if width > 500 else "distance (1 = typical, 0 = a copy)")
    return chart.svg(alts.novelty(story))


def f_along(story: Story, path: Path, width: float) -> str:
    """f at every frame of a walk, over the clusters of f; a dot a frame, for the page's script to find."""
    f, model = path.f, story.divergence
    n = len(f)
    low, high = span(f, 0.16)
    chart = Chart(width, 210, (0.5, n + 0.5), (low, high), left=56)
    edges = [low, *model.cuts_[(model.cuts_ > low) & (model.cuts_ < high)].tolist(), high]
    first = int((model.cuts_ <= low).sum())
    for k, (bottom, top) in enumerate(pairwise(edges)):
        kind = shade(first + k, len(model.cuts_) + 1)
        chart.rect(chart.x, (bottom, top), f"soft shade{kind}")
        if len(model.cuts_) and top - bottom > 0.14 * (high - low):
            middle = 0.5 * (bottom + top)
            right = abs(middle - f[-1]) >= abs(middle - f[0])  # the end that the walk is farther from
            x = chart.right - 6 if right else chart.left + 6
            chart.text(x, float(chart.py(middle)) + 4, f"cluster {first + k + 1}", anchor="end" if right else "start")
    chart.y_axis("f (nats)", grid=False)
    chart.x_axis("frame", places_of(list(range(1, n + 1)), first=1.0))
    frames = np.arange(1, n + 1)
    chart.line(frames, f, "made thick")
    for k, (x, y) in enumerate(zip(chart.px(frames).tolist(), chart.py(f).tolist(), strict=True)):
        real = k == 0 or (k == n - 1 and path.end >= 0)
        chart.add("circle", "dot real" if real else "dot made", cx=x, cy=y, r=3.5)
    chart.add("path", "line cursor", d=f"M0 {chart.top}V{chart.bottom:.1f}")
    chart.add("circle", "cursor", cx=0.0, cy=0.0, r=8)
    return chart.svg(alts.path(story, path), "along")


def panels(story: Story, *, generated: bool) -> list[tuple[str, str]]:
    """A few rows over their places, (name, chart) each: where real samples lie, and some of them, or where generated ones lie."""
    view = story.view
    chosen = distinct(np.linspace(0, len(view.grid) - 1, min(len(view.grid), MOST_PANELS)).round().astype(int))
    real, made = view.lines(story.X), view.lines(story.generated)
    examples = view.lines(story.X[story.shown_real])
    x = np.arange(real.shape[2]) + 0.5
    found = []
    for row in chosen.tolist():
        bands = np.quantile(real[:, row], [BAND[0], 0.5, BAND[1]], axis=0)
        made_bands = np.quantile(made[:, row], [BAND[0], 0.5, BAND[1]], axis=0)
        shown = [bands, made_bands] if generated else [bands, examples[:, row]]
        width = 340 if len(chosen) > 1 else 720
        chart = Chart(width, 190, (0, float(len(x))), span(np.concatenate(shown)), left=48, right=8, bottom=36)
        chart.y_axis("")
        _lines(chart, x, bands[[0, 2]], "real-soft")
        if generated:
            _lines(chart, x, bands[1], "real thick")
            _lines(chart, x, made_bands[1], "made thick dashed")
            for edge in made_bands[[0, 2]]:
                _lines(chart, x, edge, "made dotted")
        else:
            for series in examples[:, row]:
                _lines(chart, x, series, "real thin")
            _lines(chart, x, bands[1], "real thick")
        chart.x_axis(view.place, place_ticks(story))
        found.append((view.row_names[row], chart.svg(alts.panel(story, row, generated=generated))))
    return found


def _lines(chart: Chart, x: NDArray[Any], y: NDArray[Any], kind: str) -> None:
    """A line, or an area between two; where there is one place only, a stroke as wide as it."""
    if len(x) == 1:
        x, y = np.array([0.2, 0.8]), np.repeat(y, 2, axis=-1)
    if y.ndim == 2:
        chart.area(x, y[0], y[1], kind)
    else:
        chart.line(x, y, kind)


def _top(terms: Float) -> float:
    top = float(terms.max(initial=0.0))
    return top if top > 0 else 1.0


def places_of(numbers: list[int], first: float = 0.5) -> list[tuple[float, str]]:
    """Where numbered places stand on an axis whose first is at `first`: a few of them."""
    return [(k + first, str(numbers[k])) for k in index_ticks(len(numbers))]


def place_ticks(story: Story) -> list[tuple[float, str]]:
    """The places of a picture: features by their names where there is room for them, else a few numbers."""
    view = story.view
    numbers = view.place_numbers
    if view.is_series or not view.names or len(numbers) > MOST_NAMES:
        return places_of(numbers)
    return [(k + 0.5, short(view.channel(number - 1), 9)) for k, number in enumerate(numbers)]


def row_ticks(story: Story) -> list[tuple[float, str]]:
    """Names of the rows: all of them where there is room, else the numbers of a few."""
    names = story.view.names
    numbers = story.view.row_numbers
    if names and len(numbers) <= 2 * MOST_NAMES:
        return [(k + 0.5, short(story.view.channel(number - 1))) for k, number in enumerate(numbers)]
    return [(k + 0.5, str(numbers[k])) for k in index_ticks(len(numbers))]


def short(name: str, most: int = 14) -> str:
    """A name that fits on an axis."""
    return name if len(name) <= most else name[: most - 1] + "…"


def room(story: Story) -> float:
    """Pixels that the names of the rows need."""
    return 16 + 6.6 * max(len(name) for _, name in row_ticks(story))


def _box(chart: Chart) -> dict[str, Any]:
    """Where the plot of a map lies in its picture, for the page's script."""
    return {"left": chart.left, "right": chart.right, "top": chart.top, "bottom": float(chart.bottom)}
