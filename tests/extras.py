"""Packages that the test extra does not install: tests that need one skip without it, unless they were told that it is here."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def required(name: str) -> bool:
    """Whether DUALWALK_REQUIRE_EXTRAS (a list of names) has it."""
    return name in os.environ.get("DUALWALK_REQUIRE_EXTRAS", "").split(",")


def needs(name: str) -> Any:
    """The module `name`; else the whole test module skips, or fails where it is required."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if required(name):
            pytest.fail(f"{name} is required here, but {error}", pytrace=False)
        pytest.skip(f"{name} is not installed: {error}", allow_module_level=True)
