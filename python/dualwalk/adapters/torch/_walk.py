"""Walks along any module, from tensors to tensors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import nn

from ... import _checks, walks
from ...duals.local_covariance import LocalCovariance
from ...walks import WalkResult
from ._modules import has_hooks, linear_layers, to_dual
from ._node_module import NodeModule
from ._tensors import array_of, beside, checked, seed_number, seed_of, stream_of, tensor_of


def walk(
    module: Any,
    x0: Any,
    *,
    n_steps: int,
    step_size: float,
    target: Any = None,
    noise: float = 0.0,
    bounds: Any = None,
    seed: Any = None,
    record: bool = False,
    tolerance: float = 1e-3,
    preconditioner: Any = None,
    base: str | None = None,
    precision: str | None = None,
) -> WalkResult:
    """Walk a batch of points along the gradient of a module's f, each on its own: `dualwalk.walk` on tensors.

    A step is  x += a grad f(x) + noise sqrt(2 step_size) e; see `dualwalk.walk` for what target, preconditioner and base make
    of it.

    Parameters
    ----------
    module : nn.Module, or any function of a tensor
        Takes rows x (n, *shape) and gives f (n,) or (n, 1), nats; f of a row must not depend on the other rows. It is called
        once a step with the walks still under way, in the mode it is in: call `module.eval()` first where dropout or batch
        normalization matter. A NodeModule, an MLPModule and an nn.Sequential of nn.Linear and nn.SiLU in turns are walked by
        our own kernels, as what `to_dual` makes of them.
    x0 : tensor (n_walks, *shape), float32 or float64
        The starts, on the module's device; never changed.
    n_steps, step_size, noise, record, tolerance, base, precision
        As `dualwalk.walk` has them.
    target : float, tensor or array (n_walks,), optional
    bounds : (low, high), optional
        Two numbers, or tensors of the shape of one row.
    seed : int, torch.Generator, numpy.random.Generator, integer tensor () or None
        Of the noise. None draws from torch's generator.
    preconditioner : LocalCovariance, or positive definite tensor (n_features, n_features), optional

    Returns
    -------
    WalkResult
        `.x` (n_walks, *shape) and `.trajectory` (n_walks, n_steps + 1, *shape) or None in x0's dtype, `.f` float64, `.n_steps`
        int64, `.reached` bool, each (n_walks, ...); tensors on x0's device that no derivative follows.

    Notes
    -----
    Gradients come from torch.autograd by x alone: the parameters' `.grad` and `requires_grad`, and the module's mode, are left
    as they are. Same seed, same bits, for modules that give the same bits. Starts on a CUDA device walk there, on torch's
    current stream. Source: the gradient walk of Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    TypeError, ValueError
        As `dualwalk.walk`; for a module that gives another shape, or whose f does not depend on x.

    Examples
    --------
    >>> class Bowl(torch.nn.Module):
    ...     def forward(self, x):
    ...         return -(x**2).sum(1) / 2
    >>> result = walk(Bowl(), torch.ones(2, 3), n_steps=100, step_size=0.1, target=-0.5)
    >>> result.reached.tolist()
    [True, True]
    """
    if not callable(module):
        raise TypeError(f"module must be an nn.Module or a function of a tensor; got {type(module).__name__} (see to_module)")
    if checked(x0, "x0").dtype not in (torch.float32, torch.float64):
        raise TypeError(f"x0 must be float32 or float64; got dtype {x0.dtype} (pass x0.float())")
    if x0.ndim < 2:
        raise ValueError(f"x0 must have shape (n_walks, n_features); got {tuple(x0.shape)} (pass x0[None] for one walk)")
    _check_module(module, x0)
    noise = _checks.real(noise, "noise", minimum=0.0)
    if not (noise or isinstance(seed, (torch.Tensor, torch.Generator, np.random.Generator))):
        _checks.seed(seed)  # which draws nothing
    shape = x0.shape[1:]
    box = tuple(map(_flat, bounds)) if isinstance(bounds, (tuple, list)) else bounds
    with stream_of(x0):
        shaped = preconditioner if isinstance(preconditioner, LocalCovariance) else _argument(preconditioner)
        result = walks.walk(
            _dual(module, x0),
            array_of(x0.reshape(len(x0), math.prod(shape))),
            n_steps=n_steps,
            step_size=step_size,
            target=_argument(target),
            noise=noise,
            bounds=box,
            seed=seed_number(seed_of(seed)) if noise else 0,
            record=record,
            tolerance=tolerance,
            preconditioner=shaped,
            base=base,
            precision=precision,
            n_threads=torch.get_num_threads(),
        )
        parts: list[Any] = [None if part is None else tensor_of(part, x0) for part in result]
    x, f, taken, reached, frames = parts
    if frames is not None:
        frames = frames.reshape(*frames.shape[:2], *shape)
    return WalkResult(x.reshape(x0.shape), f, taken, reached, frames)


def _check_module(module: Any, x0: Any) -> None:
    """The parameters are where x0 is; a dtype that does not fit is told by torch, since modules may well convert."""
    for parameter in itertools.islice(module.parameters() if isinstance(module, nn.Module) else (), 1):
        beside(x0, "x0", parameter, "module's parameters")


def _argument(value: Any) -> Any:
    return array_of(value) if isinstance(value, torch.Tensor) else value


def _flat(end: Any) -> Any:
    end = _argument(end)
    return end.reshape(-1) if getattr(end, "ndim", 0) > 1 else end


def _dual(module: Any, x0: Any) -> Any:
    """The module as a dual: by our kernels where it is one of ours or the like of it, on flat rows, else through autograd."""
    ours = type(module) is NodeModule and not has_hooks(module, *module.paths)
    if x0.ndim == 2 and (ours or linear_layers(module) is not None):
        return to_dual(module)
    return _ModuleDual(module, x0)


class _ModuleDual:
    """f and its gradient by autograd, for rows in the shape that the module takes."""

    def __init__(self, module: Any, like: Any) -> None:
        self._module, self._like = module, like

    def value_and_gradient(self, x: Any) -> tuple[Any, Any]:
        with torch.inference_mode(False), torch.enable_grad():
            rows = tensor_of(x, self._like).reshape(len(x), *self._like.shape[1:]).requires_grad_()
            value = self._module(rows)
            if value.shape not in ((len(x),), (len(x), 1)):
                raise ValueError(
                    f"module must give one number a row, shape ({len(x)},) or ({len(x)}, 1); got {tuple(value.shape)} "
                    "(sum or select its outputs in a function around it)"
                )
            if not value.requires_grad:
                raise ValueError(
                    "module must give an f that depends on x through torch's operations; got one without a gradient "
                    "(look for .detach(), .item() or torch.no_grad() in its forward)"
                )
            (slope,) = torch.autograd.grad(value.sum(), rows)
        value, slope = value.detach().to(rows.dtype).reshape(len(x)), slope.reshape(len(x), -1)
        return array_of(value), array_of(slope)
