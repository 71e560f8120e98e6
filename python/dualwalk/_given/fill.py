"""Serve whole arrays: rows grouped by what is known of them, settings chosen once a pattern or once a kind of pattern."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from .._neighbors import column_scale
from .._random import generator
from .choice import Chosen, choose
from .conditional import Conditional
from .precision import LEAST_RHO, MOST_COLUMNS, PatternRegression, Shrunk
from .regression import AnyRegression, Regression
from .settings import Frame, Part, label_columns
from .space import SPACES, Space
from .target import Mask, Target

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# More patterns than this: one choice for every fifth of the known share, made on the middle pattern.
MOST_CHOICES = 4
N_KINDS = 5
NUMBERS_AT_A_TIME = 2**22
ROWS_AT_A_TIME = 256


class Completer:
    """Draws the unknown values of rows given their known ones, from training rows with labels and groups (or None).

    A pure function of the training rows, the rows to complete and the seed.
    """

    def __init__(
        self, rows: Float, feature_shape: tuple[int, ...], codes: Index | None, groups: Index | None, seed: int
    ) -> None:
        self._rows, self._shape, self._seed = rows, feature_shape, seed
        self._codes, self._group_codes = codes, groups
        self._n_classes = 0 if codes is None else int(codes.max()) + 1
        self._groups = None if groups is None else [np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)]
        self._shared: list[tuple[Space, Target]] = []
        self._chosen: dict[tuple[bytes, bool], Chosen] = {}
        self._precisions: dict[tuple[str, str, float], Shrunk] = {}

    def complete(self, rows: Float, codes: Index | None, n_draws: int, seed: int) -> tuple[Float, tuple[Chosen, ...]]:
        """(n_draws, m, d) with every NaN of rows (m, d) drawn, and what was chosen; `codes` are the rows' classes, if known.

        Rows of which nothing is known come back as they are.
        """
        known = ~np.isnan(rows)
        out = np.tile(rows, (n_draws, 1, 1))
        masks, pattern = np.unique(known, axis=0, return_inverse=True)
        pattern = pattern.reshape(-1)
        ours = [p for p, mask in enumerate(masks) if mask.any() and not mask.all()]
        frames = self._frames(codes is not None) if ours else {}
        chosen = self._choices(frames, masks, ours, codes is not None)
        for p in ours:
            members = np.flatnonzero(pattern == p)
            mask = masks[p]
            stream = generator(seed, "given", zlib.crc32(mask.tobytes()))
            frame = frames[chosen[p].settings.space]
            conditional = Conditional(frame, mask, chosen[p].settings, self._quick(frame, mask, len(ours)))
            unknown = np.flatnonzero(~mask)
            for part in _parts(members, n_draws * len(unknown)):
                z = frame.space.scores(np.where(mask, rows[part], self._rows[0]))[:, mask]
                extra = np.zeros((len(part), 0)) if codes is None else label_columns(codes[part], self._n_classes)
                drawn = conditional.walk(z, extra, n_draws, stream)
                excess = frame.space.excess(z, np.flatnonzero(mask))
                out[:, part[:, None], unknown] = frame.space.values(drawn, unknown, excess)
        self._precisions = {}
        return out, tuple(dict.fromkeys(chosen.values()))

    def nearest(self, rows: Float, codes: Index | None) -> Index:
        """(m,): the training row nearest to every row in what is known of it, of the row's class if that is known."""
        scale = column_scale(self._rows)
        nearest = np.empty(len(rows), dtype=np.intp)
        for i, row in enumerate(rows):
            known = ~np.isnan(row)
            squares = (((self._rows[:, known] - row[known]) / scale[known]) ** 2).sum(axis=1)
            if codes is not None and self._codes is not None:
                squares[self._codes != codes[i]] = np.inf
            nearest[i] = squares.argmin()
        return nearest

    def _quick(self, frame: Frame, mask: Mask, n_patterns: int) -> Callable[[Part], AnyRegression] | None:
        """Where patterns are many, all are read off one inverse of the covariance for every setting."""
        if n_patterns <= MOST_CHOICES or frame.points.shape[1] > MOST_COLUMNS:
            return None

        def regress(part: Part) -> AnyRegression:
            if part.rho < LEAST_RHO:
                return Regression(frame.points, mask, frame.target, part.target, frame.extra, frame.groups)
            key = frame.space.name, part.target, part.rho
            if key not in self._precisions:
                self._precisions[key] = Shrunk(frame, part.target, part.rho)
            return PatternRegression(self._precisions[key], mask)

        return regress

    def _frames(self, with_labels: bool) -> dict[str, Frame]:
        if not self._shared:
            spaces = [Space(name, self._rows) for name in SPACES]
            self._shared = [(space, Target(space.points, self._shape)) for space in spaces]
        n_times = self._shape[1] if len(self._shape) == 2 else 1
        channels = np.arange(self._rows.shape[1]) // n_times
        extra = np.zeros((len(self._rows), 0))
        if with_labels and self._codes is not None:
            extra = label_columns(self._codes, self._n_classes)
        return {
            space.name: Frame(space, target, channels, extra, self._groups, self._group_codes) for space, target in self._shared
        }

    def _choices(
        self, frames: dict[str, Frame], masks: NDArray[np.bool_], ours: list[int], with_labels: bool
    ) -> dict[int, Chosen]:
        if len(ours) <= MOST_CHOICES:
            return {p: self._choose(frames, masks[p], with_labels) for p in ours}
        share = masks.mean(axis=1)
        kinds: dict[int, list[int]] = {}
        for p in sorted(ours, key=lambda p: (share[p], p)):
            kinds.setdefault(min(int(share[p] * N_KINDS), N_KINDS - 1), []).append(p)
        chosen = {}
        for alike in kinds.values():
            chosen.update(dict.fromkeys(alike, self._choose(frames, masks[alike[len(alike) // 2]], with_labels)))
        return chosen

    def _choose(self, frames: dict[str, Frame], mask: Mask, with_labels: bool) -> Chosen:
        key = mask.tobytes(), with_labels
        if key not in self._chosen:
            self._chosen[key] = choose(frames.values(), self._rows, mask, self._seed)
        return self._chosen[key]


def _parts(members: Index, numbers_a_row: int) -> Iterator[Index]:
    size = max(1, min(ROWS_AT_A_TIME, NUMBERS_AT_A_TIME // max(1, numbers_a_row)))
    return (members[begin : begin + size] for begin in range(0, len(members), size))
