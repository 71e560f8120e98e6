"""Walks on a dual function: any dual in, new points out, the whole batch in one call."""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _device, backends
from ._threads import resolve_n_threads
from .backends import reference
from .duals.local_covariance import LocalCovariance
from .duals.mlp import MLPDual


class Dual(Protocol):
    """What `walk` needs of a dual function."""

    def value_and_gradient(self, x: NDArray[Any], /) -> tuple[NDArray[Any], NDArray[Any]]:
        """f (n,) and its gradient (n, n_features) at the rows of x."""
        ...


class WalkResult(NamedTuple):
    """Where the walks ended.

    Attributes
    ----------
    x : array (n_walks, n_features)
        The end points, in x0's dtype.
    f : float64 array (n_walks,)
        The dual function there, in nats.
    n_steps : int64 array (n_walks,)
        Steps taken before the walk stopped.
    reached : bool array (n_walks,)
        Whether f came within the tolerance of the target; all False without a target.
    trajectory : array (n_walks, n_steps + 1, n_features) or None
        Every point of every walk, the start first; a walk that stopped repeats its last point. None unless record=True.
    """

    x: NDArray[Any]
    f: NDArray[np.float64]
    n_steps: NDArray[np.int64]
    reached: NDArray[np.bool_]
    trajectory: NDArray[Any] | None


def walk(
    dual: Dual,
    x0: ArrayLike,
    *,
    n_steps: int,
    step_size: float,
    target: ArrayLike | None = None,
    noise: float = 0.0,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    seed: Any = None,
    record: bool = False,
    tolerance: float = 1e-3,
    preconditioner: LocalCovariance | ArrayLike | None = None,
    base: str | None = None,
    precision: str | None = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> WalkResult:
    """Walk a batch of points along the gradient of a dual function f, each on its own, in one call.

    A step is  x += a grad f(x) + noise sqrt(2 step_size) e,  e ~ N(0, I),  then clipped to the bounds. Without a target
    a = step_size: gradient ascent, or with noise=1 unadjusted Langevin dynamics of the density exp f. With a target,
    a = sign(target - f) min(step_size, |target - f| / |grad f|^2), which never overshoots a linear f, and a walk stops as soon
    as |target - f| <= tolerance. A preconditioner C changes the step to  x += a C grad f + noise sqrt(2 step_size) C^(1/2) e
    (and |grad f|^2 above to grad f . C grad f); the walk's stationary density stays the same.

    exp f is a ratio p/q, not a density. With `base` the walk goes along grad f + grad log q, so that noise=1 is Langevin
    dynamics of p itself.

    Parameters
    ----------
    dual : object with value_and_gradient(x) -> (f (n,), gradient (n, n_features))
        MLPDual, LocalDual and MixtureDual run in compiled loops; any other object is called once a step with the walks still under way.
    x0 : array (n_walks, n_features)
        The starts, finite; copied, never changed. float32 walks in float32, everything else in float64.
    n_steps : int >= 0
        The most steps a walk takes.
    step_size : float > 0
        In units of x^2 a nat.
    target : float or array (n_walks,), optional
        The value of f to walk to, in nats.
    noise : float >= 0
    bounds : (low, high), optional
        A box: two numbers or two arrays (n_features,), with every start inside.
    seed : int, numpy.random.Generator or None
        Of the noise. Draws are addressed by (walk, step, feature): the same seed gives the same bits for any n_threads.
    record : bool
        Keep every point: n_walks x (n_steps + 1) x n_features numbers.
    tolerance : float > 0
        In nats.
    preconditioner : LocalCovariance or positive definite matrix (n_features, n_features), optional
        C above, one for all walks or one each.
    base : None, "normal" or "marginals"
        q above: N(0, I), which duals of normal scores are against, or a LocalDual's own local marginals. Not with a target.
        `.f` stays the dual function, without log q.
    precision : None, "tf32" or "bf16"
        For an MLPDual on a device, in float32: what the factors of its steps' products may be rounded to where tensor cores take
        them (many walks, without bounds and frames), 11 or 8 bits in place of 24. The ends and their f are then off by some 3e-4
        or 3e-3 of the way walked (two layers of 64, 30 steps). None keeps float32's precision.

    Returns
    -------
    WalkResult
        `.x .f .n_steps .reached .trajectory`

    Notes
    -----
    A walk whose f or gradient stops being finite ends at that point, and a RuntimeWarning says how many did. Ctrl-C stops the
    batch within a second. Backends agree to rounding. Source: the gradient walk of Garg et al. 2024 (arXiv 2404.07377).

    Starts on a CUDA device (CuPy's, or another library's arrays) are walked there, on CuPy's current stream, and the result is
    CuPy's; target, bounds and preconditioner are numbers or arrays there too. The call does not wait for the device, so what
    only the numbers could tell is not told: starts that are not finite end as walks that took no step, starts outside the bounds
    are clipped by their first step, and no warning counts the walks that ended early. A target is the exception: whether it can
    be reached is asked before the first step. A dual of the caller's own gets all rows at every step, as CuPy arrays, also those
    of walks that have ended. One batch gives the same bits in every run; batches of other sizes agree to rounding.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, starts outside the bounds, or a target that cannot be reached: where the dual can bound f
        over n_steps and the box (MLPDual and LocalDual can), a target beyond the bound is an error before the first step.

    Examples
    --------
    >>> import numpy as np
    >>> class Bowl:
    ...     def value_and_gradient(self, x):
    ...         return -(x**2).sum(axis=1) / 2, -x
    >>> result = walk(Bowl(), np.ones((2, 3)), n_steps=100, step_size=0.1, target=-0.5)
    >>> result.reached.tolist(), result.f.round(2).tolist()
    ([True, True], [-0.5, -0.5])
    """
    if isinstance(dual, type) or not callable(getattr(dual, "value_and_gradient", None)):
        got = f"the class {dual.__name__} itself" if isinstance(dual, type) else type(dual).__name__
        raise TypeError(
            f"dual must have a method value_and_gradient(x) -> (f, gradient); got {got} "
            "(wrap a function in a class with that method, and pass an object of it)"
        )
    steps = _checks.count(n_steps, "n_steps")
    size = _checks.real(step_size, "step_size", above=0)
    noise = _checks.real(noise, "noise", minimum=0)
    tolerance = _checks.real(tolerance, "tolerance", above=0)
    record = _checks.flag(record, "record")
    x = starts(x0, getattr(dual, "n_features", None), getattr(dual, "n_walks", None))
    on_device = _device.is_on_device(x)
    if hasattr(dual, "check_beside"):
        dual.check_beside(x, "x0")
    low, high = _box(bounds, x)
    goal = _target(target, x)
    shape = _preconditioner(preconditioner, x)
    density = _density(dual, base, goal)
    _check_precision(precision, density, x)
    if steps >= 2**32 - 1:
        raise ValueError(f"n_steps must be below 2**32 - 1; got {steps} (walk on from where a walk ended)")
    seed = _checks.seed(seed)
    threads = resolve_n_threads(n_threads)
    backends.choose(backend, x)
    if goal is not None and noise == 0 and hasattr(dual, "reachable"):
        path_length = min(steps * size * (1.0 if shape is None else shape.largest), sys.float_info.max)
        _check_reachable(dual, x, goal, steps, size, path_length, low, high, tolerance)
    xp = _device.namespace(x)
    if record:
        _checks.room(x.size * (steps + 1), "n_steps", steps)
    trajectory = xp.empty((len(x), steps + 1, x.shape[1]), x.dtype) if record else None
    plan = reference.WalkPlan(steps, size, noise, tolerance, goal, low, high, seed, trajectory, threads, shape, precision)
    if x.size == 0:
        return WalkResult(x, xp.empty(len(x)), xp.empty(len(x), np.int64), xp.empty(len(x), np.bool_), trajectory)
    job = getattr(density, "walk_job", None) or ("walk_any" if on_device else None)
    run = backends.job(job, backend, x) if job is not None else reference.walk
    state = run(density, x, plan)
    if not on_device:
        warn_of_lost(state, steps, f"use a smaller step_size (it was {size:g}) or bounds")
    f = state.f if density is dual else reference.dual_at(dual, x, np.arange(len(x)), len(x))[0].astype(np.float64)
    return WalkResult(x, f, state.n_steps, state.reached, trajectory)


def warn_of_lost(state: reference.WalkState, n_steps: int, remedy: str) -> None:
    """A RuntimeWarning at the caller of a public function, where walks ended because f or its gradient was no longer finite."""
    lost = ~np.isfinite(state.f) | ((state.n_steps < n_steps) & ~state.reached)
    if lost.any():
        warnings.warn(
            f"{int(lost.sum())} of {len(lost)} walks stopped where f or its gradient is no longer finite "
            f"(the first: walk {int(lost.argmax())}); {remedy}",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_precision(precision: Any, dual: Any, x: NDArray[Any]) -> None:
    if precision is None:
        return
    _checks.choice(precision, "precision", ("tf32", "bf16"))
    if not (isinstance(dual, MLPDual) and _device.is_on_device(x) and x.dtype == np.float32):
        where = "a CUDA device" if _device.is_on_device(x) else "the host's memory"
        raise ValueError(
            f"precision={precision!r} is for an MLPDual with float32 starts on a CUDA device; got a {type(dual).__name__} with "
            f"{x.dtype} starts in {where} (leave precision out: products are then as exact as the starts' dtype)"
        )


def _beside(value: ArrayLike, name: str, x: NDArray[Any]) -> NDArray[Any]:
    """An argument as an array in the memory and the dtype of x: numbers go anywhere, arrays stay where they are."""
    array = _checks.real_array(value, name)
    here, there = _device.is_on_device(x), _device.is_on_device(array)
    if here and not there and array.ndim == 0:
        return _device.cupy().full((), array.item(), x.dtype)  # type: ignore[no-any-return]
    if here != there:
        remedy = f"pass cupy.asarray({name})" if here else f"pass {name}.get()"
        raise TypeError(
            f"{name} must be in the same memory as x0; got an array {_where(there)} for starts {_where(here)} ({remedy})"
        )
    return array.astype(x.dtype)


def _where(on_device: bool) -> str:
    return "on a CUDA device" if on_device else "in the host's memory"


class _AgainstNormal:
    """Anyone's dual f as the density N(0, I) exp f, up to a constant."""

    def __init__(self, dual: Any) -> None:
        self._dual = dual
        if hasattr(dual, "select"):
            self.select = lambda walks: _AgainstNormal(dual.select(walks))

    def value_and_gradient(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        value, gradient = self._dual.value_and_gradient(x)
        return value - 0.5 * np.einsum("nd,nd->n", x, x), gradient - x


def _density(dual: Any, base: str | None, target: NDArray[Any] | None) -> Any:
    if base is None:
        return dual
    _checks.choice(base, "base", ("normal", "marginals"))
    if target is not None:
        raise ValueError(
            f"base and target cannot go together: the target is a value of f, and base={base!r} walks on f + log q "
            "(drop one of them)"
        )
    if hasattr(dual, "density"):
        return dual.density(base)
    if base == "marginals":
        raise ValueError(
            f"base='marginals' needs a dual that knows its marginals (a LocalDual); got {type(dual).__name__} "
            "(pass base='normal' for a dual of normal scores)"
        )
    return _AgainstNormal(dual)


def _preconditioner(value: Any, x: NDArray[Any]) -> LocalCovariance | None:
    if value is None:
        return None
    shape = value if isinstance(value, LocalCovariance) else LocalCovariance._of_matrix(value, "preconditioner")
    here, there = _device.is_on_device(x), _device.is_on_device(shape.factor)
    if here != there:
        raise TypeError(
            f"preconditioner must be in the same memory as x0; got one {_where(there)} for starts {_where(here)} "
            "(build it from arrays there)"
        )
    if shape.n_features != x.shape[1] or shape.n_walks not in (None, len(x)):
        wanted = f"{x.shape[1]} features and {len(x)} neighbourhoods, or one for all walks"
        raise ValueError(
            f"preconditioner must be for {wanted}; got {shape.n_features} features and {len(shape.factor)} neighbourhood(s) "
            "(build it from the same columns, with the neighbours of every start)"
        )
    return shape


def starts(x0: ArrayLike, n_features: int | None, n_walks: int | None) -> NDArray[Any]:
    """x0 as a C-contiguous copy (n_walks, n_features), float32 or float64; finite, if NumPy's."""
    array = _checks.real_array(x0, "x0")
    if array.ndim != 2 or (n_features is not None and array.shape[1] != n_features):
        wanted = "n_features" if n_features is None else n_features
        remedy = "pass x0[None] for one walk" if array.ndim == 1 else "flatten series with x0.reshape(len(x0), -1)"
        raise ValueError(f"x0 must have shape (n_walks, {wanted}); got {array.shape} ({remedy})")
    if n_walks is not None and len(array) != n_walks:
        raise ValueError(
            f"x0 must hold {n_walks} walks, one for each neighbourhood of the dual; got {len(array)} "
            "(select the dual's rows, or build it with one neighbourhood for all)"
        )
    x = _device.namespace(array).array(array, np.float32 if array.dtype == np.float32 else np.float64, order="C")
    if not _device.is_on_device(x) and not np.isfinite(x).all():
        row = int((~np.isfinite(x)).any(axis=1).argmax())
        raise ValueError(f"x0 must be finite; got NaN or infinity in row {row} (drop or repair that start)")
    return x  # type: ignore[no-any-return]


def _box(bounds: tuple[ArrayLike, ArrayLike] | None, x: NDArray[Any]) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    if bounds is None:
        return None, None
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise ValueError(f"bounds must be a pair (low, high); got {bounds!r} (pass two numbers or two arrays)")
    ends = []
    for end, name in zip(bounds, ("low", "high"), strict=True):
        array = _beside(end, f"bounds: {name}", x)
        if array.shape not in {(), (x.shape[1],)}:
            raise ValueError(
                f"bounds: {name} must be a number or have shape ({x.shape[1]},); got {array.shape} (one for each feature)"
            )
        ends.append(_device.namespace(x).ascontiguousarray(np.broadcast_to(array, x.shape[1:])))
    low, high = ends
    if _device.is_on_device(x):  # two numbers are looked at, arrays are not waited for
        if not any(map(_device.is_on_device, bounds)) and not bounds[0] <= bounds[1]:  # type: ignore[operator]
            raise ValueError(f"bounds must have low <= high; got {bounds[0]} and {bounds[1]} (swap them)")
        return low, high
    if not (low <= high).all():
        j = int((~(low <= high)).argmax())
        raise ValueError(f"bounds must have low <= high; got {low[j]} and {high[j]} for feature {j} (swap them)")
    outside = (x < low) | (x > high)
    if outside.any():
        row, j = (int(i) for i in np.argwhere(outside)[0])
        raise ValueError(
            f"x0 must lie inside the bounds; got {x[row, j]} for feature {j} of row {row}, outside [{low[j]}, {high[j]}] "
            "(widen the bounds or clip the starts)"
        )
    return low, high


def _target(target: ArrayLike | None, x: NDArray[Any]) -> NDArray[Any] | None:
    if target is None:
        return None
    array, n_walks = _beside(target, "target", x), len(x)
    if array.shape not in {(), (n_walks,)}:
        raise ValueError(
            f"target must be a number or have shape ({n_walks},); got {array.shape} (one value of f for each walk)"
        )
    if not np.isfinite(array).all():
        bad = float(array[~np.isfinite(array)][0])
        raise ValueError(f"target must be finite, or it cannot be reached; got {bad} (pass a value of f, in nats)")
    return _device.namespace(x).ascontiguousarray(np.broadcast_to(array, (n_walks,)))  # type: ignore[no-any-return]


def _check_reachable(
    dual: Any,
    x: NDArray[Any],
    target: NDArray[Any],
    n_steps: int,
    step_size: float,
    path_length: float,
    low: NDArray[Any] | None,
    high: NDArray[Any] | None,
    tolerance: float,
) -> None:
    below, above = dual.reachable(x, path_length, low, high)
    slack = tolerance + 1e-4 * (np.abs(below) + np.abs(above))  # rounding of f itself
    beyond = (target < below - slack) | (target > above + slack)
    if beyond.any():
        row = int(beyond.argmax())
        raise ValueError(
            f"target cannot be reached: walk {row} wants f = {float(target[row]):g}, and {n_steps} steps of size {step_size:g} from its "
            f"start keep f in [{float(below[row]):g}, {float(above[row]):g}] (choose a target in that range, or more or larger steps)"
        )
