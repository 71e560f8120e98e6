"""Train on synthetic, test on real: does a classifier learn as much from generated samples as from real ones?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._arrays import distinct
from .._blas import one_blas_thread
from ._optional import scikit_learn
from ._rows import Float, read
from .judging import SURE, JudgeWarning, checked_classifier, coin_p_value

N_TREES = 300


@dataclass(frozen=True)
class DownstreamAccuracy:
    """What a classifier gets right on real test rows; `float(result)` is `synthetic`.

    Attributes
    ----------
    synthetic : accuracy of the classifier trained on generated rows.
    real : accuracy of the same classifier trained on real rows; nan where none were given.
    gap : real - synthetic; 0 is perfect. nan likewise.
    se : standard error of the gap, from the test rows on which only one of the two is right; without real training rows,
        the standard error of `synthetic`.
    chance : share of the most frequent class among the test rows.
    trusted : whether the classifier trained on real rows beats that share (binomial p-value below .01).
    """

    synthetic: float
    real: float
    gap: float
    se: float
    chance: float
    trusted: bool

    def __float__(self) -> float:
        return self.synthetic


@one_blas_thread()
def train_synthetic_test_real(
    X_synthetic: ArrayLike,
    y_synthetic: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    X_train: ArrayLike | None = None,
    y_train: ArrayLike | None = None,
    classifier: Any = "forest",
    random_state: int = 0,
) -> DownstreamAccuracy:
    """The accuracy on real test rows of a classifier that was trained on generated ones, and that of one trained on real ones.

    Parameters
    ----------
    X_synthetic, X_test, X_train : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows
        each; not changed. Compare at equal numbers of training rows, or accept that more generated rows may help.
    y_synthetic, y_test, y_train : their labels, integers or strings; at least two classes to train on.
    classifier : "forest" (300 trees), or a scikit-learn classifier, which is cloned.
    random_state : int; the same arguments give the same result on one machine.

    Returns
    -------
    DownstreamAccuracy with `.synthetic`, `.real` and `.gap`.

    Warns `JudgeWarning` where training on real rows does no better than naming the most frequent class. Raises TypeError or
    ValueError for arguments that cannot be used, before any work; ImportError where scikit-learn is missing.

    Source: Esteban, Hyland and Raetsch 2017.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 40)
    >>> X, fresh = (rng.standard_normal((80, 3)) + 2 * y[:, None] for _ in range(2))
    >>> found = train_synthetic_test_real(fresh[::2], y[::2], X[::2], y[::2], X_train=X[1::2], y_train=y[1::2])
    >>> bool(found.synthetic > 0.85 and abs(found.gap) < 0.15)
    True
    """
    seed = _checks.seed(random_state, "random_state")
    if (X_train is None) != (y_train is None):
        raise ValueError("X_train and y_train go together; got only one of them (pass both, or neither)")
    arrays = {"X_synthetic": X_synthetic, "X_test": X_test} | ({} if X_train is None else {"X_train": X_train})
    rows, _ = read(arrays)
    values = {"y_synthetic": y_synthetic, "y_test": y_test} | ({} if y_train is None else {"y_train": y_train})
    labels = read_labels(values, rows, tested="y_test")
    result = downstream_of(rows, labels, classifier, seed)
    warn_useless(result)
    return result


def read_labels(values: Mapping[str, ArrayLike | None], rows: Sequence[Float], tested: str) -> list[NDArray[Any]]:
    """The labels of every array of rows: of one kind, and at least two classes but for those that are only `tested`."""
    labels = []
    for (name, value), own in zip(values.items(), rows, strict=True):
        found = _checks.labels(value, len(own), name)
        if found is None:
            raise ValueError(f"{name} must hold one label a sample; got None (pass the labels)")
        if name != tested and len(distinct(found)) < 2:
            raise ValueError(f"{name} must hold at least two classes; got only {found[0]!r} (generate samples of every class)")
        labels.append(found)
    if len({found.dtype.kind in "US" for found in labels}) > 1:
        kinds = ", ".join(f"{name} {found.dtype}" for name, found in zip(values, labels, strict=True))
        raise TypeError(f"all labels must be numbers, or all strings; got {kinds} (encode them alike)")
    return labels


def downstream_of(rows: Sequence[Float], labels: Sequence[NDArray[Any]], classifier: Any, seed: int) -> DownstreamAccuracy:
    """From rows and labels: generated, test and, perhaps, training ones."""
    right = _right(classifier, seed, rows[0], labels[0], rows[1], labels[1])
    n = len(rows[1])
    chance = float(np.unique(labels[1], return_counts=True)[1].max() / n)
    synthetic = float(right.mean())
    if len(rows) < 3:
        return DownstreamAccuracy(synthetic, math.nan, math.nan, math.sqrt(synthetic * (1 - synthetic) / n), chance, False)
    right_real = _right(classifier, seed, rows[2], labels[2], rows[1], labels[1])
    gap = right_real.astype(float) - right
    trusted = coin_p_value(int(right_real.sum()), n, chance) < SURE
    se = float(gap.std() / math.sqrt(n))
    return DownstreamAccuracy(synthetic, float(right_real.mean()), float(gap.mean()), se, chance, trusted)


def warn_useless(result: DownstreamAccuracy) -> None:
    """A `JudgeWarning` to the caller of a public function where real rows teach the classifier nothing."""
    if not result.trusted and not math.isnan(result.real):
        warnings.warn(
            f"trained on real rows, the classifier gets {result.real:.2f} of the test rows right where naming the most frequent "
            f"class gets {result.chance:.2f}: a gap between real and generated training rows means little (give it more rows, or "
            "another classifier)",
            JudgeWarning,
            stacklevel=4,  # past this function, the public one, and its `one_blas_thread`
        )


def _right(classifier: Any, seed: int, X: Float, y: NDArray[Any], X_test: Float, y_test: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the classifier, trained on X and y, is right."""
    if isinstance(classifier, str):
        _checks.choice(classifier, "classifier", ("forest",))
        made = scikit_learn("ensemble").RandomForestClassifier(N_TREES, random_state=seed % 2**32)
    else:
        made = scikit_learn("base").clone(checked_classifier(classifier, ("forest",)))
    right: NDArray[np.bool_] = np.asarray(made.fit(X, y).predict(X_test)) == y_test
    return right
