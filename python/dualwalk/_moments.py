"""Second and third moments across columns or blocks: the statistics of `independence_test`.

A block has features phi (centred, orthonormal over the rows). With K_b(i, j) = sum of phi(i) phi(j) over the features of
block b, the sum of squared moments over all sets of two or three blocks is an elementary symmetric polynomial of the K_b,
and Newton's identities give those from the power sums p_r = sum_b K_b^r:

    sum over triples of (mean phi_a phi_b phi_c)^2 = mean over i, j of (p_1^3 - 3 p_1 p_2 + 2 p_3) / 6

so that no triple is ever visited. Pairs i = j are left out of the mean: they say nothing but add noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _device

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
    together = _Singles(z) if _device.is_on_device(z) else None
    for b in range(len(blocks)):
        members = np.flatnonzero(owner == b)
        if together is not None:
            basis = together.of(members)
        else:
            columns = z[:, members]
            basis = _orthonormal(np.concatenate([columns, np.abs(columns)], axis=1)) if len(members) == 1 else _singles(columns)
        basis = basis if len(members) == 1 else _leading(basis)
        first.append(basis[:, :1])
        rest.append(basis[:, 1:])
    features = np.concatenate(first + rest, axis=1).astype(np.float32, order="C")
    owners = np.concatenate([np.arange(len(blocks)), np.repeat(np.arange(len(blocks)), [part.shape[1] for part in rest])])
    return features, owners.astype(np.int32)


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


class _Singles:
    """`_orthonormal` of z and |z| for all columns of z at once, on their device: there a launch costs more than a column."""

    def __init__(self, z: NDArray[np.float64]) -> None:
        n = len(z)
        first, size = z - z.mean(axis=0), np.abs(z) - np.abs(z).mean(axis=0)
        first = first * np.sqrt(n / (first * first).sum(axis=0))
        second = size - (size * first).mean(axis=0) * first
        left = (second * second).sum(axis=0)
        new = left > 1e-6 * (size * size).sum(axis=0)
        self._features = np.concatenate([first, second * np.sqrt(n / np.where(new, left, 1.0))], axis=1)
        self._new: NDArray[np.bool_] = _device.to_host(new)

    def of(self, columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The features of some columns, those of z first."""
        places = np.concatenate([columns, len(self._new) + columns[self._new[columns]]])
        features: NDArray[np.float64] = self._features[:, _device.beside(places, self._features)]
        return features


def _singles(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features z and |z| of every column."""
    return np.concatenate([_orthonormal(np.stack([c, np.abs(c)], axis=1)) for c in columns.T], axis=1)


def _leading(singles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leading principal components of features (n_rows, n_features) and of all products of two of them."""
    gram = singles @ singles.T / singles.shape[1]
    gram = gram + 0.5 * gram * gram  # the square is the Gram matrix of all products
    gram = gram - gram.mean(axis=0)
    gram = gram - gram.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(gram)
    count = min(_BLOCK_FEATURES, int((values > 1e-9 * values[-1]).sum()))
    components: NDArray[np.float64] = vectors[:, -count:][:, ::-1] * np.sqrt(len(singles))
    return components


class Moments:
    """The statistics of features `(n_rows, n_features)`, whose blocks are `owner`: called once for every permutation.

    `like` is an array where the features will be.
    """

    def __init__(self, n_rows: int, owner: NDArray[np.int32], like: Any = None) -> None:
        self.n_blocks = int(owner.max()) + 1
        members_of = [np.flatnonzero(owner == b) for b in range(self.n_blocks)]
        self._members = [_device.beside(members, like) for members in members_of]
        self._single = max(len(members) for members in members_of) <= 2
        self._all_pairs = n_rows * len(owner) ** 2 <= _PAIR_WORK
        self._between = _device.beside(owner[:, None] != owner, like) if self._all_pairs else None
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
        second = np.array([members[1] if len(members) > 1 else -1 for members in members_of])
        self._second = _device.beside(second, like)

    def __call__(self, features: Float) -> list[float]:
        values: list[Any] = []
        if self._between is not None:
            means = features.T @ features / np.float32(len(features))
            means[~self._between] = 0.0
            values += [np.einsum("ij,ij->", means, means, dtype=np.float64), np.abs(means).max().astype(np.float64)]
        if self.n_blocks >= 3 or self._between is None:
            pairs: Any = 0.0
            triples: Any = 0.0
            for run in self._runs:
                more_pairs, more_triples = self._symmetric_sums(features[run])
                pairs, triples = pairs + more_pairs, triples + more_triples
            values += ([] if self._between is not None else [pairs]) + ([triples] if self.n_blocks >= 3 else [])
        if self._every_triple:
            values.append(_strongest_triple(features[:, : self.n_blocks]))
        return _device.floats(*values)

    def _symmetric_sums(self, features: Float) -> tuple[Any, Any]:
        """Sums over pairs of rows of the second and third elementary symmetric polynomials of the blocks' Gram matrices."""
        if self._single:
            p1, p2, p3 = self._power_sums(features)
        else:
            p1 = np.zeros_like(features, shape=(len(features), len(features)))
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
        second = (square - p2).sum(dtype=np.float64) / 2
        square -= 3 * p2
        square *= p1
        square += 2 * p3
        return second, square.sum(dtype=np.float64) / 6

    def _power_sums(self, features: Float) -> tuple[Float, Float, Float]:
        """Power sums where every block has one or two features a, b: (a a' + b b')^r written out as features of its own."""
        a = features[:, : self.n_blocks]
        b = np.where(self._second >= 0, features[:, self._second], np.float32(0.0))
        aa, ab, bb = a * a, a * b, b * b
        second = np.concatenate([aa, np.float32(np.sqrt(2)) * ab, bb], axis=1)
        third = np.concatenate([aa * a, np.float32(np.sqrt(3)) * aa * b, np.float32(np.sqrt(3)) * ab * b, bb * b], axis=1)
        return features @ features.T, second @ second.T, third @ third.T


def _strongest_triple(z: Float) -> Any:
    """The largest |mean of z_a z_b z_c| over all a < b < c."""
    largest: Any = 0.0
    columns = z.T.copy()
    for a in range(len(columns) - 2):
        later = columns[a + 1 :]
        means = (later * columns[a]) @ later.T
        np.fill_diagonal(means, 0.0)
        largest = np.maximum(largest, np.maximum(means.max(), -means.min()))
    return largest.astype(np.float64) / len(z)
