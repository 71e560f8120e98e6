"""`walk` with a function of JAX as dual: its value and gradient compiled by JAX, the steps ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ... import walks
from ...walks import WalkResult
from ._arguments import in_jax, seed_words


def walk(
    dual: Callable[[Any], Any],
    x0: Any,
    *,
    n_steps: int,
    step_size: float,
    target: Any = None,
    noise: float = 0.0,
    bounds: tuple[Any, Any] | None = None,
    seed: Any = None,
    record: bool = False,
    tolerance: float = 1e-3,
    preconditioner: Any = None,
    base: str | None = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> WalkResult:
    """`dualwalk.walk` with a function of JAX, or one of dualwalk's duals, from starts in a JAX array.

    Parameters
    ----------
    dual : callable, jitted or not
        f(row (n_features,)) -> (), or f(rows (n, n_features)) -> (n,) that works on every row by itself. It is differentiated and
        compiled once a batch size: where walks end early the batch shrinks to powers of two. A hashable dual is compiled once for
        many calls of `walk`. An object with value_and_gradient(x), as MLPDual has it, goes to `dualwalk.walk` as it is.
    x0 : array (n_walks, n_features)
        float64 only where JAX's x64 mode is on.
    seed : int, JAX integer, key of jax.random, or None
    n_steps, step_size, target, noise, bounds, record, tolerance, preconditioner, base, n_threads, backend
        As in `dualwalk.walk`.

    Returns
    -------
    WalkResult of JAX arrays, in the dtypes that JAX has without or with x64.

    Notes
    -----
    Not itself under jit, grad or vmap: x0 must be known. The points are in the host's memory, so a dual on a GPU costs two
    transfers a step.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> walk(lambda row: -(row**2).sum() / 2, jnp.ones((2, 3)), n_steps=100, step_size=0.1, target=-0.5).f.round(2).tolist()
    [-0.5, -0.5]
    """
    starts = in_jax(x0, "x0")
    if isinstance(starts, jax.core.Tracer):
        raise TypeError("x0 must be known, as walk runs on the host; got a traced array (call walk outside jit, grad and vmap)")
    ready = dual if hasattr(dual, "value_and_gradient") else _Compiled(dual, starts)
    if isinstance(seed, jax.Array):
        high, low = np.asarray(seed_words(seed)).tolist()
        seed = high << 32 | low
    result = walks.walk(
        ready,
        np.asarray(starts),
        n_steps=n_steps,
        step_size=step_size,
        target=np.asarray(target) if isinstance(target, jax.Array) else target,
        noise=noise,
        bounds=bounds,
        seed=seed,
        record=record,
        tolerance=tolerance,
        preconditioner=preconditioner,
        base=base,
        n_threads=n_threads,
        backend=backend,
    )
    parts: Any = (None if part is None else jnp.asarray(part) for part in result)
    return WalkResult(*parts)


class _Compiled:
    """A function of JAX as what `dualwalk.walk` takes: batches of NumPy arrays in and out."""

    def __init__(self, dual: Callable[[Any], Any], starts: Any) -> None:
        by_row = _takes_rows(dual, starts)
        self._run = (_compiled if _is_hashable(dual) else _compiled.__wrapped__)(dual, by_row)
        self._n_walks = len(starts)

    def value_and_gradient(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        n = len(x)
        size = min(self._n_walks, 1 << (n - 1).bit_length())  # a new size is a new compilation
        rows = x if n == size else np.concatenate([x, np.broadcast_to(x[:1], (size - n, x.shape[1]))])
        value, gradient = self._run(rows)
        return np.asarray(value)[:n], np.asarray(gradient)[:n]


@lru_cache(maxsize=16)
def _compiled(dual: Callable[[Any], Any], by_row: bool) -> Any:
    if by_row:
        return jax.jit(jax.vmap(jax.value_and_grad(dual)))

    def of_batch(x: Any) -> Any:
        value, back = jax.vjp(dual, x)
        return value, back(jnp.ones_like(value))[0]

    return jax.jit(of_batch)


def _takes_rows(dual: Any, starts: Any) -> bool:
    """Whether the dual is a function of one row; else it is one of a batch, or an error says what it gave for both."""
    if not callable(dual):
        raise TypeError(
            f"dual must be a function of JAX or have value_and_gradient(x); got {type(dual).__name__} "
            "(pass f(row) -> scalar, or f(rows) -> (n,))"
        )
    if starts.ndim != 2:
        return True  # walk's own error
    gave = []
    for shape, wanted in ((starts.shape[1:], ()), (starts.shape, starts.shape[:1])):
        try:
            result = jax.eval_shape(dual, jax.ShapeDtypeStruct(shape, starts.dtype))
            if getattr(result, "shape", None) == wanted and result.dtype.kind == "f":
                return wanted == ()
            gave.append(f"{result} for x of shape {shape}")
        except Exception as error:  # noqa: BLE001  anyone's function, and a shape it may not be for
            gave.append(f"{type(error).__name__} for x of shape {shape} ({str(error).partition(chr(10))[0]})")
    raise TypeError(
        f"dual must give one float for a row or (n,) floats for a batch; got {' and '.join(gave)} "
        "(pass f(row) -> scalar, or f(rows) -> (n,))"
    )


def _is_hashable(dual: Any) -> bool:
    try:
        hash(dual)
    except TypeError:
        return False
    return True
