"""`log_mean_exp` for JAX: values and weights from the kernel, their derivatives by JAX from what the kernel gave."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ... import _checks, objective
from ._arguments import batch_of, floating, settings, static


def log_mean_exp(
    f: Any,
    *,
    axis: int | tuple[int, ...] | None = None,
    segments: Any = None,
    weights: Any = None,
    return_gradient: bool = False,
    n_threads: int | None = None,
    backend: str | None = None,
) -> Any:
    """`dualwalk.log_mean_exp` of a JAX array, differentiable by f and by the weights.

    Parameters
    ----------
    f : array of any shape, not empty along `axis`
        float32 and float64 stay; whole numbers and float16 become JAX's default float.
    weights : array that broadcasts to f, optional
        Not negative, with a positive sum. An error where JAX knows their values; where they are traced, the callback's error
        ends the program as a JaxRuntimeError with the same words.
    segments : integers (n_segments + 1,), optional
        Known when JAX traces.
    axis, return_gradient, n_threads, backend
        As for NumPy.

    Returns
    -------
    JAX array without the reduced axes, or (n_segments,); with return_gradient also the derivative by f.

    Examples
    --------
    >>> import jax
    >>> jax.grad(log_mean_exp)(jax.numpy.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    settings(n_threads, backend)
    return_gradient = _checks.flag(return_gradient, "return_gradient")
    array = floating(f, "f")
    axes = tuple(place - array.ndim for place in objective._axes(axis, array.ndim))
    offsets = None
    if segments is not None:
        if array.ndim != 1:
            raise ValueError(
                f"f must be 1-D where segments are given; got shape {array.shape} (pass f.ravel() and its offsets)"
            )
        offsets = objective._offsets(static(segments, "segments"), len(array)).astype(np.int32)
    elif any(array.shape[place] == 0 for place in axes):
        raise ValueError(f"f must not be empty along axis {axis}; got shape {array.shape} (the mean of nothing has no value)")
    plan = _Plan(array.ndim, axes, n_threads, backend)
    given = None if weights is None else _weights(weights, array, axes, offsets)
    return _differentiable(return_gradient)(plan, array, given, offsets)


class _Plan(NamedTuple):
    """What is the same for all calls that `vmap` makes; the axes count from the last."""

    ndim: int
    axes: tuple[int, ...]
    n_threads: int | None
    backend: str | None

    def total(self, values: Any, offsets: Any) -> Any:
        """Sums over what is reduced."""
        if offsets is None:
            return jnp.sum(values, axis=self.axes)
        return jax.ops.segment_sum(values, _segment_of(values, offsets), len(offsets) - 1, indices_are_sorted=True)

    def spread(self, totals: Any, like: Any, offsets: Any) -> Any:
        """Every total at each of the entries that it is of."""
        return jnp.expand_dims(totals, self.axes) if offsets is None else totals[_segment_of(like, offsets)]


def _segment_of(values: Any, offsets: Any) -> Any:
    return jnp.repeat(jnp.arange(len(offsets) - 1), jnp.diff(offsets), total_repeat_length=len(values))


class _Kernel(NamedTuple):
    """What JAX calls back, equal where its settings are: all calls of a batch at once."""

    plan: _Plan
    gradient: bool

    def __call__(self, f: Any, weights: Any, offsets: Any) -> Any:
        plan, values = self.plan, np.asarray(f)
        settings: dict[str, Any] = {"n_threads": plan.n_threads, "backend": plan.backend}
        if self.gradient:
            settings["return_gradient"] = True
        if weights is not None:
            settings["weights"] = np.asarray(weights)
            batch = batch_of((values, plan.ndim), (settings["weights"], plan.ndim))
            values = np.broadcast_to(values, (*batch, *values.shape[values.ndim - plan.ndim :]))
        if offsets is None:
            return objective.log_mean_exp(values, axis=plan.axes, **settings)
        edges, n = np.asarray(offsets, np.int64).reshape(-1), values.shape[-1]
        if "weights" in settings:
            settings["weights"] = np.broadcast_to(settings["weights"], values.shape).ravel()
        starts = np.arange(values.size // n)[:, None] * n + edges[:-1]
        result = objective.log_mean_exp(values.ravel(), segments=np.append(starts, values.size), **settings)
        shape = (*values.shape[:-1], len(edges) - 1)
        return (result[0].reshape(shape), result[1].reshape(values.shape)) if self.gradient else result.reshape(shape)


def _call(gradient: bool, plan: _Plan, f: Any, weights: Any, offsets: Any) -> Any:
    reduced = [-axis for axis in plan.axes]
    left = tuple(size for place, size in enumerate(f.shape) if f.ndim - place not in reduced)
    value = jax.ShapeDtypeStruct(left if offsets is None else (len(offsets) - 1,), f.dtype)
    shapes = (value, jax.ShapeDtypeStruct(f.shape, f.dtype)) if gradient else value
    return jax.pure_callback(_Kernel(plan, gradient), shapes, f, weights, offsets, vmap_method="expand_dims")


@cache
def _differentiable(gradient: bool) -> Any:
    """The kernel's call with its rule: (plan, f, weights, offsets) -> value, or value and gradient."""
    call = jax.custom_jvp(partial(_call, gradient), nondiff_argnums=(0,))
    call.defjvp(_value_and_gradient_jvp if gradient else _value_jvp, symbolic_zeros=True)
    return jax.jit(call, static_argnums=0)


def _value_jvp(plan: _Plan, primals: Any, tangents: Any) -> Any:
    (value, _), (change, _) = _value_and_gradient_jvp(plan, primals, tangents)
    return value, change


def _value_and_gradient_jvp(plan: _Plan, primals: Any, tangents: Any) -> Any:
    """With W the sum of the weights and r = exp(f - value) / W, the gradient is g = w r, and of the logarithm of the sum
    of w exp f the change is  sum g df + sum r dw."""
    f, weights, offsets = primals
    value, gradient = _differentiable(True)(plan, f, weights, offsets)
    along, of_value, of_gradient = 0.0, 0.0, 0.0
    if not isinstance(tangents[0], jax.custom_derivatives.SymbolicZero):
        of_gradient = gradient * tangents[0]
        along = plan.total(of_gradient, offsets)
    if weights is not None and not isinstance(tangents[1], jax.custom_derivatives.SymbolicZero):
        whole = plan.total(jnp.broadcast_to(weights, f.shape), offsets)
        ratio = jnp.exp(f - plan.spread(value + jnp.log(whole), f, offsets))
        by_weight = ratio * tangents[1]
        along = along + plan.total(by_weight, offsets)
        of_gradient = of_gradient + by_weight
        of_value = plan.total(jnp.broadcast_to(tangents[1], f.shape), offsets) / whole
    change = jnp.broadcast_to(along - of_value, value.shape).astype(value.dtype)
    spread = of_gradient - gradient * plan.spread(jnp.broadcast_to(along, value.shape), f, offsets)
    return (value, gradient), (change, spread.astype(gradient.dtype))


def _weights(weights: Any, f: Any, axes: tuple[int, ...], segments: Any) -> Any:
    """The weights in f's dtype, with as many axes as f. The kernel's own checks see their numbers where these are known."""
    array = floating(weights, "weights").astype(f.dtype)
    numbers = np.ones(array.shape) if isinstance(array, jax.core.Tracer) else np.asarray(array)
    objective.log_mean_exp(np.broadcast_to(np.float32(0), f.shape), axis=axes, segments=segments, weights=numbers)
    return array.reshape((1,) * (f.ndim - array.ndim) + array.shape)
