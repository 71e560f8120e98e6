"""The page's curves, as SVG that takes its ink from the page, so that one picture serves light and dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .results import Results, Row

# Stand-ins that the page's style replaces; the other colours read on both grounds.
INK, GRID = "#010203", "#010204"
COLORS = {
    "native": "#2a8c82",
    "numba": "#c9822a",
    "reference": "#8a8f98",
    "NumPy": "#5b7fc7",
    "PyTorch": "#c8553d",
    "torch.compile": "#d98a78",
    "SciPy": "#8e6bb8",
    "Numba idiom": "#b59b3b",
    "a copy": "#8a8f98",
}
OTHER = "#7a7f88"
PIXELS_A_POINT = 1.35
MARKERS = {"native": "o", "numba": "s", "reference": "^", "NumPy": "D", "PyTorch": "v", "SciPy": "P", "torch.compile": "<"}


@dataclass(frozen=True)
class Picture:
    title: str
    note: str
    svg: str

    def html(self) -> str:
        return f"<figure>{self.svg}<figcaption><b>{self.title}.</b> {self.note}</figcaption></figure>"

    def markdown(self) -> str:
        """Nothing but the words: the numbers are in the tables."""
        return f"*{self.title}*: {self.note}"


def _figure(n: int) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "dualwalk",
            "font.size": 10,
            "font.family": "sans-serif",
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": GRID,
            "xtick.color": INK,
            "ytick.color": INK,
            "grid.color": GRID,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    figure, axes = plt.subplots(1, n, figsize=(4.7 * n, 3.5), squeeze=False, layout="constrained")
    return figure, list(axes[0])


def _svg(figure: Any, label: str) -> str:
    import matplotlib.pyplot as plt

    held = io.StringIO()
    figure.savefig(held, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = held.getvalue()
    text = text[text.index("<svg") :].replace(INK, "var(--ink)").replace(GRID, "var(--line)")
    # two pictures of one page must not share the names of their parts
    prefix = base64.b32encode(label.encode()).decode().strip("=").lower()[:16]
    text = re.sub(r'(id="|url\(#|xlink:href="#)', rf"\1{prefix}-", text)
    box = re.search(r'viewBox="0 0 ([0-9.]+) [^"]*"', text)
    assert box is not None
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    style = f"width:{PIXELS_A_POINT * float(box[1]):.0f}px"
    head = f'<svg role="img" aria-label="{label}" {box[0]} style="{style}" {spaces}>'
    return re.sub(r"<svg [^>]*>", head, text, count=1)


Value = Callable[[Row, str], "float | None"]


def _curves(axis: Any, rows: Sequence[Row], x: Callable[[Row], float], y: Value, names: Sequence[str]) -> None:
    for name in names:
        points = sorted((x(row), value) for row in rows if (value := y(row, name)) is not None)
        if points:
            style = "--" if name == "a copy" else "-"
            axis.plot(
                *zip(*points, strict=True),
                style,
                color=COLORS.get(name, OTHER),
                marker=MARKERS.get(name, "."),
                markersize=4.5,
                linewidth=2.2 if name == "native" else 1.3,
                label=name,
            )
    limit = sorted((x(row), row.limit_seconds / row.n_units) for row in rows if row.limit_seconds is not None)
    if limit and y is _time:
        axis.plot(*zip(*limit, strict=True), ":", color=INK, linewidth=1.3, label="limit")
    axis.grid(True, alpha=0.5, linewidth=0.6)


def _time(row: Row, name: str) -> float | None:
    return row.measured[name].median / row.n_units if name in row.measured else None


def _names(rows: Sequence[Row]) -> list[str]:
    found = dict.fromkeys(name for row in rows for name in row.measured)
    return sorted(found, key=lambda name: (list(COLORS).index(name) if name in COLORS else len(COLORS), name))


def _scale(axis: Any, what: str, unit: str) -> None:
    from matplotlib.ticker import FuncFormatter

    from .tables import duration

    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xlabel(what)
    axis.set_title(f"one {unit}", fontsize=10, loc="left")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def _legend(figure: Any, axes: Sequence[Any]) -> None:
    """One for all axes, below them."""
    found = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=min(len(found), 4 * len(axes)),
        frameon=False,
        fontsize=9,
    )


def _bytes(value: float, _: Any = None) -> str:
    for power, letter in ((30, "GB"), (20, "MB"), (10, "KB")):
        if value >= 1 << power:
            return f"{value / (1 << power):g} {letter}"
    return f"{value:g} B"


def by_size(results: Results) -> Picture | None:
    """Time a unit by the size of the data."""
    series = ("permute_marginals: shuffle", "log_mean_exp: value", "log_mean_exp: with gradient")
    groups = [[row for row in results if row.series == name and row.n_threads == 1] for name in series]
    groups = [rows for rows in groups if len(rows) > 1]
    if not groups:
        return None
    from matplotlib.ticker import FixedLocator, FuncFormatter

    figure, axes = _figure(len(groups))
    for axis, rows in zip(axes, groups, strict=True):
        _curves(axis, rows, lambda row: row.n_bytes, _time, _names(rows))
        _scale(axis, "bytes of the data", f"{rows[0].unit}, {rows[0].series}")
        axis.xaxis.set_major_locator(FixedLocator([1 << power for power in (10, 15, 20, 25, 30)]))
        axis.xaxis.set_major_formatter(FuncFormatter(_bytes))
    _legend(figure, axes)
    note = "Lower is better; the dotted line is what reading (or copying) alone takes. A peer's line ends where a call takes seconds."
    return Picture("By size, one thread", note, _svg(figure, "time by size of the data"))


def by_walks(results: Results) -> Picture | None:
    """Time of a step by the number of walks."""
    series = ("walk_mlp: MLP 300-128-1", "walk_local: local d=300 K=20", "walk_mixture: mixture d=62 K=10")
    groups = [[row for row in results if row.series == name and row.n_threads == 1] for name in series]
    groups = [rows for rows in groups if len(rows) > 1]
    if not groups:
        return None
    figure, axes = _figure(len(groups))
    for axis, rows in zip(axes, groups, strict=True):
        _curves(axis, rows, lambda row: row.swept[1] if row.swept else 0.0, _time, _names(rows))
        _scale(axis, "walks", f"step of all walks, {rows[0].form}")
        axis.set_xticks([row.swept[1] for row in rows if row.swept], [f"{row.swept[1]:g}" for row in rows if row.swept])
    _legend(figure, axes)
    return Picture(
        "By number of walks, one thread",
        "The dotted line is the limit of arithmetic or memory, whichever binds.",
        _svg(figure, "time of a step by walks"),
    )


def by_dimension(results: Results) -> Picture | None:
    """Share of the limit by the number of features."""
    pattern = re.compile(r"^(MLP (?P<mlp>\d+)-128-1|local d=(?P<local>\d+) K=20|mixture d=(?P<mixture>\d+) K=10)$")
    kinds: dict[str, list[tuple[int, float]]] = {}
    for row in results:
        found = pattern.match(row.form)
        if found and row.n_threads == 1 and row.swept == ("walks", 256) and row.share is not None:
            kind, d = next((kind, int(d)) for kind, d in found.groupdict().items() if d)
            kinds.setdefault(kind, []).append((d, 100 * row.share))
    kinds = {kind: points for kind, points in kinds.items() if len(points) > 1}
    if not kinds:
        return None
    figure, (axis,) = _figure(1)
    labels = {"mlp": "MLP d-128-1", "local": "local, K = 20", "mixture": "mixture, K = 10"}
    for kind, color, marker in zip(kinds, ("#2a8c82", "#c9822a", "#5b7fc7"), "osD", strict=False):
        axis.plot(*zip(*sorted(kinds[kind]), strict=True), marker=marker, color=color, label=labels[kind], markersize=4.5)
    axis.set_xscale("log", base=2)
    ticks = [1 << power for power in (4, 6, 8, 10)]
    axis.set_xticks(ticks, [str(d) for d in ticks])
    axis.set_xlabel("features d")
    axis.set_title("share of the limit, %", fontsize=10, loc="left")
    axis.set_ylim(0, None)
    axis.grid(True, alpha=0.5, linewidth=0.6)
    axis.legend(frameon=False, fontsize=8)
    return Picture("By dimension, 256 walks, one thread", "Higher is better.", _svg(figure, "share of the limit by dimension"))


def by_threads(results: Results) -> Picture | None:
    """How many times as fast ours is on more threads."""
    more = [n for n in results.threads if n > 1]
    wanted = {}
    for row in results:
        large = row.swept is None or row.swept[0] == "bytes" or row.swept[1] >= 256
        if row.n_threads == 1 and large and any(results.speedup(row.case, n) for n in more):
            wanted[row.series] = row  # the last is the largest
    if not more or not wanted:
        return None
    figure, (axis,) = _figure(1)
    figure.set_size_inches(8.2, 0.24 * len(wanted) + 0.9)
    names = [
        f"{row.job.replace('_', ' ') if 'walk' not in row.job else 'walk'}: {row.form}, {row.size}" for row in wanted.values()
    ]
    for k, n in enumerate(more):
        values = [results.speedup(row.case, n) or 0.0 for row in wanted.values()]
        axis.plot(values, range(len(values)), "o", color="#2a8c82" if k == 0 else "#5b7fc7", label=f"{n} threads", markersize=5)
        axis.axvline(n, color=GRID, linewidth=1, linestyle=":")
    axis.axvline(1, color=GRID, linewidth=1)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_xlim(0.0, max(max(more), *(results.speedup(row.case, n) or 0.0 for row in wanted.values() for n in more)) + 0.2)
    axis.set_ylim(len(wanted) - 0.4, -0.6)
    axis.grid(True, axis="x", alpha=0.5, linewidth=0.6)
    axis.set_xlabel(f"times as fast as on one thread ({', '.join(map(str, more))} threads)")
    note = "The largest case of every form; the dotted line is perfect scaling. Jobs at the limit of shared memory cannot reach it."
    return Picture("By threads", note, _svg(figure, "speed by number of threads"))


def pictures(results: Results) -> list[Picture]:
    """All curves that this run has points for; none without matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return []
    return [picture for make in (by_size, by_walks, by_dimension, by_threads) if (picture := make(results)) is not None]
