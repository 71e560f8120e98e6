"""The two spaces a row is completed in: normal scores, or standardized columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct
from ..normal_scores import NormalScores, tied_columns

Float = NDArray[np.float64]
Index = NDArray[np.intp]

SPACES = ("scores", "standard")


class Space:
    """Training rows as points of one space, and the way there and back for other rows."""

    def __init__(self, name: str, rows: Float) -> None:
        self.name = name
        self._scores: NormalScores | None = None
        self._levels: dict[int, Float] = {}
        self._mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        if name == "scores":
            self._scores = NormalScores()
            self.points = self._scores._fit_rows(rows)
        else:
            self.points = (rows - self._mean) / self._deviation
            ordered = np.sort(rows, axis=0)
            for j in np.flatnonzero(tied_columns(ordered)):
                self._levels[int(j)] = distinct(ordered[:, j])
        self._low, self._high = self.points.min(axis=0), self.points.max(axis=0)

    def scores(self, rows: Float) -> Float:
        if self._scores is not None:
            return self._scores._scores(rows)
        scores: Float = (rows - self._mean) / self._deviation
        return scores

    def excess(self, z_known: Float, columns: Index) -> Float:
        """(m,): how far the known scores of every row lie outside those of the training rows, at most."""
        beyond = np.maximum(z_known - self._high[columns], self._low[columns] - z_known)
        excess: Float = np.maximum(beyond.max(axis=1), 0.0)
        return excess

    def values(self, scores: Float, columns: Index, excess: Float | None = None) -> Float:
        """Values of scores (..., m, len(columns)) of these columns, tied columns on observed levels.

        Nothing goes further outside the training range than `excess` (m,), in deviations: a regression's tail does not invent a
        negative power, and a series that runs above all others can go on doing so.
        """
        if self._scores is not None:
            padded = np.zeros((scores.size // len(columns), len(self._low)))
            padded[:, columns] = scores.reshape(-1, len(columns))
            back: Float = self._scores._values(padded)[:, columns].reshape(scores.shape)
            return back
        reach = 0.0 if excess is None else excess[:, None]
        values: Float = np.clip(scores, self._low[columns] - reach, self._high[columns] + reach)
        values *= self._deviation[columns]
        values += self._mean[columns]
        for place, j in enumerate(columns):
            levels = self._levels.get(int(j))
            if levels is not None:
                values[..., place] = levels[np.searchsorted(0.5 * levels[1:] + 0.5 * levels[:-1], values[..., place])]
        return values
