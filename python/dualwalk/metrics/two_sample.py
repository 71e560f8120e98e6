"""Can a classifier tell generated rows from real ones? By their values, by their neighbours, by their training rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from .._blas import one_blas_thread
from ._optional import scikit_learn
from ._rows import Float, Units, balance, read, read_like, thin
from .judging import Classifier, TwoSample, checked_classifier, classifier_result, judged, shuffled_columns, warn_untrusted
from .nearness import distances, training_distances

N_TREES = 100
N_COMPONENTS = 16  # of the logistic judge
CLASSIFIERS = ("forest", "logistic", "gru", "convolution")


def forest(seed: int) -> Classifier:
    """100 trees with leaves of two rows or more."""
    made: Classifier = scikit_learn("ensemble").RandomForestClassifier(N_TREES, min_samples_leaf=2, random_state=seed % 2**32)
    return made


def logistic(seed: int, n_components: int) -> Classifier:
    """Logistic regression on the leading principal components, their squares and products: it sees means and covariances."""
    scale = scikit_learn("preprocessing").StandardScaler
    made: Classifier = scikit_learn("pipeline").make_pipeline(
        scale(),
        scikit_learn("decomposition").PCA(min(N_COMPONENTS, n_components), svd_solver="full", whiten=True),
        scikit_learn("preprocessing").PolynomialFeatures(2, include_bias=False),
        scale(),
        scikit_learn("linear_model").LogisticRegression(max_iter=1000, random_state=seed % 2**32),
    )
    return made


def _maker(classifier: Any, shape: tuple[int, ...], seed: int, n_fitted: int) -> tuple[Callable[[], Classifier], str]:
    """A way to make a fresh classifier that is fitted on at least `n_fitted` rows, and its name."""
    if isinstance(classifier, str):
        name = _checks.choice(classifier, "classifier", CLASSIFIERS)
        if name == "forest":
            return partial(forest, seed), name
        if name == "logistic":
            return partial(logistic, seed, min(int(np.prod(shape)), n_fitted)), name
        from .networks import SeriesClassifier

        return partial(SeriesClassifier, name, shape, seed), name
    return partial(scikit_learn("base").clone, checked_classifier(classifier, CLASSIFIERS)), type(classifier).__name__


@one_blas_thread()
def classifier_two_sample(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    classifier: Any = "forest",
    cv: int = 5,
    n_max: int = 1000,
    self_check: bool = True,
    random_state: int = 0,
) -> TwoSample:
    """The accuracy of a classifier that tells generated rows from real ones: .5 is perfect, 1 is always found out.

        accuracy = share of rows that a classifier fitted on the other folds puts on their side

    Parameters
    ----------
    real, generated : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows each; not
        changed. Take real rows that the generator never saw. The sides are made equal: a seeded part of the larger one.
    classifier : "forest" (100 trees), "logistic" (on principal components, their squares and products), "gru" or
        "convolution" (small networks along time, PyTorch), or a scikit-learn classifier, which is cloned.
    cv : folds; no more than a side has rows.
    n_max : of more rows on a side, as many are drawn.
    self_check : let the judge show that it tells real rows from the same rows with every column shuffled. Doubles the time.
    random_state : int; the same arguments give the same result on one machine.

    Returns
    -------
    TwoSample with `.accuracy`, `.se`, `.p_value` and `.trusted`.

    Warns `JudgeWarning` where the judge cannot tell noise from data. Raises TypeError or ValueError for arguments that cannot
    be used, before any work; ImportError where scikit-learn or, for a network, PyTorch is missing.

    Source: Lopez-Paz and Oquab 2017.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((120, 4)).cumsum(axis=1)
    >>> bool(classifier_two_sample(x[:60], x[60:], classifier="logistic").accuracy < 0.65)
    True
    >>> bool(classifier_two_sample(x[:60], 2 * x[60:], classifier="logistic").p_value < 0.01)
    True
    """
    cv = _checks.count(cv, "cv", minimum=2)
    n_max = _checks.count(n_max, "n_max", minimum=2)
    seed = _checks.seed(random_state, "random_state")
    self_check = _checks.flag(self_check, "self_check")
    (a, b), shape = read({"real": real, "generated": generated})
    a, b = thin(a, n_max, seed, "real"), thin(b, n_max, seed, "generated")
    n = min(len(a), len(b))
    make, name = _maker(classifier, shape, seed, 2 * (n - math.ceil(n / min(cv, n))))
    result = classifier_result(make, a, b, cv=cv, seed=seed, judge=name, self_check=self_check)
    warn_untrusted(result)
    return result


def memorization_of(real: Float, generated: Float, train: Float, *, cv: int, seed: int, self_check: bool) -> TwoSample:
    """The forest on log distances to training rows; rows in common units."""
    return classifier_result(
        partial(forest, seed),
        real,
        generated,
        cv=cv,
        seed=seed,
        judge="forest on distances to training rows",
        features=lambda rows: training_distances(rows, train),
        self_check=self_check,
    )


@one_blas_thread()
def memorization_two_sample(
    real: ArrayLike,
    generated: ArrayLike,
    train: ArrayLike,
    *,
    cv: int = 5,
    n_max: int = 1000,
    self_check: bool = True,
    random_state: int = 0,
) -> TwoSample:
    """The accuracy of a forest that sees of a row only how far the nearest training rows are: 1 for copies and for noise.

        features = log(.001 + distance to the 1st, 2nd and 5th nearest training row)

    Parameters
    ----------
    real, generated, train : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows
        each; not changed. `real` are rows the generator never saw, `train` the rows it was fitted to; distances are in
        standard deviations of the training columns.
    cv, n_max, self_check, random_state : as in `classifier_two_sample`. The training rows are always all looked at.

    Returns
    -------
    TwoSample. Near .5 only where generated rows are as far from the training rows as new real ones are.

    Warns `JudgeWarning`; raises as `classifier_two_sample` does.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((150, 3)).cumsum(axis=1)
    >>> bool(memorization_two_sample(x[:50], x[50:100] + 0.01, x[50:100]).accuracy > 0.9)    # near copies
    True
    """
    cv = _checks.count(cv, "cv", minimum=2)
    n_max = _checks.count(n_max, "n_max", minimum=2)
    seed = _checks.seed(random_state, "random_state")
    self_check = _checks.flag(self_check, "self_check")
    (a, b, known), _ = read({"real": real, "generated": generated, "train": train})
    scaled = Units.of(known)
    a, b = thin(a, n_max, seed, "real"), thin(b, n_max, seed, "generated")
    result = memorization_of(scaled(a), scaled(b), scaled(known), cv=cv, seed=seed, self_check=self_check)
    warn_untrusted(result)
    return result


def one_nearest_neighbor_of(real: Float, generated: Float, *, seed: int, self_check: bool) -> TwoSample:
    """The leave-one-out nearest neighbour; rows in common units."""
    a, b = balance(real, generated, seed)
    control = _same_side(a, shuffled_columns(a, seed)) if self_check else None
    return judged(_same_side(a, b), "nearest neighbour", control)


def _same_side(a: Float, b: Float) -> np.ndarray:
    rows = np.concatenate([a, b])
    between = distances(rows, rows)
    np.fill_diagonal(between, np.inf)
    sides = np.arange(len(rows)) < len(a)
    same: np.ndarray = sides[between.argmin(axis=1)] == sides
    return same


@one_blas_thread()
def nearest_neighbor_two_sample(
    real: ArrayLike,
    generated: ArrayLike,
    *,
    train: ArrayLike | None = None,
    n_max: int = 1000,
    self_check: bool = True,
    random_state: int = 0,
) -> TwoSample:
    """The share of rows whose nearest other row, of both sides together, is on their side: .5 is perfect, 0 is for copies.

    Parameters
    ----------
    real, generated : arrays (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least two rows each; not
        changed. The sides are made equal: a seeded part of the larger one.
    train : rows whose columns give the units of distance, one standard deviation each; None: `real`.
    n_max, self_check, random_state : as in `classifier_two_sample`.

    Returns
    -------
    TwoSample. Needs NumPy alone. In many dimensions it is a weak judge, and `.trusted` says so.

    Warns `JudgeWarning` where the judge cannot tell noise from data; raises TypeError or ValueError for arguments that cannot
    be used, before any work.

    Source: Lopez-Paz and Oquab 2017; Xu et al. 2018.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((200, 3)).cumsum(axis=1)
    >>> bool(abs(nearest_neighbor_two_sample(x[:100], x[100:]).accuracy - 0.5) < 0.1)
    True
    """
    n_max = _checks.count(n_max, "n_max", minimum=2)
    seed = _checks.seed(random_state, "random_state")
    self_check = _checks.flag(self_check, "self_check")
    (a, b), shape = read({"real": real, "generated": generated})
    scaled = Units.of(a if train is None else read_like(train, "train", shape))
    a, b = scaled(thin(a, n_max, seed, "real")), scaled(thin(b, n_max, seed, "generated"))
    result = one_nearest_neighbor_of(a, b, seed=seed, self_check=self_check)
    warn_untrusted(result)
    return result
