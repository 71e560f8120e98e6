"""What the nearest rows add to the shared regression: the local Gaussian, shrunk to the shared one, conditioned on the known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .regression import AnyRegression

Float = NDArray[np.float64]
Index = NDArray[np.intp]

ROWS_AT_A_TIME = 64


def local_weights(
    regression: AnyRegression, rho: float, place: Float, neighbors: Index, sizes: tuple[int, ...], shares: tuple[float, ...]
) -> dict[tuple[int, float], Float]:
    """Weights v (m, K) on the errors of the K nearest rows, for every K of `sizes` and every share of the shared covariance.

    In the neighbourhood of a query with mean m and centred rows N, take S = (1 - s) N^T N / K + s G, where G is the shared
    covariance of the regression. The mean of the unknown columns given the known ones is then the shared regression plus
    sum_k v_k e_k, where e_k are the shared regression's errors at the neighbours and

        v = 1/K + C (C^T Q C + s K / (1 - s))^-1 C^T (q - Q 1/K),      Q_jk = z_jk^T G_kk^-1 z_kk = n (1 + rho) H_jk,    C = I - 11^T/K.

    s = 1 moves by the mean error of the neighbours; less also takes their slopes. `place` (m, rank) are the queries in the
    coordinates of `regression.left`, `neighbors` (m, max(sizes)) their nearest rows, nearest first.
    """
    left, right = regression.left, regression.right(rho) * ((1.0 + rho) * len(regression.left))
    weights = {(k, s): np.empty((len(place), k)) for k in sizes for s in shares}
    with_slopes = any(s < 1.0 for s in shares)
    for begin in range(0, len(place), ROWS_AT_A_TIME):
        part = slice(begin, begin + ROWS_AT_A_TIME)
        if with_slopes:
            near = right[neighbors[part]]
            gram = left[neighbors[part]] @ near.transpose(0, 2, 1)
            query = np.matmul(near, place[part][:, :, None])[:, :, 0]
        for k in sizes:
            if with_slopes:
                inner = gram[:, :k, :k]
                offset = query[:, :k] - inner.mean(axis=2)
                offset -= offset.mean(axis=1, keepdims=True)
                row_mean = inner.mean(axis=1, keepdims=True)
                centred = inner - row_mean - row_mean.transpose(0, 2, 1) + row_mean.mean(axis=2, keepdims=True)
            for s in shares:
                v = np.full((len(place[part]), k), 1.0 / k)
                if s < 1.0:
                    slopes = np.linalg.solve(centred + np.eye(k) * (s * k / (1.0 - s)), offset[:, :, None])[:, :, 0]
                    v += slopes - slopes.mean(axis=1, keepdims=True)
                weights[k, s][part] = v
    return weights
