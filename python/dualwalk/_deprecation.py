"""Names that are on their way out: each works and warns for at least one minor version before it goes.

One table, so that what goes when can be read in one place; a test fails when the version is there and the name is not gone.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple


class Deprecation(NamedTuple):
    """Since which version a name warns, in which one it goes, and what takes its place."""

    since: str
    gone: str
    instead: str


DEPRECATIONS = {
    "DualSampler.walk_mode": Deprecation("0.1", "0.2", 'get_params()["walk"]'),
}


def warn_deprecated(name: str, *, stacklevel: int = 2) -> None:
    """A DeprecationWarning for a name of the table; `stacklevel` 2 blames the caller of who calls this."""
    since, gone, instead = DEPRECATIONS[name]
    text = f"{name} is deprecated since dualwalk {since} and goes in {gone} (use {instead})"
    warnings.warn(text, DeprecationWarning, stacklevel=stacklevel + 1)
