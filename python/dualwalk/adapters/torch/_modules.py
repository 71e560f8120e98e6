"""Dual functions as modules that train, and back: `to_module`, `to_dual`, and the module of a multilayer perceptron."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ... import _checks
from ...duals.mlp import MLPDual
from ...duals.node import NodeDual
from ._node_module import NodeModule
from ._tensors import array_of, checked, stream_of, tensor_copy


class MLPModule(nn.Module):  # type: ignore[misc]
    """An `MLPDual` as a module: x (n, n_features) to f (n,), nats, through Linear layers with SiLU between them.

    Made by `to_module`. Parameters are float64, bit for bit the dual's, and train as any; `.float()` makes it quicker. `walk`
    runs it in compiled loops.
    """

    def __init__(self, dual: MLPDual) -> None:
        super().__init__()
        _checks.instance(dual, "dual", MLPDual, remedy="pass an MLPDual, or use to_module for other duals")
        self.layers = nn.ModuleList()
        for weight, bias in zip(dual.weights, dual.biases, strict=True):
            layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
            layer.weight, layer.bias = nn.Parameter(tensor_copy(weight)), nn.Parameter(tensor_copy(bias))
            self.layers.append(layer)

    def forward(self, x: Any) -> Any:
        wanted = self.layers[0].in_features
        if checked(x, "x").shape[-1:] != (wanted,):
            raise ValueError(f"x must have shape (n, {wanted}); got shape {tuple(x.shape)} (flatten series with x.flatten(1))")
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x))
        return self.layers[-1](x).squeeze(-1)


def to_module(dual: Any) -> Any:
    """A dual function as a `torch.nn.Module` with the same f, to rounding, that differentiates and trains.

    Parameters
    ----------
    dual : NodeDual (a fitted estimator's `dual_`) or MLPDual

    Returns
    -------
    NodeModule or MLPModule
        Takes x (n, n_features), normal scores for a NodeDual, and gives f (n,) in x's dtype, nats. Everything is copied, into
        the memory that the dual is in.

    Notes
    -----
    What trains (`.parameters()`): all weights of an MLPDual; the networks of a NodeDual, whose path, linear base, grids and
    tables are buffers, counted from data.

    Raises
    ------
    TypeError
        For another kind of dual.

    Examples
    --------
    >>> from dualwalk import MLPDual
    >>> module = to_module(MLPDual([[[1.0, 2.0]]], [[0.5]]))
    >>> module(torch.ones(1, 2, dtype=torch.float64)).item()
    3.5
    """
    if isinstance(dual, MLPDual):
        return MLPModule(dual)
    if isinstance(dual, NodeDual):
        return NodeModule(dual)
    raise TypeError(
        f"dual must be a NodeDual or an MLPDual; got {type(dual).__name__} (walk any other dual with dualwalk.walk as it is)"
    )


def to_dual(module: Any) -> Any:
    """A module as a dual function of ours, for `dualwalk.walk` and all else that takes one, without torch.

    Parameters
    ----------
    module : NodeModule, MLPModule, or nn.Sequential of nn.Linear with nn.SiLU between them, the last with one output
        (nn.Flatten, nn.Identity, and nn.Dropout in evaluation may stand anywhere: they change nothing here)

    Returns
    -------
    NodeDual or MLPDual
        Bit for bit the module's parameters (float32 ones are exact in MLPDual's float64), copied; later training does not
        reach it. In the module's memory: CuPy arrays for one on a device.

    Raises
    ------
    TypeError
        For a module that is none of these; `walk` of this package takes any.

    Examples
    --------
    >>> import torch
    >>> critic = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.SiLU(), torch.nn.Linear(8, 1))
    >>> to_dual(critic).n_features
    3
    """
    if isinstance(module, NodeModule):
        return module.dual()
    layers = linear_layers(module)
    if layers is None:
        raise TypeError(
            f"module must be a NodeModule, an MLPModule or an nn.Sequential of nn.Linear and nn.SiLU in turns; got "
            f"{module if isinstance(module, nn.Sequential) else type(module).__name__} (walk it with dualwalk.adapters.torch.walk)"
        )
    with stream_of(layers[0].weight):
        biases = [torch.zeros_like(layer.weight[:, 0]) if layer.bias is None else layer.bias for layer in layers]
        weights = [layer.weight for layer in layers]
        return MLPDual(*([array_of(part.double()) for part in parts] for parts in (weights, biases)))


def linear_layers(module: Any) -> list[Any] | None:
    """The Linear layers of a module that is an MLPDual as it stands; None for any other."""
    if type(module) is MLPModule:
        return None if has_hooks(module, *module.layers) else list(module.layers)
    if type(module) is not nn.Sequential or has_hooks(module, *module):
        return None
    parts = [part for part in module if not _is_idle(part)]
    linear, between = parts[::2], parts[1::2]
    fits = len(linear) == len(between) + 1 and all(type(part) is nn.Linear for part in linear)
    return linear if fits and all(type(part) is nn.SiLU for part in between) and linear[-1].out_features == 1 else None


def has_hooks(*modules: Any) -> bool:
    """Whether calling one of the modules does more than its forward."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, kind) for module in modules for kind in hooks)


def _is_idle(part: Any) -> bool:
    """Layers that only change the shape, or, in evaluation, nothing."""
    return type(part) in (nn.Flatten, nn.Identity) or (isinstance(part, nn.Dropout) and not part.training)
