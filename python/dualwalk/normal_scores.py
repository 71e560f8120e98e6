"""Normal scores: a monotone map of every column to N(0, 1), learned from the ranks of the training rows, and its inverse."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _device
from ._estimator import whole
from ._runs import runs
from ._transformer import Transformer

Float = NDArray[np.float64]

# A column with fewer distinct values than this share of the rows is "tied": it goes back to observed values only.
TIED_BELOW = 0.9


@lru_cache(maxsize=128)
def half_rank_scores(n: int) -> Float:
    """Phi^-1((k/2 + 1/2) / n) for k = 0 .. 2n-2: even k are the ranks, odd k the edges between them and the mid-ranks of ties."""
    inverse = NormalDist().inv_cdf
    table = np.array([inverse((0.5 * k + 0.5) / n) for k in range(2 * n - 1)])
    table.setflags(write=False)  # it is shared by every fit with n rows
    return table


def tied_columns(ordered: Float) -> NDArray[np.bool_]:
    """Which of the sorted columns (n, d) have fewer than .9 n distinct values: (d,)."""
    n_distinct = 1 + np.count_nonzero(ordered[1:] != ordered[:-1], axis=0)
    tied: NDArray[np.bool_] = n_distinct < TIED_BELOW * len(ordered)
    return tied


def n_up_to(ordered: Float, values: Float) -> NDArray[np.intp]:
    """How many entries of each sorted column (n, d) are at most each of its `values` (m, d): (m, d), all columns side by side."""
    count = np.zeros_like(values, dtype=np.intp)
    step = 1 << len(ordered).bit_length() - 1
    while step:
        trial = count + step
        reached = np.take_along_axis(ordered, np.minimum(trial, len(ordered)) - 1, axis=0) <= values
        count = np.where(reached & (trial <= len(ordered)), trial, count)
        step //= 2
    return count


class NormalScores(Transformer):
    """Map every column to a standard normal by its ranks, and back.

    With r the (mid-)rank of a value among the n training values of its column, the score is

        z = Phi^-1((r - 1/2) / n).

    The training rows get exactly these scores; a tie gets its mid-rank. New rows are interpolated between the training
    values and clamped at both ends: whatever lies beyond the smallest or largest training value gets that value's score.
    A constant column gets the score 0. Total correlation does not change under this map, and the product of the marginals
    becomes N(0, I).

    The inverse interpolates the training quantiles, also clamped, so that nothing leaves the range of the training rows;
    where a column has fewer than 0.9 n distinct values it is the step function to the observed values, so that counts,
    levels and constants come back as they were.

    X is (n_samples, n_features) or (n_samples, n_channels, n_times), of any real dtype; scores are float64 and have the
    shape of X; the inverse is float32 where `fit` saw float32, else float64. Inputs are never modified. The map is a pure
    function of the training rows: no random numbers.

    Attributes: n_features_in_, feature_shape_, feature_names_in_ (where X was a data frame), tied_ (n_features,) bool.

    CuPy arrays are taken and returned too: rows must be in the memory that the map was fitted in.

    Raises
    ------
    ValueError
        X has the wrong number of axes, fewer than 8 samples (in `fit`), another sample shape than in `fit`, or NaN; or it is
        not in the memory of the training rows.
    TypeError
        X does not hold real numbers.

    Source: the invariance of the dual divergence under monotone maps (Garg et al. 2024, arXiv 2404.07377) makes
    rank-based scores (van der Waerden) the natural coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from dualwalk.normal_scores import NormalScores
    >>> X = np.exp(np.random.default_rng(0).normal(size=(50, 3)))
    >>> scores = NormalScores().fit(X)
    >>> z = scores.transform(X)
    >>> z.shape, bool(abs(z.mean()) < 1e-12)
    ((50, 3), True)
    >>> bool(np.allclose(scores.inverse_transform(z), X))
    True
    """

    _fitted_attribute: ClassVar[str] = "tied_"

    feature_shape_: tuple[int, ...]
    n_features_in_: int
    tied_: NDArray[np.bool_]

    def __init__(self) -> None:
        pass

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the ranks of the training rows; `y` is ignored (scikit-learn's signature)."""
        self._learn(X)
        return self

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Any:
        """The scores of the training rows themselves, faster than `fit(X).transform(X)` and equal to it."""
        return self._framed(self._learn(X), X)

    def transform(self, X: ArrayLike) -> Any:
        """Normal scores of X, in the shape of X (float64); a data frame where `set_output` says so."""
        rows, shape = self._samples(X, "X")
        return self._framed(self._scores(rows).reshape(len(rows), *shape), X)

    def inverse_transform(self, z: ArrayLike) -> NDArray[Any]:
        """Values with the scores z, in the shape of z."""
        rows, shape = self._samples(z, "z")
        return self._values(rows).reshape(len(rows), *shape).astype(self._dtype, copy=False)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """The names of the columns, which are those of X; ValueError for samples of two axes, which have no names."""
        names = self._names_in(input_features)
        if len(self.feature_shape_) != 1:
            raise ValueError(
                f"columns have names where X is (n_samples, n_features); this NormalScores was fitted on samples of shape "
                f"{self.feature_shape_} (fit it on X.reshape(len(X), -1))"
            )
        return names

    @whole
    def _learn(self, X: ArrayLike) -> Float:
        array = _checks.table(X, "X")
        rows, shape = _checks.samples(array)
        self._learn_names(X)
        self._start(array.dtype, shape)
        return self._fit_rows(rows).reshape(len(rows), *shape)

    # What follows works on checked float64 rows (n, d); the sampler's folds call it directly.

    def _start(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(np.float32 if dtype == np.float32 else np.float64)
        self.feature_shape_ = shape

    def _samples(self, X: ArrayLike, name: str) -> tuple[Float, tuple[int, ...]]:
        self._check_fitted()
        self._check_names(X, name)
        array = _checks.beside(_checks.table(X, name), name, self._ordered, None)
        return _checks.samples(array, name, min_samples=0, feature_shape=self.feature_shape_, owner="NormalScores")

    def _fit_rows(self, rows: Float) -> Float:
        """Learn from `rows`, and return their scores."""
        n, d = rows.shape
        order = np.argsort(rows, axis=0, kind="stable")
        self._ordered = np.take_along_axis(rows, order, axis=0)
        first, last = runs(self._ordered)
        self._ordered_scores = _device.beside(half_rank_scores(n), rows)[first + last]
        self.tied_ = tied_columns(self._ordered)
        self.n_features_in_ = d
        scores = np.empty_like(rows)
        np.put_along_axis(scores, order, self._ordered_scores, axis=0)
        return scores

    def _scores(self, rows: Float) -> Float:
        if _device.is_on_device(rows):
            return self._interpolated(rows) if len(rows) else np.empty_like(rows)
        scores = np.empty_like(rows)
        for j in range(rows.shape[1]):
            # Equal training values have equal scores, so the repeated abscissae are harmless.
            scores[:, j] = np.interp(rows[:, j], self._ordered[:, j], self._ordered_scores[:, j])
        return scores

    def _interpolated(self, rows: Float) -> Float:
        """np.interp of all columns at once: on a device a launch costs more than a column."""
        last = len(self._ordered) - 1
        below = np.maximum(n_up_to(self._ordered, rows) - 1, 0)
        above = np.minimum(below + 1, last)
        start, stop = (np.take_along_axis(self._ordered, place, axis=0) for place in (below, above))
        low, high = (np.take_along_axis(self._ordered_scores, place, axis=0) for place in (below, above))
        gap = stop - start
        share = np.clip((rows - start) / np.where(gap > 0, gap, np.inf), 0.0, 1.0)
        scores: Float = low + share * (high - low)
        return scores

    def _values(self, scores: Float) -> Float:
        n, d = self._ordered.shape
        xp = _device.namespace(scores)
        table = _device.beside(half_rank_scores(n), scores)
        # All columns share the grid of scores: one interpolation gives every score its place between two ranks.
        place = np.interp(scores, table[0::2].copy(), xp.arange(n))
        lower = np.minimum(place.astype(np.intp), n - 2)
        share = place - lower
        flat = self._ordered.ravel()
        lower *= d
        lower += xp.arange(d)
        values: Float = (1.0 - share) * flat[lower] + share * flat[lower + d]
        if bool(self.tied_.any()):
            edges = table[1::2].copy()  # the score where rank k ends and rank k + 1 begins
            step = np.searchsorted(edges, scores[:, self.tied_], side="right")
            values[:, self.tied_] = np.take_along_axis(self._ordered[:, self.tied_], step, axis=0)
        return values
