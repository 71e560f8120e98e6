"""The path from the product of marginals to the data: which column comes when, and what each one is told of its past.

Chain rule: TC = sum_k I(x_k ; earlier columns). A node is one column but the first; its context is the value of one parent
and the Gaussian conditional mean and scale given ALL earlier columns. The parents form a spanning tree of the dependence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .network import BY_CHILD, BY_PARENT, NodeData

Floats = NDArray[np.float64]


def correlation(z: Floats) -> Floats:
    """Correlations of columns that are centred and scaled by construction (normal scores): second moments, rescaled.

    A column that does not vary has correlation 0 with all others.
    """
    second = z.T @ z / len(z)
    scale = np.sqrt(np.diag(second))
    scale[scale < 1e-9] = 1.0
    second /= np.outer(scale, scale)
    np.fill_diagonal(second, 1.0)
    return second


def _standardized(z: Floats) -> Floats:
    centred = z - z.mean(0)
    scale = centred.std(0)
    return np.asarray(centred / np.where(scale < 1e-9, np.inf, scale))


def dependence(z: Floats) -> Floats:
    """sqrt(corr(z_a, z_b)^2 + corr(|z_a|, |z_b|)^2), zero on the diagonal: (d, d).

    The second correlation sees what the first cannot: columns that share a scale, or a sign that is lost.
    """
    total = np.zeros((z.shape[1], z.shape[1]))
    for feature in (z, np.abs(z)):
        unit = _standardized(feature)
        total += (unit.T @ unit / len(z)) ** 2
    np.fill_diagonal(total, 0.0)
    return np.asarray(np.sqrt(total))


def spanning_tree(weight: Floats, n_parents: int = 1) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Prim's maximum spanning tree: the order of the columns, and the parents of every column but the first.

    Returns `order` (d,), starting with the column of largest total weight, and `parents` (d - 1, n_parents): the earlier
    columns of largest weight to `order[k + 1]`, best first, -1 where there are not as many earlier columns.
    """
    d = len(weight)
    order = np.empty(d, dtype=np.intp)
    parents = np.full((d - 1, n_parents), -1, dtype=np.intp)
    order[0] = weight.sum(0).argmax()
    waiting = np.ones(d, dtype=bool)
    waiting[order[0]] = False
    reach = weight[order[0]].copy()
    for k in range(1, d):
        column = int(np.where(waiting, reach, -np.inf).argmax())
        earlier = order[:k]
        best = np.argsort(-weight[earlier, column], kind="stable")[:n_parents]
        parents[k - 1, : len(best)] = earlier[best]
        order[k] = column
        waiting[column] = False
        np.maximum(reach, weight[column], out=reach)
    return order, parents


def edge_statistics(z: Floats, parent: NDArray[np.intp], child: NDArray[np.intp]) -> Floats:
    """Four correlations of every parent-child pair, (n_nodes, 4): of (p, c), (|p|, |c|), (p, |c|) and (|p|, c).

    They tell one network, shared by all nodes, what kind of dependence the node at hand has.
    """
    unit, unit_abs = _standardized(z), _standardized(np.abs(z))

    def pairwise(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.einsum("nk,nk->k", a[:, parent], b[:, child]) / len(z))

    pairs = ((unit, unit), (unit_abs, unit_abs), (unit, unit_abs), (unit_abs, unit))
    return np.stack([pairwise(a, b) for a, b in pairs], axis=1)


@dataclass(frozen=True)
class NodePath:
    """Order, parents and Gaussian conditionals of the columns in play; columns that never vary are not on the path.

    `column`, `parent`: (n_nodes,) column numbers; `coefficients`: (n_nodes, n_features), the conditional mean of node k is
    `z @ coefficients[k]`; `scale`: (n_nodes,) the conditional standard deviation; `statistics`: (n_nodes, 4).
    """

    root: int
    column: NDArray[np.intp]
    parent: NDArray[np.intp]
    coefficients: Floats
    scale: Floats
    statistics: Floats

    def data(self, z: Floats, dtype: type = np.float32) -> NodeData:
        """The nodes' view of rows `z` (n_rows, n_features)."""
        context = np.stack([z.T[self.parent], self.coefficients @ z.T], axis=1)
        return NodeData(
            child=np.ascontiguousarray(z.T[self.column], dtype=dtype),
            context=np.ascontiguousarray(context, dtype=dtype),
            statistics=np.column_stack([np.log(self.scale), self.statistics]).astype(dtype),
            codes=np.array([BY_PARENT, BY_CHILD, 0, BY_PARENT | BY_CHILD, 0, BY_PARENT, BY_CHILD], np.uint8),
        )


def build_path(z: Floats, columns: NDArray[np.intp], tree: tuple[NDArray, NDArray], base: Floats) -> NodePath:
    """The path through `columns` along `tree` (as `spanning_tree` returns it, numbered within `columns`).

    `z` (n_rows, n_features) gives the edge statistics; `base` is the correlation matrix of `columns` that gives the Gaussian
    conditionals. With the Cholesky factor C of the reordered base, x = C e, so x_k - C_kk e_k is the conditional mean of x_k
    given all earlier columns and C_kk its scale.
    """
    order, parents = tree
    factor = np.linalg.cholesky(base[np.ix_(order, order)])
    scale = np.diag(factor)
    whitening = np.linalg.inv(factor)
    coefficients = np.zeros((len(order) - 1, z.shape[1]))
    coefficients[:, columns[order]] = -scale[1:, None] * np.tril(whitening, -1)[1:]
    child, parent = columns[order[1:]], columns[parents[:, 0]]
    return NodePath(int(columns[order[0]]), child, parent, coefficients, scale[1:].copy(), edge_statistics(z, parent, child))
