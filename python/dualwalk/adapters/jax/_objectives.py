"""`donsker_varadhan` and `logistic` for JAX: value and gradients from the kernels, higher derivatives from these."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ... import objective
from ._arguments import batch_of, floating, settings


def donsker_varadhan(f_joint: Any, f_marginal: Any, *, n_threads: int | None = None, backend: str | None = None) -> Any:
    """The Donsker-Varadhan bound  mean(f_joint) - log mean exp(f_marginal), in nats: a JAX scalar to differentiate.

    Its gradients, which `dualwalk.donsker_varadhan` returns beside the value, are what `jax.grad` gives.

    Examples
    --------
    >>> import jax
    >>> jax.grad(donsker_varadhan, argnums=1)(jax.numpy.ones(2), jax.numpy.zeros(2)).tolist()
    [-0.5, -0.5]
    """
    return _objective("donsker_varadhan", f_joint, f_marginal, n_threads, backend)


def logistic(f_joint: Any, f_marginal: Any, *, n_threads: int | None = None, backend: str | None = None) -> Any:
    """The logistic objective  mean log sigmoid(f_joint) + mean log sigmoid(-f_marginal), in nats: a JAX scalar to differentiate.

    Its gradients, which `dualwalk.logistic` returns beside the value, are what `jax.grad` gives.

    Examples
    --------
    >>> import jax
    >>> jax.grad(logistic)(jax.numpy.zeros(2), jax.numpy.zeros(2)).tolist()
    [0.25, 0.25]
    """
    return _objective("logistic", f_joint, f_marginal, n_threads, backend)


def _objective(name: str, f_joint: Any, f_marginal: Any, n_threads: int | None, backend: str | None) -> Any:
    settings(n_threads, backend)
    joint, marginal = floating(f_joint, "f_joint"), floating(f_marginal, "f_marginal")
    for array, which in ((joint, "f_joint"), (marginal, "f_marginal")):
        if array.size == 0:
            raise ValueError(
                f"{which} must not be empty; got shape {array.shape} (pass the dual function of at least one sample)"
            )
    return _differentiable(False)(_Plan(name, joint.ndim, marginal.ndim, n_threads, backend), joint, marginal)


class _Plan(NamedTuple):
    """What is the same for all calls that `vmap` makes."""

    name: str
    joint_ndim: int
    marginal_ndim: int
    n_threads: int | None
    backend: str | None


class _Kernel(NamedTuple):
    """What JAX calls back, equal where its settings are: the calls of a batch, one after the other."""

    plan: _Plan
    gradients: bool

    def __call__(self, f_joint: Any, f_marginal: Any) -> Any:
        plan, joint, marginal = self.plan, np.asarray(f_joint), np.asarray(f_marginal)
        batch = batch_of((joint, plan.joint_ndim), (marginal, plan.marginal_ndim))
        joint = np.broadcast_to(joint, (*batch, *joint.shape[joint.ndim - plan.joint_ndim :]))
        marginal = np.broadcast_to(marginal, (*batch, *marginal.shape[marginal.ndim - plan.marginal_ndim :]))
        run = getattr(objective, plan.name)
        value = np.empty(batch, np.result_type(joint, marginal))
        by_joint, by_marginal = np.empty_like(joint, order="C"), np.empty_like(marginal, order="C")
        for place in np.ndindex(batch):
            value[place], by_joint[place], by_marginal[place] = run(
                joint[place], marginal[place], n_threads=plan.n_threads, backend=plan.backend
            )
        return (value, by_joint, by_marginal) if self.gradients else value


def _call(gradients: bool, plan: _Plan, joint: Any, marginal: Any) -> Any:
    value = jax.ShapeDtypeStruct((), jnp.result_type(joint, marginal))
    of_both = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (joint, marginal)]
    shapes = (value, *of_both) if gradients else value
    return jax.pure_callback(_Kernel(plan, gradients), shapes, joint, marginal, vmap_method="expand_dims")


@cache
def _differentiable(gradients: bool) -> Any:
    """The kernel's call with its rule: (plan, joint, marginal) -> value, or value and both gradients."""
    call = jax.custom_jvp(partial(_call, gradients), nondiff_argnums=(0,))
    call.defjvp(_all_jvp if gradients else _value_jvp)
    return jax.jit(call, static_argnums=0)


def _value_jvp(plan: _Plan, primals: Any, tangents: Any) -> Any:
    (value, *_), (change, *_) = _all_jvp(plan, primals, tangents)
    return value, change


def _all_jvp(plan: _Plan, primals: Any, tangents: Any) -> Any:
    (joint, marginal), (d_joint, d_marginal) = primals, tangents
    value, by_joint, by_marginal = _differentiable(True)(plan, joint, marginal)
    along = jnp.sum(by_marginal * d_marginal)
    change = (jnp.sum(by_joint * d_joint) + along).astype(value.dtype)
    if plan.name == "donsker_varadhan":  # 1 / n, and minus a softmax
        second = jnp.zeros_like(by_joint), by_marginal * (d_marginal + along)
    else:  # sigmoid(-f_joint) / n and -sigmoid(f_marginal) / n
        second = -by_joint * jax.nn.sigmoid(joint) * d_joint, by_marginal * jax.nn.sigmoid(-marginal) * d_marginal
    return (value, by_joint, by_marginal), (change, *second)
