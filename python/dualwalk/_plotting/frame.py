"""The look of every picture: colours, axes, images of channels x times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .arguments import numbers, positive, takes, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage

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

        k, n = _checks.count(k, "k"), _checks.count(n, "n", minimum=1)
        ends = list(self.clusters)  # matplotlib 3.8 takes a tuple of two for a colour and its alpha
        return LinearSegmentedColormap.from_list("clusters", ends)(k / max(n - 1, 1))

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


@takes(x=text, y=text, grid=_checks.flag)
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


@takes()
def legend(axes: Axes, theme: Theme, **options: Any) -> None:
    """A frameless legend in the theme's ink."""
    axes.legend(fontsize=SMALL, frameon=False, labelcolor=theme.ink, **options)


@takes(X=numbers(2, 3, empty=True, finite=False))
def images(X: ArrayLike) -> Float:
    """Samples as (n_samples, n_channels, n_times): features without channels are one channel."""
    array = np.asarray(X, dtype=np.float64)
    return array[:, None, :] if array.ndim == 2 else array


@takes(values=numbers(1, 2), limit=positive, signed=_checks.flag)
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
        set_ticks(ticks(n), [str(k + 1) for k in ticks(n)])
    return picture


def ticks(n: int) -> list[int]:
    step = next(s for s in (1, 2, 3, 5, 10, 20, 25, 50, 100, 200, 500, 10**9) if n / s <= 6)
    return [*([0] if step != 2 else []), *range(max(step - 1, 1), n, step)] if n > 1 else [0]
