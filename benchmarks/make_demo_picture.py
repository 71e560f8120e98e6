"""Draw docs/demo.png, the README's picture: real beside generated vowels and their dual space, fitted as in the README's example.

And demo-dark.png beside it, for the dark pages of the documentation.

python benchmarks/make_demo_picture.py [docs/demo.png]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dualwalk import plots
from dualwalk.datasets import load_japanese_vowels
from dualwalk.estimator import DualDivergence
from dualwalk.plots import DARK, LIGHT, Theme
from dualwalk.report.story import Story, tell
from dualwalk.sampler import DualSampler

TARGET = Path(__file__).parent.parent / "docs" / "demo.png"
SMALL = 8.5


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    vowels = load_japanese_vowels()
    divergence = DualDivergence(random_state=0).fit(vowels.X)
    sampler = DualSampler(random_state=0).fit(vowels.X)
    story = tell(sampler, divergence, vowels.X, sampler.sample(300))
    for path, theme in ((target, LIGHT), (target.with_stem(f"{target.stem}-dark"), DARK)):
        cover(story, theme).savefig(path, format="png", dpi=160, metadata={"Software": None}, facecolor=theme.paper)
        print(f"{path}: {path.stat().st_size} bytes")
    return 0


def cover(story: Story, theme: Theme) -> Figure:
    """Real beside generated samples, and the dual space under both."""
    figure = Figure(figsize=(9.0, 5.6), dpi=100, layout="constrained", facecolor=theme.paper)
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(3, 2.4)))
    for part in (upper, lower):
        part.set_facecolor(theme.paper)
    _samples(upper, story, theme)
    model, axes = story.divergence, lower.subplots()
    marks: dict[str, Any] = {"end_points": model.end_points_, "cuts": model.cuts_, "valleys": model.cut_valleys_}
    plots.density(axes, model.dual_values_, model.labels_, generated=story.f_generated, theme=theme, **marks)
    look = {"color": theme.ink, "linewidth": 1.1}
    entries = [
        Patch(color=theme.cluster(1, 3), label="real samples"),
        Line2D([], [], color=theme.generated, linewidth=1.6, label="generated samples"),
        Line2D([], [], color=theme.ink, linewidth=1.6, label="end points"),
    ]
    if model.cut_valleys_.any():
        entries.append(Line2D([], [], label="cut, at a valley", **look))
    if not model.cut_valleys_.all():
        entries.append(Line2D([], [], linestyle=(0, (3, 3)), label="cut, no valley", **look))
    axes.legend(handles=entries, loc="center left", fontsize=SMALL, frameon=False, labelcolor=theme.ink)
    return figure


def _samples(figure: Any, story: Story, theme: Theme) -> None:
    """Five real samples above five generated ones, at the same percentiles of f, on one scale."""
    rows = [
        ("real", story.X[story.shown_real], theme.real),
        ("generated", story.generated[story.shown_generated], theme.generated),
    ]
    axes = figure.subplots(len(rows), len(story.shown_real), sharex=True, sharey=True)
    for i, (name, samples, color) in enumerate(rows):
        for axis, values in zip(axes[i], story.view.colors(samples), strict=True):
            picture = plots.image(axis, values, limit=2.5, theme=theme)
            for spine in axis.spines.values():
                spine.set(visible=True, color=color, linewidth=1.6)
        axes[i, 0].set_ylabel(f"{name}\nchannel", fontsize=SMALL, color=color)
    for axis in axes[-1]:
        axis.set_xlabel("time", fontsize=SMALL, color=theme.muted)
    bar = figure.colorbar(picture, ax=axes, pad=0.02, aspect=30, extend="both")
    bar.set_label("standard deviations", fontsize=SMALL, color=theme.muted)
    bar.ax.tick_params(colors=theme.muted, labelsize=SMALL, length=3)
    bar.outline.set_edgecolor(theme.grid)


if __name__ == "__main__":
    sys.exit(main())
