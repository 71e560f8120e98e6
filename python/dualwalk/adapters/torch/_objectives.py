"""The objectives of a critic on tensors: the Donsker-Varadhan bound and the logistic one, with every derivative."""

from __future__ import annotations

from typing import Any

import torch

from ... import objective
from ...objective import Objective
from ._operator import Operator, one
from ._tensors import array_of, beside, floating, stream_of, tensor_of


def donsker_varadhan(f_joint: Any, f_marginal: Any) -> Objective:
    """The Donsker-Varadhan bound  mean(f_joint) - log mean exp(f_marginal) <= KL(p || q), in nats, on tensors.

    Parameters
    ----------
    f_joint, f_marginal : floating-point tensors of any shape, not empty, on one device
        The dual function on samples of p (the data) and of q (the product of its marginals). float16 and bfloat16 are taken
        as float32. Not copied where contiguous.

    Returns
    -------
    Objective
        `.value`, a tensor of shape () to be maximized: `(-donsker_varadhan(f, g).value).backward()`. `.grad_joint` and
        `.grad_marginal`, its derivatives by both arguments. All three are differentiable, any number of times.

    Notes
    -----
    The operator `torch.ops.dualwalk.donsker_varadhan`, one kernel for value and gradients; bits do not depend on the number of
    threads. Works under torch.compile(fullgraph=True), autocast, torch.func.grad and vmap (row by row); no forward-mode
    derivatives. Source: Donsker and Varadhan 1983; Garg et al. 2024 (arXiv 2404.07377).

    Raises
    ------
    TypeError, ValueError
        For what is no floating-point tensor, empty ones, and tensors on two devices.

    Examples
    --------
    >>> donsker_varadhan(torch.ones(2), torch.zeros(2)).value.item()
    1.0
    """
    return Objective(*_donsker_varadhan(*_both(f_joint, f_marginal)))


def logistic(f_joint: Any, f_marginal: Any) -> Objective:
    """The logistic objective  mean log sigmoid(f_joint) + mean log sigmoid(-f_marginal), in nats, on tensors.

    To be maximized; at its maximum f = log p/q. Minus it is the binary cross-entropy with both classes weighted alike.

    Parameters
    ----------
    f_joint, f_marginal : floating-point tensors of any shape, not empty, on one device
        The dual function on samples of p and of q. float16 and bfloat16 are taken as float32. Not copied where contiguous.

    Returns
    -------
    Objective
        `.value`, a tensor of shape (), `.grad_joint` and `.grad_marginal`; all differentiable, any number of times.

    Notes
    -----
    The operator `torch.ops.dualwalk.logistic`; all else as `donsker_varadhan`. Source: Gutmann and Hyvarinen 2010.

    Raises
    ------
    TypeError, ValueError
        As `donsker_varadhan`.

    Examples
    --------
    >>> round(logistic(torch.zeros(1), torch.zeros(1)).value.item(), 6)
    -1.386294
    """
    return Objective(*_logistic(*_both(f_joint, f_marginal)))


def _both(f_joint: Any, f_marginal: Any) -> tuple[Any, Any]:
    joint, marginal = floating(f_joint, "f_joint"), floating(f_marginal, "f_marginal")
    beside(marginal, "f_marginal", joint, "f_joint")
    return joint, marginal


def _runner(function: Any) -> Any:
    def run(f_joint: Any, f_marginal: Any) -> Any:
        with stream_of(f_joint):
            result = function(array_of(f_joint), array_of(f_marginal), n_threads=torch.get_num_threads())
            value, *gradients = (tensor_of(part, f_joint) for part in result)
        return value.to(torch.promote_types(f_joint.dtype, f_marginal.dtype)), *gradients

    return run


def _fake(f_joint: Any, f_marginal: Any) -> Any:
    value = f_joint.new_empty((), dtype=torch.promote_types(f_joint.dtype, f_marginal.dtype))
    return value, f_joint.new_empty(f_joint.shape), f_marginal.new_empty(f_marginal.shape)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _by_value(gradient: Any, by_value: Any) -> Any:
    return None if by_value is None else by_value.to(gradient.dtype) * gradient


def _added(a: Any, b: Any) -> Any:
    return b if a is None else a + b


def _donsker_varadhan_backward(ctx: Any, by_value: Any, by_joint: Any, by_marginal: Any) -> Any:
    """The gradients are 1 / n, which is constant, and minus the softmax p: its derivative is - p_i (1_ik - p_k)."""
    joint, marginal = ctx.saved_tensors
    through = _by_value(marginal, by_value)
    if by_marginal is not None:
        through = _added(through, marginal * (by_marginal + (by_marginal * marginal).sum()))
    return _by_value(joint, by_value), through


def _logistic_backward(ctx: Any, by_value: Any, by_joint: Any, by_marginal: Any) -> Any:
    """The gradients are sigmoid(-f) / n and - sigmoid(f) / m; the derivative of a sigmoid s is s (1 - s)."""
    joint, marginal = ctx.saved_tensors
    by_joint_f, by_marginal_f = _by_value(joint, by_value), _by_value(marginal, by_value)
    if by_joint is not None:
        by_joint_f = _added(by_joint_f, -by_joint * joint * (1 - joint.numel() * joint))
    if by_marginal is not None:
        by_marginal_f = _added(by_marginal_f, by_marginal * marginal * (1 + marginal.numel() * marginal))
    return by_joint_f, by_marginal_f


def _batched(operator: Any) -> Any:
    """The vmap rule: a call for each row."""

    def rule(info: Any, in_dims: Any, f_joint: Any, f_marginal: Any) -> Any:
        parts = [operator(one(f_joint, in_dims[0], i), one(f_marginal, in_dims[1], i)) for i in range(info.batch_size)]
        return tuple(map(torch.stack, zip(*parts, strict=True))), (0, 0, 0)

    return rule


def _defined(name: str, function: Any, backward: Any) -> Operator:
    operator = Operator(name, "(Tensor f_joint, Tensor f_marginal) -> (Tensor, Tensor, Tensor)", _runner(function), _fake)
    operator.derive(_keep, backward, _batched(operator))
    return operator


_donsker_varadhan = _defined("donsker_varadhan", objective.donsker_varadhan, _donsker_varadhan_backward)
_logistic = _defined("logistic", objective.logistic, _logistic_backward)
