"""`permute_marginals` for JAX: the kernel draws the rows, JAX gathers them, so that every derivative is JAX's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ... import _checks, marginals
from ._arguments import batch_of, in_jax, seed_words, settings


def permute_marginals(
    x: Any,
    *,
    n_copies: int | None = None,
    blocks: Any = None,
    method: str = "shuffle",
    seed: Any = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> Any:
    """`dualwalk.permute_marginals` of a JAX array: the same rows for the same seed, linear in x, of any dtype.

    Parameters
    ----------
    x : array (n_samples, n_features) or (n_samples, n_channels, n_times)
    seed : int, JAX integer (taken modulo 2**64), key of jax.random, or None
        May be traced, and mapped by `vmap`; without that all calls that `vmap` makes share the seed. None takes fresh entropy,
        and is an error under `jit`.
    blocks : integers, optional
        As for NumPy; may be traced.
    n_copies, method, n_threads, backend
        As for NumPy; known when JAX traces.

    Returns
    -------
    JAX array of x's dtype, (n_samples, ...) or (n_copies, n_samples, ...), on x's device.

    Notes
    -----
    The rows are drawn on the host, an int32 for every entry of the result, and go to x's device.

    Examples
    --------
    >>> import jax
    >>> x = jax.numpy.arange(8.0).reshape(4, 2)
    >>> jax.jit(permute_marginals)(x, seed=0).sum(axis=0).tolist()
    [12.0, 16.0]
    """
    _checks.choice(method, "method", marginals.METHODS)
    settings(n_threads, backend)
    array = in_jax(x, "x")
    if array.ndim not in (2, 3):
        remedy = "pass x[:, None] for a single feature" if array.ndim == 1 else "reshape to (n_samples, n_channels, n_times)"
        raise ValueError(
            f"x must have shape (n_samples, n_features) or (n_samples, n_channels, n_times); got shape {array.shape} ({remedy})"
        )
    if len(array) >= 2**31:
        raise ValueError(f"x must have fewer than 2**31 samples for JAX; got {len(array)} (permute it in parts)")
    copies = None if n_copies is None else _checks.count(n_copies, "n_copies")
    labels = None if blocks is None else _labels(blocks, array.shape[1:])
    table = array.reshape(len(array), -1) if array.size else array.reshape(len(array), 0)
    shape = table.shape if copies is None else (copies, *table.shape)
    permuted = _permuted(_Rows(shape, method, n_threads, backend), table, seed_words(seed), labels)
    return permuted.reshape((*shape[:-2], *array.shape))


class _Rows(NamedTuple):
    """From which row every entry of the result comes, for a batch of seeds: what JAX calls back, equal where its settings are."""

    shape: tuple[int, ...]
    method: str
    n_threads: int | None
    backend: str | None

    def __call__(self, words: Any, labels: Any) -> NDArray[np.int32]:
        seeds = np.asarray(words)
        blocks = None if labels is None else np.asarray(labels)
        batch = batch_of((seeds, 1), *(() if blocks is None else ((blocks, 1),)))
        seeds = np.broadcast_to(seeds, (*batch, 2))
        if blocks is not None:
            blocks = np.broadcast_to(blocks, (*batch, self.shape[-1]))
        own = np.broadcast_to(np.arange(self.shape[-2], dtype=np.int32)[:, None], self.shape[-2:])
        result = np.empty((*batch, *self.shape), np.int32)
        for place in np.ndindex(batch):
            high, low = seeds[place].tolist()
            marginals.permute_marginals(
                own,
                n_copies=None if len(self.shape) == 2 else self.shape[0],
                blocks=None if blocks is None else blocks[place],
                method=self.method,
                seed=high << 32 | low,
                out=result[place],
                n_threads=self.n_threads,
                backend=self.backend,
            )
        return result


def _gather(draw: _Rows, table: Any, words: Any, labels: Any) -> Any:
    rows = jax.pure_callback(draw, jax.ShapeDtypeStruct(draw.shape, np.int32), words, labels, vmap_method="expand_dims")
    return table.at[rows, jnp.arange(table.shape[1])].get(mode="promise_in_bounds")


_permuted = jax.jit(_gather, static_argnums=0)


def _labels(blocks: Any, feature_shape: tuple[int, ...]) -> Any:
    """The label of every feature (n_features,), traced where `blocks` is."""
    if not isinstance(blocks, jax.core.Tracer):
        return marginals.blocks_of_columns(blocks, feature_shape)
    zeros = np.zeros(blocks.shape, blocks.dtype)
    marginals.blocks_of_columns(zeros, feature_shape)  # its errors, which are of shape and dtype only
    channels = len(feature_shape) == 2 and blocks.shape == feature_shape[:1] and feature_shape[1] != 1
    return jnp.repeat(blocks, feature_shape[1]) if channels else blocks.ravel()
