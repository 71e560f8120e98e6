"""All cases, in the order in which they are measured."""

from __future__ import annotations

from . import logmeanexp, nodes, permute, sampling, walks
from .case import Case


def all_cases(quick: bool = False) -> list[Case]:
    """Every case, or the small ones of a quick run."""
    found = [case for part in (permute, logmeanexp, walks, nodes, sampling) for case in part.cases()]
    return [case for case in found if case.quick] if quick else found
