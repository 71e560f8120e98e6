"""Ctrl-C at 200 random instants of fits, draws, walks, kernels, files and reports: nothing is broken, nothing is half done.

More instants by hand: see `interrupted.py`.
"""

from __future__ import annotations

import os

import pytest

from .interrupted import interrupt


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to another process")
def test_random_instants(backend: str) -> None:
    n_instants = {"native": 152, "numba": 24, "reference": 24}[backend]
    assert sum(interrupt(backend, n_instants).values()) == n_instants
