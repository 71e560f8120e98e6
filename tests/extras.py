"""Modules from elsewhere: packages that the test extra does not install, and scripts of the source tree."""

from __future__ import annotations

import importlib
import importlib.util
import os
from importlib import metadata
from pathlib import Path
from types import ModuleType
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


def needs_installed(*names: str) -> None:
    """Skip where a distribution is missing that another process will run.

    Not even a look for the module pip is harmless here: setuptools then changes distutils for the rest of this process.
    """
    for name in names:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed")


def script(path: Path) -> ModuleType:
    """A Python file that is no part of a package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
