"""Samples of the product of the marginals: every column, or block of columns, rearranged by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _checks, _device, backends
from ._threads import resolve_n_threads

METHODS = ("shuffle", "resample", "shift")
_WORK_A_THREAD = 1 << 16  # elements below which a second thread costs more than it brings


def permute_marginals(
    x: ArrayLike,
    *,
    n_copies: int | None = None,
    blocks: ArrayLike | None = None,
    method: str = "shuffle",
    seed: Any = None,
    out: NDArray[Any] | None = None,
    n_threads: int | None = None,
    backend: str | None = None,
) -> NDArray[Any]:
    """Rearrange the rows of every column (or block of columns) independently: a sample of the product of the marginals.

    Parameters
    ----------
    x : array (n_samples, n_features) or (n_samples, n_channels, n_times)
        Any bool, integer, float32 or float64 array, with any strides; it is neither changed nor copied. An array on a CUDA
        device (CuPy's, or any with its interface or DLPack's) is rearranged there, on CuPy's current stream.
    n_copies : int, optional
        None gives one rearrangement of the shape of x; m gives m independent ones, shape (m, *x.shape).
    blocks : integer array, optional
        A label for each feature, shape x.shape[1:] or flat; features with equal labels move together, so that the dependence
        inside a block is kept. None: every feature is a block of its own. For x on a device the labels may be there too; those
        in the host's memory are copied to it.
    method : {"shuffle", "resample", "shift"}
        "shuffle": an exactly uniform permutation of the rows (Fisher-Yates; more than 28,672 rows are first dealt into buckets
        at random, and each bucket is shuffled by itself). "resample": rows drawn with replacement.
        "shift": a cyclic shift by a uniform 1 .. n_samples - 1, so no value stays in its row.
    seed : int in [0, 2**64), numpy.random.Generator or None
        None takes fresh entropy.
    out : array, optional
        Where to write: C-contiguous, of the result's shape and dtype, in x's kind of memory (a CuPy array for x on a device),
        and no part of it shared with x.
    n_threads, backend
        See `show_config()`; neither changes the result.

    Returns
    -------
    array of x's dtype, (n_samples, ...) or (n_copies, n_samples, ...); CuPy's for x on a device.

    Notes
    -----
    Draws come from Philox4x32-10 with key = seed and counter = (row // 4, column block, copy, operation): the same seed gives
    the same bits on every backend, for any n_threads, and copy k is the same whether 1 or 1000 copies are asked for.
    The compiled backend needs at most 1 MiB a thread beside x and the result (more only beyond some 5e7 rows). On a device a
    shuffle of more than 28,672 rows borrows 256 MiB from CuPy's pool (or 8 bytes a row, if that is more), else nothing is borrowed.
    Sources: the product of marginals of Garg et al. 2024 (arXiv 2404.07377); buckets by Rao, Sankhya A 1961, and Sandelius,
    JRSS B 1962; integers by Lemire, ACM TOMACS 2019.

    Raises
    ------
    ValueError, TypeError
        For ragged or object arrays, labels of another length, an `out` of wrong shape, dtype or layout, negative counts, and
        for `blocks` or `out` on a device while x is not.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(8.0).reshape(4, 2)
    >>> p = permute_marginals(x, seed=0)
    >>> bool((np.sort(p, axis=0) == x).all())
    True
    """
    _checks.choice(method, "method", METHODS)
    array = _checks.real_array(x, "x")
    if array.ndim not in (2, 3):
        remedy = "pass x[:, None] for a single feature" if array.ndim == 1 else "reshape to (n_samples, n_channels, n_times)"
        raise ValueError(
            f"x must have shape (n_samples, n_features) or (n_samples, n_channels, n_times); got shape {array.shape} ({remedy})"
        )
    if len(array) >= 2**32:
        raise ValueError(f"x must have fewer than 2**32 samples; got {len(array)} (permute it in parts)")
    copies = 1 if n_copies is None else _checks.count(n_copies, "n_copies", limit=2**32)
    on_device = _device.is_on_device(array)
    if blocks is not None and _device.is_on_device(blocks) and not on_device:
        raise TypeError("blocks must be in the host's memory, as x is; got an array on a CUDA device (pass blocks.get())")
    numbered = blocks is not None or array.size > 0  # an array without rows may have columns without end
    block_of_column = blocks_of_columns(blocks, array.shape[1:], on_device=on_device) if numbered else None
    seed = _checks.seed(seed)
    threads = resolve_n_threads(n_threads)
    run = backends.job("permute_marginals", backend, array)
    shape = array.shape if n_copies is None else (copies, *array.shape)
    if out is None and n_copies is not None and not on_device:
        _checks.room(math.prod(shape), "n_copies", copies)
    result = _device.namespace(array).empty(shape, array.dtype) if out is None else _checked_out(out, shape, array)
    if result.size:
        takes_any = array.ndim == 2 or backends.choose(backend, array) in ("native", "cuda")
        columns = array if takes_any else array.reshape(len(array), -1)
        target = result.reshape((copies, *columns.shape))
        run(columns, block_of_column, method, seed, target, max(1, min(threads, result.size // _WORK_A_THREAD)))
    return result


def blocks_of_columns(
    blocks: ArrayLike | None, feature_shape: tuple[int, ...], *, on_device: bool = False
) -> NDArray[np.int32]:
    """The block of every feature, numbered from 0 in the order of the labels: (n_features,), as CuPy's where `on_device` says so."""
    n_features = int(np.prod(feature_shape, dtype=np.int64))
    if blocks is None:
        numbers: NDArray[np.int32] = (_device.cupy() if on_device else np).arange(n_features, dtype=np.int32)
        return numbers
    labels = _arrays.as_array(blocks, "blocks")
    if len(feature_shape) == 2 and labels.shape == feature_shape[:1] != (n_features,):
        labels = np.repeat(labels, feature_shape[1])
    if labels.dtype.kind not in "iub":
        got = f"dtype {labels.dtype}" if labels.ndim else f"a {type(blocks).__name__}"
        raise TypeError(f"blocks must hold integer labels; got {got} (number the blocks 0, 1, ...)")
    if labels.shape not in {(n_features,), feature_shape}:
        raise ValueError(
            f"blocks must hold one label a feature, shape {feature_shape} or ({n_features},), or one a channel; got shape "
            f"{labels.shape} (number the block of each)"
        )
    if _device.is_on_device(labels):
        return _numbered(labels.ravel())
    number = np.unique(labels.ravel(), return_inverse=True)[1].astype(np.int32)
    return _device.to_device(number) if on_device else number


def _numbered(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Labels on a device numbered in their order. np.unique would wait for their number to come to the host."""
    if not labels.size:
        return labels.astype(np.int32)
    order = np.argsort(labels)
    in_order = labels[order]
    number = np.zeros_like(labels, dtype=np.int32)
    number[order[1:]] = np.cumsum(in_order[1:] != in_order[:-1], dtype=np.int32)
    return number


def _checked_out(out: Any, shape: tuple[int, ...], x: NDArray[Any]) -> NDArray[Any]:
    kind, name = ("CuPy", "cupy") if _device.is_on_device(x) else ("NumPy", "np")
    if not isinstance(out, type(x)):
        where = "an array on a CUDA device" if _device.is_on_device(out) else type(out).__name__
        raise TypeError(f"out must be a {kind} array; got {where} (pass {name}.empty({shape}, x.dtype))")
    if out.shape != shape or out.dtype != x.dtype:
        raise ValueError(
            f"out must have shape {shape} and dtype {x.dtype}; got shape {out.shape} and dtype {out.dtype} "
            f"(pass {name}.empty({shape}, x.dtype))"
        )
    writeable = kind == "CuPy" or out.flags.writeable
    aligned = kind == "CuPy" or out.flags.aligned
    if not (out.flags.c_contiguous and writeable and aligned):
        state = (
            f"strides {out.strides}"
            if not out.flags.c_contiguous
            else "an address off its alignment"
            if writeable
            else "read-only"
        )
        raise ValueError(
            f"out must be C-contiguous and writeable; got an array with {state} (pass {name}.empty({shape}, x.dtype))"
        )
    if np.may_share_memory(out, x):
        raise ValueError(
            f"out must not overlap x; got an array of shape {out.shape} in the memory of x (pass a new array as out)"
        )
    return out
