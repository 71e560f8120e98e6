"""The pictures of method.md, light and dark, drawn by the package itself: python docs/pictures.py writes docs/pictures/*.png."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import dualwalk as dw
from dualwalk import plots
from dualwalk.plots import DARK, LIGHT, NORMAL, SMALL, Theme

WIDTH, DOTS = 9.0, 120  # inches, and dots an inch
RUNGS = (4, 20, 120)  # neighbours
FRAMES = (0, 5, 20, 200)  # steps of the Langevin walk


def crescent(n: int = 300) -> Any:
    """Two columns that depend on each other and are not correlated in any simple way: (n, 2) points along an arc."""
    rng = np.random.default_rng(3)
    angle = 1.15 * np.pi * rng.random(n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.12 * rng.standard_normal((n, 2))


@dataclass
class Models:
    """Everything that is fitted, once for all pictures: on the crescent, and on vowels at every third time."""

    cv: int = 5
    every: int = 3

    @cached_property
    def points(self) -> Any:
        return crescent()

    @cached_property
    def shuffled(self) -> Any:
        return dw.permute_marginals(self.points, seed=1)

    @cached_property
    def divergence(self) -> dw.DualDivergence:
        return dw.DualDivergence(cv=self.cv, random_state=0).fit(self.points)

    @cached_property
    def vowels(self) -> Any:
        return dw.load_japanese_vowels().X[:, :, :: self.every]

    @cached_property
    def vowel_divergence(self) -> dw.DualDivergence:
        return dw.DualDivergence(cv=self.cv, random_state=0).fit(self.vowels)

    @cached_property
    def sampler(self) -> dw.DualSampler:
        return dw.DualSampler(random_state=0).fit(self.vowels)


def figure(theme: Theme, height: float, width: float = WIDTH) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor=theme.paper)


def scatter(axes: Any, points: Any, color: str, theme: Theme, *, title: str = "", size: float = 5) -> None:
    axes.scatter(points[:, 0], points[:, 1], s=size, color=color, linewidths=0)
    plots.dress(axes, theme, title=title, x="column 1", y="column 2")
    axes.set(xlim=(-1.4, 1.4), ylim=(-0.75, 1.4), aspect="equal")
    axes.label_outer()


def colorbar(picture: Any, axes: Any, theme: Theme, **options: Any) -> None:
    bar = picture.figure.colorbar(picture, ax=axes, **options)
    bar.ax.tick_params(colors=theme.muted, labelsize=SMALL)
    bar.outline.set_visible(False)


def marginals(models: Models, theme: Theme) -> Figure:
    """Data, the same values with every column shuffled by itself, and f, which tells them apart."""
    drawn = figure(theme, 2.7)
    left, middle, right = drawn.subplots(1, 3, sharey=True)
    scatter(left, models.points, theme.real, theme, title="data: p")
    scatter(middle, models.shuffled, theme.muted, theme, title="every column shuffled: q")
    low, high = models.points.min(axis=0), models.points.max(axis=0)
    across, up = np.linspace(low[0], high[0], 150), np.linspace(low[1], high[1], 120)
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    f = models.divergence.score_samples(grid.reshape(-1, 2)).reshape(grid.shape[:2])
    scatter(right, models.points, theme.ink, theme, title="f = log p / q (nats)", size=2)
    picture = right.pcolormesh(across, up, f, cmap=theme.signed, vmin=-3, vmax=3, shading="nearest", rasterized=True, zorder=0)
    colorbar(picture, right, theme, extend="both", shrink=0.8)
    return drawn


def dual_line(models: Models, theme: Theme) -> Figure:
    """f of every row on one line: clusters, cuts, end points; beside it f of the shuffled rows."""
    drawn = figure(theme, 2.6)
    model = models.divergence
    f = np.maximum(model.score_samples(models.shuffled), -4.5)
    plots.density(
        drawn.subplots(), model.dual_values_, model.labels_, end_points=model.end_points_, cuts=model.cuts_,
        valleys=model.cut_valleys_, generated=f, theme=theme,
    )  # fmt: skip
    return drawn


def walk_frames(models: Models, theme: Theme) -> Figure:
    """Langevin walks on f, from shuffled rows to the data."""
    model = models.divergence
    start = model.normal_scores_.transform(models.shuffled)
    walks = dw.walk(
        model.dual_,
        start,
        n_steps=FRAMES[-1],
        step_size=0.02,
        noise=1.0,
        base="normal",
        bounds=(-3.5, 3.5),
        seed=0,
        record=True,
    )
    drawn = figure(theme, 2.2)
    for axes, step in zip(drawn.subplots(1, len(FRAMES), sharex=True, sharey=True), FRAMES, strict=True):
        scatter(axes, models.points, theme.grid, theme)
        frame = model.normal_scores_.inverse_transform(walks.trajectory[:, step])
        title = "start: shuffled rows" if step == 0 else f"after {step} steps"
        scatter(axes, frame, theme.generated, theme, title=title, size=3)
    return drawn


def ladder(models: Models, theme: Theme) -> Figure:
    """One walk on the local dual functions, in small and in large neighbourhoods; arrows from start to new row."""
    drawn = figure(theme, 2.7)
    for axes, k in zip(drawn.subplots(1, len(RUNGS), sharex=True, sharey=True), RUNGS, strict=True):
        sampler = dw.DualSampler("local", n_neighbors=k, random_state=0).fit(models.points)
        with warnings.catch_warnings():  # the smallest neighbourhoods are there to show what near-copies look like
            warnings.simplefilter("ignore", dw.CopiedSamplesWarning)
            new, info = sampler.sample(300, return_info=True)
        scatter(axes, models.points, theme.real, theme)
        scatter(axes, new, theme.generated, theme, title=f"{k} neighbours, novelty {np.median(info.novelty):.2f}")
        start = models.points[info.start]
        for row in range(25):
            axes.annotate(
                "", new[row], start[row], arrowprops={"arrowstyle": "->", "color": theme.ink, "linewidth": 0.7, "shrinkA": 0}
            )
    return drawn


def series(models: Models, theme: Theme) -> Figure:
    """Real vowels, vowels with every pixel shuffled over the series, and generated ones."""
    real = models.vowels
    center, spread = real.mean(axis=(0, 2), keepdims=True), real.std(axis=(0, 2), keepdims=True)
    rows = (
        ("real", real[::45], theme.real),
        ("shuffled", dw.permute_marginals(real, seed=0)[::45], theme.muted),
        ("generated", models.sampler.sample(6), theme.generated),
    )
    drawn = figure(theme, 4.2)
    for line, (name, samples, color) in zip(drawn.subplots(3, 6, sharex=True, sharey=True), rows, strict=True):
        for axes, values in zip(line, samples, strict=True):
            plots.image(axes, ((values - center) / spread)[0], limit=2.5, theme=theme)
            for spine in axes.spines.values():
                spine.set(visible=True, color=color, linewidth=1.6)
        line[0].set_ylabel(f"{name}\nchannel", color=color, fontsize=NORMAL)
    return drawn


def graph(models: Models, theme: Theme) -> Figure:
    """Who leans on whom: columns at their channel and time, and nats summed from channel to channel."""
    drawn = figure(theme, 3.6)
    left, right = drawn.subplots(1, 2, width_ratios=(1.7, 1))
    shape = models.vowels.shape[1:]
    found = models.vowel_divergence.dependence_graph_
    assert found is not None
    plots.dependence_graph(
        left, found, feature_shape=shape, min_nats=0.1, title="parents (time across, channel down)", theme=theme
    )
    picture = plots.between_channels(right, found, shape, title="nats between channels", theme=theme)
    colorbar(picture, right, theme)
    return drawn


def terms(models: Models, theme: Theme) -> Figure:
    """The terms of f of an ordinary series, and of the same one with a fault."""
    ordinary = dw.load_japanese_vowels().X_test[:1, :, :: models.every]
    faulty = ordinary.copy()
    time = faulty.shape[2] // 2 + 1
    faulty[0, 4, time] = models.vowels[:, 4, time].max()
    model = models.vowel_divergence
    both = model.node_terms(np.concatenate([ordinary, faulty]))
    limit = float(np.abs(both).max())
    drawn = figure(theme, 2.9)
    for axes, values, name in zip(
        drawn.subplots(1, 2), both, ("an ordinary series", f"channel 5 spoiled at time {time + 1}"), strict=True
    ):
        title = f"{name}: f = {values.sum():.0f} nats"
        picture = plots.image(axes, values, limit=limit, title=title, theme=theme)
    colorbar(picture, drawn.axes, theme)
    return drawn


def interpolation(models: Models, theme: Theme) -> Figure:
    """A path from a series of the lowest cluster into the highest, frame by frame, with f along the way."""
    model = models.vowel_divergence
    first = int(np.argmin(model.dual_values_))
    found = models.sampler.interpolate(models.vowels[first][None], len(model.cuts_), n_frames=7, divergence=model)
    center, spread = models.vowels.mean(axis=(0, 2))[:, None], models.vowels.std(axis=(0, 2))[:, None]
    drawn = figure(theme, 3.6)
    axes = drawn.subplot_mosaic([[*range(7)], ["f"] * 7], height_ratios=(1, 1.2))
    frames = (found.frames[0] - center) / spread
    plots.interpolation([axes[k] for k in range(7)], axes["f"], frames, found.f[0], cuts=found.cuts, limit=2.5, theme=theme)
    return drawn


PICTURES: dict[str, Callable[[Models, Theme], Figure]] = {
    "marginals": marginals,
    "dual-line": dual_line,
    "walk-frames": walk_frames,
    "ladder": ladder,
    "series": series,
    "graph": graph,
    "terms": terms,
    "interpolation": interpolation,
}


def draw(folder: Path, models: Models, themes: Iterable[tuple[str, Theme]] = (("", LIGHT), ("-dark", DARK))) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for ending, theme in themes:
        for name, picture in PICTURES.items():
            drawn = picture(models, theme)
            drawn.savefig(folder / f"{name}{ending}.png", dpi=DOTS, facecolor=theme.paper, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures", Models())
