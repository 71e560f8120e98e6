"""What every estimator has: its parameters, names of columns, and the output that was asked for."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from .. import _device
from .fields import Array, Field, Many, Maybe, Scalar, Source, Whole, Word, cannot, need
from .generators import RandomState
from .records_duals import DUALS

SHAPE = Many(Whole(1), fewest=1, most=2)


class _Blocks:
    """The parameter `blocks`: None, a list or tuple of labels, or an array of them, as it was given."""

    _array = Array("real", "_")
    _kinds = MappingProxyType({"list": list, "tuple": tuple})

    def pack(self, value: Any, at: str, arrays: Any) -> Any:
        if value is None:
            return None
        labels = np.asarray(_device.to_host(value))
        if labels.dtype.kind not in "biu":
            raise cannot(at, "whole numbers", value)
        if type(value).__name__ in self._kinds:
            return {type(value).__name__: labels.tolist()}
        return {"array": self._array.pack(labels.ravel(), at, arrays), "shape": list(labels.shape)}

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        if stored is None:
            return None
        need(isinstance(stored, dict), f"{at} must be labels")
        if "array" in stored:
            return self._array.unpack(stored["array"], at, source).reshape(SHAPE.unpack(stored.get("shape"), at, source))
        [(kind, labels)] = stored.items()
        good = kind in self._kinds and isinstance(labels, list) and np.asarray(labels).dtype.kind in "biu"
        need(good, f"{at} must be a list of whole numbers")
        return self._kinds[kind](labels)


_PARAMETERS: dict[str, Field] = {"random_state": RandomState(), "blocks": _Blocks(), "dual": Maybe(DUALS)}


class Parameters:
    """An estimator's constructor arguments. One that a file does not have keeps its default: later versions may have more."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def pack(self, value: Any, at: str, arrays: Any) -> dict[str, Any]:
        return {name: _PARAMETERS.get(name, Scalar()).pack(one, f"{at}.{name}", arrays) for name, one in value.items()}

    def unpack(self, stored: Any, at: str, source: Source) -> Any:
        need(isinstance(stored, dict), f"{at} must be an object")
        strange = ", ".join(sorted(stored.keys() - self.kind().get_params(deep=False).keys()))
        need(not strange, f"{at} must be parameters that this version knows; got {strange}")
        values = {name: _PARAMETERS.get(name, Scalar()).unpack(one, f"{at}.{name}", source) for name, one in stored.items()}
        return self.kind(**values)


def parameters_of(model: Any, *, on_device: bool) -> dict[str, Any]:
    """What is saved of a model on a device is its copy in the host's memory."""
    found: dict[str, Any] = model.get_params(deep=False)
    return {**found, "device": "cpu"} if on_device else found


NAMES = Maybe(Many(Word()))
OUTPUT = Maybe(Word("default", "pandas", "polars"))


def names_of(model: Any) -> tuple[str, ...] | None:
    """The names of the columns of X, where it was a data frame."""
    return tuple(model.feature_names_in_) if hasattr(model, "feature_names_in_") else None


def output_of(model: Any) -> str | None:
    """What `set_output` asked for."""
    chosen: dict[str, str] = getattr(model, "_sklearn_output_config", {})
    return chosen.get("transform")


def check_names(names: tuple[str, ...] | None, n_features: int) -> None:
    need(names is None or len(names) == n_features, "feature_names_in_ must be a name for every feature")


def dressed(model: Any, names: tuple[str, ...] | None, output: str | None = None) -> Any:
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)
    if output is not None:
        model._sklearn_output_config = {"transform": output}
    return model
