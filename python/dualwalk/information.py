"""`mutual_information`: how much two blocks of columns tell about each other, in nats, with a lower limit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._arrays import distinct
from ._blocks.fit import fit_blocks, warn_unsupported
from ._estimator import SmallSampleWarning
from ._nodepath.fold import folds
from ._threads import resolve_n_threads
from .normal_scores import NormalScores

Floats = NDArray[np.float64]

_FEW_ROWS = 50
_SURELY_EQUAL_ROWS = 24  # two columns with equal ranks in as many rows are no accident


@dataclass(frozen=True)
class MutualInformation:
    """What `mutual_information` found; all in nats.

    Attributes
    ----------
    estimate : float, the midpoint of `held_out` and `training`, where over- and underfitting nearly cancel, and a correction
        of second order for the number of rows that f is normalized over. Nearly unbiased where the fit is good; no bound.
        Beyond what the rows support (see the notes), it is what the fitted copula says, where that is all of f.
    se : float, the standard error of `held_out` over the rows.
    lower : float, the one-sided lower limit `held_out - z se` of `confidence_level`, from held-out rows alone. Covered: the
        luck of those rows. Not covered: rows that depend on each other, such as several windows of one recording.
    held_out : float, the mean of `values`: low, by what the fit could not learn from the rows.
    training : float, the mean of f over rows that it was fitted to: high, by what it learned from their noise.
    values : (n_samples,), f = log p(x, y) / p(x) p(y) of every row, from the fold that never saw the row.
    confidence_level : float.
    """

    estimate: float
    se: float
    lower: float
    held_out: float
    training: float
    confidence_level: float
    values: Floats = field(repr=False)


def mutual_information(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    cv: int = 5,
    confidence_level: float = 0.95,
    random_state: Any = None,
    n_threads: int | None = None,
) -> MutualInformation:
    """Mutual information of two blocks, the divergence of (X, Y) from independent X and Y, each with its own dependence kept.

        I(X; Y) = KL(p_xy || p_x p_y) = max_f  E_p[f] - log E_{p_x p_y}[exp f]          (nats)

    Columns become normal scores. f is an elliptical copula between the blocks (Gaussian or Student t, of a rank and shrinkage
    chosen on validation rows) plus, where it helps on validation rows, a mean of small separable critics g(x) . h(y); it is
    normalized over rows of Y. Folds give every row a value of an f that never saw it.

    Parameters
    ----------
    X, Y : arrays (n_samples,), (n_samples, n_features) or (n_samples, n_channels, n_times)
        Rows go together. Any real dtype, finite, at least 8 rows; copied, never modified. Ties and levels are handled.
        Columns that never vary carry nothing.
    cv : int
        Folds (fewer than 2 cv rows: n // 2).
    confidence_level : float in (0, 1)
        Of `lower`.
    random_state : None (fresh entropy), an int, or a NumPy Generator
    n_threads : checked, and not used so far: the steps are so small that one thread is quickest.

    Returns
    -------
    MutualInformation
        `.estimate`, `.se`, `.lower` and more, in nats. May fall slightly below 0 for independent blocks.

    Notes
    -----
    The same int `random_state` and data give the same bits on one machine; another BLAS may round differently. A row's f is
    at most the log of the rows it is compared with (0.8 n or 1024), so that 6 nats at n = 500 is the most that rows can
    support, and no more than log n is what any lower limit without a model can say (McAllester and Stratos 2020):
    `UnsupportedEstimateWarning` says when that takes more than 0.2 nats. `SmallSampleWarning`: fewer than 50 rows.
    Swapping X and Y changes the estimate by a small part of `se`.
    Source: Donsker and Varadhan 1983; van den Oord et al. 2018 (the normalization); Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    TypeError, ValueError
        For arrays that cannot be used, X and Y of different lengths, or a column of X that has the ranks of one of Y (or their
        reverse) without ties: the mutual information is infinite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(300)
    >>> y = 0.8 * x + 0.6 * rng.standard_normal(300)     # truth: -log(0.6) = 0.51 nats
    >>> found = mutual_information(x, y, cv=2, random_state=0)
    >>> bool(abs(found.estimate - 0.51) < 0.15 and 0.2 < found.lower < 0.51)
    True
    """
    first, second = _rows(X, "X"), _rows(Y, "Y")
    if len(first) != len(second):
        raise ValueError(
            f"X and Y must have one row a sample each; got {len(first)} and {len(second)} rows (pass rows that go together)"
        )
    cv = _checks.count(cv, "cv", minimum=2)
    level = _checks.real(confidence_level, "confidence_level", above=0.0, below=1.0)
    seed = _checks.seed(random_state, "random_state")
    resolve_n_threads(n_threads)

    z = [NormalScores()._fit_rows(rows) for rows in (first, second)]
    varying = [np.flatnonzero(np.ptp(rows, axis=0) > 0) for rows in (first, second)]
    _refuse_infinite(*z)
    n = len(first)
    if n < _FEW_ROWS:
        text = f"{n} rows are few: the mutual information will read low or rough; collect at least {_FEW_ROWS}"
        warnings.warn(text, SmallSampleWarning, stacklevel=2)
    if not all(len(columns) for columns in varying):
        return MutualInformation(0.0, 0.0, 0.0, 0.0, 0.0, level, np.zeros(n))
    scores = np.ascontiguousarray(np.hstack([part[:, columns] for part, columns in zip(z, varying, strict=True)]))
    labels = np.repeat([0, 1], [len(columns) for columns in varying])
    fitted = fit_blocks(scores, labels, folds(n, cv, seed), seed=seed)
    warn_unsupported(fitted.own_part, n, stacklevel=3)
    held_out = float(fitted.held_out.mean())
    se = float(fitted.held_out.std(ddof=1) / np.sqrt(n))
    lower = held_out - NormalDist().inv_cdf(level) * se
    return MutualInformation(fitted.estimate, se, lower, held_out, fitted.trained, level, fitted.held_out)


def _rows(value: ArrayLike, name: str) -> Floats:
    array = _checks.on_host(value, name)
    if array.ndim == 1:
        array = array[:, None]
    return _checks.samples(array, name)[0]


def _refuse_infinite(x: Floats, y: Floats) -> None:
    """A column of y that is a strictly monotone function of one of x makes the mutual information infinite: say so."""
    if len(x) < _SURELY_EQUAL_ROWS:
        return
    known = {}
    for j in range(x.shape[1]):
        rounded = np.round(x[:, j], 6) + 0.0
        if len(distinct(rounded)) == len(rounded):
            known[rounded.tobytes()] = j
    for k in range(y.shape[1]):
        for sign in (1, -1):
            key = (np.round(sign * y[:, k], 6) + 0.0).tobytes()
            if key in known:
                raise ValueError(
                    f"the mutual information is infinite: column {k} of Y has the ranks of column {known[key]} of X"
                    f"{' in reverse' if sign < 0 else ''}, without ties (drop that column from X or from Y)"
                )
