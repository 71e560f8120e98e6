"""Deprecations: each warns with what to do instead, blames the caller, lasts one minor version or more, and goes in time."""

from __future__ import annotations

import warnings

import pytest

import dualwalk as dw
from dualwalk._deprecation import DEPRECATIONS, warn_deprecated


def minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


@pytest.mark.parametrize("name", DEPRECATIONS)
def test_lasts_a_minor_version_and_goes_in_time(name):
    deprecation = DEPRECATIONS[name]
    assert minor(deprecation.since) <= minor(dw.__version__)
    assert minor(deprecation.since) < minor(deprecation.gone)
    assert minor(dw.__version__) < minor(deprecation.gone), f"{name} should have gone: remove it, and its line in DEPRECATIONS"


def test_the_caller_is_blamed():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert dw.DualSampler("local").walk_mode == "local"
    assert [warning.filename for warning in caught] == [__file__]
    assert str(caught[0].message) == (
        'DualSampler.walk_mode is deprecated since dualwalk 0.1 and goes in 0.2 (use get_params()["walk"])'
    )


def test_only_what_is_in_the_table():
    with pytest.raises(KeyError):
        warn_deprecated("DualSampler.anything")
