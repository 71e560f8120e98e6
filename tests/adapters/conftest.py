"""What the tests of the adapters share."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def jax_x64() -> Iterator[None]:
    """JAX with its x64 mode on."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(params=["float32", "float64"])
def jax_dtype(request: pytest.FixtureRequest) -> Any:
    """Both dtypes of the kernels; float64 with JAX's x64 mode on."""
    if request.param == "float64":
        request.getfixturevalue("jax_x64")
    return np.dtype(request.param)


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Small tensors, and other tests beside these: torch's threads would wait for each other."""
    torch = importlib.import_module("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
