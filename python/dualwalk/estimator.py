"""`DualDivergence`: how far the joint distribution is from the product of its marginals, and where every row lies."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _device, _memory, dualspace
from ._arrays import distinct
from ._blas import one_blas_thread
from ._blocks.fit import fit_blocks, warn_unsupported
from ._copies import CopiedRowsWarning, distinct_rows
from ._estimator import SmallSampleWarning, whole
from ._infinite import InfiniteDivergenceWarning, determined_columns
from ._nodepath.fit import fit_paths
from ._nodepath.fold import folds
from ._nodepath.graph import DependenceGraph
from ._reverse import reverse_divergence
from ._single.fit import fit_single
from ._threads import resolve_n_threads
from ._transformer import Transformer
from .duals.node import NodeDual
from .independence import FEWEST_PERMUTATIONS, independence_test
from .marginals import blocks_of_columns
from .normal_scores import NormalScores

Floats = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

_FEWEST_ROWS = 8
_UNITS = 100  # progress units of a fit
_MOST_ROWS_AT_ONCE, _MOST_NUMBERS_AT_ONCE = 1024, 2**22  # of new rows whose f is computed together
_NODES = ("auto", "density", "contrastive")


@dataclass(frozen=True)
class _Fit:
    """What a method hands over: its dual, f of every row held out and trained on, the estimate, and extras of the path.

    All but the dual is in the host's memory.
    """

    dual: Any
    held_out: Floats
    trained: Floats
    estimate: float
    rank_noise: float = 0.0
    graph: DependenceGraph | None = None
    base_names: tuple[str, ...] = ()


class DualDivergence(Transformer):
    """Total correlation of the columns of X, KL(joint || product of marginals), with a dual value for every row.

        TC = KL(p || prod_k p_k) = sum_k I(x_k ; earlier columns) = E_p[f],     f = log p - sum_k log p_k     (nats)

    By default f is the sum of one small conditional log-ratio a column, fitted on normal scores with cross-validation, so that
    every row's `dual_values_` entry comes from a fold that never saw it. One network is shared by all columns; each is told one
    parent's value, the Gaussian conditional mean given all earlier columns, the size that earlier residuals let expect, and
    the product of a pair of earlier columns where one was found to matter.

    Parameters
    ----------
    cv : folds; every row is a test row once (fewer than 2 cv rows: n // 2 folds). 1: one split, a fifth of the rows held out.
    n_fits : networks trained in a fold, each with other rows held out for its choices; their densities are averaged.
    method : "path", the path of nodes above, or "single", one critic for the whole of x: the literature's one-shot estimate,
        here as a foil. It cannot read more than about log of the number of its shuffled rows, and says so by a warning.
    nodes : of the path: "density" (a mixture of Gaussians for the column given its context, maximum likelihood),
        "contrastive" (a critic of column and context, logistic loss against shifted rows), or "auto": density nodes, and
        where a product of two columns moves a third, whichever of the two is better on held-out rows.
    critic, loss : of the single method: "mlp" or "conv"; "dv" (Donsker-Varadhan), "logistic" or "max".
    blocks : None, or integer labels, one a feature or one a channel: the divergence from the product of the BLOCKS' marginals.
        Dependence inside a block then does not count. Two blocks: their mutual information.
    reverse : also estimate KL(q || p), q the product of the marginals.
    n_permutations : of the test for zero divergence (`p_value_`); 0 for no test. 199 takes about as long as the fit.
    confidence_level : of `divergence_lower_`; also the share of in-distribution rows that the end points hold.
    random_state : None (fresh entropy), an int, or a NumPy Generator.
    n_threads : threads; None reads DUALWALK_NUM_THREADS, then the processors. Results do not depend on it.
    verbose : print progress lines to stderr.
    device : "cpu", "cuda", or None for where X is: a CuPy array is worked on in its device's memory, any other array on the CPU.
        "cuda" copies a NumPy array to the device, once; "cpu" takes no array from there (pass X.get()). See "On a device".

    Attributes
    ----------
    divergence_ : float, nats. The midpoint of the mean of f over held-out rows, which reads low by what estimation costs, and
        over rows trained on, which reads high by as much, less `rank_noise_`. Infinite where continuous columns determine each
        other (`determined_` names them, and `InfiniteDivergenceWarning` is given).
    divergence_held_out_, divergence_training_ : the two means. divergence_se_ : standard error of the held-out one.
    divergence_lower_ : float, nats, one-sided lower limit: `divergence_held_out_ - rank_noise_ - z se`, at most the former.
        Covered: the luck of the held-out rows, judged by the spread of f over them. Not covered: rows that depend on each
        other, such as several windows of one recording (thin them out first), and the error of `rank_noise_` itself. It is no
        two-sided interval: what the nodes do not see is missing from the estimate, so there is no upper limit to give.
    rank_noise_ : float, nats, 0 or below: by how much f falls because scores are ranks among n rows (a bootstrap).
    p_value_ : float or None, of the permutation test for zero divergence.
    reverse_divergence_, reverse_divergence_se_, reverse_divergence_lower_ : KL(q || p), nats, where `reverse` was set.
    dual_values_ : (n_samples,), nats, f of every row from the fold that held it out (cv = 1: `held_out_` says which; the others
        have the value they were trained to).
    held_out_ : (n_samples,) bool.
    labels_ : (n_samples,) int, cluster of each training row, 0 the lowest f.
    cuts_ : (n_cuts,) values of f between clusters; cut_valleys_ : (n_cuts,) bool, is it a real valley of the density of f.
    end_points_ : (2,) conformal end points from held-out f: a new in-distribution row falls outside with probability at
        most about 1 - confidence_level. training_end_points_ : (2,), the same quantiles of f on rows it was trained on,
        which read higher: the gap is why end points must come from held-out rows.
    dependence_graph_ : `DependenceGraph`: order, parents and nats of every column (the path without blocks only).
    determined_ : groups of continuous columns that determine each other exactly.
    dual_ : f on normal scores, the average over folds. normal_scores_ : the fitted `NormalScores`, of the shape of X
        (flatten its result for `dual_`: `model.normal_scores_.transform(X).reshape(len(X), -1)`).
    base_names_ : the Gaussian base each fold chose. n_features_in_, feature_shape_; feature_names_in_ where X had column names.

    X is (n_samples, n_features) or (n_samples, n_channels, n_times), at least 8 finite samples of any real dtype; it is
    copied, never modified. Columns of levels or ties are handled (f is a log-ratio of probabilities there). A constant
    column carries nothing: its term is 0. One column, or only one that varies, has divergence 0, exactly. A term never
    exceeds log 96, about 4.6 nats.

    The same int `random_state` and X give the same bits on one machine and backend, whatever `n_threads`; another BLAS may
    round differently. `SmallSampleWarning` is given for fewer than 50 samples, or fewer than 4 times the square root of the
    number of columns that vary: the estimate then reads low. Copies of rows count once, with a `CopiedRowsWarning`.

    On a device: what was fitted stays there, folds run one after the other (`n_threads` only draw the batches), and random
    numbers are those of the CPU, so that both agree to rounding, and to where it makes training stop early. Numbers are
    Python's; `dual_values_`, `held_out_` and `labels_` are in the memory of the X given to `fit`, what a method returns is in
    that of its own X; the other attributes are NumPy arrays. Methods take X from the device; with device="cuda" NumPy arrays
    too, which they copy there. f of every row is copied to the host, where the dual space is cut, and so are a few numbers a
    column; X itself only where it has columns of levels, to count their tables. Not there: method="single" and blocks of several
    columns. The first fit on a machine takes a minute more, as CuPy compiles what it needs, once.

    Raises TypeError or ValueError for an X or a parameter that cannot be used, before any work, and ImportError where the device
    cannot be.

    Source: Garg et al. 2024, arXiv 2404.07377 (dual divergence space); Donsker and Varadhan 1983 (the bound).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.standard_normal((200, 1))
    >>> X = shared + rng.standard_normal((200, 3))
    >>> model = DualDivergence(cv=2, random_state=0).fit(X)
    >>> bool(0.1 < model.divergence_lower_ < 0.5 * np.log(2) < 0.7)
    True
    >>> model.score_samples(X[:5]).shape
    (5,)
    """

    _fitted_attribute: ClassVar[str] = "dual_"

    def __init__(
        self,
        *,
        cv: int = 5,
        n_fits: int = 2,
        method: str = "path",
        nodes: str = "auto",
        critic: str = "mlp",
        loss: str = "dv",
        blocks: ArrayLike | None = None,
        reverse: bool = False,
        n_permutations: int = 0,
        confidence_level: float = 0.95,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
        device: str | None = None,
    ) -> None:
        self.cv = cv
        self.n_fits = n_fits
        self.method = method
        self.nodes = nodes
        self.critic = critic
        self.loss = loss
        self.blocks = blocks
        self.reverse = reverse
        self.n_permutations = n_permutations
        self.confidence_level = confidence_level
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose
        self.device = device

    @whole
    def fit(self, X: ArrayLike, y: Any = None, *, progress: Progress | None = None) -> Self:
        """Estimate the divergence of `X` and learn its dual space; `y` is ignored.

        `progress(done, total, text)` is called now and then, always from the calling thread.
        """
        given, X = X, _checks.table(X, "X")
        rows, shape = _checks.samples(_checks.placed(X, "X", _checks.device(self.device)))
        cv = _checks.count(self.cv, "cv", minimum=1)
        n_fits = _checks.count(self.n_fits, "n_fits", minimum=1)
        _checks.choice(self.method, "method", ("path", "single"))
        _checks.choice(self.nodes, "nodes", _NODES)
        _checks.choice(self.critic, "critic", ("mlp", "conv"))
        _checks.choice(self.loss, "loss", ("dv", "logistic", "max"))
        n_permutations = _checks.count(self.n_permutations, "n_permutations", minimum=0)
        if 0 < n_permutations < FEWEST_PERMUTATIONS:
            raise ValueError(
                f"n_permutations must be 0 (no test) or at least {FEWEST_PERMUTATIONS}; got {n_permutations} (199 is enough)"
            )
        level = _checks.real(self.confidence_level, "confidence_level", above=0.0, below=1.0)
        reverse, verbose = _checks.flag(self.reverse, "reverse"), _checks.flag(self.verbose, "verbose")
        progress = _checks.callback(progress, "progress")
        labels = None if self.blocks is None else blocks_of_columns(self.blocks, shape)
        if labels is not None and self.method == "single":
            raise ValueError('blocks need method="path"; got method="single" (leave method out)')
        n_threads = resolve_n_threads(self.n_threads)
        seed = _checks.seed(self.random_state, "random_state")
        if _device.is_on_device(rows):
            self._check_for_device(labels)
        elif self.method == "single":
            _memory.demand("DualDivergence.fit", _memory.of_single(rows.shape, n_threads), min(n_threads, cv))
        else:
            _memory.demand("DualDivergence.fit", _memory.of_path(rows.shape, cv, n_threads), min(n_threads, cv))
        if progress is None and verbose:
            progress = _printer()
        keep, of = distinct_rows(rows)
        if len(keep) < len(rows):
            rows = _without_copies(rows, keep)

        def report(share: float) -> None:
            if progress is not None:
                progress(int(_UNITS * share), _UNITS, "estimating the divergence")

        scores = NormalScores()
        scores._start(rows.dtype, shape)
        z = scores._fit_rows(rows)
        columns = _device.to_host(np.flatnonzero(rows.min(axis=0) < rows.max(axis=0)))
        alone = labels is None or len(distinct(labels[columns])) == len(columns)
        self._warn_if_small(len(rows), len(columns))
        determined = determined_columns(rows, z, columns) if alone else ()
        parts = folds(len(rows), cv, seed)
        if len(columns) < 2 or (labels is not None and len(distinct(labels[columns])) < 2):
            nothing = DependenceGraph(np.arange(z.shape[1]), np.full(z.shape[1], -1), np.zeros(z.shape[1]))
            fit = _Fit(NodeDual([], z.shape[1]), np.zeros(len(z)), np.zeros(len(z)), 0.0, graph=nothing)
            report(1.0)
        elif self.method == "single":
            one_shot = fit_single(
                z, parts, critic=self.critic, loss=self.loss, feature_shape=shape, seed=seed, n_threads=n_threads, report=report
            )
            fit = _Fit(one_shot.dual, one_shot.held_out, one_shot.trained, float(one_shot.held_out.mean()))
        elif labels is not None and not alone:
            blocks = fit_blocks(z, labels, parts, seed=seed, report=report)
            fit = _Fit(blocks.dual, blocks.held_out, blocks.trained_values, blocks.estimate)
            warn_unsupported(blocks.own_part, len(rows), stacklevel=4)
        else:
            found = fit_paths(
                rows,
                z,
                columns,
                parts,
                n_fits=n_fits,
                kind=cast(Any, self.nodes),
                seed=seed,
                n_threads=n_threads,
                report=report,
            )
            names = tuple(path.base for path in found.paths)
            fit = _Fit(found.dual(), found.held_out, found.trained, found.estimate(), found.rank_noise, found.graph(), names)

        self._learn_names(given)
        self.normal_scores_ = scores
        self.n_features_in_ = rows.shape[1]
        self.feature_shape_ = shape
        self.determined_ = determined
        is_held_out = np.zeros(len(rows), dtype=bool)
        is_held_out[np.concatenate([test for _, test in parts])] = True
        held_out = fit.held_out[is_held_out]
        self._keep(fit, held_out, level)
        self.dual_values_ = _device.beside(fit.held_out[of], X)
        self.held_out_ = _device.beside(is_held_out[of], X)
        self.labels_ = dualspace.assign(self.dual_values_, self.cuts_)
        self.p_value_ = None
        if n_permutations:
            test = independence_test(rows, blocks=labels, n_permutations=n_permutations, random_state=seed, n_threads=n_threads)
            self.p_value_ = test.p_value
        if reverse:
            other = reverse_divergence(self.dual_, z, seed, held_out=held_out, confidence_level=level, blocks=labels)
            self.reverse_divergence_, self.reverse_divergence_se_ = other.value, other.se
            self.reverse_divergence_lower_ = other.lower
        if determined:
            self._warn_infinite()
        return self

    def _keep(self, fit: _Fit, held_out: Floats, level: float) -> None:
        """Set the attributes that do not go by row; `held_out` is f of the rows that were held out."""
        self.dual_ = fit.dual
        self.base_names_ = fit.base_names
        self.dependence_graph_ = fit.graph
        self.rank_noise_ = fit.rank_noise
        self.divergence_held_out_ = float(held_out.mean())
        self.divergence_training_ = float(fit.trained.mean())
        self.divergence_ = np.inf if self.determined_ else fit.estimate
        self.divergence_se_ = float(held_out.std(ddof=1) / np.sqrt(len(held_out)))
        luck = NormalDist().inv_cdf(level) * self.divergence_se_
        # what ranks cost may make up for the luck of the rows, but lift no limit above what held-out rows show
        self.divergence_lower_ = self.divergence_held_out_ - max(luck + fit.rank_noise, min(luck, 0.0))
        space = dualspace.find_clusters(held_out)
        self.cuts_, self.cut_valleys_ = space.cuts, space.valleys
        self.end_points_ = dualspace.end_points(held_out, level)
        self.training_end_points_ = dualspace.end_points(fit.trained, level)

    @one_blas_thread()
    def score_samples(self, X: ArrayLike) -> Floats:
        """f of new rows, the average over folds: (n,), nats. Rows of the training set read higher than `dual_values_`."""
        return self._by_blocks(X, lambda scores: self.dual_.value(scores))

    def transform(self, X: ArrayLike) -> Any:
        """`score_samples` as a column: (n, 1); a data frame where `set_output` says so."""
        return self._framed(self.score_samples(X)[:, None], X)

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Any:
        """`fit(X).transform(X)`: f of the rows that were trained on, which reads higher than `dual_values_`; `y` is ignored."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """The name of the one column that `transform` returns: "dual_value"."""
        self._names_in(input_features)
        return np.array(["dual_value"], dtype=object)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """The mean of f over X, nats: how well rows that `fit` has not seen are explained, higher is better; `y` is ignored.

        With p the source of X, q the product of its marginals, Z = E_q[exp f] and r = q exp(f) / Z,

            E_p[f] = KL(p || q) - KL(p || r) + log Z.

        The terms of f are normalized over the training rows' marginals, so Z is nearly 1 (less than that for an average over
        folds), and r is the density that was learned. Held-out rows thus show the divergence less the error of the model: a lower
        bound on average, up to the error of Z, which makes it the criterion to choose settings by (the held-out log-likelihood
        beyond that of independent columns). Rows of the training set read higher. Compare models of the same columns only:
        monotone maps of a column change nothing, but a mix of columns, such as principal components, has another divergence, and
        so have other `blocks`.
        """
        f = self.score_samples(X)
        if not len(f):
            raise ValueError("X must have at least 1 sample; got 0 samples (pass rows to average f over)")
        return float(f.mean())

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """+1 for rows between the end points (in distribution), -1 outside: (n,)."""
        return dualspace.inside(self.score_samples(X), self.end_points_)

    @one_blas_thread()
    def node_terms(self, X: ArrayLike) -> Floats:
        """Each column's share of f, in the shape of X, nats; a sample's terms sum to its `score_samples`.

        Raises ValueError for method="single", whose one critic of all columns has no terms.
        """
        self._check_fitted()
        if not hasattr(self.dual_, "terms"):
            raise ValueError(
                'node_terms needs method="path", where f is a sum over columns; got method="single" (fit again with it)'
            )
        terms = self._by_blocks(X, lambda scores: self.dual_.terms(scores))
        return terms.reshape(len(terms), *self.feature_shape_)

    def _by_blocks(self, X: ArrayLike, of: Callable[[Floats], Floats]) -> Floats:
        """`of` the normal scores of X, `rows_at_once` rows at a time: a matrix product may round by the number of its rows, so
        that X in parts would else have other last bits than X as a whole. A device takes all rows at once."""
        self._check_fitted()
        self._check_names(X)
        array = _checks.beside(_checks.table(X, "X"), "X", self.normal_scores_._ordered, self.device)
        rows, _ = _checks.samples(array, min_samples=0, feature_shape=self.feature_shape_, owner="DualDivergence")
        size = max(1, len(rows)) if _device.is_on_device(rows) else rows_at_once(rows.shape[1])
        begins = range(0, max(1, len(rows)), size)
        parts = [of(self.normal_scores_._scores(rows[begin : begin + size])) for begin in begins]
        joined: Floats = _device.returned(_device.namespace(rows).concatenate(parts), X)
        return joined

    def _check_for_device(self, labels: NDArray[np.int32] | None) -> None:
        """ValueError where what was asked for is done in the host's memory only."""
        remedy = 'which works in the host\'s memory only; got X on a CUDA device (pass X.get(), or device="cpu" with a NumPy X'
        for name, asked in (
            ('method="single"', self.method == "single"),
            ("blocks of several columns", labels is not None and len(distinct(labels)) < len(labels)),
        ):
            if asked:
                raise ValueError(f"{name} {remedy}, or leave it out)")

    @staticmethod
    def _warn_if_small(n: int, d: int) -> None:
        wanted = max(50, int(np.ceil(4 * np.sqrt(d))))
        if n < wanted:
            text = (
                f"{n} samples of {d} columns that vary are few: the divergence will read low and f is rough; "
                f"collect at least {wanted} samples, or use fewer channels or times"
            )
            warnings.warn(text, SmallSampleWarning, stacklevel=4)  # past fit and its decorator, to the caller

    def _warn_infinite(self) -> None:
        shown = "; ".join(", ".join(map(str, group[:6])) + (" ..." if len(group) > 6 else "") for group in self.determined_[:4])
        text = (
            f"columns determine each other exactly, so the divergence is infinite: {shown} (keep one column of each group, or "
            "all but one of an exact sum, and fit again); divergence_lower_ and the dual values are those of a finite model"
        )
        warnings.warn(text, InfiniteDivergenceWarning, stacklevel=4)


def rows_at_once(n_features: int) -> int:
    """How many rows `score_samples` and `node_terms` work on together; parts of X that begin at a multiple of it keep their bits."""
    return max(16, min(_MOST_ROWS_AT_ONCE, _MOST_NUMBERS_AT_ONCE // n_features))


def _without_copies(rows: Floats, keep: NDArray[np.intp]) -> Floats:
    if len(keep) < _FEWEST_ROWS:
        raise ValueError(
            f"X must have at least {_FEWEST_ROWS} different samples; got {len(keep)} and {len(rows) - len(keep)} copies of them "
            "(collect more samples: copies tell nothing new)"
        )
    text = (
        f"{len(rows) - len(keep)} of {len(rows)} samples are copies of others: the divergence is that of the {len(keep)} others"
    )
    warnings.warn(f"{text} (leave copies out of X)", CopiedRowsWarning, stacklevel=4)
    distinct: Floats = rows[_device.beside(keep, rows)]
    return distinct


def _printer() -> Progress:
    """A progress callback that prints a line at every tenth of the work."""
    shown = -1

    def show(done: int, total: int, text: str) -> None:
        nonlocal shown
        if 10 * done // total > shown:
            shown = 10 * done // total
            print(f"dualwalk: {text} {100 * done // total} %", file=sys.stderr, flush=True)

    return show
