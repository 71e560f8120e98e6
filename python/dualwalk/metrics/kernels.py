"""Distances between two samples as a whole, each with a permutation test: squared MMD and energy distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._blas import one_blas_thread
from .._neighbors import squared_distances
from .._random import generator
from ._rows import Float, Units, read, read_like, thin


@dataclass(frozen=True)
class SampleDistance:
    """A distance between two samples; `float(result)` is its value.

    Attributes
    ----------
    value : the unbiased estimate: 0 on average between two samples of one distribution, slightly below 0 as often as above.
    p_value : share of (data and) permutations of the rows with a value at least as large; exact. nan without permutations.
    length : of the kernel (MMD), in units of distance; None for the energy distance, which has none.
    """

    value: float
    p_value: float
    length: float | None

    def __float__(self) -> float:
        return self.value


def _statistics(kernel: Float, sides: Float) -> Float:
    """mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over different rows, for every column of 0/1 `sides` (1 is x).

    The sums follow from one product of the kernel, whose diagonal is ignored, and the sides.
    """
    kernel = kernel.copy()
    np.fill_diagonal(kernel, 0.0)
    n = sides.sum(axis=0)
    m = len(sides) - n
    to_x = kernel @ sides
    xx = np.einsum("ij,ij->j", sides, to_x)
    xy = to_x.sum(axis=0) - xx
    yy = kernel.sum() - xx - 2 * xy
    statistics: Float = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    return statistics


def _tested(kernel: Float, n: int, n_permutations: int, seed: int, length: float | None) -> SampleDistance:
    sides = np.zeros((len(kernel), n_permutations + 1))
    sides[:n, 0] = 1.0
    stream = generator(seed, "metrics", "permutations")
    sides[:, 1:] = stream.permuted(np.repeat(sides[:, :1], n_permutations, axis=1), axis=0)
    found = _statistics(kernel, sides)
    value = float(found[0])
    slack = 1e-12 * float(np.abs(kernel).max())  # permutations that give the same sums up to rounding are ties
    p_value = float((found >= value - slack).mean()) if n_permutations else math.nan
    return SampleDistance(value, p_value, length)


def squared_pairs(a: Float, b: Float) -> Float:
    """Squared distances between all rows of both samples."""
    rows = np.concatenate([a, b])
    return squared_distances(rows, rows)


def mmd_of(a: Float, b: Float, *, length: float | None, n_permutations: int, seed: int) -> SampleDistance:
    """Squared MMD of rows in common units."""
    squares = squared_pairs(a, b)
    if length is None:
        middle = float(np.median(squares[np.triu_indices(len(squares), 1)]))
        length = float(np.sqrt(middle)) if middle > 0 else 1.0
    return _tested(np.exp(squares / (-2.0 * length**2)), len(a), n_permutations, seed, length)


def energy_of(a: Float, b: Float, *, n_permutations: int, seed: int) -> SampleDistance:
    """Energy distance of rows in common units."""
    return _tested(-np.sqrt(squared_pairs(a, b)), len(a), n_permutations, seed, None)


@one_blas_thread()
def mmd(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    length: float | None = None,
    train: ArrayLike | None = None,
    n_permutations: int = 199,
    n_max: int = 1000,
    random_state: int = 0,
) -> SampleDistance:
    """The unbiased squared maximum mean discrepancy with a Gaussian kernel, and its permutation test.

        MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y),   k(x, y) = exp(-|x - y|^2 / 2 length^2)

    Parameters
    ----------
    real, generated : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows each; not
        changed.
    length : of the kernel, in units of distance; None: the median distance between all rows of both sides.
    train : rows whose columns give the units, one standard deviation each; None: both sides together.
    n_permutations : of the test; 0 for none.
    n_max : of more rows on a side, as many are drawn.
    random_state : int, of the permutations and that draw; the same arguments give the same result on one machine.

    Returns
    -------
    SampleDistance with `.value` and `.p_value`.

    Raises TypeError or ValueError for arguments that cannot be used, before any work.

    Source: Gretton et al. 2012, Lemma 6.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((200, 3))
    >>> bool(mmd(x[:100], x[100:]).p_value > 0.05), mmd(x[:100], x[100:] + 1).p_value
    (True, 0.005)
    """
    if length is not None:
        length = _checks.real(length, "length", above=0.0, maximum=1e100)
    a, b, n_permutations, seed = _sides(real, generated, train, n_permutations, n_max, random_state)
    return mmd_of(a, b, length=length, n_permutations=n_permutations, seed=seed)


@one_blas_thread()
def energy_distance(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    train: ArrayLike | None = None,
    n_permutations: int = 199,
    n_max: int = 1000,
    random_state: int = 0,
) -> SampleDistance:
    """The unbiased energy distance and its permutation test; nothing to tune.

        E = 2 mean |x - y| - mean |x - x'| - mean |y - y'|

    Parameters, errors and result are those of `mmd`; the value is in units of distance.

    Source: Szekely and Rizzo 2013.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((200, 3))
    >>> bool(abs(energy_distance(x[:100], x[100:]).value) < 0.05 < energy_distance(x[:100], x[100:] + 1).value)
    True
    """
    a, b, n_permutations, seed = _sides(real, generated, train, n_permutations, n_max, random_state)
    return energy_of(a, b, n_permutations=n_permutations, seed=seed)


def _sides(
    real: ArrayLike, generated: ArrayLike, train: ArrayLike | None, n_permutations: int, n_max: int, random_state: int
) -> tuple[Float, Float, int, int]:
    """Both sides in common units, and the checked numbers."""
    n_permutations = _checks.count(n_permutations, "n_permutations")
    n_max = _checks.count(n_max, "n_max", minimum=2)
    seed = _checks.seed(random_state, "random_state")
    (a, b), shape = read({"real": real, "generated": generated})
    scaled = Units.of(np.concatenate([a, b]) if train is None else read_like(train, "train", shape))
    return scaled(thin(a, n_max, seed, "real")), scaled(thin(b, n_max, seed, "generated")), n_permutations, seed
