"""What a fitted sampler keeps of its training rows: rows, labels, groups, seed, and the distances between samples."""

from __future__ import annotations

import math
import secrets
import warnings
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, _device
from .._estimator import Estimator, SmallSampleWarning
from .._lazy import cached_property
from .novelty import Distances

Float = NDArray[np.float64]
Index = NDArray[np.intp]

# Fewer samples than this share of the (varying) features: 40 x 600 fails, 117 x 336 is fine.
SMALL_SAMPLE_SHARE = 1 / 8


class _Given(NamedTuple):
    """Which of the arguments of `fit` were on a device."""

    rows: bool
    labels: bool
    groups: bool


class TrainingRows(Estimator):
    """The part of DualSampler that holds the data it was fitted on."""

    random_state: Any
    device: str | None
    classes_: NDArray[Any]
    n_features_in_: int
    feature_shape_: tuple[int, ...]

    def _keep(self, X: ArrayLike, y: ArrayLike | None, groups: ArrayLike | None) -> None:
        """Check everything that `fit` was given, and keep it; what an earlier fit left behind goes."""
        array = _checks.placed(_checks.table(X, "X"), "X", _checks.device(self.device))
        rows, shape = _checks.samples(array)
        labels = _checks.labels(_device.to_host(y), len(rows), "y")
        group_labels = _checks.labels(_device.to_host(groups), len(rows), "groups")
        group_codes = _group_codes(group_labels)
        _checks.scale(rows, "X")
        self._seed, self._fresh = _checks.seed(self.random_state, "random_state"), self.random_state is None
        self._rows, self._dtype, self._given = rows, array.dtype, _Given(*map(_device.is_on_device, (X, y, groups)))
        self._labels, self._groups, self._group_codes = labels, group_labels, group_codes
        self._learn_names(X)
        self.feature_shape_, self.n_features_in_ = shape, rows.shape[1]
        self._number_classes()

    def _resume(
        self,
        X: NDArray[Any],
        dtype: np.dtype[Any],
        *,
        labels: NDArray[Any] | None,
        groups: NDArray[Any] | None,
        seed: int,
        fresh: bool,
    ) -> None:
        """What `_keep` leaves behind, of rows (n, *feature_shape) that an earlier fit kept: see `_model_file`."""
        self._rows, self.feature_shape_ = _checks.samples(X)
        _checks.scale(self._rows, "X")
        self._seed, self._fresh, self._dtype, self._given = seed, fresh, dtype, _Given(False, False, False)
        self._labels = _checks.labels(labels, len(X), "y")
        self._groups = _checks.labels(groups, len(X), "groups")
        self._group_codes = _group_codes(self._groups)
        self.n_features_in_ = self._rows.shape[1]
        self._number_classes()

    def _number_classes(self) -> None:
        """Number the labels; what was computed from other rows goes."""
        self._codes = np.zeros(len(self._rows), dtype=np.intp)
        if hasattr(self, "classes_"):
            del self.classes_
        if self._labels is not None:
            self.classes_, self._codes = np.unique(self._labels, return_inverse=True)
        for kind in type(self).__mro__:
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
        """Rows where they are, in the shape of X and the dtype of samples."""
        dtype = np.float32 if self._dtype == np.float32 else np.float64
        return rows.reshape(*rows.shape[:-1], *self.feature_shape_).astype(dtype, copy=False)

    def _samples(self, X: ArrayLike, name: str = "X", *, min_samples: int = 1) -> Float:
        """Checked rows of another X, where the training rows are."""
        self._check_names(X, name)
        array = _checks.beside(_checks.table(X, name), name, self._rows, self.device)
        shape, owner = self.feature_shape_, type(self).__name__
        return _checks.samples(array, name, min_samples=min_samples, feature_shape=shape, owner=owner)[0]

    def _need_host(self, what: str) -> None:
        """ValueError in the name of what works in the host's memory only."""
        if _device.is_on_device(self._rows):
            raise ValueError(
                f"{what} works in the host's memory; this DualSampler was fitted on a CUDA device (call it on to_host(), a copy "
                "of the sampler there)"
            )

    def to_host(self) -> Self:
        """A copy of a fitted sampler in the host's memory (itself where it is there), with the same choice.

        It needs no device, takes and returns NumPy arrays, and its rows are those of the device to rounding.
        """
        self._check_fitted()
        if not _device.is_on_device(self._rows):
            return self
        copied: Self = _device.copied_to_host(self)
        copied.device, copied._given = "cpu", _Given(False, False, False)
        return copied

    @property
    def X_(self) -> NDArray[Any]:
        """The training rows, in the shape, dtype and memory of X (a copy)."""
        self._check_fitted()
        rows = self._rows.reshape(len(self._rows), *self.feature_shape_).astype(self._dtype)
        return rows if self._given.rows else _device.to_host(rows)

    @property
    def y_(self) -> NDArray[Any] | None:
        """The training rows' labels, or None."""
        self._check_fitted()
        return None if self._labels is None else self._as_given(self._labels.copy(), self._given.labels)

    @property
    def groups_(self) -> NDArray[Any] | None:
        """The training rows' groups, or None."""
        self._check_fitted()
        return None if self._groups is None else self._as_given(self._groups.copy(), self._given.groups)

    @staticmethod
    def _as_given(labels: NDArray[Any], on_device: bool) -> Any:
        return _device.to_device(labels) if on_device else labels

    @cached_property
    def _distances(self) -> Distances:
        return Distances(self._rows, self._group_codes)

    def nearest(self, X: ArrayLike) -> tuple[Index, Float, Float]:
        """The training row nearest to every sample of X, as (index, distance, distance_ratio), each (n_samples,).

        Distances are in units of each column's standard deviation (at least a tenth of the median one). The ratio is to the
        median distance of a training row to its nearest other one (of another group): well below 1 says copy.
        """
        self._check_fitted()
        index, distance = self._distances.nearest_one(self._samples(X, min_samples=0))
        index, distance, novelty = (_device.returned(of, X) for of in (index, distance, self._distances.novelty(distance)))
        return index, distance, novelty

    def training_distances(self) -> Float:
        """Every training row's distance to its nearest other one (of another group), (n_training,), in the units of `nearest`."""
        self._check_fitted()
        distance = self._distances.among_training()
        return distance if self._given.rows else _device.to_host(distance)


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
