"""How samples are laid out for the eye: rows of a picture against places along it, few enough to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._lazy import cached_property

Float = NDArray[np.float64]

MOST_ROWS, MOST_PLACES = 128, 256  # that are drawn; of more, every k-th


@dataclass(frozen=True)
class View:
    """The rows (channels) and places (times, or features where there are no channels or no times) of a picture of a sample.

    Series are drawn in the units of the data. Where there is one row of features, each feature has a unit of its own, so
    what is drawn is standard deviations. Names are those of the channels, or of the features.
    """

    X: NDArray[Any]
    names: tuple[str, ...] = ()

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """One sample's shape."""
        return self.X.shape[1:]

    @cached_property
    def is_series(self) -> bool:
        """Whether places are times."""
        return len(self.shape) == 2 and self.shape[1] > 1

    @cached_property
    def grid(self) -> NDArray[np.intp]:
        """The column number behind every pixel: (n_rows, n_places)."""
        d = int(np.prod(self.shape))
        whole = np.arange(d).reshape(self.shape if self.is_series else (1, d))
        return whole[:: -(-whole.shape[0] // MOST_ROWS), :: -(-whole.shape[1] // MOST_PLACES)]

    @property
    def thinned(self) -> str:
        """What is left out, in a sentence; empty where all is drawn."""
        d = int(np.prod(self.shape))
        if self.grid.size == d:
            return ""
        return f"Pictures show {self.grid.size} of the {d} values of a sample: every k-th channel and place, evenly spaced."

    @property
    def place(self) -> str:
        """What a place is."""
        return "time" if self.is_series else "channel" if len(self.shape) == 2 else "feature"

    @property
    def unit(self) -> str:
        """What lines are drawn in."""
        return "units of the data" if self.is_series else "standard deviations"

    @property
    def row_numbers(self) -> list[int]:
        """The channel of every row, counted from 1."""
        return [int(k) // self.shape[1] + 1 for k in self.grid[:, 0]] if self.is_series else [1]

    @property
    def row_names(self) -> list[str]:
        """The name of every row; empty where there is only one and it has none."""
        if not self.is_series:
            return [""]
        if self.shape[0] == 1 and not self.names:
            return [""]
        return [self.channel(k - 1) for k in self.row_numbers]

    @property
    def place_numbers(self) -> list[int]:
        """The time, or feature, of every place, counted from 1."""
        return [int(k) % self.shape[-1] + 1 if self.is_series else int(k) + 1 for k in self.grid[0]]

    def channel(self, k: int) -> str:
        """The name of channel (or feature) k, from 0."""
        return self.names[k] if self.names else f"{'feature' if len(self.shape) == 1 else 'channel'} {k + 1}"

    def column(self, k: int) -> str:
        """The name of column k, from 0: where it stands in a sample."""
        if not self.is_series:
            return self.channel(k)
        channel, time = divmod(k, self.shape[1])
        only = self.shape[0] == 1 and not self.names
        return f"time {time + 1}" if only else f"{self.channel(channel)}, time {time + 1}"

    @cached_property
    def _moments(self) -> tuple[Float, Float]:
        """Mean and standard deviation of every row over all real samples and times (of every feature): (n_rows, 1 or n_places)."""
        real = self._drawn(self.X)
        pooled = (0, 2) if self.is_series else (0,)
        deviation = real.std(axis=pooled, keepdims=True)[0]
        return real.mean(axis=pooled, keepdims=True)[0], np.where(deviation > 0, deviation, 1.0)

    def _drawn(self, X: ArrayLike) -> Float:
        rows = np.asarray(X)
        return rows.reshape(len(rows), -1)[:, self.grid].astype(np.float64)

    def lines(self, X: ArrayLike) -> Float:
        """Samples as lines are drawn: (n, n_rows, n_places), in `unit`."""
        return self._drawn(X) if self.is_series else self.colors(X)

    def colors(self, X: ArrayLike) -> Float:
        """Samples as colours are drawn: (n, n_rows, n_places), in standard deviations of the channel (feature)."""
        mean, deviation = self._moments
        return (self._drawn(X) - mean) / deviation

    def parts(self, values: ArrayLike) -> Float:
        """Something else with a number for every value of a sample, such as terms of f: (n, n_rows, n_places), as it is."""
        return self._drawn(values)

    def scale(self) -> tuple[Float, Float]:
        """Mean and deviation with which lines become colours: (n_rows,) each."""
        mean, deviation = self._moments
        n = len(self.grid)
        return (mean[:, 0], deviation[:, 0]) if self.is_series else (np.zeros(n), np.ones(n))


def checked_names(names: Sequence[str] | None, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The names as strings; ValueError where they are not one a channel (feature)."""
    if names is None:
        return ()
    wanted = f"channel_names must be {shape[0]} names, one a channel (or feature)"
    found = [] if isinstance(names, (str, bytes, dict)) or not np.iterable(names) else list(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise ValueError(f"{wanted}; got {names!r:.80} (pass a list of str, or leave them out for numbers)")
    if len(found) != shape[0]:
        raise ValueError(f"{wanted}; got {len(found)} (leave them out for numbers)")
    return tuple(found)
