"""What a fitted sampler keeps of its training rows: rows, labels, groups, seed, and the distances between samples."""

from __future__ import annotations

import math
import secrets
import warnings
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._estimator import Estimator, SmallSampleWarning
from .novelty import Distances

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Fewer samples than this share of the (varying) features: 40 x 600 fails, 117 x 336 is fine.
SMALL_SAMPLE_SHARE = 1 / 8
LARGEST_VALUE = 1e100


class TrainingRows(Estimator):
    """The part of DualSampler that holds the data it was fitted on."""

    random_state: Any
    classes_: NDArray[Any]
    n_features_in_: int
    feature_shape_: tuple[int, ...]

    def _keep(self, X: ArrayLike, y: ArrayLike | None, groups: ArrayLike | None) -> None:
        """Check everything that `fit` was given, and keep it; what an earlier fit left behind goes."""
        rows, shape = _checks.samples(X)
        labels = _checks.labels(y, len(rows), "y")
        group_labels = _checks.labels(groups, len(rows), "groups")
        group_codes = _group_codes(group_labels)
        _check_scale(rows)
        self._seed, self._fresh = _checks.seed(self.random_state, "random_state"), self.random_state is None
        self._rows, self._dtype = rows, np.asarray(X).dtype
        self._labels, self._groups, self._group_codes = labels, group_labels, group_codes
        self.feature_shape_, self.n_features_in_ = shape, rows.shape[1]
        self._codes = np.zeros(len(rows), dtype=np.intp)
        if hasattr(self, "classes_"):
            del self.classes_
        if labels is not None:
            self.classes_, self._codes = np.unique(labels, return_inverse=True)
        for kind in type(self).__mro__:  # what was computed from other rows
            for name, value in vars(kind).items():
                if isinstance(value, cached_property):
                    self.__dict__.pop(name, None)

    def _label(self, code: int | None) -> Any:
        return None if code is None else self.classes_[code].item()

    def _stream_seed(self, seed: Any) -> int:
        if seed is not None:
            return _checks.seed(seed, "seed")
        return secrets.randbits(64) if self._fresh else self._seed

    def _shaped(self, rows: Float) -> NDArray[Any]:
        dtype = np.float32 if self._dtype == np.float32 else np.float64
        return rows.reshape(*rows.shape[:-1], *self.feature_shape_).astype(dtype, copy=False)

    @property
    def X_(self) -> NDArray[Any]:
        """The training rows, in the shape and dtype of X (a copy)."""
        self._check_fitted("choice_")
        return self._rows.reshape(len(self._rows), *self.feature_shape_).astype(self._dtype)

    @property
    def y_(self) -> NDArray[Any] | None:
        """The training rows' labels, or None."""
        self._check_fitted("choice_")
        return None if self._labels is None else self._labels.copy()

    @property
    def groups_(self) -> NDArray[Any] | None:
        """The training rows' groups, or None."""
        self._check_fitted("choice_")
        return None if self._groups is None else self._groups.copy()

    @cached_property
    def _distances(self) -> Distances:
        return Distances(self._rows, self._group_codes)

    def nearest(self, X: ArrayLike) -> tuple[Index, Float, Float]:
        """The training row nearest to every sample of X, as (index, distance, distance_ratio), each (n_samples,).

        Distances are in units of each column's standard deviation (at least a tenth of the median one). The ratio is to the
        median distance of a training row to its nearest other one (of another group): well below 1 says copy.
        """
        self._check_fitted("choice_")
        rows, _ = _checks.samples(X, min_samples=0, feature_shape=self.feature_shape_)
        index, distance = self._distances.nearest_one(rows)
        return index, distance, self._distances.novelty(distance)

    def training_distances(self) -> Float:
        """Every training row's distance to its nearest other one (of another group), (n_training,), in the units of `nearest`."""
        self._check_fitted("choice_")
        return self._distances.among_training()


def warn_if_small(rows: Float) -> None:
    """Warn the caller of `fit` where there are few rows for so many features."""
    n, d = len(rows), int(np.count_nonzero(np.ptp(rows, axis=0)))
    if n < SMALL_SAMPLE_SHARE * d:
        warnings.warn(
            f"{n} samples are few for {d} features (fewer than {math.ceil(SMALL_SAMPLE_SHARE * d)}): neighbours are far "
            "apart, so new samples will be near-copies or lose variance. Add samples (or windows of the series), "
            "shorten or downsample the series, drop channels, or judge the output with nearest() before using it.",
            SmallSampleWarning,
            stacklevel=4,  # past fit and its decorator, to the caller
        )


def _group_codes(groups: NDArray[Any] | None) -> Index | None:
    if groups is None:
        return None
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups must name at least 2 groups; got only {names.tolist()} (leave groups out if all rows are alike)"
        )
    return codes.astype(np.intp)


def _check_scale(rows: Float) -> None:
    largest = float(np.abs(rows).max())
    if largest > LARGEST_VALUE:
        raise ValueError(f"X must hold numbers below 1e100 in size; got {largest:.3g} (divide every column by its scale)")
