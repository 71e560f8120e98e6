"""The dual function of fitted blocks, averaged over folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._blas import one_blas_thread
from .._model_file.saved import Saved
from .term import BlockTerm

Floats = NDArray[np.float64]


class BlocksDual(Saved):
    """f(z) = sum over blocks of a log-ratio of the block given the blocks before it, on normal scores, in nats.

    Made by fits with blocks. `folds` holds every fold's terms, one for each block but the first; f is the average over
    folds, and a term is at most the log of the rows in its grid plus one. float64; equal rows have equal values. Picklable.
    """

    def __init__(self, folds: list[list[BlockTerm]], n_features: int) -> None:
        self.folds = [list(terms) for terms in folds]
        self.n_features = n_features

    @one_blas_thread()
    def terms(self, x: ArrayLike) -> Floats:
        """Each column's share of f: (n, n_features), nats; a block's term is shared equally over its columns."""
        z = self._rows(x)
        total = np.zeros((len(z), self.n_features))
        for terms in self.folds:
            for term in terms:
                columns = term.blocks[1].columns
                total[:, columns] += (term.values(z) / len(columns))[:, None]
        return total / max(1, len(self.folds))

    @one_blas_thread()
    def value(self, x: ArrayLike) -> Floats:
        """f of every row: (n,), nats."""
        z = self._rows(x)
        total = np.zeros(len(z))
        for terms in self.folds:
            for term in terms:
                total += term.values(z)
        return total / max(1, len(self.folds))

    def gradient(self, x: ArrayLike) -> Floats:
        """Gradient of f by the normal scores: (n, n_features), nats per unit."""
        return self.value_and_gradient(x)[1]

    @one_blas_thread()
    def value_and_gradient(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """f (n,) and its gradient (n, n_features)."""
        z = self._rows(x)
        value, gradient = np.zeros(len(z)), np.zeros(z.shape)
        for terms in self.folds:
            for term in terms:
                part, slope = term.value_and_gradient(z)
                value += part
                gradient += slope
        count = max(1, len(self.folds))
        return value / count, gradient / count

    def _rows(self, x: ArrayLike) -> Floats:
        return _checks.samples(x, "x", feature_shape=(self.n_features,), min_samples=0)[0]
