"""Stands where CuPy stands, with the arrays in the host's memory: as strict as CuPy is, and no wider.

An array never turns into NumPy's by itself, the two kinds never meet in one operation, and only functions, arguments and
methods are here that CuPy has (`cupy_names.json`, read off CuPy itself). New memory holds rubbish.
"""

from __future__ import annotations

import contextlib
import functools
import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

_NAMES = json.loads((Path(__file__).parent / "cupy_names.json").read_text())
_METHODS = set(_NAMES["methods"])
_RUBBISH = 0xC7
n_transfers = 0  # arrays that went from one memory to the other


class ndarray(NDArrayOperatorsMixin):
    __array_priority__ = 100

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        facts = dict(self._host.__array_interface__)
        return {
            "shape": facts["shape"],
            "typestr": facts["typestr"],
            "data": facts["data"],
            "strides": facts["strides"],
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc.__name__ not in _NAMES["functions"] and ufunc.__name__ not in _NAMES["linalg"]:
            return NotImplemented
        function = ufunc if method == "__call__" else _method(ufunc, method)
        if isinstance(kwargs.get("out"), tuple):
            kwargs["out"] = kwargs["out"][0] if len(kwargs["out"]) == 1 else kwargs["out"]
        return _call(function, inputs, kwargs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        part = "linalg" if func.__module__ == "numpy.linalg" else "functions"
        if func.__module__ not in ("numpy", "numpy.linalg") or func.__name__ not in _NAMES[part]:
            return NotImplemented
        return _checked(part, func.__name__)(*args, **kwargs)

    # what CuPy's arrays have as attributes
    shape = property(lambda self: self._host.shape, lambda self, shape: setattr(self._host, "shape", shape))
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: ndarray(self._host.T))
    real = property(lambda self: ndarray(self._host.real))
    base = property(lambda self: None if self._host.base is None else ndarray(self._host.base))
    flat = property(lambda self: (_ for _ in ()).throw(NotImplementedError("flat")))
    device = property(lambda self: cuda.Device())
    data = property(lambda self: types.SimpleNamespace(ptr=self._host.ctypes.data))

    def get(self, *args: Any, **kwargs: Any) -> np.ndarray:
        global n_transfers
        n_transfers += 1
        return self._host.copy()

    def set(self, value: np.ndarray) -> None:
        global n_transfers
        n_transfers += 1
        self._host[...] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in _METHODS:
            raise AttributeError(f"CuPy's arrays have no attribute {name!r}")
        method = getattr(self._host, name)
        return lambda *args, **kwargs: _call(method, args, kwargs)

    def __getitem__(self, index: Any) -> ndarray:
        return _wrap(self._host[_unwrap(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_unwrap(index)] = _unwrap(value)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        return iter([_wrap(part) for part in self._host])

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __index__(self) -> int:
        return self._host.__index__()

    def __matmul__(self, other: Any) -> Any:
        return _call(np.matmul, (self, other), {})

    def __rmatmul__(self, other: Any) -> Any:
        return _call(np.matmul, (other, self), {})

    def __contains__(self, item: Any) -> bool:
        return item in self._host

    def __repr__(self) -> str:
        return f"cupy_on_host.{self._host!r}"

    def __reduce__(self) -> Any:
        return ndarray, (self._host,)

    def __copy__(self) -> ndarray:
        return ndarray(self._host.copy())

    def __deepcopy__(self, memo: Any) -> ndarray:
        return ndarray(self._host.copy())


def _unwrap(value: Any) -> Any:
    """Ours as NumPy's; an array of NumPy's among the arguments is an error, as it is for CuPy."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)(map(_unwrap, value))
    if isinstance(value, dict):
        return {key: _unwrap(part) for key, part in value.items()}
    return value


def _wrap(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_wrap, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_wrap, value))
    return value


def _call(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    out = kwargs.get("out")
    result = function(*_unwrap(tuple(args)), **_unwrap(dict(kwargs)))
    return out if isinstance(out, ndarray) else _wrap(result)


def _checked(part: str, name: str) -> Callable[..., Any]:
    """NumPy's function of this name, with CuPy's arguments only."""
    parameters = _NAMES[part][name]
    function = getattr(np.linalg if part == "linalg" else np, name)
    if parameters in ("ufunc", "?"):
        return _Ufunc(function) if parameters == "ufunc" else lambda *args, **kwargs: _call(function, args, kwargs)
    open_ended = any(parameter.endswith("*") for parameter in parameters)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not open_ended:
            if len(args) > len(parameters):
                raise TypeError(f"cupy.{name} takes {parameters}; got {len(args)} arguments")
            for key in kwargs:
                if key not in parameters:
                    raise TypeError(f"cupy.{name} takes {parameters}; got {key!r}")
        if "kind" in kwargs and kwargs["kind"] not in (None, "stable"):
            raise ValueError(f"cupy.{name} sorts stably only")
        if name == "solve" and args[1].ndim > 1 and args[0].shape[:-1] != args[1].shape[:-1]:
            raise ValueError(f"cupy.linalg.solve does not broadcast; got {args[0].shape} and {args[1].shape}")
        if name.endswith("_like") and not kwargs.get("shape", True):
            del kwargs["shape"]  # as CuPy takes an empty shape, or 0
        if name == "unique" and kwargs.get("axis") is not None:
            raise ValueError("cupy.unique sorts along an axis row by row, waiting for the device each time")
        return _call(function, args, kwargs)

    return call


def _method(ufunc: Any, name: str) -> Any:
    """A ufunc's method, for the few ufuncs whose method CuPy has."""
    scattered = ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor")
    known = {"reduce": ("add", "multiply"), "accumulate": ("add", "multiply"), "reduceat": ("add",), "at": scattered}
    if name in known and ufunc.__name__ not in known[name]:
        raise NotImplementedError(f"`cupy_{ufunc.__name__}.{name}` is not supported yet")
    return getattr(ufunc, name)


class _Ufunc:
    def __init__(self, ufunc: Any) -> None:
        self._ufunc = ufunc
        self.__name__ = getattr(ufunc, "__name__", "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _call(self._ufunc, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        method = _method(self._ufunc, name)
        return (lambda *args, **kwargs: _call(method, args, kwargs)) if callable(method) else method


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    host = np.empty(shape, dtype, order)
    host.reshape(-1, order="A").view(np.uint8)[:] = _RUBBISH if host.dtype != bool else 1
    return ndarray(host)


def empty_like(prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    host = np.empty_like(_unwrap(prototype), dtype, order, shape=shape or None)  # as CuPy takes an empty shape, or 0
    host[...] = True if host.dtype == bool else np.asarray(np.nan if host.dtype.kind == "f" else 77, host.dtype)
    return ndarray(host)


def asarray(value: Any, dtype: Any = None, order: str | None = None) -> ndarray:
    """From the host's memory too, where CuPy copies."""
    return array(value, dtype, copy=None, order=order)


def array(value: Any, dtype: Any = None, copy: bool | None = True, order: str | None = "K", **kwargs: Any) -> ndarray:
    global n_transfers
    if isinstance(value, ndarray):
        return ndarray(np.array(value._host, dtype, copy=copy, order=order or "K"))
    if not isinstance(value, (np.ndarray, list, tuple, int, float, bool, np.generic)) and hasattr(
        value, "__cuda_array_interface__"
    ):
        return ndarray(np.array(_Interface(value), dtype, copy=copy, order=order or "K"))
    if isinstance(value, (list, tuple)) and any(isinstance(part, ndarray) for part in value):
        return ndarray(np.array(_unwrap(value), dtype))
    n_transfers += 1
    return ndarray(np.array(value, dtype, order=order or "K"))


class _Interface:
    def __init__(self, value: Any) -> None:
        self.__array_interface__ = dict(value.__cuda_array_interface__)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return array(a, dtype, copy=None, order="C")


def from_dlpack(value: Any, *, device: Any = None, copy: Any = None) -> ndarray:
    return asarray(value)


def asnumpy(a: Any, *args: Any, **kwargs: Any) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args: Any) -> Any:
    import sys

    return sys.modules[__name__] if any(isinstance(arg, ndarray) for arg in args) else np


class _Stream:
    ptr = 0

    def synchronize(self) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None: ...


class _Device:
    def __init__(self, id: int = 0) -> None:
        self.id = id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None: ...
    def synchronize(self) -> None: ...


cuda = types.SimpleNamespace(
    get_current_stream=_Stream, Stream=_Stream, Device=_Device, runtime=types.SimpleNamespace(getDeviceCount=lambda: 1)
)
cupyx = types.SimpleNamespace(errstate=lambda **modes: contextlib.nullcontext())  # NumPy's always raise
linalg = types.SimpleNamespace(
    **{name: _checked("linalg", name) for name in _NAMES["linalg"] if hasattr(np.linalg, name)},
    LinAlgError=np.linalg.LinAlgError,
)
for _name in (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool_",
    "intp",
):
    globals()[_name] = getattr(np, _name)
pi, inf, nan, newaxis = np.pi, np.inf, np.nan, None


def __getattr__(name: str) -> Any:
    if name in _NAMES["functions"] and hasattr(np, name):
        return _checked("functions", name)
    raise AttributeError(f"module 'cupy' has no attribute {name!r}")
