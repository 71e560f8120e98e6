"""What docs/interchange.md says of arrays on a CUDA device, cell by cell."""

from __future__ import annotations

from typing import Any

import interchange
import numpy as np
import pytest
from interchange import CALLS, SHAPE, Given

from on_device.kit import Device

BASE = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)

pytestmark = pytest.mark.skipif(not interchange.PAGE.exists(), reason="needs the source tree")


class Foreign:
    """An array of another library that has the CUDA array interface, as Numba's."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = array, array.shape

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._array.__cuda_array_interface__


class Tensor(Foreign):
    """One that speaks DLPack too, as PyTorch's and JAX's."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **settings: Any) -> Any:
        return self._array.__dlpack__(**settings)


class Tracked(Tensor):
    """One whose gradient is asked for: PyTorch's do not leave by either way."""

    requires_grad = True

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")

    def __dlpack__(self, **settings: Any) -> Any:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")


def given(row: str, device: Device) -> list[Given]:
    there = device.put(BASE)
    if row == "CUDA: CuPy integers, bool, float16":
        arrays = [device.put((BASE * 9).astype(kind)) for kind in ("int8", "int64", "bool", "float16")]
        return [Given(array, array, array) for array in arrays]
    rows = {
        "CUDA: CuPy float32, C order": [there],
        "CUDA: CuPy float64, C order": [device.put(BASE, np.float64)],
        "CUDA: CuPy, Fortran order": [device.put(np.ascontiguousarray(BASE.T)).T],
        "CUDA: array of PyTorch, JAX or Numba": [Foreign(there), Tensor(there)],
        "CUDA: tensor that requires grad": [Tracked(there)],
    }
    return [Given(value, array := getattr(value, "_array", value), array) for value in rows[row]]


@pytest.mark.parametrize(("row", "column", "word"), interchange.cells(on_device=True) if interchange.PAGE.exists() else [])
def test_a_cell_of_the_table(row: str, column: str, word: str, device: Device) -> None:
    for one in given(row, device):
        for call in CALLS[column]:
            interchange.check(call, column, word, one, lambda a, b: a.data.ptr == b.data.ptr)
