"""The dual function of a fitted node path: one small conditional log-ratio a column, summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, _device
from .._model_file.saved import Saved
from .._nodepath.path import NodePath
from .._nodepath.tables import Tables
from .._nodepath.training import Kind
from .._refine.choice import Refinement
from ..backends import job

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedPath:
    """What one fold learned: its `path`, the members' `weights` (n_members, W), one temperature `alpha`, every node's marginal
    `grid` (n_nodes, n_quantiles), and where they help, tables for columns of levels and a mixture of clusters that refines f."""

    path: NodePath
    weights: NDArray
    alpha: float
    grid: Floats
    kind: Kind = "density"
    base: str = ""
    tables: Tables | None = None
    refinement: Refinement | None = None

    def terms_at(self, z: Floats, alphas: Floats, dtype: Any = np.float32, n_threads: int = 1) -> NDArray:
        """Terms of the path's nodes, unrefined, at some temperatures: (n_alphas, n_nodes, n_rows), nats."""
        weights, grid = self.weights.astype(dtype), self.grid.astype(dtype)
        data = self.path.data(z, dtype)
        run = job(f"{self.kind}_terms", None, weights)
        terms: NDArray = run(weights, data, grid, _device.beside(alphas, z), *self._on_base, n_threads)
        return terms

    @property
    def _on_base(self) -> tuple[bool, ...]:
        """Contrastive nodes stand on the Gaussian base's own log-ratio where there is a base."""
        return () if self.kind == "density" else (stands_on_base(self.base),)

    def node_terms(self, z: Floats, dtype: Any = np.float32, n_threads: int = 1) -> Floats:
        """Terms of the path's nodes, before any refinement: (n_nodes, n_rows), nats."""
        if not self.alpha:
            nothing: Floats = _device.namespace(z).zeros((len(self.grid), len(z)))
            return nothing
        terms: Floats = self.terms_at(z, np.array([self.alpha]), dtype, n_threads)[0].astype(np.float64)
        return terms if self.tables is None else self.tables.blend(z[:, self.path.order], terms)[0]

    def terms(self, z: Floats, dtype: Any = np.float32, n_threads: int = 1) -> Floats:
        """Each column's term of f for rows `z` (n_rows, n_features), nats, in the shape of z."""
        total = np.zeros_like(z)
        total[:, self.path.column] = self.node_terms(z, dtype, n_threads).T
        if self.refinement is not None:
            order = self.path.order
            every = _device.namespace(z).arange(len(order))
            total[:, order] = self.refinement.terms(z[:, order], every, total[:, order])
        return total

    def value(self, z: Floats, dtype: Any = np.float32, n_threads: int = 1) -> Floats:
        """f of rows `z`, (n_rows,), nats."""
        f = self.node_terms(z, dtype, n_threads).sum(axis=0)
        return f if self.refinement is None else self.refinement.value(z[:, self.path.order], f)

    def value_and_gradient(self, z: Floats, dtype: Any) -> tuple[Floats, Floats]:
        """f of every row and its gradient by the normal scores: (n_rows,) and (n_rows, n_features)."""
        if not self.alpha:
            return _device.namespace(z).zeros(len(z)), np.zeros_like(z)
        weights, grid = self.weights.astype(dtype), self.grid.astype(dtype)
        slopes = job(f"{self.kind}_slopes", None, weights)(
            weights, self.path.data(z, dtype), grid, self.alpha, *self._on_base, 1
        )
        terms, by_child, by_context = (part.astype(np.float64) for part in slopes)
        order = self.path.order
        if self.tables is not None:  # counts do not change with a small step
            terms, kept = self.tables.blend(z[:, order], terms)
            node = _device.beside(self.tables.node, z)
            by_child[node] *= kept
            by_context[node] *= kept[:, None]
        f, gradient = terms.sum(axis=0), self.path.pull(z, by_child, by_context)
        if self.refinement is not None:
            f, gradient[:, order] = self.refinement.value_and_gradient(z[:, order], f, gradient[:, order])
        return f, gradient


def stands_on_base(base: str) -> bool:
    """Whether contrastive nodes add the log-ratio of the Gaussian base of this name to their own."""
    return base != "independent"


class NodeDual(Saved):
    """A fitted node path as a dual function on normal scores: the average over folds of f(z) = sum_k f_k(z_k, context_k).

    Every f_k is a conditional log-ratio log p(z_k | context) - log q(z_k) from one network shared by all nodes: a mixture of
    Gaussians, or a critic. The context is one parent column, the Gaussian conditional mean and the expected size given all
    earlier columns, and a pair of them where their product matters; tables of levels or a mixture of clusters may refine it.
    f is in nats and approximates log p(z) - sum_k log q_k(z_k) where the data have density p and marginals q_k.

    Made by `DualDivergence.fit` (its attribute `dual_`); walked by `dualwalk.walk`.

    Parameters
    ----------
    paths : the fitted paths, one a fold; none at all is the dual function 0 (nothing to depend on).
    n_features : columns of the rows it takes, those that never vary included.
    dtype : float type of the network's arithmetic, float32 unless told otherwise; results are float64.

    Values are a pure function of the rows (equal rows may differ in the last float32 bits between calls with another number
    of rows, as BLAS chooses its kernels by shape). Rows that are not finite, of another width, or not in the memory of the paths
    raise ValueError.

    Source: Garg et al. 2024, arXiv 2404.07377, for the dual space; the path of nodes is ours.
    """

    def __init__(self, paths: list[FittedPath], n_features: int, *, dtype: Any = np.float32) -> None:
        if not isinstance(paths, (list, tuple)) or not all(isinstance(path, FittedPath) for path in paths):
            raise TypeError(
                f"paths must be a list of fitted paths; got {paths!r:.80} (take those of another NodeDual, its `.paths`)"
            )
        self.paths = list(paths)
        self.n_features = _checks.count(n_features, "n_features", minimum=1)
        self.dtype = _checks.float_type(dtype, "dtype")

    def terms(self, x: ArrayLike) -> NDArray[np.float64]:
        """Each column's term of f: (n, n_features), nats; rows sum to `value(x)`. Columns off the path have term 0."""
        z = self._rows(x)
        total = np.zeros_like(z)
        for path in self.paths if len(z) else ():
            total += path.terms(z, self.dtype)
        return total / max(1, len(self.paths))

    def value(self, x: ArrayLike) -> NDArray[np.float64]:
        """f of every row: (n,), nats."""
        value: NDArray[np.float64] = self.terms(x).sum(axis=1)
        return value

    def gradient(self, x: ArrayLike) -> NDArray[np.float64]:
        """Gradient of f by the normal scores: (n, n_features), nats per unit."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """f (n,) and its gradient (n, n_features), by back-propagation through contexts, base and normalization."""
        z = self._rows(x)
        value, gradient = _device.namespace(z).zeros(len(z)), np.zeros_like(z)
        for path in self.paths if len(z) else ():
            part, slope = path.value_and_gradient(z, self.dtype)
            value += part
            gradient += slope
        count = max(1, len(self.paths))
        return value / count, gradient / count

    def _rows(self, x: ArrayLike) -> NDArray[np.float64]:
        array = _checks.beside(x, "x", self.paths[0].weights, None) if self.paths else _checks.real_array(x, "x")
        if array.shape == (0, self.n_features):
            return array.astype(np.float64)
        return _checks.samples(array, "x", feature_shape=(self.n_features,), min_samples=0)[0]
