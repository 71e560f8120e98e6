"""DualSampler: new samples by walks on the ladder of local dual functions, its rung chosen on the training rows alone."""

from __future__ import annotations

import math
import secrets
import warnings
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._blas import one_blas_thread
from ._estimator import Estimator, SmallSampleWarning
from ._ladder.choice import Choice, Progress, Tried
from ._ladder.classes import Verdict
from ._ladder.fit import fit_ladder, fit_local
from ._ladder.rung import balanced_starts
from ._neighbors import column_scale, squared_distances
from ._random import generator
from ._surroundings import Attribution, Surroundings
from .walks import WalkResult

Float = NDArray[np.float64]
Index = NDArray[np.intp]

WALKS = ("auto", "local")
# Fewer samples than this share of the (varying) features: 40 x 600 fails, 117 x 336 is fine.
SMALL_SAMPLE_SHARE = 1 / 8


class DualSampler(Estimator):
    """Generate new samples that could have come from the source of X, from a few hundred of them.

    A new sample starts at a training row z_i (as normal scores) and walks on the local dual function f_i, Gaussian in the
    neighbourhood of its K nearest rows (mean m_i, centred rows N_i), by the exact Langevin walk of length t:

        z = m_i + e^-t (z_i - m_i) + sqrt(1 - e^-2t) N_i^T eps / sqrt(K),    eps ~ N(0, I).

    One ladder leads from local (K = 5, 7, ... 160) to global (all rows, t = inf, a share of the noise from a covariance
    shrunk to channels x time). With walk="auto", each rung generates from four fifths of the training rows and is compared
    with the rest; the best is kept, with normal scores or standardized columns, with or without a variance match. Nothing
    but the training rows is used, and no sample is kept or thrown away by a classifier.

    Parameters
    ----------
    walk : "auto" (the ladder) or "local" (K = n_neighbors, t = ln 2, nothing is chosen)
    n_neighbors : int
        K of walk="local"; ignored by "auto".
    random_state : None, int or numpy.random.Generator
        With an int, `fit` and `sample` are deterministic: same data, same seed, same NumPy build, same bits.

    Attributes
    ----------
    choice_ : Choice
        What was chosen (with a choice per class: the largest class's; see choices_).
    choices_ : dict
        {label: Choice} where labels were given, else {None: choice_}.
    criteria_ : list of Tried
        Everything that was tried, with the criterion and its parts.
    class_criteria_ : Verdict or None
        .pooled and .per_class: the criterion for labelled rows that decided between the two; None if nothing was to decide.
    classes_ : array
        The labels, sorted; only if y was given.
    X_, y_, groups_ : the training rows (shape and dtype as given; read-only), labels and groups (None if not given)
    n_features_in_, feature_shape_ : number of features and shape of one sample

    X is (n_samples, n_features) or (n_samples, n_channels, n_times), float32, float64 or integer; generated samples are
    float32 for float32 input and float64 otherwise. Constant columns come back constant, tied columns (fewer than 0.9 n
    distinct values) on observed values, and nothing leaves the range of the training rows (with normal scores).

    Raises
    ------
    ValueError, TypeError
        NaN or infinity, fewer than 8 samples, ragged or non-numeric arrays, labels or groups of another length, unknown
        words or labels: before any work.

    Warns
    -----
    SmallSampleWarning
        There are fewer than an eighth as many samples as varying features.

    Source: Garg et al. 2024, arXiv 2404.07377 (walks in the dual divergence space); the ladder is dualwalk's own.

    Examples
    --------
    >>> import numpy as np
    >>> from dualwalk.sampler import DualSampler
    >>> X = np.random.default_rng(0).normal(size=(60, 2, 4)).cumsum(axis=2)
    >>> sampler = DualSampler(random_state=0).fit(X)
    >>> sampler.sample(5).shape
    (5, 2, 4)
    """

    choice_: Choice
    choices_: dict[Any, Choice]
    criteria_: list[Tried]
    class_criteria_: Verdict | None
    classes_: NDArray[Any]
    n_features_in_: int
    feature_shape_: tuple[int, ...]

    def __init__(self, walk: str = "auto", *, n_neighbors: int = 20, random_state: Any = None) -> None:
        self.walk_mode = walk  # `walk` itself is a method
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments and their values."""
        return {"walk": self.walk_mode, "n_neighbors": self.n_neighbors, "random_state": self.random_state}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments by name; the model must be fitted again afterwards."""
        if "walk" in params:
            self.walk_mode = params.pop("walk")
        return super().set_params(**params)

    @one_blas_thread()
    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, groups: ArrayLike | None = None, *, progress: Progress | None = None
    ) -> Self:
        """Choose the rung on the training rows X and keep what sampling needs.

        y : labels, one a sample (integers or strings). Every class gets its own ladder, or all rows share one and a new
            row has its start's label: the folds decide. Classes of fewer than 8 rows have no ladder: where their
            label is asked for, the whole class is one neighbourhood.
        groups : one a sample; rows of one group (subject, recording) are held out together, and a held-out row counts as
            covered only within its distance to rows of OTHER groups. Without it, several noisy copies of one subject lead
            to copies.
        progress : called now and then as progress(done, total, text).
        """
        mode = _checks.choice(self.walk_mode, "walk", WALKS)
        n_neighbors = _checks.count(self.n_neighbors, "n_neighbors", minimum=2)
        rows, shape = _checks.samples(X)
        labels = _checks.labels(y, len(rows), "y")
        group_labels = _checks.labels(groups, len(rows), "groups")
        group_codes = _group_codes(group_labels)
        _check_scale(rows)
        seed = _checks.seed(self.random_state, "random_state")
        self._seed, self._fresh = seed, self.random_state is None

        self._rows, self._dtype = rows, np.asarray(X).dtype
        self._labels, self._groups, self._group_codes = labels, group_labels, group_codes
        self.feature_shape_, self.n_features_in_ = shape, rows.shape[1]
        self._codes = np.zeros(len(rows), dtype=np.intp)
        if hasattr(self, "classes_"):
            del self.classes_
        if labels is not None:
            self.classes_, self._codes = np.unique(labels, return_inverse=True)
        self._warn_if_small()
        self._surroundings: Surroundings | None = None
        if mode == "local":
            self._ladder = fit_local(rows, shape, self._codes, min(n_neighbors, len(rows) - 1))
        else:
            self._ladder = fit_ladder(rows, shape, self._codes, group_codes, seed, name_of=self._label, progress=progress)
        self.choice_, self.choices_ = self._ladder.choice, self._ladder.choices
        self.criteria_, self.class_criteria_ = self._ladder.criteria, self._ladder.verdict
        return self

    def _label(self, code: int | None) -> Any:
        return None if code is None else self.classes_[code].item()

    @one_blas_thread()
    def sample(self, n: int, y: Any = None, *, seed: Any = None) -> NDArray[Any]:
        """n new samples, (n, *feature_shape_).

        y : None draws labels in the proportions of the training rows (where y was given to `fit`); one label makes all n
            rows of that class; an array of n labels gives row i the label y[i].
        seed : None uses the fit's own stream: the same call gives the same rows (fresh ones each time if random_state is
            None). Another seed gives others. The result is a pure function of the fit, n, y and the seed.
        """
        self._check_fitted("choice_")
        n = _checks.count(n, "n")
        wanted = self._wanted_codes(y, n)
        stream_seed = self._stream_seed(seed)
        starts = self._starts(n, wanted, generator(stream_seed, "starts"))
        rows = self._ladder.generate(starts, self._codes[starts], stream_seed, labelled=wanted is not None)
        return self._shaped(rows)

    def _wanted_codes(self, y: Any, n: int) -> Index | None:
        if y is None:
            return None
        if self._labels is None:
            raise ValueError(f"y must be None where fit got no labels; got {y!r} (call fit(X, y) first)")
        given = np.asarray(y)
        if given.ndim not in (0, 1) or (given.ndim == 1 and len(given) != n):
            raise ValueError(f"y must be one label or {n} labels; got shape {given.shape} (pass n=len(y))")
        given = np.broadcast_to(given, (n,))
        known = np.isin(given, self.classes_)
        if not known.all():
            unknown = given[~known][0]
            raise ValueError(
                f"y must hold labels seen in fit, {self.classes_.tolist()}; got {unknown.item()!r} (fit with rows of that class)"
            )
        return np.searchsorted(self.classes_, given)

    def _starts(self, n: int, wanted: Index | None, stream: np.random.Generator) -> Index:
        if wanted is None:
            return balanced_starts(np.arange(len(self._rows)), n, stream)
        starts = np.empty(n, dtype=np.intp)
        for code in np.unique(wanted):
            places = np.flatnonzero(wanted == code)
            starts[places] = balanced_starts(np.flatnonzero(self._codes == code), len(places), stream)
        return starts

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

    def walk(
        self,
        X0: ArrayLike,
        *,
        n_steps: int = 50,
        step_size: float = 0.05,
        target: ArrayLike | None = None,
        noise: float = 0.0,
        record: bool = True,
        seed: Any = None,
    ) -> WalkResult:
        """Gradient walks from X0, each on the local dual function of its neighbourhood; a `WalkResult` with x like X0.

        The neighbourhood of a row is made of its nearest training rows other than itself (as normal scores); f is in nats.
        The step is that of `dualwalk.walk` (see there for the arguments), taken in units of each score's standard deviation
        in the neighbourhood: a step_size around 0.05 suits any data. With a target (one f, or one for every row), a walk
        stops there. x and the trajectory (n_walks, n_steps + 1, *feature_shape_) come back in the units and the shape of X.
        Deterministic as `sample` is.

        Raises ValueError where the target lies outside the f of the training rows (each in a neighbourhood without it):
        f grows without bound along the correlated directions, so the data must say how far it can be trusted.
        """
        self._check_fitted("choice_")
        rows, _ = _checks.samples(X0, "X0", min_samples=1, feature_shape=self.feature_shape_)
        around = self._local_duals()
        if target is not None:
            low, high = around.value_range
            wanted = _checks.real_array(target, "target").astype(np.float64)
            outside = ~((wanted >= low) & (wanted <= high))
            if outside.any():
                raise ValueError(
                    f"target must be in [{low:.4g}, {high:.4g}], the range of f over the training rows; got "
                    f"{wanted[outside].flat[0]:.4g} (choose a value inside, or None for a walk of n_steps steps)"
                )
        settings = {"n_steps": n_steps, "step_size": step_size, "target": target, "noise": noise, "record": record}
        return around.walk(rows, self._shaped, seed=self._stream_seed(seed), **settings)

    @one_blas_thread()
    def explain(self, X_from: Any, X_to: ArrayLike | None = None) -> Attribution:
        """How far every feature moved from X_from to X_to, and its part of the change of f, both shaped like X.

        f is the local dual function round X_from (nats). Its change is split by integrated gradients along the straight
        line between the two in normal scores (exact: f is quadratic), so `f_change` sums over a sample to f(X_to) -
        f(X_from). Both must hold the same number of samples. In place of the two, the recorded result of `walk` explains
        the walk's own path.
        """
        self._check_fitted("choice_")
        around = self._local_duals()
        if X_to is None:
            trajectory = getattr(X_from, "trajectory", None)
            if trajectory is None:
                raise ValueError(
                    f"X_to must be given unless X_from is a recorded walk; got {type(X_from).__name__} without a trajectory "
                    "(pass explain(X_from, X_to), or a result of walk(..., record=True))"
                )
            path = np.asarray(trajectory, dtype=np.float64)
            path = path.reshape(*path.shape[:2], self.n_features_in_)
        else:
            begin, _ = _checks.samples(X_from, "X_from", min_samples=1, feature_shape=self.feature_shape_)
            end, _ = _checks.samples(X_to, "X_to", min_samples=1, feature_shape=self.feature_shape_)
            if len(begin) != len(end):
                raise ValueError(f"X_to must hold {len(begin)} samples, as X_from does; got {len(end)} (pair them row by row)")
            path = np.stack([begin, end], axis=1)
        movement, f_change, f_from, f_to = around.attribute(path)
        shape = (-1, *self.feature_shape_)
        return Attribution(movement.reshape(shape), f_change.reshape(shape), f_from, f_to)

    def nearest(self, X: ArrayLike) -> tuple[Index, Float, Float]:
        """The training row nearest to every sample of X, as (index, distance, distance_ratio), each (n_samples,).

        Distances are in units of each column's standard deviation (at least a tenth of the median one). The ratio is to the
        median distance of a training row to its nearest other one (of another group): well below 1 says copy.
        """
        self._check_fitted("choice_")
        rows, _ = _checks.samples(X, min_samples=0, feature_shape=self.feature_shape_)
        scaled, training = self._in_deviations(rows), self._in_deviations(self._rows)
        index = np.argmin(squared_distances(scaled, training), axis=1)
        distance: Float = np.sqrt(((scaled - training[index]) ** 2).sum(axis=1))
        usual = float(np.median(self.training_distances()))
        ratio = distance / usual if usual > 0 else np.where(distance > 0, np.inf, 0.0)
        return index, distance, ratio

    def training_distances(self) -> Float:
        """Every training row's distance to its nearest other one (of another group), (n_training,), in the units of `nearest`."""
        self._check_fitted("choice_")
        training = self._in_deviations(self._rows)
        between = squared_distances(training, training)
        own = np.arange(len(training)) if self._group_codes is None else self._group_codes
        between[own[:, None] == own] = np.inf
        distance: Float = np.sqrt(((training - training[between.argmin(axis=1)]) ** 2).sum(axis=1))
        return distance

    def _in_deviations(self, rows: Float) -> Float:
        scaled: Float = (rows - self._rows.mean(axis=0)) / column_scale(self._rows)
        return scaled

    def report(self, path: str | PathLike[str]) -> None:
        """Write a self-contained HTML report: real beside generated samples, the dual space, where dependence lives."""
        from .report import write_report

        self._check_fitted("choice_")
        write_report(path, sampler=self)

    def _local_duals(self) -> Surroundings:
        if self._surroundings is None:
            self._surroundings = Surroundings(self._rows, self._ladder.n_neighbors)
        return self._surroundings

    def _warn_if_small(self) -> None:
        n, d = len(self._rows), int(np.count_nonzero(np.ptp(self._rows, axis=0)))
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
    if largest > 1e100:
        raise ValueError(f"X must hold numbers below 1e100 in size; got {largest:.3g} (divide every column by its scale)")
