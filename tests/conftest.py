"""Fixtures of the whole suite: every backend that is here, and random numbers that do not change from run to run."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import Phase, settings

from dualwalk import backends

# Numba compiles at a first call, so deadlines would measure the compiler; the examples are the same in every run.
settings.register_profile("dualwalk", deadline=None, derandomize=True, max_examples=40)
# For .ci/mutate.py a failure is enough: it is not made smaller.
settings.register_profile("mutation", settings.get_profile("dualwalk"), phases=(Phase.explicit, Phase.generate))
settings.load_profile("dualwalk")


@pytest.fixture(scope="session", params=backends.PREFERENCE)
def backend(request: pytest.FixtureRequest) -> str:
    """Every backend in turn; one that is not here is skipped with its reason, unless DUALWALK_REQUIRE_BACKENDS names it."""
    reason = backends.why_not(request.param)
    if reason is not None:
        if request.param in os.environ.get("DUALWALK_REQUIRE_BACKENDS", "").split(","):
            pytest.fail(f"{request.param} is required here, but {reason}")
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240511)
