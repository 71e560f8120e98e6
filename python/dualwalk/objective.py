"""The dual objective's arithmetic: log-mean-exp, the Donsker-Varadhan bound and the logistic objective, with gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _checks, _device, backends
from ._threads import resolve_n_threads


class Objective(NamedTuple):
    """An objective to maximize and its gradients.

    Attributes
    ----------
    value : float
        The objective, in nats. On a CUDA device a CuPy array of shape (), for which nothing has waited yet: `float(value)` does.
    grad_joint, grad_marginal : arrays
        Its derivatives by f_joint and f_marginal, in their shapes and dtypes.
    """

    value: Any
    grad_joint: NDArray[Any]
    grad_marginal: NDArray[Any]


@overload
def log_mean_exp(
    f: ArrayLike,
    *,
    axis: int | tuple[int, ...] | None = None,
    segments: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    return_gradient: Literal[False] = False,
    out: None = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> Any: ...
@overload
def log_mean_exp(
    f: ArrayLike,
    *,
    axis: int | tuple[int, ...] | None = None,
    segments: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    return_gradient: Literal[True],
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> tuple[Any, NDArray[Any]]: ...
def log_mean_exp(
    f: ArrayLike,
    *,
    axis: int | tuple[int, ...] | None = None,
    segments: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    return_gradient: bool = False,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> Any:
    """log( sum_i w_i exp f_i / sum_i w_i ) along `axis`, or over segments, without overflow, and its gradient.

    Parameters
    ----------
    f : array of any shape, not empty along `axis`
        float32 stays float32 (sums run in float64 underneath); everything else is taken as float64. -inf counts as exp = 0;
        +inf gives +inf; NaN gives NaN. Not copied where it is contiguous in some order of its axes and the axes reduced are
        neighbours in memory. An array on a CUDA device stays there, and so does all that is returned.
    axis : int, tuple of ints or None
        None reduces over everything.
    segments : integers (n_segments + 1,), optional
        Offsets into a 1-D f, from 0 to len(f): segment k is f[segments[k] : segments[k + 1]], none of them empty (the row
        pointers of a CSR matrix). The result has a value for each segment. For f on a device, NumPy's are checked and copied to
        it; those on the device are not looked at.
    weights : array that broadcasts to f, optional
        Not negative, not NaN, with a positive sum along `axis` or in every segment; an entry of weight 0 does not count,
        whatever its f. Where f is; on a device they are not looked at.
    return_gradient : bool
        Also return the derivative of the result by every entry of f: the weights w_i exp f_i / sum_j w_j exp f_j, in f's shape.
        (All entries -inf: zero. Entries at +inf share it by their weights.)
    out : array, optional
        Where to write the gradient: C-contiguous, of f's shape and dtype. A loop that passes the same one again needs about half the
        time for large f, since the system need not find and clear new memory.

    Returns
    -------
    value, or (value, gradient)
        value is a scalar of f's dtype for axis=None, else an array without the reduced axes, or (n_segments,).

    Notes
    -----
    Chunks of a fixed size, combined by a fixed tree: the same bits for any n_threads. The error is at most 2 units in the last
    place (ULP) of the result for float32 with |result| > 1e-5, and 1e-12 of mean |exp(f) - 1| below; for float64 it is at most
    2 ULP of the larger of |result| and mean |exp(f) - 1| (5 ULP on the other backends): a mean near zero of large terms has no
    more digits, while small f have small errors.

    On a CUDA device nothing waits for the result, so nothing looks at values: weights that are negative, not finite or sum to 0
    give NaN in place of an error, and so do segments on the device that are empty; offsets there that do not go from 0 to len(f)
    give NaN everywhere and leave the gradient unwritten. The bits are the same on every device and in every run, and for a
    segment those that it has alone. The error is at most 2 ULP (float64: 4, with weights 16) of the larger of |result| and
    min(1, mean |exp(f) - 1|).

    Source: the Donsker-Varadhan dual of Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    ValueError
        If f is empty along `axis` or in a segment, or for segments, weights and `out` as above; TypeError if f does not hold
        real numbers.

    Examples
    --------
    >>> float(log_mean_exp([1000.0, 1000.0, 1000.0]))
    1000.0
    >>> value, gradient = log_mean_exp([0.0, 0.0], return_gradient=True)
    >>> gradient.tolist()
    [0.5, 0.5]
    >>> log_mean_exp([2.0, 2.0, 5.0], segments=[0, 2, 3]).tolist()
    [2.0, 5.0]
    """
    array = _floating(f, "f")
    return_gradient = _checks.flag(return_gradient, "return_gradient")
    if weights is not None:
        _same_memory(weights, "weights", array, "f")
    whole = None if weights is None else _weights(weights, array)
    threads = resolve_n_threads(n_threads)
    if out is not None:
        _check_out(out, array, return_gradient)
        if whole is not None and _device.namespace(array).may_share_memory(out, whole):
            raise ValueError(
                f"out must not overlap weights; got an array of shape {out.shape} in their memory (pass a new array as out)"
            )
    if segments is not None:
        return _over_segments(array, segments, axis, whole, return_gradient, out, threads, backend)
    axes = _axes(axis, array.ndim)
    if any(array.shape[a] == 0 for a in axes):
        raise ValueError(f"f must not be empty along axis {axis}; got shape {array.shape} (the mean of nothing has no value)")
    xp = _device.namespace(array)
    if whole is not None and xp is np and not (whole.max(axis=axes, initial=0) > 0).all():
        raise ValueError("weights must have a positive sum along axis; got a sum of 0 (give some entry a positive weight)")
    order, shape = _order(array, axes)
    table = xp.ascontiguousarray(array.transpose(order)).reshape(shape)
    weight_table = None if whole is None else xp.ascontiguousarray(whole.transpose(order)).reshape(shape)
    in_order = out is not None and order == tuple(range(array.ndim))
    gradient = out.reshape(shape) if in_order else np.empty_like(table) if return_gradient else None  # type: ignore[union-attr]
    run = backends.job("log_mean_exp", backend, table)
    value = run(table, weight_table, gradient, threads) if table.size else xp.empty((shape[0], shape[2]))
    left = [a for a in order if a not in axes]
    value = value.astype(array.dtype, copy=False).reshape([array.shape[a] for a in left]).transpose(_inverse(left))[()]
    if gradient is None:
        return value
    back = gradient.reshape([array.shape[a] for a in order]).transpose(_inverse(order))
    if out is None:
        return value, back
    if not in_order:
        out[...] = back
    return value, out


def _over_segments(
    array: NDArray[Any],
    segments: ArrayLike,
    axis: int | tuple[int, ...] | None,
    weights: NDArray[Any] | None,
    return_gradient: bool,
    out: NDArray[Any] | None,
    threads: int,
    backend: str | None,
) -> Any:
    if array.ndim != 1:
        raise ValueError(f"f must be 1-D where segments are given; got shape {array.shape} (pass f.ravel() and its offsets)")
    _axes(axis, 1)
    xp = _device.namespace(array)
    offsets = _offsets(segments, len(array)) if xp is np else _device_offsets(segments, len(array))
    if weights is not None and xp is np and not (np.maximum.reduceat(weights, offsets[:-1]) > 0).all():
        empty = int(np.argmin(np.maximum.reduceat(weights, offsets[:-1])))
        raise ValueError(
            f"weights must have a positive sum in every segment; got a sum of 0 in segment {empty} "
            "(give some entry a positive weight)"
        )
    if out is not None and xp.may_share_memory(out, offsets):
        raise ValueError(
            f"out must not overlap segments; got an array of shape {out.shape} in their memory (pass a new array as out)"
        )
    values = xp.ascontiguousarray(array)
    gradient = out if out is not None else np.empty_like(values) if return_gradient else None
    run = backends.job("log_mean_exp_segments", backend, values)
    weight_values = None if weights is None else xp.ascontiguousarray(weights)
    value = run(values, offsets, weight_values, gradient, threads).astype(array.dtype, copy=False)
    return value if gradient is None else (value, gradient)


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
        `.value` (float; CuPy's on a device), `.grad_joint` (1 / n everywhere), `.grad_marginal` (minus f_marginal's softmax).

    Notes
    -----
    Deterministic as `log_mean_exp`. The bound's own error explodes once f varies by several nats over q (about log n of them
    at most can be supported by n samples). Source: Donsker and Varadhan 1983; Garg et al. 2024 (arXiv 2404.07377).

    Examples
    --------
    >>> donsker_varadhan([1.0, 1.0], [0.0, 0.0]).value
    1.0
    """
    joint, marginal = _samples_of_both(f_joint, f_marginal)
    rest, gradient = log_mean_exp(marginal.ravel(), return_gradient=True, n_threads=n_threads, backend=backend)
    mean = np.mean(joint, dtype=np.float64)
    value = mean - rest if _device.is_on_device(joint) else float(mean) - float(rest)
    np.negative(gradient, out=gradient)
    return Objective(value, np.full_like(joint, 1 / joint.size), gradient.reshape(marginal.shape))


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
        `.value` (float, nats; CuPy's on a device), `.grad_joint`, `.grad_marginal`.

    Notes
    -----
    One pass; the same bits for any n_threads. Source: Gutmann and Hyvarinen 2010.

    Examples
    --------
    >>> round(logistic([0.0], [0.0]).value, 6)
    -1.386294
    """
    joint, marginal = _samples_of_both(f_joint, f_marginal)
    xp = _device.namespace(joint)
    run = backends.job("mean_log_sigmoid", backend, joint)
    threads = resolve_n_threads(n_threads)
    means, gradients = [], []
    for sign, values in ((1, joint), (-1, marginal)):
        gradient = xp.empty(values.size, values.dtype)
        means.append(run(xp.ascontiguousarray(values).ravel(), sign, gradient, threads))
        gradients.append(gradient.reshape(values.shape))
    return Objective(means[0] + means[1], *gradients)


def _floating(value: ArrayLike, name: str) -> NDArray[Any]:
    array = _checks.real_array(value, name)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _same_memory(value: Any, name: str, beside: Any, beside_name: str) -> None:
    """ValueError unless both are on a CUDA device or neither is."""
    if _device.is_on_device(value) == _device.is_on_device(beside):
        return
    where, other, remedy = ("on a CUDA device", "in the host's memory", f"cupy.asarray({name})")
    if not _device.is_on_device(beside):
        where, other, remedy = other, where, f"{name}.get()"
    raise ValueError(f"{name} must be {where}, where {beside_name} is; got values {other} (pass {remedy})")


def _samples_of_both(f_joint: ArrayLike, f_marginal: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    joint, marginal = _nonempty(f_joint, "f_joint"), _nonempty(f_marginal, "f_marginal")
    _same_memory(marginal, "f_marginal", joint, "f_joint")
    return joint, marginal


def _check_out(out: Any, f: NDArray[Any], return_gradient: bool) -> None:
    if not return_gradient:
        raise ValueError("out takes the gradient; got return_gradient=False (pass return_gradient=True, or no out)")
    xp, kind = (_device.cupy(), "CuPy") if _device.is_on_device(f) else (np, "NumPy")
    if not isinstance(out, xp.ndarray):
        raise TypeError(f"out must be a {kind} array; got {type(out).__name__} (pass {xp.__name__}.empty_like(f))")
    writeable = xp is not np or out.flags.writeable  # CuPy's arrays all are
    aligned = xp is not np or out.flags.aligned
    if out.shape != f.shape or out.dtype != f.dtype or not (out.flags.c_contiguous and writeable and aligned):
        raise ValueError(
            f"out must be C-contiguous and writeable, of shape {f.shape} and dtype {f.dtype}; got shape {out.shape}, dtype {out.dtype}, "
            f"strides {out.strides}{'' if aligned else ', off its alignment'} (pass np.empty({f.shape}, f.dtype))"
        )
    if xp.may_share_memory(out, f):
        raise ValueError(
            f"out must not overlap f; got an array of shape {out.shape} in the memory of f (pass a new array as out)"
        )


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


def _order(array: NDArray[Any], axes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """An order of the axes in which the reduced ones are neighbours, and the shape (outer, reduced, inner) in that order.

    That of memory where it can be, so that nothing is copied; else the reduced axes come last.
    """
    by_memory = tuple(sorted(range(array.ndim), key=lambda a: (-abs(array.strides[a]), -array.shape[a])))
    for order in (by_memory, tuple(range(array.ndim)), tuple(a for a in range(array.ndim) if a not in axes) + axes):
        places = [i for i, a in enumerate(order) if a in axes and array.shape[a] > 1]
        first, last = (places[0], places[-1] + 1) if places else (array.ndim, array.ndim)
        if all(order[i] in axes or array.shape[order[i]] == 1 for i in range(first, last)) and (
            order is not by_memory or array.transpose(order).flags.c_contiguous
        ):
            break
    sizes = [array.shape[a] for a in order]
    return order, (math.prod(sizes[:first]), math.prod(sizes[first:last]), math.prod(sizes[last:]))


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The order that undoes one."""
    return tuple(np.argsort(order).tolist())


def _device_offsets(segments: ArrayLike, n: int) -> Any:
    """The offsets of segments on a device, as int64: those of the host are checked first, the device's own are not waited for."""
    if not _device.is_on_device(segments):
        return _device.to_device(_offsets(segments, n))
    offsets = _device.as_array(segments, "segments")
    _check_kind(offsets)
    if len(offsets) < 2:
        raise ValueError(f"segments must hold one segment at least; got {len(offsets)} offsets (pass n_segments + 1)")
    return _device.cupy().ascontiguousarray(offsets, np.int64)


def _offsets(segments: ArrayLike, n: int) -> NDArray[np.int64]:
    """The offsets of segments of n values, as int64."""
    if _device.is_on_device(segments):
        raise ValueError(
            "segments must be in the host's memory, where f is; got an array on a CUDA device (pass segments.get())"
        )
    offsets = _arrays.as_numpy(segments, "segments")
    _check_kind(offsets)
    offsets = np.ascontiguousarray(offsets, np.int64)
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != n:
        ends = f"from {offsets[0]} to {offsets[-1]}" if len(offsets) else "0 offsets"
        raise ValueError(
            f"segments must go from 0 to the {n} values of f, one segment at least; got {ends} (pass n_segments + 1)"
        )
    lengths = np.diff(offsets)
    if (lengths <= 0).any():
        k = int(np.argmax(lengths <= 0))
        raise ValueError(
            f"segments must not be empty nor decrease; got segment {k} from {offsets[k]} to {offsets[k + 1]} "
            "(drop empty segments: the mean of nothing has no value)"
        )
    return offsets


def _check_kind(offsets: Any) -> None:
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise TypeError(
            f"segments must be a 1-D array of whole numbers; got shape {offsets.shape}, dtype {offsets.dtype} "
            "(pass the offsets of the segments, as a CSR matrix has them in indptr)"
        )


def _weights(weights: ArrayLike, f: NDArray[Any]) -> NDArray[Any]:
    array = _checks.real_array(weights, "weights").astype(f.dtype, copy=False)
    try:
        broadcast = np.broadcast_to(array, f.shape)
    except ValueError:
        raise ValueError(
            f"weights must broadcast to f, shape {f.shape}; got shape {array.shape} (pass one weight for each value)"
        ) from None
    if _device.is_on_device(array):
        return broadcast
    given = array if array.size else np.zeros(1)
    if not (given.min() >= 0 and given.max() < np.inf):  # NaN fails either
        bad = array[~np.isfinite(array) | (array < 0)].flat[0]
        raise ValueError(f"weights must be finite and not negative; got {bad} (clip or drop those entries)")
    return broadcast
