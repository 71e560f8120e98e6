"""What tests on a device need of it, the real one and the emulated one alike."""

from __future__ import annotations

from typing import Any

import numpy as np


class Device:
    """Arrays there and back: `xp` is CuPy, or what stands in for it."""

    def __init__(self, xp: Any, kernels: Any) -> None:
        self.xp, self.kernels = xp, kernels

    @property
    def emulated(self) -> bool:
        return hasattr(self.kernels, "set_order")

    def put(self, value: Any, dtype: Any = None) -> Any:
        return self.xp.asarray(np.asarray(value, dtype))

    def get(self, value: Any) -> np.ndarray:
        assert isinstance(value, self.xp.ndarray), f"not on the device: {type(value)}"
        return value.get()
