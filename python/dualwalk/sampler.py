"""DualSampler: new samples by walks on the ladder of local dual functions, its rung chosen on the training rows alone."""

from __future__ import annotations

import math
import secrets
import warnings
from functools import cached_property
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks
from ._blas import one_blas_thread
from ._estimator import Estimator, SmallSampleWarning
from ._given.choice import Chosen
from ._given.fill import Completer
from ._given.request import draw_given, fill_array, incomplete, one_incomplete
from ._ladder.choice import Choice, Progress, Tried
from ._ladder.classes import Verdict
from ._ladder.fit import fit_ladder, fit_local
from ._random import generator
from ._sampler.grouped import warn_if_grouped
from ._sampler.novelty import Distances, SampleInfo, refill
from ._sampler.starts import choose_starts, wanted_codes
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
    n_rejected_ : how many draws the last `sample` refused because of its min_novelty
    given_choices_ : tuple of Chosen
        How the last `impute` or `sample(given=)` completed rows, and its error at training rows left out.
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
    GroupedDataWarning
        The rows look as if several came from one subject or recording (near-copies, or each nearest to the one before or after
        it), and no groups are given.

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
    n_rejected_: int
    n_features_in_: int
    feature_shape_: tuple[int, ...]
    given_choices_: tuple[Chosen, ...]

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
        if group_codes is None:
            warn_if_grouped(rows, self._codes)
        for made_of_rows in ("_local_duals", "_distances", "_completer"):
            self.__dict__.pop(made_of_rows, None)
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
    def sample(
        self,
        n: int,
        y: Any = None,
        *,
        given: ArrayLike | None = None,
        min_novelty: float | None = None,
        return_info: bool = False,
        seed: Any = None,
    ) -> Any:
        """n new samples, (n, *feature_shape_); with return_info=True, (samples, SampleInfo).

        y : None draws labels in the proportions of the training rows (where y was given to `fit`); one label makes all n
            rows of that class; an array of n labels gives row i the label y[i].
        given : one sample's shape, NaN where unknown: the rows hold its values and differ in the rest (see `impute`).
        min_novelty : rows whose novelty (see `SampleInfo`) is below it are drawn again, from another start of their class,
            until none is; `n_rejected_` tells how many were refused, and a ValueError that the sampler does not reach so far.
            0.3 or so keeps near-copies out; towards 1 it takes half of all rows away, and the closest of real ones with them.
        return_info : whether to tell each row's f, nearest training row, novelty, start and label as well.
        seed : None uses the fit's own stream: the same call gives the same rows (fresh ones each time if random_state is
            None). Another seed gives others. The result is a pure function of the fit, the arguments and the seed.
        """
        self._check_fitted("choice_")
        n = _checks.count(n, "n")
        wanted = wanted_codes(y, n, getattr(self, "classes_", None))
        least = 0.0 if min_novelty is None else _checks.real(min_novelty, "min_novelty", minimum=0.0)
        stream_seed = self._stream_seed(seed)
        labelled = wanted is not None
        held = None if given is None else one_incomplete(given, self.feature_shape_)

        def draw(codes: Index | None, n_rows: int, draw_seed: int) -> tuple[Float, Index]:
            if held is None or np.isnan(held).all():
                return self._draw(codes, n_rows, draw_seed, labelled=labelled)
            own = codes if labelled else None
            drawn, near, self.given_choices_ = draw_given(self._completer, held, own, n_rows, draw_seed)
            return drawn, near

        def redraw(began: Index, k: int) -> tuple[Float, Index]:
            return draw(self._codes[began], len(began), int(generator(stream_seed, "again", k).integers(2**63)))

        rows, starts = draw(wanted, n, stream_seed)
        self.n_rejected_ = refill(rows, starts, least, self._distances, redraw) if least > 0 else 0
        return (self._shaped(rows), self._info(rows, starts)) if return_info else self._shaped(rows)

    def _draw(self, codes: Index | None, n: int, seed: int, *, labelled: bool) -> tuple[Float, Index]:
        began = choose_starts(self._codes, n, codes, generator(seed, "starts"))
        return self._ladder.generate(began, self._codes[began], seed, labelled=labelled), began

    @one_blas_thread()
    def impute(self, X: ArrayLike, n_draws: int | None = None, *, y: Any = None, seed: Any = None) -> NDArray[Any]:
        """X with every NaN drawn given the known values of its row; with n_draws, (n_draws, *X.shape), else one draw like X.

        The known values of a row are held, and the rest walks on the dual function conditioned on them: a regression shared by
        all training rows and shrunk to channels x times, what the nearest rows in the known values add to it, and noise made
        of what both miss at near rows that are left out. Means over many draws are the best guess, their quantiles intervals:
        nine of ten true values lie between the 5 % and the 95 % quantile. A forecast is an X whose later times are NaN.

        X : (n_samples, *feature_shape_); known values come back bit for bit, float32 as float32. Rows of NaN alone become new
            samples. What is drawn stays in the range of the training rows, and tied columns on observed values.
        y : labels of the rows of X (or one for all), where known; without them, labels play no part.
        seed : as in `sample`. `given_choices_` tells what was chosen for the patterns of known values, and its error.

        Raises ValueError for infinite values, another shape than in fit, or labels that fit has not seen.
        """
        self._check_fitted("choice_")
        array, rows = incomplete(X, "X", self.feature_shape_)
        count = 1 if n_draws is None else _checks.count(n_draws, "n_draws", minimum=1)
        codes = wanted_codes(y, len(rows), getattr(self, "classes_", None))
        stream_seed = self._stream_seed(seed)

        def fresh(wanted: Index | None, n_rows: int, draw_seed: int) -> Float:
            return self._draw(wanted, n_rows, draw_seed, labelled=wanted is not None)[0]

        filled, self.given_choices_ = fill_array(self._completer, array, rows, codes, count, stream_seed, fresh)
        return filled[0] if n_draws is None else filled

    def _info(self, rows: Float, starts: Index) -> SampleInfo:
        nearest, distance = self._distances.nearest_one(rows)
        label = None if self._labels is None else self.classes_[self._codes[starts]]
        novelty = self._distances.novelty(distance)
        return SampleInfo(self._local_duals.value(rows), nearest, distance, novelty, starts, label, self.n_rejected_)

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
        around = self._local_duals
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
        around = self._local_duals
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
        index, distance = self._distances.nearest_one(rows)
        return index, distance, self._distances.novelty(distance)

    def training_distances(self) -> Float:
        """Every training row's distance to its nearest other one (of another group), (n_training,), in the units of `nearest`."""
        self._check_fitted("choice_")
        return self._distances.among_training()

    def report(self, path: str | PathLike[str]) -> None:
        """Write a self-contained HTML report: real beside generated samples, the dual space, where dependence lives."""
        from .report import write_report

        self._check_fitted("choice_")
        write_report(path, sampler=self)

    @cached_property
    def _completer(self) -> Completer:
        codes = None if self._labels is None else self._codes
        return Completer(self._rows, self.feature_shape_, codes, self._group_codes, self._seed)

    @cached_property
    def _local_duals(self) -> Surroundings:
        return Surroundings(self._rows, self._ladder.n_neighbors)

    @cached_property
    def _distances(self) -> Distances:
        return Distances(self._rows, self._group_codes)

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
