"""Arrays on a CUDA device: who is one, where work on it runs, and the way between the host's memory and the device's.

CuPy holds the arrays, its current stream orders the work, its pool gives the memory. NumPy's functions dispatch on CuPy's
arrays, so most code takes either; `namespace` is for the functions that make arrays from nothing. Nothing here copies between
the two memories but `to_device` and `to_host`, whose callers have been asked to.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
from contextlib import AbstractContextManager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from ._requirements import MissingPackageError

REMEDY_CUPY = 'install it: pip install "dualwalk[cuda13]", or [cuda12] for a CUDA 12 driver'
REMEDY_KERNELS = (
    "install dualwalk again where nvcc is found: pip install --force-reinstall --no-cache-dir --no-binary dualwalk dualwalk"
)
_CUDA, _CUDA_MANAGED = 2, 13  # of DLPack's device types


@cache
def kernels() -> ModuleType:
    """The compiled module; ImportError where it was not built."""
    return importlib.import_module("dualwalk._cuda")


@cache
def cupy() -> ModuleType:
    """CuPy; ImportError where it is not installed."""
    return importlib.import_module("cupy")


@cache
def why_not() -> str | None:
    """None when the CUDA kernels can run here, else the reason why not."""
    try:
        reason: str = kernels().why_not()
    except ImportError as error:
        missing = (
            "was not built when dualwalk was installed" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        )
        return f"dualwalk._cuda {missing} ({REMEDY_KERNELS})"
    if reason:
        return f"{reason} (the kernels are built; they need an NVIDIA device and its driver)"
    try:
        cupy()
    except ImportError as error:
        missing = "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        return f"cupy {missing} ({REMEDY_CUPY})"
    return None


def require(what: str) -> None:
    """MissingPackageError where the CUDA kernels cannot run, in the name of what asked for them."""
    reason = why_not()
    if reason is not None:
        raise MissingPackageError(f"{what} needs the CUDA kernels, which cannot be used: {reason}")


def is_on_device(value: Any) -> bool:
    """Whether a value is an array in a CUDA device's memory (CuPy's, or any with its interface or DLPack's)."""
    if isinstance(value, np.ndarray) or not hasattr(value, "shape"):
        return False
    # PyTorch's tensors on the CPU have the attribute too, and raise at its use
    if hasattr(type(value), "__dlpack_device__"):
        try:
            return int(value.__dlpack_device__()[0]) in (_CUDA, _CUDA_MANAGED)
        except (BufferError, RuntimeError, ValueError):  # in no memory that DLPack knows, as PyTorch's meta tensors
            return False
    return hasattr(value, "__cuda_array_interface__")


def as_array(value: Any, what: str) -> Any:
    """An array on the current device as CuPy's, sharing its memory; ValueError for one on another device."""
    require(what)
    xp = cupy()
    array = value
    # DLPack makes CuPy's stream wait for what still writes the array; the interface may not
    if not isinstance(value, xp.ndarray):
        array = xp.from_dlpack(value) if hasattr(value, "__dlpack__") else xp.asarray(value)
    here, there = xp.cuda.Device().id, array.device.id
    if here != there:
        raise ValueError(
            f"{what} must be on the current CUDA device, {here}; got an array on device {there} "
            f"(work inside `with cupy.cuda.Device({there}):`)"
        )
    return array


def namespace(*arrays: Any) -> Any:
    """The module that makes arrays where these are: CuPy if one of them is on a device, else NumPy."""
    return cupy() if any(is_on_device(array) for array in arrays) else np


def here() -> tuple[int, Any]:
    """The current stream's address, and how a kernel gets memory: what every function of the compiled module takes last."""
    xp = cupy()
    return int(xp.cuda.get_current_stream().ptr), _allocate


def _allocate(n_bytes: int) -> Any:
    return cupy().empty(n_bytes, np.uint8)


def beside(value: Any, other: Any) -> Any:
    """A small NumPy array (indices, labels, levels) in the memory that `other` is in: copied to the device for an array there."""
    return to_device(value) if is_on_device(other) else value


def floats(*values: Any) -> list[float]:
    """Numbers and 0-d arrays as floats; those on a device are read in one go, for each reading waits for all work before it."""
    there = [value for value in values if is_on_device(value)]
    read = iter(cupy().stack(there).get().tolist() if there else ())
    return [next(read) if is_on_device(value) else float(value) for value in values]


def to_device(value: Any) -> Any:
    """A NumPy array copied to the current device; one that is there already as it is."""
    return cupy().asarray(value)


def to_host(value: Any) -> Any:
    """A CuPy array copied to the host's memory; anything else as it is."""
    return value.get() if is_on_device(value) else value


def linear_algebra_errors(array: Any) -> AbstractContextManager[Any]:
    """np.linalg.LinAlgError inside this block for a matrix on a device that cannot be factored, as for one on the host.

    CuPy does not look otherwise, as a look waits for the device.
    """
    if not is_on_device(array):
        return contextlib.nullcontext()
    errors: AbstractContextManager[Any] = importlib.import_module("cupyx").errstate(linalg="raise")
    return errors


def copied_to_host(thing: Any) -> Any:
    """A copy of a fitted model, or of anything that pickles, with every CuPy array in it as a NumPy array."""
    buffer = io.BytesIO()
    _ToHost(buffer, pickle.HIGHEST_PROTOCOL).dump(thing)
    buffer.seek(0)
    return pickle.load(buffer)


class _ToHost(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        return (np.asarray, (thing.get(),)) if isinstance(thing, cupy().ndarray) else NotImplemented


def returned(result: Any, given: Any) -> Any:
    """A result in the memory that what was `given` for it is in: copied to the host's for an array, or list, there."""
    return result if is_on_device(given) else to_host(result)
