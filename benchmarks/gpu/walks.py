"""Walks, a file a dual."""

from __future__ import annotations

import importlib
import importlib.util

from .case import Case

PARTS = ("walks_mlp", "walks_local")


def cases(tiny: bool = False) -> list[Case]:
    names = [f"{__package__}.{part}" for part in PARTS]
    return [case for name in names if importlib.util.find_spec(name) for case in importlib.import_module(name).cases(tiny=tiny)]
