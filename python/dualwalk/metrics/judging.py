"""Two-sample tests by a classifier: how often it tells generated rows from real ones, and whether it can tell anything."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._random import generator
from ._optional import scikit_learn
from ._rows import Float, balance

Index = NDArray[np.intp]

SURE = 0.01  # a judge is trusted that tells noise from data at this level,
CLEARLY = 0.6  # and at least this often


class JudgeWarning(UserWarning):
    """A judge that cannot tell noise from data says nothing about generated samples either."""


class Classifier(Protocol):
    """What a judge needs of a classifier."""

    def fit(self, X: Any, y: Any) -> Any: ...

    def predict(self, X: Any) -> Any: ...


@dataclass(frozen=True)
class TwoSample:
    """What a judge found between real and generated rows; `float(result)` is the accuracy.

    Attributes
    ----------
    accuracy : share of rows put on the right side by a judge that never saw them; .5 is perfect, for equal sides.
    se : standard error of a share of `n_rows`, sqrt(a (1 - a) / n_rows).
    p_value : chance that a coin is right as often or more often, binomial. Folds share rows, so it is not exact.
    n_rows : rows judged, both sides together.
    control_accuracy : the same judge between real rows and real rows whose columns were shuffled one by one (normal noise,
        if there is one column). nan where no self-check was asked for.
    trusted : whether it told that noise from data: control_accuracy at least .6, with a binomial p-value below .01. False
        where no self-check was asked for.
    judge : its name.
    """

    accuracy: float
    se: float
    p_value: float
    n_rows: int
    control_accuracy: float
    trusted: bool
    judge: str

    def __float__(self) -> float:
        return self.accuracy


def judged(right: NDArray[np.bool_], judge: str, control: NDArray[np.bool_] | None = None) -> TwoSample:
    """The result of a judge from where it was right, on the rows and on the control."""
    n, correct = len(right), int(right.sum())
    share = correct / n
    control_accuracy, trusted = math.nan, False
    if control is not None:
        control_accuracy = float(control.mean())
        trusted = control_accuracy >= CLEARLY and coin_p_value(int(control.sum()), len(control)) < SURE
    return TwoSample(share, math.sqrt(share * (1 - share) / n), coin_p_value(correct, n), n, control_accuracy, trusted, judge)


def warn_untrusted(*results: TwoSample) -> None:
    """A `JudgeWarning` to the caller of a public function for the judges that did not pass their self-check."""
    failed = [r for r in results if not r.trusted and not math.isnan(r.control_accuracy)]
    if failed:
        found = ", ".join(f"{r.judge} {r.control_accuracy:.2f} (on generated rows {r.accuracy:.2f})" for r in failed)
        warnings.warn(
            "these judges tell too few real rows from the same rows with every column shuffled, share of "
            f"{failed[0].n_rows} told: {found}; give them more rows, or take another judge (columns that really are independent "
            "cannot be told from shuffled ones)",
            JudgeWarning,
            stacklevel=4,  # past this function, the public one, and its `one_blas_thread`
        )


def coin_p_value(correct: int, n: int, heads: float = 0.5) -> float:
    """P(at least `correct` heads in n throws of a coin that shows heads with that probability)."""
    if correct <= 0 or heads >= 1:
        return 1.0
    terms = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(heads) + (n - k) * math.log1p(-heads)
        for k in range(correct, n + 1)
    )
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def fold_of_rows(n_each: int, cv: int, seed: int) -> Index:
    """The fold of every row of two sides of n_each rows, both spread evenly; no more folds than a side has rows."""
    sides = np.repeat([0, 1], n_each)
    splitter = scikit_learn("model_selection").StratifiedKFold(min(cv, n_each), shuffle=True, random_state=seed % 2**32)
    fold = np.empty(len(sides), dtype=np.intp)
    for k, (_, held) in enumerate(splitter.split(sides[:, None], sides)):
        fold[held] = k
    return fold


def told_apart(make: Callable[[], Classifier], real: Float, generated: Float, fold: Index) -> NDArray[np.bool_]:
    """For every row, real ones first, whether a classifier fitted on the other folds puts it on its side."""
    rows = np.concatenate([real, generated])
    sides = np.repeat(np.array([0, 1], dtype=np.intp), [len(real), len(generated)])
    right = np.zeros(len(rows), dtype=bool)
    for k in range(int(fold.max()) + 1):
        held = fold == k
        classifier = make()
        classifier.fit(rows[~held], sides[~held])
        right[held] = np.asarray(classifier.predict(rows[held])) == sides[held]
    return right


def shuffled_columns(rows: Float, seed: int, fold: Index | None = None) -> Float:
    """The control of every self-check: each column in an order of its own, so that all dependence is lost.

    Rows stay in their fold. Otherwise a value that is held out in a real row would be seen in a shuffled one, and a judge that
    learns by heart would be wrong more often than a coin.
    """
    stream = generator(seed, "metrics", "control")
    if rows.shape[1] == 1:  # one column has no dependence to lose: normal noise
        noise: Float = rows.mean() + max(float(rows.std()), 1e-12) * stream.standard_normal(rows.shape)
        return noise
    shuffled = np.empty_like(rows)
    for part in [np.arange(len(rows))] if fold is None else [np.flatnonzero(fold == k) for k in range(int(fold.max()) + 1)]:
        shuffled[part] = stream.permuted(rows[part], axis=0)
    return shuffled


def classifier_result(
    make: Callable[[], Classifier],
    real: Float,
    generated: Float,
    *,
    cv: int,
    seed: int,
    judge: str,
    features: Callable[[Float], Float] | None = None,
    self_check: bool = True,
) -> TwoSample:
    """A classifier's judgement of the rows or of `features` of them, equal sides, and its self-check on as many real rows."""
    a, b = balance(real, generated, seed)
    fold = fold_of_rows(len(a), cv, seed)
    see = features or (lambda rows: rows)
    right = told_apart(make, see(a), see(b), fold)
    if not self_check:
        return judged(right, judge)
    of_real = fold[: len(a)]
    # Features that do not tell a row's values cannot be learned by heart: such a row may be shuffled with all others.
    noise = shuffled_columns(a, seed, of_real if features is None else None)
    return judged(right, judge, told_apart(make, see(a), see(noise), np.concatenate([of_real, of_real])))


def checked_classifier(value: Any, words: tuple[str, ...]) -> Any:
    """A classifier of the caller's own, which scikit-learn can clone."""
    if isinstance(value, type) or not all(hasattr(value, method) for method in ("fit", "predict", "get_params")):
        raise TypeError(
            f"classifier must be one of {', '.join(map(repr, words))} or an object with fit and predict, as scikit-learn's; "
            f"got {value!r:.80} (pass an instance, such as RandomForestClassifier())"
        )
    return value
