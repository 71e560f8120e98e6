"""How an operator is defined: one kernel call with its shapes, its derivative and its rule for batches."""

from __future__ import annotations

from types import new_class
from typing import Any

import torch


class Operator:
    """A custom operator dualwalk::name, called with all of its arguments.

    Parameters
    ----------
    name, schema : as torch.library.custom_op takes them.
    run : the work, on plain tensors.
    fake : tensors of the result's shapes and dtypes, for the compiler.

    `derive` adds the derivative and the rule for batches. torch.func.grad and its kin cannot look into the operators of
    torch.library, but into an autograd.Function, so the same two make one.
    """

    def __init__(self, name: str, schema: str, run: Any, fake: Any) -> None:
        self._operator = torch.library.custom_op(f"dualwalk::{name}", run, mutates_args=(), schema=schema)
        self._operator.register_fake(fake)
        self._name = name
        self._function: Any = None

    def derive(self, keep: Any, backward: Any, batched: Any) -> None:
        """`keep(ctx, inputs, output)` saves what `backward(ctx, *gradients)` needs; `batched` is a rule for vmap."""
        self._operator.register_autograd(backward, setup_context=keep)
        self._operator.register_vmap(batched)
        operator = self._operator
        parts = {"forward": lambda *inputs: operator(*inputs), "setup_context": keep, "backward": backward, "vmap": batched}
        methods = {name: staticmethod(part) for name, part in parts.items()}
        self._function = new_class(self._name, (torch.autograd.Function,), exec_body=lambda space: space.update(methods))

    def __call__(self, *inputs: Any) -> Any:
        if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
            return self._function.apply(*inputs)
        return self._operator(*inputs)


def one(value: Any, dim: int | None, i: int) -> Any:
    """Element i of a batch along `dim`; what has no batch is the same for all."""
    return value if dim is None else value.select(dim, i)
