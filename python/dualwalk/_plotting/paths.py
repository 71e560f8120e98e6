"""A new sample among the real ones it came from, what moved, and the frames of a path between clusters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from . import arguments
from .arguments import numbers, positive, takes
from .frame import LIGHT, SMALL, Float, Theme, dress, image, images

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


@takes(sample=numbers(1, 2), neighbors=numbers(2, 3), channel=_checks.count)
def among_neighbors(
    axes: Axes, sample: ArrayLike, neighbors: ArrayLike, *, channel: int = 0, title: str = "", theme: Theme = LIGHT
) -> None:
    """One channel of a new sample (the shape of a sample) over the same channel of real ones (k, ...), the nearest first."""
    if np.shape(neighbors)[1:] != np.shape(sample):
        raise ValueError(
            f"neighbors must have the shape of the sample, {np.shape(sample)}; got shape {np.shape(neighbors)} (pass (k, ...))"
        )
    new, real = images([np.asarray(sample)])[0], images(neighbors)
    channel = _checks.count(channel, "channel", limit=len(new))
    new, real = new[channel], real[:, channel]
    times = np.arange(1, len(new) + 1)
    look: dict[str, Any] = {"marker": "o", "markersize": 4} if len(new) == 1 else {}
    for k, line in list(enumerate(real))[::-1]:
        label = "its nearest real sample" if k == 0 else "the next nearest real ones" if k == 1 else None
        width, alpha = (1.8, 1.0) if k == 0 else (0.9, 0.45)
        axes.plot(times, line, color=theme.real, linewidth=width, alpha=alpha, label=label, **look)
    axes.plot(times, new, color=theme.generated, linewidth=1.8, label="generated sample", **look)
    dress(axes, theme, title=title)
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])


@takes(values=numbers(1, 2), limit=positive)
def changes(
    axes: Axes, values: ArrayLike, *, limit: float | None = None, title: str = "", theme: Theme = LIGHT
) -> AxesImage | None:
    """Signed values in the shape of a sample: an image of channels x times, or bars where there is one channel.

    Colours and bars run to +-`limit`. Returns the image, for a colour bar; None for bars.
    """
    pixels = images([np.asarray(values)])[0]
    if len(pixels) > 1:
        return image(axes, pixels, limit=limit, title=title, theme=theme)
    top = (float(np.abs(pixels).max()) if limit is None else limit) or 1.0
    colors = theme.signed(np.where(pixels[0] < 0, 0.0, 1.0))
    axes.bar(np.arange(1, pixels.shape[1] + 1), pixels[0], 0.9, color=colors, linewidth=0)
    dress(axes, theme, title=title)
    axes.axhline(0, color=theme.muted, linewidth=0.8)
    axes.set(ylim=(-1.08 * top, 1.08 * top), xlim=(0.4, pixels.shape[1] + 0.6))
    return None


@takes(f_axes=arguments.axes, frames=numbers(2, 3), f=numbers(1), cuts=numbers(1, empty=True), limit=positive)
def interpolation(
    frame_axes: Sequence[Axes],
    f_axes: Axes,
    frames: ArrayLike,
    f: ArrayLike,
    *,
    cuts: ArrayLike = (),
    limit: float | None = None,
    theme: Theme = LIGHT,
) -> AxesImage | None:
    """A path frame by frame, (n_frames, *shape) on as many axes, and below them f along the way (n_frames,) with the clusters.

    Frames are images of channels x times with colours to +-`limit` (pass standardized values), or lines where there is one
    channel, from the colour of real samples at both ends to that of generated ones between. Returns the last image, for a
    colour bar; None for lines.
    """
    pixels = images(frames)
    heights = np.asarray(f, dtype=np.float64)
    arguments.same_length(heights, "f", pixels, "frames")
    own_axes = [arguments.axes(axes, "frame_axes") for axes in np.ravel(np.asarray(frame_axes, dtype=object))]
    if len(own_axes) != len(pixels):
        raise ValueError(f"frame_axes must be axes for each of {len(pixels)} frames; got {len(own_axes)} (one for each frame)")
    places = np.arange(1, len(pixels) + 1)
    top = (float(np.abs(pixels).max()) if limit is None else limit) or 1.0
    edge = theme.real, theme.generated
    colors = [edge[0 if k in (0, len(pixels) - 1) else 1] for k in range(len(pixels))]
    picture = None
    for axes, values, color in zip(own_axes, pixels, colors, strict=True):
        if len(values) > 1:
            picture = image(axes, values, limit=top, theme=theme)
            axes.set_xticks([0, values.shape[1] - 1], ["1", str(values.shape[1])])  # there is room for two
        else:
            axes.plot(np.arange(1, values.shape[1] + 1), values[0], color=color, linewidth=1.4)
            dress(axes, theme)
            margin = 0.06 * float(np.ptp(pixels)) or 1.0
            axes.set_ylim(pixels.min() - margin, pixels.max() + margin)
        for spine in axes.spines.values():
            spine.set(visible=True, color=color, linewidth=1.4)
    _f_along(f_axes, places, heights, np.sort(np.asarray(cuts, dtype=np.float64)), colors, theme)
    return picture


def _f_along(axes: Axes, places: Any, f: Float, cuts: Float, colors: list[str], theme: Theme) -> None:
    low, high = float(f.min()), float(f.max())
    margin = 0.14 * (high - low) or 1.0
    low, high = low - margin, high + margin
    shown = [low, *cuts[(cuts > low) & (cuts < high)].tolist(), high]
    first = int((cuts <= low).sum())
    for k, (bottom, ceiling) in enumerate(pairwise(shown)):
        if len(cuts):
            axes.axhspan(bottom, ceiling, color=theme.cluster(first + k, len(cuts) + 1), alpha=0.22, linewidth=0)
            if ceiling - bottom > 0.09 * (high - low):
                middle = 0.5 * (bottom + ceiling)
                right = abs(middle - f[-1]) >= abs(middle - f[0])  # the end that the path is farther from
                axes.annotate(
                    f"cluster {first + k + 1}", (float(right), middle), xycoords=("axes fraction", "data"),
                    xytext=(-6 if right else 6, 0), textcoords="offset points", va="center",
                    ha="right" if right else "left", fontsize=SMALL, color=theme.muted,
                )  # fmt: skip
    axes.plot(places, f, color=theme.generated, linewidth=1.4, zorder=3)
    axes.scatter(places, f, s=30, color=colors, zorder=4)
    dress(axes, theme, x="frame", y="f (nats)", grid=False)
    axes.set(xlim=(0.5, len(f) + 0.5), ylim=(low, high), xticks=list(places))
