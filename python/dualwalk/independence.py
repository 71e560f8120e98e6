"""A permutation test of "is there any dependence at all?": of every order up to three, at an exact level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _device, _memory, _random
from ._arrays import distinct
from ._blas import one_blas_thread
from ._moments import Moments, block_features
from ._threads import parallel_ranges, resolve_n_threads
from .marginals import blocks_of_columns, permute_marginals
from .normal_scores import NormalScores

FEWEST_PERMUTATIONS = 19  # for a p-value of .05


@dataclass(frozen=True)
class IndependenceTest:
    """What `independence_test` found.

    Attributes
    ----------
    p_value : float, one of k / (n_permutations + 1), k = 1, 2, ...; uniform on them where the blocks are independent.
    statistic : float, how far the most surprising of the kinds below lies above its mean over the permutations, in its
        standard deviations over the permutations and the data (at most the square root of n_permutations).
    n_permutations : int.
    p_values : the p-value of every kind of dependence by itself, not corrected for looking at several: "pairs" (all pairs
        together), "strongest pair", "triples", "strongest triple". A kind that was not looked at is missing.
    """

    p_value: float
    statistic: float
    n_permutations: int
    p_values: Mapping[str, float]


@one_blas_thread()
def independence_test(
    X: ArrayLike,
    *,
    blocks: ArrayLike | None = None,
    n_permutations: int = 199,
    random_state: Any = None,
    n_threads: int | None = None,
) -> IndependenceTest:
    """Test whether the columns of X (or blocks of them) are independent, by permuting their marginals.

    Every column's normal score z gives two orthogonal features, z and |z|; their moments over several columns are compared
    with those of `n_permutations` data sets in which every block's rows were shuffled by themselves (`permute_marginals`):

        pairs             sum over pairs of blocks of (mean phi_a phi_b)^2         strongest pair    the largest |mean|
        triples           sum over triples of blocks of (mean phi_a phi_b phi_c)^2 strongest triple  the largest |mean|, z only

    Each of the four is standardized over all data sets, the real one included, and the largest of the four is the statistic.

    Parameters
    ----------
    X : array (n_samples, n_features) or (n_samples, n_channels, n_times), at least 8 finite samples of any real dtype; copied.
        A CuPy array is tested on its device, with the same permutations; a few numbers a permutation are read back.
    blocks : integer label for each feature, shape X.shape[1:] or flat; dependence inside a block does not count. None: every
        feature is a block of its own.
    n_permutations : at least 19. The smallest p-value is 1 / (n_permutations + 1).
    random_state : None (fresh entropy), an int, or a NumPy Generator.
    n_threads : permutations at a time; None reads DUALWALK_NUM_THREADS, then the processors. Results do not depend on it.

    Returns
    -------
    IndependenceTest, with `.p_value` and `.statistic`.

    Notes
    -----
    Exact: with independent blocks and exchangeable rows, P(p_value <= k / (n_permutations + 1)) = k / (n_permutations + 1)
    for every n, d and marginal, ties included (they are broken at random). Rows that depend on each other (windows of one
    recording that overlap) break it: thin them out first. It sees correlation, fair signs, shared scales and signs of
    triples; it is blind to dependence whose moments of z and |z| up to third order all vanish.

    The same int `random_state` and X give the same p-value whatever n_threads. Triples cost n^2 d a permutation (above 1024
    samples only pairs of rows within runs of 512 to 1024 rows are used); the strongest triple costs n d^3 and is looked at
    where n d^3 <= 2e9. Fewer than two blocks that vary: p_value 1.

    Raises TypeError or ValueError for an argument that cannot be used, before any work.

    Source: the elementary symmetric sums of Gram matrices are the joint distance multivariance of Boettcher, Keller-Ressel
    and Schilling 2019 with finitely many features; exactness: Hemerik and Goeman 2018.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((100, 3))
    >>> independence_test(x * np.sign(x[:, [2, 0, 1]]), n_permutations=99, random_state=0).p_value
    0.01
    """
    rows, shape = _checks.samples(X)
    there = _device.is_on_device(rows)
    label = blocks_of_columns(_device.to_host(blocks), shape)
    n_permutations = _checks.count(n_permutations, "n_permutations", minimum=FEWEST_PERMUTATIONS)
    _checks.room(n_permutations + 1, "n_permutations", n_permutations)
    threads = resolve_n_threads(n_threads)
    seed = _checks.seed(random_state, "random_state")
    if not there:
        at_once = min(threads, n_permutations)
        _memory.demand("independence_test", _memory.of_independence(rows.shape, at_once), at_once)

    varies = _device.to_host(rows.min(axis=0) < rows.max(axis=0))
    if len(distinct(label[varies])) < 2:
        return IndependenceTest(1.0, 0.0, n_permutations, MappingProxyType({}))
    varying = rows[:, _device.beside(np.flatnonzero(varies), rows)]
    scores = NormalScores()._fit_rows(varying)
    features, owner = block_features(scores, label[varies])
    moments = Moments(len(rows), owner, features)
    values = np.empty((n_permutations + 1, len(moments.names)))
    values[0] = moments(features)
    seeds = _random.generator(seed, "independence").integers(0, 2**63, n_permutations)

    def work(start: int, stop: int) -> None:
        for k in range(start, stop):
            values[k + 1] = moments(permute_marginals(features, blocks=owner, seed=int(seeds[k]), n_threads=1))

    parallel_ranges(work, n_permutations, 1 if there else threads)
    spread = values.std(axis=0)
    surprise = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    combined = surprise.max(axis=1)
    luck = _random.generator(seed, "ties")
    each = {name: _p_value(values[:, k], luck) for k, name in enumerate(moments.names)}
    return IndependenceTest(_p_value(combined, luck), float(combined[0]), n_permutations, MappingProxyType(each))


def _p_value(values: NDArray[np.float64], luck: np.random.Generator) -> float:
    """The rank of the first value among all, from the top, as a share; equal values are put in a random order."""
    above, equal = int((values[1:] > values[0]).sum()), int((values[1:] == values[0]).sum())
    return (1 + above + int(luck.integers(0, equal + 1))) / len(values)
