"""Many fits, and samples from many fitted samplers, in parallel."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

import dask
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ... import _checks
from ..._arrays import distinct
from ..._estimator import Estimator
from ..._random import generator
from ..._threads import threads_limit
from ...sampler import DualSampler

Fitted = TypeVar("Fitted", bound=Estimator)


def fit_many(estimator: Fitted, datasets: Iterable[Any]) -> list[Fitted]:
    """A copy of `estimator` fitted to every one of `datasets`, in parallel; in their order.

    datasets : each an X, or a tuple (X, y) or (X, y, groups) of what `fit` takes. What is a dask array, or a delayed object, is
        computed on the workers and never comes here: the way for data that are large or many.

    The same as fitting them one after the other: with an int as random_state every copy has it; where it is None or a Generator,
    every copy has an int drawn from it here, so that a fit that is done again gives the same bits. Fits whose n_threads is
    None take one thread. An error of one fit is raised here, with the number of its data set; warnings stay in the workers' logs.
    """
    _checks.instance(estimator, "estimator", Estimator, remedy="pass one of dualwalk's, such as DualDivergence()")
    if isinstance(datasets, (str, bytes, dict)) or not np.iterable(datasets):
        raise TypeError(f"datasets must be a list of data sets; got {datasets!r:.80} (pass [X] for one)")
    tasks = []
    for k, dataset in enumerate(datasets):
        data = [dask.delayed(part) for part in (dataset if isinstance(dataset, tuple) else (dataset,))]
        tasks.append(dask.delayed(_fit, pure=False)(_ready(estimator), k, *data))
    return list(dask.compute(*tasks))


def bootstrap(
    estimator: Fitted, X: Any, n_replicates: int, *, seed: int, y: ArrayLike | None = None, groups: ArrayLike | None = None
) -> list[Fitted]:
    """A copy of `estimator` fitted to each of n_replicates bootstraps of the rows of X, in parallel.

    Replicate k is fitted to the rows `bootstrap_rows(n, k, seed=seed, groups=groups)`. X, an array, goes to every worker once; a dask
    array, such as `open_array` of a file, is put together by the workers and never comes here.

    groups : one a sample: whole groups are drawn (several windows of one recording); they are handed on to a `fit` that takes them.

    >>> from dualwalk import DualDivergence
    >>> X = np.random.default_rng(0).standard_normal((100, 3)).cumsum(axis=1)
    >>> models = bootstrap(DualDivergence(cv=2, n_fits=1, random_state=0), X, 4, seed=0)
    >>> len({model.divergence_ for model in models})
    4
    """
    _checks.instance(estimator, "estimator", Estimator, remedy="pass one of dualwalk's, such as DualDivergence()")
    X = X if hasattr(X, "dask") else _checks.table(X, "X")
    if X.ndim not in (2, 3):
        raise ValueError(
            f"X must have shape (n_samples, n_features) or (n_samples, n_channels, n_times); got shape {X.shape} (reshape it)"
        )
    if len(X) < _checks.MIN_SAMPLES:
        raise ValueError(
            f"X must have at least {_checks.MIN_SAMPLES} samples; got {len(X)} samples (collect or pool more rows)"
        )
    count = _checks.count(n_replicates, "n_replicates")
    seed = _checks.seed(seed)
    n_samples = X.shape[0]
    labels = [_checks.labels(value, n_samples, name) for value, name in ((y, "y"), (groups, "groups"))]
    for_fit = inspect.signature(cast(Any, estimator).fit).parameters
    handed = {name: value for name, value in zip(("y", "groups"), labels, strict=True) if value is not None and name in for_fit}
    data = (dask.delayed(X), *(dask.delayed(value, traverse=False) for value in (handed, labels[1])))
    tasks = [dask.delayed(_fit_replicate, pure=False)(_ready(estimator), k, seed, *data) for k in range(count)]
    return list(dask.compute(*tasks))


def bootstrap_rows(n_samples: int, replicate: int, *, seed: int, groups: ArrayLike | None = None) -> NDArray[np.intp]:
    """The rows of one bootstrap: n_samples are drawn with replacement (or as many whole groups as there are), and each counts once.

    So it holds about 63 % of the rows, in increasing order. Copies are left out because they tell nothing new: a copy of a row
    in the other fold would look like dependence, or like a close neighbour.
    """
    n_samples = _checks.count(n_samples, "n_samples", minimum=1)
    stream = generator(_checks.seed(seed), "bootstrap", _checks.count(replicate, "replicate"))
    labels = _checks.labels(groups, n_samples, "groups")
    if labels is None:
        _checks.room(n_samples, "n_samples", n_samples)
        return distinct(stream.integers(n_samples, size=n_samples)).astype(np.intp)
    names, of_row = np.unique(labels, return_inverse=True)
    return np.flatnonzero(np.isin(of_row, stream.integers(len(names), size=len(names))))


def sample_many(samplers: Sequence[DualSampler], n: int, y: Any = None, *, seed: Any = None) -> list[NDArray[Any]]:
    """`sampler.sample(n, y, seed=seed)` of every fitted sampler, in parallel; in their order.

    seed : None uses each fit's own stream (drawn here where random_state is None), else one seed for all.
    """
    if not isinstance(samplers, (list, tuple)):
        raise TypeError(f"samplers must be a list of fitted DualSamplers; got {samplers!r:.80} (pass [sampler] for one)")
    _checks.count(n, "n")
    tasks = []
    for sampler in samplers:
        _checks.instance(sampler, "samplers", DualSampler, remedy="pass a list of DualSampler().fit(X)")
        sampler._check_fitted("samplers")
        tasks.append(dask.delayed(_sample, pure=False)(dask.delayed(sampler, traverse=False), n, y, sampler._stream_seed(seed)))
    return list(dask.compute(*tasks))


def _ready(estimator: Estimator) -> Any:
    """An unfitted copy with an int as seed, as a thing to send."""
    copied = _copy(estimator)
    if hasattr(copied, "random_state"):
        copied.random_state = _checks.seed(copied.random_state, "random_state")
    return dask.delayed(copied, traverse=False)


def _copy(estimator: Estimator) -> Any:
    return type(estimator)(**estimator.get_params(deep=False))


def _fit(estimator: Estimator, number: int, *data: Any) -> Any:
    try:
        with threads_limit(1):
            return _copy(estimator).fit(*data)
    except Exception as error:
        error.add_note(f"in the fit to data set {number}")
        raise


def _fit_replicate(estimator: Estimator, replicate: int, seed: int, X: Any, handed: dict[str, Any], groups: Any) -> Any:
    rows = bootstrap_rows(len(X), replicate, seed=seed, groups=groups)
    with threads_limit(1):
        return _copy(estimator).fit(X[rows], **{name: value[rows] for name, value in handed.items()})


def _sample(sampler: DualSampler, n: int, y: Any, seed: int) -> Any:
    with threads_limit(1):
        return sampler.sample(n, y, seed=seed)
