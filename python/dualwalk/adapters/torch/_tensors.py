"""Tensors as the arrays of our kernels and back, on the CPU and on CUDA devices: the one place that knows about either."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from ... import _arrays, _checks, _device


def checked(value: Any, name: str) -> Any:
    """`value` itself, a dense tensor on the CPU or on a CUDA device; TypeError for anything else."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor; got {type(value).__name__} (pass torch.as_tensor({name}))")
    if value.device.type not in ("cpu", "cuda") or value.layout != torch.strided:
        raise TypeError(
            f"{name} must be a dense tensor on the CPU or a CUDA device; got layout {value.layout} on {value.device} "
            f"(pass {name}.to_dense() or {name}.cpu())"
        )
    if not torch.compiler.is_compiling() and forward_ad.unpack_dual(value).tangent is not None:
        raise NotImplementedError(
            f"{name} must not carry a forward-mode derivative, which these functions would lose; got a dual tensor "
            "(use reverse mode: backward, torch.autograd.grad or torch.func.grad)"
        )
    return value


def floating(value: Any, name: str) -> Any:
    """A tensor for arithmetic in float32 or float64: half precision is taken as float32, as under autocast."""
    tensor = checked(value, name)
    if tensor.dtype in (torch.float16, torch.bfloat16):
        return tensor.float()
    if tensor.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{name} must hold floating-point numbers; got dtype {tensor.dtype} (pass {name}.double())")
    return tensor


def whole_numbers(value: Any, name: str) -> Any:
    """Labels or offsets as a tensor; what is none comes in as everywhere in dualwalk."""
    if torch.compiler.is_compiling() or isinstance(value, torch.Tensor):
        return torch.as_tensor(value)
    array = _arrays.as_numpy(value, name)
    if array.dtype.kind not in "biu":
        got = f"dtype {array.dtype}" if array.ndim else f"a {type(value).__name__}"
        raise TypeError(f"{name} must hold whole numbers; got {got} (pass integers)")
    return torch.as_tensor(np.array(array, np.int64))


def beside(value: Any, name: str, other: Any, other_name: str) -> None:
    """ValueError unless both are on one device."""
    if value.device != other.device:
        raise ValueError(
            f"{name} must be on the device of {other_name}, {other.device}; got a tensor on {value.device} "
            f"(pass {name}.to({other_name}.device))"
        )


def on_cuda(tensor: Any) -> bool:
    """Whether a tensor is in a CUDA device's memory."""
    return bool(tensor.device.type == "cuda")


@contextlib.contextmanager
def stream_of(tensor: Any) -> Iterator[None]:
    """CuPy works on the tensor's device and on torch's current stream inside this block; nothing happens for the CPU."""
    if not on_cuda(tensor):
        yield
        return
    _device.require("a tensor on a CUDA device")
    index = tensor.device.index
    with _device.cupy().cuda.Device(index), _stream(torch.cuda.current_stream(tensor.device).cuda_stream, index):
        yield


@cache
def _stream(address: int, device: int) -> Any:
    """One of torch's streams as CuPy's."""
    with warnings.catch_warnings():  # from_external, which CuPy 14 would rather see, destroys the stream in the end
        warnings.simplefilter("ignore", DeprecationWarning)
        return _device.cupy().cuda.ExternalStream(address, device)


def array_of(tensor: Any) -> Any:
    """A tensor's memory as an array, NumPy's or CuPy's (inside `stream_of`); None stays None. Nothing is copied."""
    if tensor is None:
        return None
    plain = tensor.detach()
    return _device.as_array(plain, "tensor") if on_cuda(tensor) else plain.numpy()


def tensor_of(array: Any, like: Any) -> Any:
    """An array, or a NumPy scalar, as a contiguous tensor on the device of `like`; a contiguous array is not copied."""
    if not on_cuda(like):
        return torch.from_numpy(np.asarray(array)).contiguous()
    if array.dtype == bool:  # DLPack's bool is younger than the rest
        return torch.from_dlpack(array.view(np.uint8)).view(torch.bool).contiguous()
    return torch.from_dlpack(array).contiguous()


def tensor_copy(array: Any) -> Any:
    """A copy of an array as a tensor in the same memory, the host's or the device's."""
    return torch.from_dlpack(array).clone() if _device.is_on_device(array) else torch.tensor(array)


def seed_of(seed: Any) -> Any:
    """A seed as a tensor () of int64: torch's own generator draws it for None, so that compiled code draws at every call."""
    if isinstance(seed, torch.Tensor):
        if seed.ndim or seed.is_floating_point():
            raise TypeError(
                f"seed must be one whole number; got a tensor of shape {tuple(seed.shape)} and dtype {seed.dtype} (pass an int)"
            )
        return seed.to(torch.int64)
    if isinstance(seed, torch.Generator):
        return torch.randint(2**63 - 1, (), generator=seed, device=seed.device)
    if seed is None:
        return torch.randint(2**63 - 1, ())
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63:
        return torch.full((), seed, dtype=torch.int64)  # without the check, whose result the compiler takes for a constant
    number = _checks.seed(seed)
    return torch.full((), number - 2**64 if number >= 2**63 else number, dtype=torch.int64)


def seed_number(seed: Any) -> int:
    """The seed in [0, 2**64) that a tensor of `seed_of` holds."""
    return int(seed) % 2**64
