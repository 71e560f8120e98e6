"""How strongly every pair of columns depends on each other, and the order of the columns that the path estimator takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._dependence.order import DependenceOrder, prim_order, strongest, together
from ._dependence.tiles import TILE, Floats, pairs, panels, tile
from ._threads import resolve_n_threads, run_jobs


def dependence_matrix(X: ArrayLike, *, n_threads: int | None = None) -> NDArray[np.float32]:
    """The strength of the dependence of every pair of columns: (d, d) float32, symmetric, 0 on the diagonal.

        strength(a, b) = sqrt(corr(z_a, z_b)^2 + corr(|z_a|, |z_b|)^2)      (no unit; 0 to the square root of 2)

    of the columns' normal scores z. The second correlation sees what the first cannot: columns that share a scale, or a sign that
    is lost. Two columns that are Gaussian together with correlation r have corr(z_a, z_b) = r and
    corr(|z_a|, |z_b|) = (r arcsin r + sqrt(1 - r^2) - 1) / (pi / 2 - 1), and -log(1 - r^2) / 2 nats in common. Independent columns
    show about 1.3 / sqrt(n_samples). Constant columns have strength 0.

    X : (n_samples, n_features) or (n_samples, n_channels, n_times), at least 8 finite samples in the host's memory; d is the number
        of features, a series' are its channels x times. It is not modified.
    n_threads : threads; None reads DUALWALK_NUM_THREADS, then the processors.

    The products are taken in float32 (errors of about 1e-6), in tiles of 1024 columns by 1024, which are part of the definition: the
    same X gives the same bits on one NumPy build and kind of processor, for any `n_threads`, and on a cluster
    (`dualwalk.adapters.dask.dependence_matrix`). Memory: the matrix, and 8 bytes for each entry of X.

    Raises ValueError or TypeError for an X that cannot be used.

    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((500, 1))
    >>> X = np.hstack([shared, shared + rng.standard_normal((500, 1)), rng.standard_normal((500, 1))])
    >>> np.round(dependence_matrix(X), 1)
    array([[0. , 0.9, 0. ],
           [0.9, 0. , 0. ],
           [0. , 0. , 0. ]], dtype=float32)
    """
    units = panels(_rows(X))
    d = sum(unit.shape[1] for unit in units)
    matrix = np.empty((d, d), dtype=np.float32)
    jobs = list(pairs(len(units)))

    def work(k: int, _: object) -> None:
        i, j = jobs[k]
        here, there = (slice(p * TILE, (p + 1) * TILE) for p in (i, j))
        matrix[here, there] = tile(units[i], units[j])
        matrix[there, here] = matrix[here, there].T

    run_jobs(work, len(jobs), resolve_n_threads(n_threads))
    return matrix


def dependence_order(X: ArrayLike, *, n_threads: int | None = None) -> DependenceOrder:
    """The columns in the order of their strongest dependences: Prim's walk along the maximum spanning tree of `dependence_matrix`.

    It is the order, and the main parents, that `DualDivergence` gives its nodes (from the rows of a fold), for any number of columns:
    the matrix is looked at tile by tile and never held, so that memory is 8 bytes for each entry of X, and some tens of bytes for
    each tile's 2048 columns. Work: 2 d^2 n multiply-adds. Among equal strengths the edge of lower column numbers counts as stronger, so
    that there is one tree only, in whatever parts it is looked for: the same bits for any `n_threads`, and on a cluster
    (`dualwalk.adapters.dask.dependence_order`).

    X, n_threads : as in `dependence_matrix`. Raises ValueError or TypeError for an X that cannot be used.

    >>> rng = np.random.default_rng(0)
    >>> walk = rng.standard_normal((500, 4)).cumsum(axis=1)  # every column leans on the one before it
    >>> found = dependence_order(walk)
    >>> found.order, found.parents
    (array([2, 3, 1, 0]), array([ 1,  2, -1,  2]))
    """
    units = panels(_rows(X))
    jobs = list(pairs(len(units)))

    def work(k: int, _: object) -> None:
        i, j = jobs[k]
        found.append(strongest([units[i]], [units[j]], i * TILE, j * TILE))

    found: list = []
    run_jobs(work, len(jobs), resolve_n_threads(n_threads))
    return prim_order(together(found))


def _rows(X: ArrayLike) -> Floats:
    return _checks.samples(_checks.on_host(X, "X"))[0]
