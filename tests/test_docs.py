"""Every example of every page of docs/ runs, as docs/contributing.md tells."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import runpy
import shlex
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
from extras import needs

import dualwalk as dw
from dualwalk import cli

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_BLOCK = re.compile(r"^(?:(?P<marked><!-- run -->)\n+)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"-?\d+\.\d+%?|-?\d+%")

pytestmark = pytest.mark.skipif(not PAGES, reason="needs the source tree")


class Block(NamedTuple):
    language: str
    text: str
    line: int
    marked: bool
    follows: bool  # nothing but empty lines since the block before


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found, end = [], -1
    for match in _BLOCK.finditer(text):
        follows = end >= 0 and not text[end : match.start()].strip()
        line = text[: match.start("text")].count("\n")
        found.append(Block(match["language"], match["text"], line, match["marked"] is not None, follows))
        end = match.end()
    return found


def run_page(page: Path) -> None:
    scope: dict[str, object] = {"__name__": "__page__"}
    printed: str | None = None  # by the block before
    for language, text, line, marked, follows in blocks(page):
        where = f"{page.name}, line {line + 1}"
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * line + text, str(page), "exec"), scope)  # noqa: S102
            printed = out.getvalue()
        elif language == "text" and follows and printed is not None:
            assert says_the_same(text, printed), f"{where}: printed\n{printed}"
        elif language == "py":
            look_up(text, where)
        elif language == "sh" and marked:
            run_commands(text, where)
        if language != "python":
            printed = None


def says_the_same(shown: str, printed: str) -> bool:
    """As doctest compares, but what has a decimal point or a % may be off by a tenth: machines round differently."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if doctest.OutputChecker().check_output(_NUMBER.sub("<number>", shown), _NUMBER.sub("<number>", printed), flags):
        pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=False)
        return "..." in shown or all(is_near(a, b) for a, b in pairs)
    return doctest.OutputChecker().check_output(shown, printed, flags)


def is_near(shown: str, printed: str) -> bool:
    a, b = float(shown.strip("%")), float(printed.strip("%"))
    return abs(a - b) <= max(0.1 * abs(a), 5.0 if "%" in shown else 0.05)


def look_up(text: str, where: str) -> None:
    """Code that cannot run here: it compiles, and its names exist."""
    compile(text, where, "exec")
    for name in re.findall(r"\bdw\.(\w+)", text):
        assert hasattr(dw, name), f"{where}: dualwalk has no {name}"


def run_commands(text: str, where: str) -> None:
    for command in text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(command, comments=True) or [""]
        if program == "dualwalk":
            with contextlib.redirect_stdout(io.StringIO()):
                assert cli.main(arguments) == 0, f"{where}: {command}"


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(DOCS).as_posix() for page in PAGES])
def test_examples_of_a_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in re.findall(r"^<!-- needs: ([\w., ]+) -->$", page.read_text(encoding="utf-8"), re.MULTILINE):
        for name in wanted.split(","):
            needs(name.strip())
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(DOCS).as_posix() for page in PAGES])
def test_links_of_a_page(page: Path) -> None:
    """Files that a page links to exist, also for those who read it as a plain file."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


def test_troubleshooting_has_every_warning_and_error() -> None:
    from dualwalk import metrics

    public = [(name, getattr(module, name)) for module in (dw, metrics) for name in module.__all__]
    classes = [name for name, value in public if isinstance(value, type) and issubclass(value, Exception)]
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    assert len(classes) > 7
    assert not [name for name in classes if not re.search(rf"^###.*\b{name}$", page, re.MULTILINE)]


def test_pictures_are_drawn_and_shown(tmp_path: Path) -> None:
    """The script that drew those of the method page still runs; every picture has both themes, and a page that shows it."""
    from dualwalk.plots import DARK

    script = runpy.run_path(str(DOCS / "pictures.py"))
    script["draw"](tmp_path, script["Models"](cv=2, every=8), [("-dark", DARK)])
    drawn = {path.name for path in tmp_path.iterdir()}
    committed = {path.name for path in DOCS.rglob("pictures/*.png")}
    shown = {name for page in PAGES for name in re.findall(r"\]\(pictures/(.*?)\.png\)", page.read_text(encoding="utf-8"))}
    assert drawn <= committed
    assert committed == {f"{name}{ending}.png" for name in shown for ending in ("", "-dark")}
    assert all(path.stat().st_size > 10_000 for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", r"printed\s+2"),
        ("```python\nprint('f', 1 / 3)\n```\n\n```text\nf 0.42\n```\n", "printed"),
        ("```python\nprint(0.5)\n```\n\n```text\n1\n```\n", "printed"),
        ("```python\nx = 1\n```\n\n```python\nassert x == 2, 'x is 1'\n```\n", "x is 1"),
        ("```py\ndw.nothing()\n```\n", "has no nothing"),
        ("<!-- run -->\n\n```sh\ndualwalk estimate nothing.npz\n```\n", "dualwalk estimate"),
    ],
)
def test_a_wrong_page_fails(text: str, what: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match=what):
        run_page(page)


def test_a_page_shares_its_names_and_warnings_are_errors(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint('f', 1 / 3)\n```\n\n```text\nf 0.34\n```\n", encoding="utf-8")
    run_page(page)
    page.write_text("```python\nx = 1\nprint(x)\n```\n\n```text\n1\n```\n\n```python\nx += 1\n```\n", encoding="utf-8")
    run_page(page)
    page.write_text("```python\nimport warnings\nwarnings.warn('no')\n```\n", encoding="utf-8")
    with pytest.raises(UserWarning, match="no"):
        run_page(page)
