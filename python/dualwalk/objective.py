"""The dual objective's arithmetic: log-mean-exp, the Donsker-Varadhan bound and the logistic objective, with gradients."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, backends
from ._threads import resolve_n_threads

_WORK_A_THREAD = 1 << 16


class Objective(NamedTuple):
    """An objective to maximize and its gradients.

    Attributes
    ----------
    value : float
        The objective, in nats.
    grad_joint, grad_marginal : arrays
        Its derivatives by f_joint and f_marginal, in their shapes and dtypes.
    """

    value: float
    grad_joint: NDArray[Any]
    grad_marginal: NDArray[Any]


@overload
def log_mean_exp(
    f: ArrayLike,
    *,
    axis: int | tuple[int, ...] | None = None,
    weights: ArrayLike | None = None,
    return_gradient: Literal[False] = False,
    n_threads: int | None = None,
    backend: str | None = None,
) -> Any: ...
@overload
def log_mean_exp(
    f: ArrayLike,
    *,
    axis: int | tuple[int, ...] | None = None,
    weights: ArrayLike | None = None,
    return_gradient: Literal[True],
    n_threads: int | None = None,
    backend: str | None = None,
) -> tuple[Any, NDArray[Any]]: ...
def log_mean_exp(
    f: ArrayLike,
    *,
    axis: int | tuple[int, ...] | None = None,
    weights: ArrayLike | None = None,
    return_gradient: bool = False,
    n_threads: int | None = None,
    backend: str | None = None,
) -> Any:
    """log( sum_i w_i exp f_i / sum_i w_i ) along `axis`, without overflow, and its gradient.

    Parameters
    ----------
    f : array of any shape, not empty along `axis`
        float32 stays float32 (sums run in float64 underneath); everything else is taken as float64. -inf counts as exp = 0;
        +inf gives +inf; NaN gives NaN. Copied only if it is not contiguous along `axis`.
    axis : int, tuple of ints or None
        None reduces over everything.
    weights : array that broadcasts to f, optional
        Not negative, not NaN, with a positive sum along `axis`; an entry of weight 0 does not count, whatever its f.
    return_gradient : bool
        Also return the derivative of the result by every entry of f: the weights w_i exp f_i / sum_j w_j exp f_j, in f's shape.
        (All entries -inf: zero. Entries at +inf share it by their weights.)

    Returns
    -------
    value, or (value, gradient)
        value is a scalar of f's dtype for axis=None, else an array without the reduced axes.

    Notes
    -----
    One pass over memory by (max, sum) pairs in chunks of a fixed size, combined by a fixed tree: the same bits for any
    n_threads. Source: the Donsker-Varadhan dual of Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    ValueError
        If f is empty along `axis`, or for weights as above; TypeError if f does not hold real numbers.

    Examples
    --------
    >>> float(log_mean_exp([1000.0, 1000.0, 1000.0]))
    1000.0
    >>> value, gradient = log_mean_exp([0.0, 0.0], return_gradient=True)
    >>> gradient.tolist()
    [0.5, 0.5]
    """
    array = _floating(f, "f")
    axes = _axes(axis, array.ndim)
    kept = tuple(a for a in range(array.ndim) if a not in axes)
    if any(array.shape[a] == 0 for a in axes):
        raise ValueError(f"f must not be empty along axis {axis}; got shape {array.shape} (the mean of nothing has no value)")
    order = kept + axes
    kept_shape = tuple(array.shape[a] for a in kept)
    n_rows, n = int(np.prod(kept_shape)), int(np.prod([array.shape[a] for a in axes]))
    rows = np.ascontiguousarray(array.transpose(order).reshape(n_rows, n))
    weight_rows = None
    if weights is not None:
        weight_rows = np.ascontiguousarray(_weights(weights, array).transpose(order).reshape(n_rows, n))
        if not (weight_rows.sum(axis=1, dtype=np.float64) > 0).all():
            raise ValueError("weights must have a positive sum along axis; got a sum of 0 (give some entry a positive weight)")
    gradient = np.empty_like(rows) if return_gradient else None
    threads = max(1, min(resolve_n_threads(n_threads), rows.size // _WORK_A_THREAD))
    run = backends.job("log_mean_exp", backend)
    value = run(rows, weight_rows, gradient, threads) if n_rows else np.empty(0)
    value = value.astype(array.dtype).reshape(kept_shape)[()]
    if gradient is None:
        return value
    back = gradient.reshape([array.shape[a] for a in order]).transpose(np.argsort(order))
    return value, np.ascontiguousarray(back) if array.ndim else back


def donsker_varadhan(
    f_joint: ArrayLike, f_marginal: ArrayLike, *, n_threads: int | None = None, backend: str | None = None
) -> Objective:
    """The Donsker-Varadhan bound  mean(f_joint) - log mean exp(f_marginal) <= KL(p || q), in nats, with its gradients.

    Parameters
    ----------
    f_joint, f_marginal : arrays of any shape, not empty
        The dual function on samples of p (the data) and of q (the product of its marginals). float32 stays float32.

    Returns
    -------
    Objective
        `.value` (float), `.grad_joint` (1 / n everywhere), `.grad_marginal` (minus the softmax of f_marginal).

    Notes
    -----
    Deterministic as `log_mean_exp`. The bound's own error explodes once f varies by several nats over q (about log n of them
    at most can be supported by n samples). Source: Donsker and Varadhan 1983; Garg et al. 2024 (arXiv 2404.07377).

    Examples
    --------
    >>> donsker_varadhan([1.0, 1.0], [0.0, 0.0]).value
    1.0
    """
    joint, marginal = _nonempty(f_joint, "f_joint"), _nonempty(f_marginal, "f_marginal")
    rest, gradient = log_mean_exp(marginal.ravel(), return_gradient=True, n_threads=n_threads, backend=backend)
    value = float(np.mean(joint, dtype=np.float64)) - float(rest)
    return Objective(value, np.full_like(joint, 1 / joint.size), -gradient.reshape(marginal.shape))


def logistic(
    f_joint: ArrayLike, f_marginal: ArrayLike, *, n_threads: int | None = None, backend: str | None = None
) -> Objective:
    """The logistic (noise-contrastive) objective  mean log sigmoid(f_joint) + mean log sigmoid(-f_marginal), with gradients.

    Its maximum over f is at f = log p/q, where it equals 2 (JS(p, q) - log 2); at f = 0 it is -2 log 2. It never blows up.
    To be maximized: minus it is the usual binary cross-entropy loss with both classes weighted alike.

    Parameters
    ----------
    f_joint, f_marginal : arrays of any shape, not empty
        The dual function on samples of p and of q, float32 or float64; any number of samples of either.

    Returns
    -------
    Objective
        `.value` (float, nats), `.grad_joint`, `.grad_marginal`.

    Notes
    -----
    One pass; the same bits for any n_threads. Source: Gutmann and Hyvarinen 2010.

    Examples
    --------
    >>> round(logistic([0.0], [0.0]).value, 6)
    -1.386294
    """
    joint, marginal = _nonempty(f_joint, "f_joint"), _nonempty(f_marginal, "f_marginal")
    run = backends.job("mean_log_sigmoid", backend)
    threads = resolve_n_threads(n_threads)
    total, gradients = 0.0, []
    for sign, values in ((1, joint), (-1, marginal)):
        gradient = np.empty(values.size, values.dtype)
        total += run(np.ascontiguousarray(values).ravel(), sign, gradient, max(1, min(threads, values.size // _WORK_A_THREAD)))
        gradients.append(gradient.reshape(values.shape))
    return Objective(total, *gradients)


def _floating(value: ArrayLike, name: str) -> NDArray[Any]:
    array = _checks.real_array(value, name)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _nonempty(value: ArrayLike, name: str) -> NDArray[Any]:
    array = _floating(value, name)
    if array.size == 0:
        raise ValueError(f"{name} must not be empty; got shape {array.shape} (pass the dual function of at least one sample)")
    return array


def _axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    normal = []
    for one in axes:
        number = _checks.count(one, "axis", minimum=-ndim)
        if number >= ndim:
            raise ValueError(f"axis must be below {ndim}, the dimensions of f; got {number} (count from 0)")
        normal.append(number % ndim)
    if len(set(normal)) < len(normal):
        raise ValueError(f"axis must name every axis once; got {axis} (drop the repetition)")
    return tuple(normal)


def _weights(weights: ArrayLike, f: NDArray[Any]) -> NDArray[Any]:
    array = _checks.real_array(weights, "weights").astype(f.dtype)
    try:
        array = np.broadcast_to(array, f.shape)
    except ValueError:
        raise ValueError(
            f"weights must broadcast to f, shape {f.shape}; got shape {array.shape} (pass one weight for each value)"
        ) from None
    if not np.isfinite(array).all() or (array < 0).any():
        bad = array[~np.isfinite(array) | (array < 0)].flat[0]
        raise ValueError(f"weights must be finite and not negative; got {bad} (clip or drop those entries)")
    return array
