"""The two packages that only judges need, imported at their first use."""

from __future__ import annotations

import importlib
from typing import Any

from .._requirements import MissingPackageError


def scikit_learn(module: str) -> Any:
    """`sklearn.<module>`, or an error that says how to get it."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingPackageError(
            f'this judge is a classifier of scikit-learn: pip install "dualwalk[metrics]" ({error})'
        ) from error


def torch() -> Any:
    """`torch`, or an error that says how to get it."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingPackageError(
            f"this judge is a network of PyTorch: pip install torch ({error}); classifier='forest' does without"
        ) from error
