"""Arrays of other libraries as NumPy's or CuPy's, without a copy where they can share memory (docs/interchange.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _device


def distinct(values: Any) -> NDArray[Any]:
    """The different values in order, as np.unique. Asked for nothing else, NumPy 2.3 and later hash them in C++ that aborts the
    process where it ends meanwhile (daemon threads, Python before 3.14); counted, they are sorted."""
    found: NDArray[Any] = np.unique(values, return_counts=True)[0]
    return found


def as_array(value: Any, name: str) -> Any:
    """`value` where it is: CuPy's array for one on a CUDA device, else NumPy's. In the processor's byte order."""
    if not _device.is_on_device(value):
        return as_numpy(value, name)
    try:
        return _device.as_array(value, name)
    except (BufferError, RuntimeError) as error:
        raise _refused(value, name, error) from error


def as_numpy(value: Any, name: str) -> NDArray[Any]:
    """`value` as a NumPy array of any dtype, in the processor's byte order; TypeError or ValueError where it cannot be one."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{name} must not have masked values; got {int(np.ma.getmaskarray(value).sum())} of {value.size} "
            f"(drop those rows, or fill them: {name}.filled(value); DualSampler.impute takes {name}.filled(np.nan))"
        )
    try:
        array = np.from_dlpack(value) if _speaks_dlpack_only(value) else np.asarray(value)
    except Exception as error:  # whatever the other library raises
        raise _refused(value, name, error) from error
    as_kernels_read = array.dtype.isnative and array.flags.aligned
    return array if as_kernels_read else array.astype(array.dtype.newbyteorder("="))


def _speaks_dlpack_only(value: Any) -> bool:
    return hasattr(value, "__dlpack__") and not hasattr(value, "__array__")


def _refused(value: Any, name: str, error: Exception) -> Exception:
    """The error for rows of different lengths, and for an array that its own library does not hand over."""
    if isinstance(value, (list, tuple)):
        return ValueError(
            f"{name} must be a rectangular array of numbers; got rows of different lengths or shapes "
            f"(pad, cut or resample every series to one length): {error}"
        )
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if getattr(value, "requires_grad", False):
        got, remedy = f"a {kind} that requires grad", f"pass {name}.detach(), or keep the gradient with dualwalk.adapters.torch"
    elif "Tracer" in kind:
        got, remedy = f"a {kind}, which has no numbers yet", "call dualwalk.adapters.jax, or stay outside jit, grad and vmap"
    else:
        reason = str(error).partition("\n")[0]
        got, remedy = f"a {kind}: {reason}", "convert it to a dense array of float32 or float64 first"
    return TypeError(f"{name} must be an array that NumPy or CuPy can share or read; got {got} ({remedy})")
