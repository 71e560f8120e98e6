"""The documentation builds without a warning, names everything public, and has no broken link."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from extras import needs

import dualwalk as dw
from dualwalk import metrics, plots

for package in ("sphinx", "myst_parser", "furo"):
    needs(package)

ROOT = Path(__file__).parents[1]
CONSTANTS = {"DARK", "LIGHT", "NORMAL", "SMALL", "Float", "Theme"}  # of plots, told in its own words

pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="needs the source tree")


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.places.update(found[name] for name in ("id", "name") if name in found)
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built by the command that contributing.md tells."""
    out = tmp_path_factory.mktemp("site")
    command = re.search(
        r"^python (-m sphinx .*) docs build/docs$", (ROOT / "docs/contributing.md").read_text("utf-8"), re.MULTILINE
    )
    assert command is not None
    arguments = [*command[1].split(), "-q", "-d", str(out / "trees"), str(ROOT / "docs"), str(out / "html")]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def public_names() -> list[str]:
    names = [f"dualwalk.{name}" for name in dw.__all__]
    names += [f"dualwalk.metrics.{name}" for name in metrics.__all__]
    names += [f"dualwalk.plots.{name}" for name in plots.__all__ if name not in CONSTANTS]
    for path in sorted((Path(dw.__file__).parent / "adapters").rglob("*.py")):
        module = ".".join(
            ("dualwalk", "adapters", *path.relative_to(Path(dw.__file__).parent / "adapters").with_suffix("").parts)
        )
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                own = [name for name in ast.literal_eval(node.value) if not (name[0].isupper() and name in dw.__all__)]
                names += [f"{module.removesuffix('.__init__')}.{name}" for name in own]
    return names


def test_every_public_name_is_in_the_reference(pages: dict[Path, Page]) -> None:
    places = set().union(*(page.places for page in pages.values()))
    missing = [name for name in public_names() if name not in places]
    assert not missing, f"add these to a page of docs/api: {missing}"


def test_no_internal_link_is_broken(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            in_a_page = target.exists() and target.suffix == ".html" and parts.fragment
            if not target.exists() or (in_a_page and unquote(parts.fragment) not in pages[target].places):
                broken.append((path.name, link))
    assert not broken


def test_pages_load_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    loads = {load for page in pages.values() for load in page.loads}
    assert loads
    assert not [load for load in loads if urlsplit(load).scheme not in ("", "data") or load.startswith("//")]
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import", sheet.read_text(encoding="utf-8")), sheet


def test_docstrings_left_no_markup_behind(site: Path) -> None:
    """Backticks or a directive in the text of a page of the reference: a docstring that was not understood."""
    for path in (site / "api").glob("*.html"):
        text = re.sub(r"<(script|pre)\b.*?</\1>|<[^>]+>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.findall(r"[^\n]*(?:`|\.\. \w+::|\\\*)[^\n]*", text), path.name
