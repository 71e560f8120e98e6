"""The two spaces a row is completed in: normal scores, or standardized columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..normal_scores import TIED_BELOW, NormalScores

Float = NDArray[np.float64]

SPACES = ("scores", "standard")


class Space:
    """Training rows as points of one space, and the way there and back for other rows."""

    def __init__(self, name: str, rows: Float) -> None:
        self.name = name
        self._scores = NormalScores() if name == "scores" else None
        self._mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        self._low, self._high = rows.min(axis=0), rows.max(axis=0)
        self._levels: dict[int, Float] = {}
        if self._scores is not None:
            self.points = self._scores._fit_rows(rows)
            return
        self.points = (rows - self._mean) / self._deviation
        ordered = np.sort(rows, axis=0)
        n_distinct = 1 + np.count_nonzero(ordered[1:] != ordered[:-1], axis=0)
        for j in np.flatnonzero(n_distinct < TIED_BELOW * len(rows)):
            self._levels[int(j)] = np.unique(ordered[:, j])

    def scores(self, rows: Float) -> Float:
        if self._scores is not None:
            return self._scores._scores(rows)
        scores: Float = (rows - self._mean) / self._deviation
        return scores

    def values(self, scores: Float, columns: NDArray[np.intp]) -> Float:
        """Values (m, len(columns)) of scores of these columns; tied columns on observed levels, nothing outside the training range.

        The ends are those of the training rows in both spaces: a regression's tail must not invent a negative count.
        """
        if self._scores is not None:
            padded = np.zeros((len(scores), len(self._low)))
            padded[:, columns] = scores
            return self._scores._values(padded)[:, columns]
        values: Float = scores * self._deviation[columns] + self._mean[columns]
        np.clip(values, self._low[columns], self._high[columns], out=values)
        for place, j in enumerate(columns):
            levels = self._levels.get(int(j))
            if levels is not None:
                values[:, place] = levels[np.searchsorted(0.5 * levels[1:] + 0.5 * levels[:-1], values[:, place])]
        return values
