"""The table of docs/boundary.md, and what must stand in it."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "boundary.md"


class Row(NamedTuple):
    """One argument of one function: what it takes, and the names of the errors that the rest gets."""

    function: str
    argument: str
    takes: str
    errors: tuple[str, ...]


def table() -> dict[str, list[Row]]:
    """The rows of every function; none for one without arguments."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    found: dict[str, list[Row]] = {}
    for line in lines:
        function, argument, takes, errors = (cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        rows = found.setdefault(function, [])
        if argument:
            rows.append(Row(function, argument, takes, tuple(errors.split(", ")) if errors else ()))
    return found


def public(module: ModuleType, prefix: str, names: list[str]) -> dict[str, list[str]]:
    """The arguments of every function among these names of a module, of every constructor, and of every method of dualwalk's.

    What the library makes and hands out (records, errors and warnings) has methods to call, and no constructor.
    """
    found = {}
    for name in names:
        value = getattr(module, name)
        if inspect.isfunction(value):
            found[prefix + name] = _arguments(value)
        elif inspect.isclass(value) and not issubclass(value, BaseException):
            if not (dataclasses.is_dataclass(value) or issubclass(value, tuple)):
                found[prefix + name] = _arguments(value)
            found |= {f"{prefix}{name}.{own}": _arguments(method) for own, method in _methods(value).items()}
    return found


def _methods(owner: type) -> dict[str, Any]:
    methods = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
    return {
        name: method
        for name, method in methods.items()
        if callable(method) and (getattr(method, "__module__", None) or "").startswith("dualwalk")
    }


def _arguments(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]
