"""Second and third moments across columns or blocks: the statistics of `independence_test`.

A block has features phi (centred, orthonormal over the rows). With K_b(i, j) = sum of phi(i) phi(j) over the features of
block b, the sum of squared moments over all sets of two or three blocks is an elementary symmetric polynomial of the K_b,
and Newton's identities give those from the power sums p_r = sum_b K_b^r:

    sum over triples of (mean phi_a phi_b phi_c)^2 = mean over i, j of (p_1^3 - 3 p_1 p_2 + 2 p_3) / 6

so that no triple is ever visited. Pairs i = j are left out of the mean: they say nothing but add noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_BLOCK_FEATURES = 16  # of a block of several columns
_RUN = 1024  # rows whose pairs are compared with each other, at most
_PAIR_WORK = 2e9  # n_rows n_features^2 above which the pairs are summed by Gram matrix, and the strongest is not looked at
_TRIPLE_WORK = 2e9  # n_rows n_columns^3 above which the strongest triple is not looked at


def block_features(z: NDArray[np.float64], label: NDArray[np.int32]) -> tuple[Float, NDArray[np.int32]]:
    """Features of every block of normal scores `z`: (n_rows, n_features) float32, and each feature's block (n_features,).

    A single column has two, from z and |z| (one if |z| adds nothing, as with two levels). A block of several columns has the
    leading components of all its columns' features and their products. First features first: with single columns, the
    first n_columns features are the z.
    """
    blocks, owner = np.unique(label, return_inverse=True)
    first: list[NDArray] = []
    rest: list[NDArray] = []
    for b in range(len(blocks)):
        columns = z[:, owner == b]
        basis = _orthonormal(np.concatenate([columns, np.abs(columns)], axis=1)) if columns.shape[1] == 1 else _leading(columns)
        first.append(basis[:, :1])
        rest.append(basis[:, 1:])
    features = np.concatenate(first + rest, axis=1)
    owners = np.concatenate([np.arange(len(blocks)), np.repeat(np.arange(len(blocks)), [part.shape[1] for part in rest])])
    return np.ascontiguousarray(features, dtype=np.float32), owners.astype(np.int32)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred columns, each made orthogonal to those before it, of mean square 1; what has nothing new is dropped."""
    kept: list[NDArray] = []
    for column in columns.T:
        left = column - column.mean()
        size = left @ left
        for other in kept:
            left = left - (left @ other) / len(left) * other
        if left @ left > 1e-6 * size:
            kept.append(left * np.sqrt(len(left) / (left @ left)))
    return np.stack(kept, axis=1)


def _leading(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leading principal components of the features z and |z| of `columns` and of all products of two of them."""
    singles = np.concatenate([_orthonormal(np.stack([c, np.abs(c)], axis=1)) for c in columns.T], axis=1)
    gram = singles @ singles.T / singles.shape[1]
    gram = gram + 0.5 * gram * gram  # the square is the Gram matrix of all products
    gram = gram - gram.mean(axis=0)
    gram = gram - gram.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(gram)
    count = min(_BLOCK_FEATURES, int((values > 1e-9 * values[-1]).sum()))
    return np.asarray(vectors[:, -count:][:, ::-1] * np.sqrt(len(columns)))


class Moments:
    """The statistics of features `(n_rows, n_features)`, whose blocks are `owner`: called once for every permutation."""

    def __init__(self, n_rows: int, owner: NDArray[np.int32]) -> None:
        self.n_blocks = int(owner.max()) + 1
        self._members = [np.flatnonzero(owner == b) for b in range(self.n_blocks)]
        self._single = max(len(members) for members in self._members) <= 2
        self._all_pairs = n_rows * len(owner) ** 2 <= _PAIR_WORK
        self._between = owner[:, None] != owner if self._all_pairs else None
        triples = self.n_blocks >= 3
        self._every_triple = triples and self._single and n_rows * self.n_blocks**3 <= _TRIPLE_WORK
        n_runs = -(-n_rows // _RUN)
        self._runs = [slice(n_rows * r // n_runs, n_rows * (r + 1) // n_runs) for r in range(n_runs)]
        asked = (
            ("pairs", True),
            ("strongest pair", self._all_pairs),
            ("triples", triples),
            ("strongest triple", self._every_triple),
        )
        self.names = [name for name, wanted in asked if wanted]
        # The second feature of a column that has only one is a column of zeros.
        self._second = np.array([members[1] if len(members) > 1 else -1 for members in self._members])

    def __call__(self, features: Float) -> list[float]:
        values = []
        if self._between is not None:
            means = features.T @ features / np.float32(len(features))
            means[~self._between] = 0.0
            values += [float(np.einsum("ij,ij->", means, means, dtype=np.float64)), float(np.abs(means).max())]
        if self.n_blocks >= 3 or self._between is None:
            pairs = triples = 0.0
            for run in self._runs:
                more_pairs, more_triples = self._symmetric_sums(features[run])
                pairs, triples = pairs + more_pairs, triples + more_triples
            values += ([] if self._between is not None else [pairs]) + ([triples] if self.n_blocks >= 3 else [])
        if self._every_triple:
            values.append(_strongest_triple(features[:, : self.n_blocks]))
        return values

    def _symmetric_sums(self, features: Float) -> tuple[float, float]:
        """Sums over pairs of rows of the second and third elementary symmetric polynomials of the blocks' Gram matrices."""
        if self._single:
            p1, p2, p3 = self._power_sums(features)
        else:
            p1 = np.zeros((len(features), len(features)), np.float32)
            p2, p3 = p1.copy(), p1.copy()
            for members in self._members:
                part = features[:, members]
                gram = part @ part.T
                p1 += gram
                square = gram * gram
                p2 += square
                p3 += square * gram
        for power in (p1, p2, p3):
            np.fill_diagonal(power, 0.0)
        square = p1 * p1
        second = float((square - p2).sum(dtype=np.float64)) / 2
        square -= 3 * p2
        square *= p1
        square += 2 * p3
        return second, float(square.sum(dtype=np.float64)) / 6

    def _power_sums(self, features: Float) -> tuple[Float, Float, Float]:
        """Power sums where every block has one or two features a, b: (a a' + b b')^r written out as features of its own."""
        a = features[:, : self.n_blocks]
        b = np.where(self._second >= 0, features[:, self._second], np.float32(0.0))
        aa, ab, bb = a * a, a * b, b * b
        second = np.concatenate([aa, np.float32(np.sqrt(2)) * ab, bb], axis=1)
        third = np.concatenate([aa * a, np.float32(np.sqrt(3)) * aa * b, np.float32(np.sqrt(3)) * ab * b, bb * b], axis=1)
        return features @ features.T, second @ second.T, third @ third.T


def _strongest_triple(z: Float) -> float:
    """The largest |mean of z_a z_b z_c| over all a < b < c."""
    largest = 0.0
    columns = np.ascontiguousarray(z.T)
    for a in range(len(columns) - 2):
        later = columns[a + 1 :]
        means = (later * columns[a]) @ later.T
        np.fill_diagonal(means, 0.0)
        largest = max(largest, float(means.max()), -float(means.min()))
    return largest / len(z)
