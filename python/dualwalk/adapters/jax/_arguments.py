"""What JAX brings as arguments: arrays of its dtypes, seeds that are traced, and batches that `vmap` put in front."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import _arrays, _checks, backends
from ..._threads import resolve_n_threads

# not a tuple where the documentation is built with something that stands in for JAX
if isinstance(jax.__version_info__, tuple) and jax.__version_info__ < (0, 5, 3):
    raise ImportError(
        f"dualwalk.adapters.jax needs JAX 0.5.3 or newer; got {jax.__version__}, in which a callback with large arrays can wait "
        'for ever (pip install "dualwalk[jax]")'
    )


def in_jax(value: Any, name: str) -> Any:
    """`value` as a JAX array; what is not one comes in as everywhere in dualwalk (docs/interchange.md)."""
    if isinstance(value, jax.Array):
        return value
    array = _arrays.as_numpy(value, name)
    if array.dtype.kind in "OSUmM" or array.dtype.names or array.dtype == np.longdouble:
        _checks.real_array(value if array.ndim == 0 else array, name)  # its error
    return jnp.asarray(array)


def settings(n_threads: Any, backend: Any) -> None:
    """TypeError or ValueError now, and not in the callback, for settings that no kernel takes."""
    resolve_n_threads(n_threads)
    if backend is not None:
        _checks.choice(backend, "backend", backends.PREFERENCE)


def floating(value: Any, name: str) -> Any:
    """`value` as a JAX array of float32 or float64; whole numbers and float16 become JAX's default float."""
    array = in_jax(value, name)
    if array.dtype.kind not in "buif":
        raise TypeError(
            f"{name} must hold real numbers (float32, float64 or integers); got dtype {array.dtype} "
            f"(pass {name}.astype(jnp.float32))"
        )
    return array if array.dtype in (np.float32, np.float64) else array.astype(jnp.result_type(float))


def static(value: Any, name: str) -> Any:
    """`value` as a NumPy array, of which JAX must know the numbers when it traces."""
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            f"{name} must be known when JAX traces, as the result's shape depends on it; got a traced array "
            f"(pass NumPy's, or name it in static_argnames of jax.jit)"
        )
    return _arrays.as_numpy(value, name)


def seed_words(seed: Any) -> Any:
    """A 64-bit seed as two words of uint32, the high one first: (2,), traced where the seed is.

    A Python integer is that seed. A JAX integer is taken modulo 2**64, as its value may not be known yet; from a key of
    `jax.random` the words are drawn.
    """
    if seed is None and isinstance(jnp.zeros(()), jax.core.Tracer):
        raise ValueError(
            "seed must be given under jit, which would keep one draw for all calls; got None "
            "(pass an integer or a key of jax.random as an argument of the jitted function)"
        )
    if not isinstance(seed, jax.Array):
        number = _checks.seed(seed)
        return np.array([number >> 32, number & 0xFFFFFFFF], np.uint32)
    if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        if seed.shape == ():
            return jax.random.bits(seed, (2,), np.uint32)
    elif seed.dtype == np.uint32 and seed.ndim == 1:  # a key of the older kind
        return jax.random.bits(seed, (2,), np.uint32)
    elif seed.dtype.kind in "iu" and seed.shape == ():
        if seed.dtype.itemsize == 8:
            return jnp.stack([seed >> 32, seed]).astype(np.uint32)
        whole = seed if seed.dtype == np.uint32 else seed.astype(np.int32)
        high = whole >> 31 if whole.dtype == np.int32 else jnp.zeros_like(whole)  # all ones below zero
        return jnp.stack([high.astype(np.uint32), whole.astype(np.uint32)])
    raise TypeError(
        f"seed must be one integer or one key of jax.random; got an array of shape {seed.shape} and dtype {seed.dtype} "
        "(use jax.vmap over seeds)"
    )


def batch_of(*arrays_and_ndims: tuple[Any, int]) -> tuple[int, ...]:
    """The shape of the axes that `vmap` put before those of one call: each array comes with the number of its own axes."""
    return np.broadcast_shapes(*(array.shape[: array.ndim - ndim] for array, ndim in arrays_and_ndims))
