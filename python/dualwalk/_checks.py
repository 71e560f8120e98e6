"""Every argument check of the library: what came, what was wanted, the remedy.

A check runs before any work starts, and returns its argument in the one form that the code behind it takes.
"""

from __future__ import annotations

import math
import operator
import secrets
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _device

MIN_SAMPLES = 8


class ComplexDataError(TypeError, ValueError):
    """Complex numbers: a wrong type here, a wrong value in scikit-learn's words."""


def real_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """`value` as an array of bool, integer or float numbers where it is: CuPy's on a device, else NumPy's. Never copied there."""
    array: NDArray[Any] = _arrays.as_array(value, name)
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        wanted = f"{name} must hold real numbers (float32, float64 or integers)"
        if array.dtype.kind == "c":
            raise ComplexDataError(
                f"{wanted}; got dtype {array.dtype}. Complex data not supported (pass {name}.real and {name}.imag side by side)"
            )
        if hasattr(value, "toarray"):
            raise TypeError(f"{wanted} in a dense array; got a sparse {type(value).__name__} (pass {name}.toarray())")
        remedy = f"convert it with np.asarray({name}, dtype=float) and keep only numeric columns"
        got = f"a {type(value).__name__}" if array.shape == () else f"dtype {array.dtype}"
        raise TypeError(f"{wanted}; got {got} ({remedy})")
    if not array.size and 8 * math.prod(length or 1 for length in array.shape) >= 2**63:  # NumPy has no float64 of this shape
        raise ValueError(f"{name} must have axes that fit into memory; got shape {array.shape} (drop the columns without rows)")
    return array


def table(value: Any, name: str) -> Any:
    """An estimator's X as `real_array` returns it; numbers that are Python objects, as in columns of a data frame, become float64."""
    if not (_device.is_on_device(value) or hasattr(value, "toarray")):
        array = _arrays.as_numpy(value, name)
        value = _as_object_free(array, name) if array.ndim else value
    return real_array(value, name)


def _as_object_free(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype != object:
        return array
    remedy = f"keep only numeric columns of {name}, and encode or drop the others"
    try:
        if any(item is None or isinstance(item, (str, bytes)) for item in array.flat):
            raise TypeError("some values are strings or None")
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold real numbers; got dtype object: {error} ({remedy})") from None


def samples(
    value: ArrayLike,
    name: str = "X",
    *,
    min_samples: int = MIN_SAMPLES,
    feature_shape: tuple[int, ...] | None = None,
    owner: str = "the model",
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """`value` as float64 rows `(n_samples, n_features)`, C-contiguous, with the shape of one sample.

    With `feature_shape`, the samples must have exactly that shape (rows for a model that is fitted already, whose class is
    `owner`). The rows are where `value` is.
    """
    array = real_array(value, name)
    if array.ndim not in (2, 3):
        remedy = "reshape to (n_samples, n_channels, n_times)"
        if array.ndim == 1:
            remedy = f"pass {name}[None] for a single sample, {name}[:, None] for a single feature. Reshape your data so"
        raise ValueError(
            f"{name} must have shape (n_samples, n_features) or (n_samples, n_channels, n_times); "
            f"got shape {array.shape} ({remedy})"
        )
    if feature_shape is not None and array.shape[1:] != feature_shape:
        given, wanted = math.prod(array.shape[1:]), math.prod(feature_shape)
        counts = (
            f": {name} has {given} features, but {owner} is expecting {wanted} features as input" if given != wanted else ""
        )
        raise ValueError(
            f"{name} must have samples of the shape seen in fit, {feature_shape}; "
            f"got {array.shape[1:]}{counts} (select or reorder the same channels and times)"
        )
    if len(array) < min_samples:
        got = "1 sample" if len(array) == 1 else f"{len(array)} samples"
        raise ValueError(f"{name} must have at least {min_samples} samples; got {got} (collect or pool more rows)")
    if array.size == 0 and 0 in array.shape[1:]:
        raise ValueError(
            f"{name} must have at least one feature; got 0 feature(s) (shape={array.shape}) while a minimum of 1 is required "
            "(drop the empty axis)"
        )
    xp = _device.namespace(array)
    with np.errstate(invalid="ignore"):  # of signalling NaN, told below
        rows = xp.ascontiguousarray(array.reshape(len(array), math.prod(array.shape[1:])), dtype=np.float64)
    if xp is np and not rows.flags.aligned:  # what came out of a message; products of such arrays may round differently
        rows = rows.copy()
    finite = np.isfinite(rows)
    if not finite.all():
        row, column = np.argwhere(~finite)[0].tolist()
        place = tuple(int(i) for i in (row, *np.unravel_index(column, array.shape[1:])))
        raise ValueError(
            f"{name} must be finite; got {float(rows[row, column])} at index {place} and {int((~finite).sum())} such values in all "
            "(drop or impute the samples with NaN or infinity)"
        )
    return rows, array.shape[1:]


def scale(rows: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Rows whose numbers are below 1e100 in size, so that no product of two is infinite."""
    high, low = (float(end) for end in (rows.max(initial=0.0), rows.min(initial=0.0)))
    largest = high if high > -low else low
    if abs(largest) > 1e100:
        raise ValueError(f"{name} must hold numbers below 1e100 in size; got {largest:.3g} (divide every column by its scale)")
    return rows


def device(value: Any) -> str | None:
    """An estimator's `device`: "cpu", "cuda" (whose kernels must be able to run), or None for where its data are."""
    if value is None:
        return None
    word = choice(value, "device", ("cpu", "cuda"))
    if word == "cuda":
        _device.require("device='cuda'")
    return word


def placed(value: ArrayLike, name: str, device: str | None) -> Any:
    """Training data as an array where `device` says: "cuda" copies it from the host's memory, None leaves it where it is."""
    array = real_array(value, name)
    if device == "cuda":
        return _device.to_device(array)
    if device == "cpu" and _device.is_on_device(array):
        raise ValueError(
            f"{name} must be in the host's memory with device='cpu'; got an array on a CUDA device (pass {name}.get(), or "
            "device=None to work where it is)"
        )
    return array


def on_host(value: ArrayLike, name: str) -> NDArray[Any]:
    """`value` as an array for work that is done in the host's memory only; ValueError for one on a device."""
    array = real_array(value, name)
    if _device.is_on_device(array):
        raise ValueError(
            f"{name} must be in the host's memory, where alone this is done; got an array on a CUDA device (pass {name}.get())"
        )
    return array


def beside(value: ArrayLike, name: str, fitted: Any, device: str | None) -> Any:
    """Data for a model that is fitted already, as an array where its own array `fitted` is; only device="cuda" copies it there."""
    array = real_array(value, name)
    here, there = _device.is_on_device(array), _device.is_on_device(fitted)
    if there and not here and device != "cuda":
        raise ValueError(
            f"{name} must be on the CUDA device that the model was fitted on; got an array in the host's memory (pass "
            f"cupy.asarray({name}), or fit with device='cuda', which copies what it is given)"
        )
    if here and not there:
        raise ValueError(
            f"{name} must be in the host's memory, where the model was fitted; got an array on a CUDA device (pass {name}.get(), "
            "or fit with device='cuda')"
        )
    return _device.to_device(array) if there else array


def labels(value: ArrayLike | None, n_samples: int, name: str = "y") -> NDArray[Any] | None:
    """Labels, one a sample, as a 1-D array of integers, bools or strings; None stays None."""
    if value is None:
        return None
    if _device.is_on_device(value):
        raise TypeError(f"{name} must be in the host's memory; got an array on a CUDA device (pass {name}.get())")
    array = _arrays.as_numpy(value, name)
    if array.dtype == object and len({isinstance(item, str) for item in array.flat}) == 1:  # as in a column of a data frame
        array = np.array(array.tolist())
    if array.ndim != 1 or len(array) != n_samples:
        raise ValueError(
            f"{name} must hold one label a sample, shape ({n_samples},); got shape {array.shape} "
            f"(pass the labels of exactly the rows in X)"
        )
    if array.dtype.kind not in "biufUS" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        raise TypeError(f"{name} must hold integers or strings; got dtype {array.dtype} (encode the labels as integers)")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity (drop the rows without a label)")
    return array


def count(value: Any, name: str, *, minimum: int = 0, limit: int = 2**63) -> int:
    """A whole number of at least `minimum`, below `limit`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number; got {value!r} (pass an int)") from None
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a whole number; got {value!r} (pass an int)")
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {number} (pass a larger number)")
    if number >= limit:
        shown = f"2**{limit.bit_length() - 1}" if limit > 2**32 else limit
        raise ValueError(f"{name} must be below {shown}; got {number} (pass a smaller number)")
    return number


def real(
    value: Any,
    name: str,
    *,
    minimum: float = -math.inf,
    above: float = -math.inf,
    maximum: float = math.inf,
    below: float = math.inf,
) -> float:
    """A finite number, at least `minimum` and greater than `above`, at most `maximum` and smaller than `below`."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)) or np.ndim(value):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number; got {value!r} (pass a float)") from None
    except OverflowError:
        raise ValueError(f"{name} must be finite; got {value} (pass a float below 1.8e308)") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite; got {number} (pass a finite float)")
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}; got {number:g} (pass a larger value)")
    if number <= above:
        raise ValueError(f"{name} must be greater than {above:g}; got {number:g} (pass a larger value)")
    if number > maximum:
        raise ValueError(f"{name} must be at most {maximum:g}; got {number:g} (pass a smaller value)")
    if number >= below:
        raise ValueError(f"{name} must be below {below:g}; got {number:g} (pass a smaller value)")
    return number


def flag(value: Any, name: str) -> bool:
    """True or False; 1 and 0 stand for them, and nothing else does: "no" would be true."""
    if isinstance(value, (bool, np.bool_)) or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{name} must be True or False; got {value!r} (pass a bool)")


def callback(value: Any, name: str) -> Any:
    """A function to call, or None."""
    if value is None or callable(value):
        return value
    raise TypeError(f"{name} must be a function or None; got {value!r} (pass its name without quotes and parentheses)")


def float_type(value: Any, name: str) -> Any:
    """float32 or float64, as NumPy's type."""
    for kind in (np.float32, np.float64):
        if value is kind or (isinstance(value, (str, np.dtype)) and value == np.dtype(kind)):
            return kind
    raise TypeError(f"{name} must be np.float32 or np.float64; got {value!r} (pass np.float64 for exact sums)")


def places(value: Any, n: int | None, name: str) -> NDArray[np.intp]:
    """Places of n things, or a bool for each: a 1-D array, where it is. None: any whole numbers."""
    array: NDArray[np.intp] = _arrays.as_array(value, name)
    if array.ndim != 1 or array.dtype.kind not in "iub" or (n is not None and array.dtype.kind == "b" and len(array) != n):
        got = f"shape {array.shape} and dtype {array.dtype}"
        raise ValueError(f"{name} must be a 1-D array of whole numbers, or a bool for each row; got {got} (number rows from 0)")
    if (
        n is not None
        and array.dtype.kind != "b"
        and not _device.is_on_device(array)
        and array.size
        and not 0 <= array.min() <= array.max() < n
    ):
        raise ValueError(f"{name} must be in [0, {n}); got {int(array.min())} to {int(array.max())} (number them from 0)")
    return array


def instance(value: Any, name: str, kind: type, *, remedy: str) -> Any:
    """An object of the class `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}; got {value!r} ({remedy})")
    return value


def room(n_numbers: int, name: str, value: int) -> None:
    """MemoryError where the argument `name` asks for so many float64 numbers that they find no room."""
    try:
        np.empty(n_numbers)
    except (MemoryError, ValueError, OverflowError):
        raise MemoryError(
            f"{name} must leave what it makes room in memory; got {value}, which takes {8 * n_numbers / 2**30:.3g} GiB "
            "(ask for less at a time)"
        ) from None


def choice(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    """One of the words `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r} (choose one of these)")
    return str(value)


def seed(value: Any, name: str = "seed") -> int:
    """A 64-bit seed: an integer in [0, 2**64) as it is, a NumPy generator's next draw, fresh entropy for None."""
    if value is None:
        return secrets.randbits(64)
    if isinstance(value, np.random.Generator):
        return int(value.integers(0, 2**64, dtype=np.uint64))
    if isinstance(value, np.random.RandomState):
        return int(value.randint(0, 2**64, dtype=np.uint64))
    return count(value, name, limit=2**64)
