"""The path from the product of marginals to the data: which column comes when, and what each one is told of its past.

Chain rule: TC = sum_k I(x_k ; earlier columns). A node is one column but the first. It is told six values of the row (its
context): one parent's value, the Gaussian conditional mean given ALL earlier columns, the size that earlier residuals let
expect, and what a pair of earlier columns says where the screen found one: the product, and how sure its sign is. Seven values of its own (its statistics) tell the
network, which all nodes share, what kind of dependence this node has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _device, backends
from .conditionals import Conditionals
from .features import cosines, size, size_slope
from .network import BY_CHILD, BY_PARENT, BY_THIRD, NodeData
from .screen import Triples, pair_feature

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

PARENT, MEAN, SIZE, PAIR = range(4)  # the context; PAIR is the first of three
N_CONTEXT = 6
SIZE_SCALE = 1  # the statistic that belongs to SIZE
CODES = np.array(
    [
        *(BY_PARENT, BY_CHILD, 0, BY_THIRD, BY_THIRD, BY_THIRD),
        *(0, 0, BY_PARENT | BY_CHILD, BY_PARENT, BY_CHILD, 0, BY_CHILD | BY_THIRD),
    ],
    np.uint8,
)


_SINGLE_PRECISION_BEYOND = 1024  # columns: products of all pairs are then most of the work


_STEEPNESS = (2.0, 8.0)  # of the two steps from one sign of a pair to the other


def _signed_smaller(a: Floats, b: Floats) -> Floats:
    """sign(a b) min(|a|, |b|): the sign of a product is as sure as its smaller factor is far from 0, ranks being noisy."""
    smaller: Floats = np.sign(a * b) * np.minimum(np.abs(a), np.abs(b))
    return smaller


def dependence(z: Floats) -> Floats:
    """sqrt(corr(z_a, z_b)^2 + corr(|z_a|, |z_b|)^2), zero on the diagonal: (d, d).

    The second correlation sees what the first cannot: columns that share a scale, or a sign that is lost.
    """
    rows = z.astype(np.float64 if z.shape[1] <= _SINGLE_PRECISION_BEYOND else np.float32)
    total = _device.namespace(z).zeros((z.shape[1], z.shape[1]), rows.dtype)
    for feature in (rows, np.abs(rows)):
        unit = feature - feature.mean(axis=0)
        unit /= np.maximum(unit.std(axis=0), 1e-6) * np.sqrt(len(z), dtype=rows.dtype)
        product = unit.T @ unit
        total += np.multiply(product, product, out=product)
    np.fill_diagonal(total, 0.0)
    strength: Floats = np.sqrt(total, out=total)
    return strength


def spanning_tree(weight: Floats) -> tuple[Places, Places]:
    """Prim's maximum spanning tree: the order of the columns, and the parent of every column but the first.

    Returns `order` (d,), starting with the column of largest total weight, and `parent` (d - 1,): the PLACE in that order of
    the earlier column of largest weight to `order[k + 1]`.
    """
    if _device.is_on_device(weight):
        tree: tuple[Places, Places] = backends.module("cuda").spanning_tree(weight)
        return tree
    d = len(weight)
    order = np.empty(d, dtype=np.intp)
    order[0] = weight.sum(axis=0).argmax()
    reach, nearest = weight[order[0]].copy(), np.zeros(d, dtype=np.intp)
    reach[order[0]] = -np.inf
    for k in range(1, d):
        column = int(reach.argmax())
        order[k] = column
        closer = (weight[column] > reach) & (reach > -np.inf)
        reach[closer] = weight[column][closer]
        nearest[closer] = k
        reach[column] = -np.inf
    return order, nearest[order[1:]]


@dataclass(frozen=True)
class NodePath:
    """A path through m columns, fitted to some rows. Places count along the path; node k is the column at place k + 1.

    Attributes
    ----------
    order : (m,), the column at each place.
    parent : (m - 1,), the place of each node's parent.
    base : conditional mean and scale of every column given all earlier ones.
    sizes : the same for the sizes of the base's residuals.
    triples : the nodes that a product of two earlier columns moves.
    statistics : (m - 1, 7), what the network is told of each node.
    """

    order: Places
    parent: Places
    base: Conditionals
    sizes: Conditionals
    triples: Triples
    statistics: Floats

    @property
    def column(self) -> Places:
        """The column of each node, (m - 1,)."""
        return self.order[1:]

    @property
    def parent_column(self) -> Places:
        """The column of each node's parent, (m - 1,)."""
        return self.order[self.parent]

    def data(self, z: Floats, dtype: type = np.float32) -> NodeData:
        """The nodes' view of rows `z` (n_rows, n_features)."""
        xp = _device.namespace(z)
        ordered = z[:, self.order]
        mean = self.base.mean(ordered)
        context: NDArray = xp.zeros((len(self.parent), N_CONTEXT, len(z)), dtype)
        context[:, PARENT] = ordered.T[self.parent]
        context[:, MEAN] = mean.T[1:]
        context[:, SIZE] = self.sizes.mean(size((ordered - mean) / self.base.scale)).T[1:]
        if len(self.triples.child):
            node = self.triples.child - 1
            first, second = ordered[:, self.triples.first].T, ordered[:, self.triples.second].T
            context[node, PAIR] = pair_feature(first, second)
            nearer = _signed_smaller(first, second)
            for step, steepness in enumerate(_STEEPNESS, start=1):
                context[node, PAIR + step] = np.tanh(steepness * nearer)
        child: NDArray = xp.ascontiguousarray(ordered.T[1:], dtype=dtype)
        return NodeData(child, context, self.statistics.astype(dtype), _device.beside(CODES, z))

    def pull(self, z: Floats, by_child: Floats, by_context: Floats) -> Floats:
        """The gradient by rows `z` (n_rows, n_features), from that by the children (N, n_rows) and contexts (N, 6, n_rows)."""
        ordered = z[:, self.order]
        residual = (ordered - self.base.mean(ordered)) / self.base.scale
        by_mean, by_size = np.zeros_like(ordered), np.zeros_like(ordered)
        by_mean[:, 1:] = by_context[:, MEAN].T
        by_size[:, 1:] = by_context[:, SIZE].T
        by_residual = self.sizes.pull(by_size) * size_slope(residual) / self.base.scale
        slope = (by_residual + self.base.pull(by_mean - by_residual)).T.copy()
        slope[1:] += by_child
        _add_rows(slope, self.parent, by_context[:, PARENT])
        if len(self.triples.child):
            self._pull_pairs(ordered, by_context, slope)
        gradient = np.zeros_like(z)
        gradient[:, self.order] = slope.T
        return gradient

    def _pull_pairs(self, ordered: Floats, by_context: Floats, slope: Floats) -> None:
        """Add to `slope` (m, n_rows) what goes through the products of two columns."""
        first, second = ordered[:, self.triples.first].T, ordered[:, self.triples.second].T
        node = self.triples.child - 1
        by_product = by_context[node, PAIR] * 0.5 / np.sqrt(np.maximum(np.abs(first * second), 1e-12))
        nearer = _signed_smaller(first, second)
        by_nearer = sum(
            by_context[node, PAIR + step] * steepness / np.cosh(steepness * nearer) ** 2
            for step, steepness in enumerate(_STEEPNESS, start=1)
        )
        closer = np.abs(first) < np.abs(second)
        _add_rows(slope, self.triples.first, by_product * second + by_nearer * np.where(closer, np.sign(second), 0.0))
        _add_rows(slope, self.triples.second, by_product * first + by_nearer * np.where(closer, 0.0, np.sign(first)))


def _add_rows(total: Floats, place: Places, rows: Floats) -> None:
    """total[place[k]] += rows[k] for every k: on a device as a matrix product, for sums in a fixed order."""
    if _device.is_on_device(total):
        total += (_device.namespace(total).arange(len(total))[:, None] == place).astype(rows.dtype) @ rows
    else:
        np.add.at(total, place, rows)


def fit_path(z: Floats, order: Places, parent: Places, base: Conditionals, sizes: Conditionals, triples: Triples) -> NodePath:
    """The path along `order` and `parent`, with the statistics of rows `z` (n_rows, n_features)."""
    ordered = z[:, order]
    place, spread = cosines(ordered)
    correlations = [
        np.einsum("nk,nk->k", a[:, parent], b[:, 1:]) / len(z)
        for a, b in ((place, place), (place, spread), (spread, place), (spread, spread))
    ]
    third = _device.namespace(z).zeros(len(parent))
    if len(triples.child):
        third[triples.child - 1] = triples.correlation
    statistics = np.column_stack([np.log(base.scale[1:]), np.log(sizes.scale[1:]), *correlations, third])
    return NodePath(order, parent, base, sizes, triples, statistics)
