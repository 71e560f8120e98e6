"""Docstrings in the house's plain style, as reStructuredText.

The style is numpydoc's, read with tolerance: `name : a sentence` is an entry in any section, with or without a type, a block that is
indented after an empty line is a formula, `x` in backticks is code, and nothing else is markup: `|f|`, `choice_` and `a * b`
mean themselves.
"""

from __future__ import annotations

import re
from typing import Any

_NAMES = r"[A-Za-z_]\w*(?:\.\w+)*(?:, [A-Za-z_]\w*)*"
_ENTRY = re.compile(rf"({_NAMES}) : (.*)")
_NEXT_ENTRY = re.compile(rf"(?<=[.;]) (?={_NAMES} : )")
_SPECIAL = re.compile(r"`([^`]*)`|[\\*|]|(?<=\w)_(?!\w)")
_LISTS = ("Parameters", "Attributes", "Returns", "Raises", "Warns")
_TYPE_AT_MOST = 90  # a first line longer than that was broken by the margin: it is a sentence, no type


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's event autodoc-process-docstring: change the lines in place."""
    lines[:] = to_rst(lines)


def to_rst(lines: list[str]) -> list[str]:
    out: list[str] = []
    section = ""
    i = 0
    while i < len(lines):
        line = lines[i]
        if not line.strip():
            out.append("")
            i += 1
        elif i + 1 < len(lines) and set(lines[i + 1].strip()) == {"-"}:
            section = line.strip()
            out += ["", f".. rubric:: {section}", ""]
            i += 2
        elif line.lstrip().startswith(">>>"):
            block, i = _until_blank(lines, i)
            out += ["", *_dedent(block), ""]
        elif line.startswith("- "):
            block, i = _indented_after(lines, i)
            out += [_escape(text) for text in block]
        elif _is_entry(lines, i, section):
            block, i = _indented_after(lines, i)
            out += _entry(block)
        elif line.startswith(" ") and (not out or not out[-1].strip()):
            block, i = _indented_after(lines, i)
            out += ["", ".. code-block:: text", "   :class: formula", "", *("   " + text for text in _dedent(block)), ""]
        else:
            out.append(_escape(line.strip()))
            i += 1
    return [*out, ""]


def _is_entry(lines: list[str], i: int, section: str) -> bool:
    if lines[i].startswith(" "):
        return False
    if _ENTRY.fullmatch(lines[i]):
        return True
    return section in _LISTS and i + 1 < len(lines) and lines[i + 1].startswith("    ")


def _entry(block: list[str]) -> list[str]:
    """An entry as a definition list; one line may hold several, as in `value : the mean. se : its standard error`."""
    match = _ENTRY.fullmatch(block[0])
    if match is None:
        term = _code(block[0]) if re.fullmatch(_NAMES, block[0]) else _escape(block[0])
        return ["", term, *_definition(_dedent(block[1:])), ""]
    names, first = match.groups()
    rest = _dedent(block[1:])
    if rest and rest[0] and len(block[0]) <= _TYPE_AT_MOST and not first.endswith((",", ".", ";", ":")):
        return ["", f"{_code(names)} : {_escape(first)}", *_definition(rest), ""]
    out: list[str] = []
    for part in _NEXT_ENTRY.split("\n".join([f"{names} : {first}", *rest])):
        found = re.fullmatch(_ENTRY.pattern, part, re.DOTALL)
        assert found is not None, part
        out += ["", _code(found[1]), *_definition(found[2].split("\n"))]
    return [*out, ""]


def _definition(lines: list[str]) -> list[str]:
    return ["    " + text if text else "" for text in to_rst(lines)]


def _code(names: str) -> str:
    return ", ".join(f"``{name}``" for name in names.split(", "))


def _escape(text: str) -> str:
    """Everything outside of backticks stands for itself."""
    return _SPECIAL.sub(lambda match: "\\" + match[0] if match[1] is None else f"``{match[1]}``", text)


def _until_blank(lines: list[str], i: int) -> tuple[list[str], int]:
    end = i
    while end < len(lines) and lines[end].strip():
        end += 1
    return lines[i:end], end


def _indented_after(lines: list[str], i: int) -> tuple[list[str], int]:
    """Line i and the lines that are indented below it, with empty lines between them."""
    end = i + 1
    while end < len(lines):
        if lines[end].startswith(" "):
            end += 1
        elif not lines[end].strip() and end + 1 < len(lines) and lines[end + 1].startswith(" "):
            end += 2
        else:
            break
    return lines[i:end], end


def _dedent(block: list[str]) -> list[str]:
    depth = min((len(text) - len(text.lstrip()) for text in block if text.strip()), default=0)
    return [text[depth:] for text in block]


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
