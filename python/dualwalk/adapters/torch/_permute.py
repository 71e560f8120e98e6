"""Samples of the product of the marginals, on tensors: a linear map of x, whose adjoint is its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ... import _checks, _device, marginals
from ._operator import Operator, one
from ._tensors import array_of, checked, on_cuda, seed_number, seed_of, stream_of, tensor_of, whole_numbers

_HALF = (torch.float16, torch.bfloat16)
_BITS = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.bool: torch.uint8}  # rows only move: bits will do
_DTYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32, torch.float64, *_BITS)


def permute_marginals(
    x: Any, *, n_copies: int | None = None, blocks: Any = None, method: str = "shuffle", seed: Any = None
) -> Any:
    """Rearrange the rows of every column (or block of columns) independently: `dualwalk.permute_marginals` on tensors.

    Parameters
    ----------
    x : tensor (n_samples, n_features) or (n_samples, n_channels, n_times)
        bool, integers, float16, bfloat16, float32 or float64, with any strides, on the CPU or a CUDA device; not copied.
    n_copies : int, optional
        None gives one rearrangement of the shape of x; m gives m independent ones, shape (m, *x.shape).
    blocks : integer tensor, array or list, optional
        A label for each feature, of shape x.shape[1:] or flat, or one a channel; features with equal labels move together.
    method : {"shuffle", "resample", "shift"}
        A uniform permutation, rows drawn with replacement, or a cyclic shift that leaves no value in its row.
    seed : int in [0, 2**64), integer tensor of shape (), torch.Generator, numpy.random.Generator or None
        None draws from torch's default generator, so torch.manual_seed makes it reproducible, and a compiled function draws
        anew at every call (under inductor other numbers than uncompiled, as all of torch's). A tensor in the host's memory
        is read without waiting, one on a device is waited for.

    Returns
    -------
    tensor of x's dtype, on its device; contiguous, new memory.

    Notes
    -----
    The operator `torch.ops.dualwalk.permute_marginals`. The same seed gives the same integers as `dualwalk.permute_marginals`,
    on every device and for any number of threads (torch.get_num_threads() of them run). Differentiable by x, any number of
    times: the gradient adds up what each entry became, in a fixed order (half precision in float32). Works under
    torch.compile(fullgraph=True), autocast and torch.func.grad; torch.func.vmap with one seed rearranges all its rows alike,
    vmap(randomness="different") each by itself. No forward-mode derivatives. On a device it needs CuPy and our CUDA kernels,
    and runs on torch's current stream. Source: the product of marginals of Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    TypeError, ValueError
        As `dualwalk.permute_marginals`, and for what is no tensor.

    Examples
    --------
    >>> x = torch.arange(8.0).reshape(4, 2)
    >>> bool((permute_marginals(x, seed=0).sort(dim=0).values == x).all())
    True
    """
    if not torch.compiler.is_compiling():  # which takes words and numbers for constants, and checks for code
        _checks.choice(method, "method", marginals.METHODS)
        n_copies = None if n_copies is None else _checks.count(n_copies, "n_copies")
    labels = None if blocks is None else whole_numbers(blocks, "blocks")
    return _permute(_checked(x), seed_of(seed), labels, n_copies, method)


def _checked(x: Any) -> Any:
    if checked(x, "x").dtype not in _DTYPES:
        raise TypeError(f"x must hold real numbers of 8 bytes at most; got dtype {x.dtype} (pass x.float())")
    return x


def _run(x: Any, seed: Any, blocks: Any = None, n_copies: int | None = None, method: str = "shuffle") -> Any:
    bits = _BITS.get(x.dtype, x.dtype)
    with stream_of(x):
        return tensor_of(_arranged(array_of(x.view(bits)), seed, blocks, n_copies, method), x).view(x.dtype)


def _arranged(array: Any, seed: Any, blocks: Any, n_copies: int | None, method: str) -> Any:
    return marginals.permute_marginals(
        array,
        n_copies=n_copies,
        blocks=array_of(blocks),
        method=method,
        seed=seed_number(seed),
        n_threads=torch.get_num_threads(),
    )


def _fake(x: Any, seed: Any, blocks: Any = None, n_copies: int | None = None, method: str = "shuffle") -> Any:
    return x.new_empty(x.shape if n_copies is None else (n_copies, *x.shape))


def _run_adjoint(y: Any, seed: Any, blocks: Any = None, n_copies: int | None = None, method: str = "shuffle") -> Any:
    """Of y (n, ...) or (n_copies, n, ...): what came from row i of a column added up there, (n, ...)."""
    n, *features = y.shape if n_copies is None else y.shape[1:]
    flat = y.reshape(n * (1 if n_copies is None else n_copies), math.prod(features))
    with stream_of(y):
        xp = _device.cupy() if on_cuda(y) else np
        row = xp.broadcast_to(xp.arange(n)[:, None], (n, flat.shape[1])).reshape(n, *features)
        source = tensor_of(_arranged(row, seed, blocks, n_copies, method), y).reshape(flat.shape)
    total = torch.zeros((n, flat.shape[1]), dtype=torch.float32 if y.dtype in _HALF else y.dtype, device=y.device)
    if on_cuda(y):  # sorts, and adds in a fixed order; scatter_add_ does not there
        total.index_put_((source, torch.arange(flat.shape[1], device=y.device)), flat.to(total.dtype), accumulate=True)
    else:
        total.scatter_add_(0, source, flat.to(total.dtype))
    return total.to(y.dtype).reshape(n, *features)


def _fake_adjoint(y: Any, seed: Any, blocks: Any = None, n_copies: int | None = None, method: str = "shuffle") -> Any:
    return y.new_empty(y.shape if n_copies is None else y.shape[1:])


_ARGUMENTS = "Tensor seed, Tensor? blocks=None, SymInt? n_copies=None, str method='shuffle'"
_permute = Operator("permute_marginals", f"(Tensor x, {_ARGUMENTS}) -> Tensor", _run, _fake)
_adjoint = Operator("permute_marginals_adjoint", f"(Tensor y, {_ARGUMENTS}) -> Tensor", _run_adjoint, _fake_adjoint)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    _, seed, blocks, ctx.n_copies, ctx.method = inputs
    ctx.save_for_backward(seed, blocks)


def _through(operator: Any) -> Any:
    def backward(ctx: Any, gradient: Any) -> Any:
        seed, blocks = ctx.saved_tensors
        return operator(gradient, seed, blocks, ctx.n_copies, ctx.method), None, None, None, None

    return backward


def _batched(operator: Any, copies_in: bool) -> Any:
    """The vmap rule of either operator: with one seed, a batch is more columns that carry the labels of the first ones."""

    def rule(
        info: Any, in_dims: Any, x: Any, seed: Any, blocks: Any = None, n_copies: Any = None, method: str = "shuffle"
    ) -> Any:
        x_dim, seed_dim, blocks_dim = (*in_dims, None)[:3]
        if x_dim is None or seed_dim is not None or blocks_dim is not None:
            parts = [
                operator(one(x, x_dim, i), one(seed, seed_dim, i), one(blocks, blocks_dim, i), n_copies, method)
                for i in range(info.batch_size)
            ]
            return torch.stack(parts), 0
        rows = int(copies_in and n_copies is not None)
        beside = x.movedim(x_dim, rows + 1)
        features = beside.shape[rows + 2 :]
        n_features = math.prod(features)
        labels = torch.arange(n_features) if blocks is None else blocks.ravel()
        if len(labels) != n_features:  # one a channel
            labels = labels.repeat_interleave(n_features // max(1, len(labels)))
        labels = labels.expand(info.batch_size, n_features)
        result = operator(beside.reshape(*beside.shape[: rows + 2], n_features), seed, labels, n_copies, method)
        rows = int(not copies_in and n_copies is not None)
        return result.reshape(*result.shape[: rows + 2], *features), rows + 1

    return rule


_permute.derive(_keep, _through(_adjoint), _batched(_permute, copies_in=False))
_adjoint.derive(_keep, _through(_permute), _batched(_adjoint, copies_in=True))
