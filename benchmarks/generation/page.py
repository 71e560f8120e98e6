"""The benchmark as one self-contained HTML page: the table of costs, and for every set real and generated samples side by side."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from generators import METHODS
from matplotlib.figure import Figure
from series import Series

from .runs import SECOND_REAL
from .tables import COLUMNS, Runs, mean, spread, title, values

N_SHOWN = 8
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1400px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2.2em; } img { max-width: none; height: 15em; } img.low { height: 8.5em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
td, th { padding: 3px 9px; text-align: right; border-bottom: 1px solid #e4e4e4; } th { font-weight: 600; }
td:first-child, th:first-child { text-align: left; } .best { font-weight: 700; } .ours { background: #eaf2fb; }
.floor { color: #777; } p { max-width: 75ch; }
"""
LEGEND = """Every method saw the training rows only and drew 300 samples; judges compare these with held-out real ones.
cost = |rf - .5| + |nnc - .5| + (1 - coverage) / 2 + |auth - 1| / 2: 0 is perfect, the lowest of a row is in bold, and a second
real sample (grey) shows what can be reached. rf: a random forest tells generated from held-out rows (.5 is perfect). nnc: the
same from distances to the training rows alone (1 for copies and for noise). auth: distance to the nearest training row over
that of held-out rows. copies: share of samples nearer to a training row than the nearest 5 % of held-out rows."""


def write(path: Path, runs: Runs, sets: Mapping[str, Series], methods: list[str], cache: Path) -> None:
    """The page for these runs; pictures show the samples of seed 0 in the cache."""
    parts = [f"<h1>Generators against held-out samples</h1><p>{html.escape(LEGEND)}</p>"]
    parts.append(f'<div class="wide">{cost_table(runs, sets, methods)}</div>')
    for name, data in sets.items():
        caption = f"{name}: {data.shape}, {len(data.X_test)} held out"
        parts.append(f"<h2>{html.escape(caption)}</h2><p>{html.escape(data.source)}</p>")
        source, n_rows = picture(data, methods, cache)
        low = ' class="low"' if n_rows == 1 else ""
        parts.append(f'<div class="wide"><img{low} alt="samples of {html.escape(name)}" src="{source}"></div>')
        parts.append(f'<div class="wide">{score_table(runs, name, methods)}</div>')
    head = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Generators</title><style>{STYLE}</style>"
    path.write_text(head + "\n".join(parts) + "</html>\n", encoding="utf-8")


def look(method: str, best: bool = False) -> str:
    kinds = [("floor", method == SECOND_REAL), ("ours", method.startswith("dualwalk")), ("best", best)]
    return " ".join(kind for kind, holds in kinds if holds)


def cost_table(runs: Runs, sets: Mapping[str, Series], methods: list[str]) -> str:
    shown = [method for method in methods if any(len(values(runs[name, method], "cost")) for name in sets)]
    rows = ["<tr><th>set</th>" + "".join(f'<th class="{look(method)}">{title(method)}</th>' for method in shown) + "</tr>"]
    for name in sets:
        costs = {method: mean(runs[name, method], "cost") for method in shown}
        rivals = [cost for method, cost in costs.items() if method != SECOND_REAL and np.isfinite(cost)]
        best = min(rivals, default=np.nan)
        cells = "".join(
            f'<td class="{look(method, cost == best and method != SECOND_REAL)}">{"" if np.isnan(cost) else f"{cost:.2f}"}</td>'
            for method, cost in costs.items()
        )
        rows.append(f"<tr><td>{html.escape(name)}</td>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def score_table(runs: Runs, name: str, methods: list[str]) -> str:
    heads = ["method", *COLUMNS.values(), "fit s", "µs a sample"]
    rows = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for method in methods:
        done = [run for run in runs[name, method] if run.scores]
        if not done:
            continue
        cells = [title(method), *(spread(values(done, score)) for score in COLUMNS)]
        times = [np.mean([getattr(run, what) for run in done]) for what in ("fit_seconds", "sample_microseconds")]
        cells += ["" if np.isnan(number) else f"{number:.2f}" if number < 10 else f"{number:,.0f}" for number in times]
        rows.append(f'<tr class="{look(method)}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(rows)}</table>"


def picture(data: Series, methods: list[str], cache: Path) -> tuple[str, int]:
    """Real and generated samples in columns, as a data URL: some series of the first channel, below them one whole sample.

    Also the number of rows of pictures. Copies are left out, and the methods with classes, which look like those without.
    """
    columns = {"held out": data.X_test, "training": data.X_train}
    for method in sorted(methods, key=lambda method: method != "dualwalk"):  # ours beside the real ones
        path = cache / data.name / f"{method}-0.npz"
        if method not in (SECOND_REAL, "copies") and not METHODS[method].with_classes and path.exists():
            with np.load(path) as stored:
                columns[title(method)] = stored["X"].astype(np.float64)
    shape = data.X_train.shape[1:]
    side = math.isqrt(shape[0])
    as_images = len(shape) == 1 and side >= 4 and side * side == shape[0]
    n_rows = 2 if len(shape) == 2 and shape[0] > 1 else 1
    figure = Figure(figsize=(1.55 * len(columns), 1.6 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, len(columns), squeeze=False)
    known = data.X_train if data.X_train.ndim == 3 else data.X_train[:, None]
    low, high = known[:, 0].min(), known[:, 0].max()
    middle, unit = known.mean(axis=(0, 2))[:, None], known.std(axis=(0, 2))[:, None] + 1e-12
    for column, (name, rows) in zip(axes.T, columns.items(), strict=True):
        chosen = rows[np.random.default_rng(0).permutation(len(rows))[:N_SHOWN]]
        series = chosen if chosen.ndim == 3 else chosen[:, None]
        colour = "#444444" if name in ("held out", "training") else "#1f6fb4" if name.startswith("dualwalk") else "#b4631f"
        column[0].set_title(name, fontsize=8)
        if as_images:
            tiles = chosen[:4].reshape(2, 2, side, side).transpose(0, 2, 1, 3).reshape(2 * side, 2 * side)
            column[0].imshow(tiles, cmap="gray_r", vmin=low, vmax=known.max())
        else:
            column[0].plot(series[:, 0].T, color=colour, linewidth=0.7, alpha=0.8)
            column[0].set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        if n_rows == 2:
            column[1].imshow(
                (series[0] - middle) / unit, aspect="auto", cmap="RdBu_r", vmin=-2.5, vmax=2.5, interpolation="nearest"
            )
        for axis in column:
            axis.set_xticks([])
            axis.set_yticks([])
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode(), n_rows
