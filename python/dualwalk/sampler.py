"""DualSampler: new samples by walks on the ladder of local dual functions, its rung chosen on the training rows alone."""

from __future__ import annotations

from os import PathLike
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _checks, _device, _memory
from ._blas import one_blas_thread
from ._deprecation import warn_deprecated
from ._estimator import whole
from ._given.choice import Chosen
from ._given.fill import Completer
from ._given.request import draw_given, fill_array, incomplete, one_incomplete
from ._ladder.apart import ApartLadders, channels_are_apart, fit_apart
from ._ladder.choice import Choice, Progress, Tried
from ._ladder.classes import Verdict
from ._ladder.criterion import MANY_ROWS, Criterion, Fold
from ._ladder.fit import FittedLadder, Window, fit_ladder, fit_local
from ._lazy import cached_property
from ._random import generator
from ._sampler import MODES, WALKS, WITH_PATH
from ._sampler.grouped import warn_if_grouped
from ._sampler.modes import GlobalWalk
from ._sampler.novelty import SampleInfo, refill, warn_if_copied
from ._sampler.starts import choose_starts, wanted_codes
from ._sampler.training import warn_if_small
from ._sampler.views import Views

Float = NDArray[np.float64]
Index = NDArray[np.intp]


class DualSampler(Views):
    """Generate new samples that could have come from the source of X, from a few hundred of them.

    A new sample starts at a training row z_i (as normal scores) and walks on the local dual function f_i, Gaussian in the
    neighbourhood of its K nearest rows (mean m_i, centred rows N_i), by the exact Langevin walk of length t:

        z = m_i + e^-t (z_i - m_i) + sqrt(1 - e^-2t) N_i^T eps / sqrt(K),    eps ~ N(0, I).

    One ladder leads from local (K = 5, 7, ... 160; neighbours by distance, or relative to the sizes of both rows) to global
    (all rows, t = inf, a share of the noise from a covariance shrunk to channels x time). With walk="auto", each rung
    generates from four fifths of the training rows and is compared with the rest; the best is kept, for all rows or for
    every class or cluster. Nothing but the training rows is used, and no sample is kept or thrown away by a classifier.

    What the walk gives is the dependence; the marginals are the training rows', with quantiles that the times of a channel
    share where held-out rows say so (CRPS). Rows are balanced: those of one block (n of them, of n training rows; at most
    1024) take every part of a marginal equally often, as in Latin hypercube sampling. So the rows of one call are not
    independent draws: together they follow the marginals more closely.

    Parameters
    ----------
    walk : str
        "auto": the ladder; all others choose nothing on held-out rows. "local": K = n_neighbors and t = ln 2 everywhere.
        "mixture": from a mix of two near neighbours, renoised and annealed back on a `MixtureDual`. "gradient": the paper's
        walk as it is written, along grad f into the next cluster of f; its samples stay next to their starts, and a warning
        says how many. "renoised": that walk repaired, to an f between those of the start and a near neighbour, then renoised
        and annealed. Both renoise until new rows are as far from the training rows as those are from each other. "langevin":
        Langevin steps on the local dual function (or on `dual`), preconditioned by the covariance of K = n_neighbors
        neighbours.
    dual : object with value_and_gradient(z) -> (f, gradient), optional
        Takes the place of the mixture, or of the local dual function: for "gradient" and "langevin", and for "mixture" and
        "renoised" if dual.at(t) gives the dual function at any time t in [0, 1]. It sees normal scores, rows (n, n_features).
    n_neighbors : int
        K of "local" and "langevin".
    random_state : None, int or numpy.random.Generator
        With an int, `fit` and `sample` are deterministic: same data, same seed, same NumPy build and backend, same bits.
    device : None, "cpu" or "cuda"
        Where fit and all that follows work: None where X is, "cuda" on the device also for a NumPy X, which is copied there
        once. See below.

    Attributes
    ----------
    choice_ : Choice
        What was chosen and why: str(choice_) in a line, choice_.why and choice_.candidates with all that was tried and its
        criterion (with a choice per class or cluster: the largest one's; see choices_).
    choices_ : dict
        {label: Choice} where labels were given, {"cluster 1": Choice, ...} or {"channel 1": Choice, ...} where these have their own, else {None: choice_}.
    criteria_ : list of Tried
        Everything that was tried, with the criterion and its parts.
    class_criteria_ : Verdict or None
        .pooled and .per_class: the criterion that decided between one ladder and one for every class or cluster; None if
        nothing was to decide.
    classes_ : array
        The labels, sorted; only if y was given.
    X_, y_, groups_ : the training rows (shape and dtype as given; read-only), labels and groups (None if not given)
    n_rejected_ : how many draws the last `sample` refused because of its min_novelty
    given_choices_ : tuple of Chosen
        How the last `impute` or `sample(given=)` completed rows, and its error at training rows left out.
    n_features_in_, feature_shape_ : number of features and shape of one sample
    feature_names_in_ : the names of the columns, where X was a data frame

    X is (n_samples, n_features) or (n_samples, n_channels, n_times), float32, float64 or integer; generated samples are
    float32 for float32 input and float64 otherwise. Constant columns come back constant, tied columns (fewer than 0.9 n
    distinct values) on observed values, and nothing leaves the range of the training rows (with normal scores).

    On a CUDA device (X a CuPy array, or device="cuda") rows and what is made of them stay there: ranks, distances, noise, walks
    and the comparison of rungs. The host keeps the book: labels, groups, folds, starts and random seeds, and reads back a few
    numbers a rung, a flag a column (is it tied?), a few numbers a row where rows are put into clusters or looked at for copies
    (`min_novelty`, near-copies and groups), and f of every row where they walk to a target. Samples come back as arrays of X's kind, and what a method makes of an array as that array's kind; labels as given.
    The draws are the CPU's, so the same seed climbs the same ladder and gives the CPU's rows to rounding, but where rounding
    decides: between two rungs or distances that are equal, and in columns of few levels, where rows whose neighbours have one
    level may change places. `impute`, `sample(given=)` and `interpolate` work in the host's memory: on `to_host()`, a copy of
    the sampler there, which `report` makes by itself.

    Raises
    ------
    ValueError, TypeError
        NaN or infinity, fewer than 8 samples, ragged or non-numeric arrays, labels or groups of another length, unknown
        words or labels: before any work. X on a device with device="cpu", and arrays that are not where the sampler is.
    ImportError
        device="cuda" where the CUDA kernels cannot run; the text says why.

    Warns
    -----
    SmallSampleWarning
        There are fewer than an eighth as many samples as varying features.
    GroupedDataWarning
        The rows look as if several came from one subject or recording (near-copies, or each nearest to the one before or after
        it), and no groups are given.
    CopiedSamplesWarning
        In `sample`, with return_info=True or a walk other than "auto" and "local": new rows are copies of training rows, or
        more of them than 8 % beyond those among the training rows (and chance) are nearer than half the typical distance.

    Source: Garg et al. 2024, arXiv 2404.07377 (walks in the dual divergence space); the ladder is dualwalk's own.

    Examples
    --------
    >>> import numpy as np
    >>> from dualwalk.sampler import DualSampler
    >>> X = np.random.default_rng(0).normal(size=(60, 2, 4)).cumsum(axis=2)
    >>> sampler = DualSampler(random_state=0).fit(X)
    >>> sampler.sample(5).shape
    (5, 2, 4)
    >>> new, info = sampler.sample(5, min_novelty=0.3, return_info=True)
    >>> bool((info.novelty >= 0.3).all()), sampler.explain(new).f_change.shape
    (True, (5, 2, 4))
    >>> sampler.interpolate(new, X[7], n_frames=6).frames.shape
    (5, 6, 2, 4)
    """

    _fitted_attribute: ClassVar[str] = "choice_"

    choice_: Choice
    choices_: dict[Any, Choice]
    criteria_: list[Tried]
    class_criteria_: Verdict | None
    classes_: NDArray[Any]
    n_rejected_: int
    n_features_in_: int
    feature_shape_: tuple[int, ...]
    given_choices_: tuple[Chosen, ...]

    def __init__(
        self,
        walk: str = "auto",
        *,
        dual: Any = None,
        n_neighbors: int = 20,
        random_state: Any = None,
        device: str | None = None,
    ) -> None:
        self.walk = walk  # a method as well, of `Views`
        self.dual = dual
        self.n_neighbors = n_neighbors
        self.random_state = random_state
        self.device = device

    @property
    def walk_mode(self) -> str:
        """The argument `walk` (deprecated)."""
        warn_deprecated("DualSampler.walk_mode")
        word: str = vars(self)["walk"]
        return word

    @whole
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
        progress = _checks.callback(progress, "progress")
        mode = _checks.choice(vars(self)["walk"], "walk", WALKS)
        n_neighbors = _checks.count(self.n_neighbors, "n_neighbors", minimum=2)
        dual = self._checked_dual(mode)
        self._keep(X, y, groups)
        if dual is not None and getattr(dual, "n_features", self.n_features_in_) != self.n_features_in_:
            raise ValueError(
                f"dual must take the {self.n_features_in_} features of X; got one for {dual.n_features} (fit it on the normal "
                "scores of the same columns)"
            )
        if not _device.is_on_device(self._rows):
            _memory.demand("DualSampler.fit", _memory.of_sampler(self._rows.shape, mode))
        warn_if_small(self._rows)
        if self._group_codes is None:
            warn_if_grouped(self._rows, self._codes)
        data = (self._rows, self.feature_shape_, self._codes)
        n_neighbors = min(n_neighbors, len(self._rows) - 1)
        ladder = self._fit_ladder(progress) if mode == "auto" else fit_local(*data, n_neighbors)
        maker: FittedLadder | ApartLadders | GlobalWalk = ladder
        if mode in MODES:
            maker = GlobalWalk(self._rows, self._codes, mode, dual, n_neighbors, self._distances, self._seed)
        self._adopt(ladder, maker)
        return self

    def _adopt(self, ladder: FittedLadder | ApartLadders, maker: FittedLadder | ApartLadders | GlobalWalk) -> None:
        """Take what was chosen, and what makes rows: the ladder itself, or another walk."""
        self._ladder, self._maker = ladder, maker
        self.choice_, self.choices_ = ladder.choice, ladder.choices
        self.criteria_, self.class_criteria_ = ladder.criteria, ladder.verdict

    def _fit_ladder(self, progress: Progress | None) -> FittedLadder | ApartLadders:
        data, groups = (self._rows, self.feature_shape_), self._group_codes
        if self._labels is None and channels_are_apart(*data, self._seed, groups):
            return fit_apart(*data, groups, self._seed, progress)
        return fit_ladder(*data, self._codes, groups, self._seed, name_of=self._label, progress=progress)

    def _checked_dual(self, mode: str) -> Any:
        if self.dual is None:
            return None
        if mode not in MODES:
            raise ValueError(
                f"dual must be None with walk={mode!r}, whose dual functions are local; got {type(self.dual).__name__} (choose "
                f"walk= among {', '.join(map(repr, MODES))})"
            )
        needed = "at" if mode in WITH_PATH else "value_and_gradient"
        if isinstance(self.dual, type) or not callable(getattr(self.dual, needed, None)):
            wanted = "a method at(t), the dual function at a time in [0, 1]," if needed == "at" else "value_and_gradient(z)"
            raise TypeError(
                f"dual must have {wanted} for walk={mode!r}; got {type(self.dual).__name__} (MixtureDual has both; "
                "walk='langevin' and walk='gradient' take any dual function)"
            )
        return self.dual

    @overload
    def sample(
        self,
        n: int,
        y: Any = None,
        *,
        given: ArrayLike | None = None,
        balanced: bool = True,
        min_novelty: float | None = None,
        return_info: Literal[False] = False,
        seed: Any = None,
    ) -> NDArray[Any]: ...
    @overload
    def sample(
        self,
        n: int,
        y: Any = None,
        *,
        given: ArrayLike | None = None,
        balanced: bool = True,
        min_novelty: float | None = None,
        return_info: Literal[True],
        seed: Any = None,
    ) -> tuple[NDArray[Any], SampleInfo]: ...
    @one_blas_thread()
    def sample(
        self,
        n: int,
        y: Any = None,
        *,
        given: ArrayLike | None = None,
        balanced: bool = True,
        min_novelty: float | None = None,
        return_info: bool = False,
        seed: Any = None,
    ) -> Any:
        """n new samples, (n, *feature_shape_); with return_info=True, (samples, SampleInfo).

        y : None draws labels in the proportions of the training rows (where y was given to `fit`); one label makes all n
            rows of that class; an array of n labels gives row i the label y[i].
        given : one sample's shape, NaN where unknown: the rows hold its values and differ in the rest (see `impute`).
        balanced : False makes independent rows, by the walks "auto" and "local": each with the same law, but together their
            marginals scatter as those of n draws do. (2048 other rows tell a row its quantile, so that shares of a column below
            a value are those of balanced rows to .03.)
        min_novelty : rows whose novelty (see `SampleInfo`) is below it are drawn again, from another start of their class,
            until none is; `n_rejected_` tells how many were refused, and a ValueError that the sampler does not reach so far.
            0.3 or so keeps near-copies out; towards 1 it takes half of all rows away, and the closest of real ones with them.
        return_info : whether to tell each row's f, nearest training row and its subject, novelty, start and label as well;
            print(info) says in words how near the rows come to real ones.
        seed : None uses the fit's own stream: the same call gives the same rows (fresh ones each time if random_state is
            None). Another seed gives others. The result is a pure function of the fit, the arguments and the seed.
        """
        self._check_fitted()
        n = _checks.count(n, "n")
        _checks.room(n * self.n_features_in_, "n", n)
        balanced, return_info = _checks.flag(balanced, "balanced"), _checks.flag(return_info, "return_info")
        rows, starts, n_rejected = self._sampled(n, y, given=given, balanced=balanced, min_novelty=min_novelty, seed=seed)
        info = self._info(rows, starts, n_rejected) if return_info else None
        if given is None and (info is not None or self._maker is not self._ladder):
            novelty = self._distances.novelty(self._distances.nearest_one(rows)[1]) if info is None else info.novelty
            warn_if_copied(novelty, self._distances.training_novelty)
        made = self._in_memory_of_X(rows)
        return made if info is None else (made, info)

    @one_blas_thread()
    def _sampled(
        self,
        n: int,
        y: Any = None,
        *,
        given: ArrayLike | None = None,
        balanced: bool = True,
        min_novelty: float | None = None,
        seed: Any = None,
    ) -> tuple[Float, Index, int]:
        """What `sample` makes, without a warning: rows where the training rows are, their starts, and how many were refused."""
        wanted = wanted_codes(y, n, getattr(self, "classes_", None))
        least = 0.0 if min_novelty is None else _checks.real(min_novelty, "min_novelty", minimum=0.0)
        stream_seed = self._stream_seed(seed)
        labelled = wanted is not None
        held = None
        if given is not None:
            self._need_host("sample(given=)")
            held = one_incomplete(given, self.feature_shape_)

        def draw(codes: Index | None, n_rows: int, draw_seed: int) -> tuple[Float, Index]:
            if held is None or np.isnan(held).all():
                return self._draw(codes, n_rows, draw_seed, labelled=labelled, balanced=balanced)
            own = codes if labelled else None
            drawn, near, self.given_choices_ = draw_given(self._completer, held, own, n_rows, draw_seed)
            return drawn, near

        def redraw(began: Index, k: int) -> tuple[Float, Index]:
            return draw(self._codes[began], len(began), int(generator(stream_seed, "again", k).integers(2**63)))

        rows, starts = draw(wanted, n, stream_seed)
        n_rejected = self.n_rejected_ = refill(rows, starts, least, self._distances, redraw) if least > 0 else 0
        return rows, starts, n_rejected

    def _draw(self, codes: Index | None, n: int, seed: int, *, labelled: bool, balanced: bool = True) -> tuple[Float, Index]:
        began = choose_starts(self._codes, n, codes, generator(seed, "starts"), balanced=balanced)
        return self._maker.generate(began, seed, labelled=labelled, balanced=balanced), began

    @one_blas_thread()
    def sample_rows(self, n: int, start: int, stop: int, y: Any = None, *, seed: Any = None) -> Any:
        """Rows `start` to `stop` of `sample(n, y, seed=seed)`, made alone and with the same bits: (stop - start, *feature_shape_).

        For samples larger than memory, and for work in parallel: all stretches together are the one call. Memory is taken for
        the stretch, and 8 bytes for each of n rows where y is an array; time for the blocks (of at most 1024 rows) that it
        touches, and some ns for each row before it, whose random numbers are passed over.

        n, y, seed : as in `sample`; with random_state=None every stretch needs the same `seed`.

        Raises ValueError for a stretch that is not in [0, n], and for walks other than "auto" and "local", whose rows are not
        made in blocks.

        >>> X = np.random.default_rng(0).normal(size=(60, 2, 4)).cumsum(axis=2)
        >>> sampler = DualSampler(walk="local", random_state=0).fit(X)
        >>> np.array_equal(sampler.sample_rows(5000, 3000, 3010), sampler.sample(5000)[3000:3010])
        True
        """
        self._check_fitted()
        n, start, stop = (_checks.count(value, name) for value, name in ((n, "n"), (start, "start"), (stop, "stop")))
        if not start <= stop <= n:
            raise ValueError(
                f"start and stop must hold 0 <= start <= stop <= n = {n}; got {start} and {stop} (choose rows of the n)"
            )
        if self._maker is not self._ladder:
            raise ValueError(
                f"sample_rows needs walk='auto' or 'local', which make rows in blocks; got walk={vars(self)['walk']!r} (call sample)"
            )
        if seed is None and self._fresh:
            raise ValueError(
                "seed must be given where random_state is None, so that stretches belong to one call; got None (pass an int)"
            )
        stream_seed, rows = self._stream_seed(seed), slice(start, stop)
        stream, classes = generator(stream_seed, "starts"), getattr(self, "classes_", None)
        if y is not None and _arrays.as_array(y, "y").ndim:
            assert isinstance(self._ladder, FittedLadder)  # there are labels, so channels are not walked apart
            starts = choose_starts(self._codes, n, wanted_codes(y, n, classes), stream)
            window = Window(rows, 0, starts[:0])
            return self._in_memory_of_X(self._ladder.generate(starts, stream_seed, labelled=True, window=window))
        wanted = wanted_codes(y, 1, classes)
        candidates = np.arange(len(self._codes)) if wanted is None else np.flatnonzero(self._codes == wanted)
        made = self._ladder.generate_between(candidates, n, rows, stream, stream_seed, labelled=wanted is not None)
        return self._in_memory_of_X(made)

    def _in_memory_of_X(self, rows: Float) -> NDArray[Any]:
        made = self._shaped(rows)
        return made if self._given.rows else _device.to_host(made)

    @one_blas_thread()
    def impute(self, X: ArrayLike, n_draws: int | None = None, *, y: Any = None, seed: Any = None) -> NDArray[Any]:
        """X with every NaN drawn given the known values of its row; with n_draws, (n_draws, *X.shape), else one draw like X.

        The known values z_k of a row are held, and the rest walks on the dual function conditioned on them:

            z_u = E[z_u | z_k] + a (e_j - mean e) + sqrt(1 - a^2) sum_i eps_i (e_i - mean e) / sqrt(K - 1),    a = 1/2,

        where the mean is a regression shared by all training rows, shrunk to channels x times, and what the nearest rows in
        the known values add to it; e_1 ... e_K is what it misses at near rows that are left out, j one of them at random. The
        mean of many draws is the best guess, their quantiles are intervals: about nine of ten true values lie between the 5 %
        and the 95 % quantile. A forecast is an X whose later times are NaN.

        X : (n_samples, *feature_shape_); known values come back bit for bit, float32 as float32. Rows of NaN alone become new
            samples. What is drawn leaves the range of the training rows no further than the known values do, and tied columns
            have observed values.
        y : labels of the rows of X (or one for all), where known; without them, labels play no part.
        seed : as in `sample`. `given_choices_` tells what was chosen for the patterns of known values, and its error.

        Raises ValueError for infinite values, another shape than in fit, or labels that fit has not seen.

        >>> X = np.random.default_rng(0).normal(size=(60, 2, 6)).cumsum(axis=2)
        >>> sampler = DualSampler(walk="local", random_state=0).fit(X)
        >>> later = X[:3].copy()
        >>> later[:, :, 4:] = np.nan
        >>> sampler.impute(later, n_draws=9).shape
        (9, 3, 2, 6)
        """
        self._check_fitted()
        self._need_host("impute")
        self._check_names(X)
        array, rows = incomplete(X, "X", self.feature_shape_)
        count = 1 if n_draws is None else _checks.count(n_draws, "n_draws", minimum=1)
        _checks.room(count * array.size, "n_draws", count)
        codes = wanted_codes(y, len(rows), getattr(self, "classes_", None))
        stream_seed = self._stream_seed(seed)

        def fresh(wanted: Index | None, n_rows: int, draw_seed: int) -> Float:
            return self._draw(wanted, n_rows, draw_seed, labelled=wanted is not None)[0]

        filled, self.given_choices_ = fill_array(self._completer, array, rows, codes, count, stream_seed, fresh)
        return filled[0] if n_draws is None else filled

    @one_blas_thread()
    def score(self, X: ArrayLike, y: Any = None) -> float:
        """How like new samples are to X, rows of the same source that `fit` has not seen: 0 is best; `y` is ignored.

        Minus the criterion by which the ladder is chosen (see `choice_`), with X as the held-out rows: the energy distance
        between what new samples and X look like from the training rows, the share of X that has a new sample nearby, and how
        near new samples come to training rows. Unlike a two-sample distance alone, it does not take copies of the training rows
        for good samples. The same fit and X give the same number. Training rows are no X: they lie at distance 0 from
        themselves, so that all that is new seems far.
        """
        self._check_fitted()
        held, n_fit = self._samples(X), len(self._rows)
        rows = np.concatenate([self._rows, held])
        n = len(rows) if len(rows) <= MANY_ROWS else len(held)  # as many as the ladder makes
        made, _ = self._draw(None, n, int(generator(self._seed, "score").integers(2**63)), labelled=False)
        return -Criterion(rows, [Fold(np.arange(n_fit), np.arange(n_fit, len(rows)))])([made]).criterion

    def _labels_at(self, starts: Index) -> NDArray[Any]:
        labels: NDArray[Any] = self.classes_[self._codes[starts]]
        return labels

    def _info(self, rows: Float, starts: Index, n_rejected: int) -> SampleInfo:
        nearest, distance = self._distances.nearest_one(rows)
        label = None if self._labels is None else self._as_given(self._labels_at(starts), self._given.labels)
        subject = None if self._groups is None else self._as_given(self._groups[_device.to_host(nearest)], self._given.groups)
        novelty, usual = self._distances.novelty(distance), self._distances.training_novelty
        found = (self._local_duals.value(rows), nearest, distance, novelty, starts, usual)
        f, nearest, distance, novelty, starts, usual = map(_device.to_device if self._given.rows else _device.to_host, found)
        return SampleInfo(f, nearest, distance, novelty, starts, label, n_rejected, subject, usual)

    def report(self, path: str | PathLike[str]) -> None:
        """Write a self-contained HTML report: real beside generated samples, the dual space, where dependence lives."""
        from .report import write_report

        self._check_fitted()
        write_report(path, sampler=self)

    @cached_property
    def _completer(self) -> Completer:
        codes = None if self._labels is None else self._codes
        return Completer(self._rows, self.feature_shape_, codes, self._group_codes, self._seed)
