"""log mean exp on tensors, along axes or over segments, weighted or not, with every derivative."""

from __future__ import annotations

from typing import Any

import torch

from ... import _checks, objective
from ._operator import Operator, one
from ._tensors import array_of, beside, floating, stream_of, tensor_of, whole_numbers


def log_mean_exp(
    f: Any,
    *,
    axis: int | tuple[int, ...] | None = None,
    segments: Any = None,
    weights: Any = None,
    return_gradient: bool = False,
) -> Any:
    """log( sum_i w_i exp f_i / sum_i w_i ) along `axis`, or over segments: `dualwalk.log_mean_exp` on tensors.

    Parameters
    ----------
    f : floating-point tensor of any shape, not empty along `axis`
        float32 and float64 keep their dtype; float16 and bfloat16 are taken as float32, which the result then has (that is
        also what happens under autocast). -inf counts as exp = 0. Not copied where `dualwalk.log_mean_exp` does not copy.
    axis : int, tuple of ints or None
        None reduces over everything.
    segments : integer tensor, array or list (n_segments + 1,), optional
        Offsets into a 1-D f, from 0 to len(f), as a CSR matrix has them; segment k is f[segments[k] : segments[k + 1]].
    weights : tensor that broadcasts to f, on its device, optional
        Not negative, with a positive sum along `axis` or in every segment.
    return_gradient : bool
        Also return the derivative by every entry of f, w_i exp f_i / sum_j w_j exp f_j, in f's shape; it is differentiable too.

    Returns
    -------
    value, or (value, gradient)
        value is a tensor without the reduced axes, of shape () for axis=None, or (n_segments,).

    Notes
    -----
    The operator `torch.ops.dualwalk.log_mean_exp`. Differentiable by f and weights, any number of times; the first derivative
    comes from the same kernel as the value. Bits do not depend on the number of threads (torch.get_num_threads() of them run);
    on a device, second derivatives over segments are torch's index_add, which is so only under
    torch.use_deterministic_algorithms(True). Works under torch.compile(fullgraph=True), autocast, torch.func.grad and vmap; no
    forward-mode derivatives. Source: the Donsker-Varadhan dual of Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    TypeError, ValueError
        As `dualwalk.log_mean_exp`, for what is no floating-point tensor, and for weights on another device.

    Examples
    --------
    >>> log_mean_exp(torch.tensor([1000.0, 1000.0])).item()
    1000.0
    """
    f = floating(f, "f")
    if weights is not None:
        weights = _weights(weights, f)
    if segments is not None:
        segments = whole_numbers(segments, "segments")
    if not torch.compiler.is_compiling():
        return_gradient = _checks.flag(return_gradient, "return_gradient")
    axes = _axes(axis, f.ndim)
    followed = torch.is_grad_enabled() and (f.requires_grad or (weights is not None and weights.requires_grad))
    value, gradient = _operator(f, axes, weights, segments, return_gradient or followed)
    return (value, gradient) if return_gradient else value


def _weights(weights: Any, f: Any) -> Any:
    """Weights of f's dtype and shape."""
    weights = floating(weights, "weights").to(f.dtype)
    beside(weights, "weights", f, "f")
    try:
        return weights.expand(f.shape)
    except RuntimeError:
        raise ValueError(
            f"weights must broadcast to f, shape {tuple(f.shape)}; got shape {tuple(weights.shape)} (pass one weight for each value)"
        ) from None


def _axes(axis: int | tuple[int, ...] | None, ndim: int) -> list[int]:
    if axis is None:
        return list(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return [_checks.count(one, "axis", minimum=-ndim) for one in axes]


def _run(f: Any, axes: Any, weights: Any = None, segments: Any = None, gradient: bool = True) -> Any:
    slope = torch.empty(f.shape if gradient else (0,), dtype=f.dtype, device=f.device)
    with stream_of(f):
        value = objective.log_mean_exp(
            array_of(f),
            axis=tuple(axes) if segments is None else None,
            segments=array_of(segments),
            weights=array_of(weights),
            return_gradient=gradient,  # type: ignore[call-overload]
            out=array_of(slope) if gradient else None,
            n_threads=torch.get_num_threads(),
        )
        return tensor_of(value[0] if gradient else value, f), slope


def _fake(f: Any, axes: Any, weights: Any = None, segments: Any = None, gradient: bool = True) -> Any:
    reduced = {axis % f.ndim for axis in axes}
    shape = [size for axis, size in enumerate(f.shape) if axis not in reduced] if segments is None else (len(segments) - 1,)
    return f.new_empty(shape), f.new_empty(f.shape if gradient else (0,))


_operator = Operator(
    "log_mean_exp",
    "(Tensor f, int[] axes, Tensor? weights=None, Tensor? segments=None, bool gradient=True) -> (Tensor, Tensor)",
    _run,
    _fake,
)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    f, ctx.axes, weights, segments, ctx.has_slope = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(f, weights, segments, *output)


def _backward(ctx: Any, by_value: Any, by_slope: Any) -> Any:
    """With p the slopes, P = sum_j p_j by_slope_j:  p (by_value + by_slope - P); by weights exp(f - value) / W in the place of
    p, and - by_value / W.

    p is an output of the operator, so this is differentiable by the same rule.
    """
    f, weights, segments, value, slope = ctx.saved_tensors
    if not ctx.has_slope:
        value, slope = _operator(f, ctx.axes, weights, segments, True)
    sums = _Sums(f, ctx.axes, segments)
    inner = None if by_value is None else sums.spread(by_value)
    if by_slope is not None:
        centred = by_slope - sums.spread(sums.sum(by_slope * slope))
        inner = centred if inner is None else inner + centred
    if inner is None:
        return None, None, None, None, None
    by_weights = None
    if weights is not None and ctx.needs_input_grad[2]:
        total = sums.spread(sums.sum(weights))
        by_weights = (f - sums.spread(value)).exp() / total * inner
        by_weights = by_weights if by_value is None else by_weights - sums.spread(by_value) / total
    return slope * inner if ctx.needs_input_grad[0] else None, None, by_weights, None, None


class _Sums:
    """Sums over the reduced axes, or segments, and their way back to the shape of f."""

    def __init__(self, f: Any, axes: Any, segments: Any) -> None:
        self.f, self.axes = f, tuple(axes)
        self.segment = None
        if segments is not None:
            lengths = segments.diff().to(f.device)
            self.segment = torch.arange(len(lengths), device=f.device).repeat_interleave(lengths, output_size=len(f))
            self.n_segments = len(lengths)

    def sum(self, values: Any) -> Any:
        if self.segment is not None:
            return values.new_zeros(self.n_segments).index_add(0, self.segment, values)
        return values.sum(self.axes) if self.axes else values

    def spread(self, sums: Any) -> Any:
        if self.segment is not None:
            return sums[self.segment]
        for axis in sorted(axis % self.f.ndim for axis in self.axes):
            sums = sums.unsqueeze(axis)
        return sums.expand(self.f.shape)


def _batched(
    info: Any, in_dims: Any, f: Any, axes: Any, weights: Any = None, segments: Any = None, gradient: bool = True
) -> Any:
    f_dim, _, weights_dim, segments_dim = (*in_dims, None, None)[:4]
    if segments is not None:
        parts = [
            _operator(one(f, f_dim, i), axes, one(weights, weights_dim, i), one(segments, segments_dim, i), gradient)
            for i in range(info.batch_size)
        ]
        return tuple(map(torch.stack, zip(*parts, strict=True))), (0, 0)
    ndim = f.ndim - (f_dim is not None)
    rows = _leading(f, f_dim, info.batch_size)
    beside_rows = None if weights is None else _leading(weights, weights_dim, info.batch_size)
    value, slope = _operator(rows, [axis % ndim + 1 for axis in axes], beside_rows, None, gradient)
    return (value, slope), (0, 0 if gradient else None)


def _leading(value: Any, dim: int | None, size: int) -> Any:
    """The batch as the first axis."""
    return value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)


_operator.derive(_keep, _backward, _batched)
