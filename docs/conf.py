"""How the documentation is built: python -m sphinx -W --keep-going -n -b html docs build/docs (see contributing.md)."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import dualwalk

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "dualwalk"
author = "the dualwalk authors"
project_copyright = f"{author}, BSD-3-Clause"
release = version = dualwalk.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "name_links", "dark_pictures"]
exclude_patterns = ["_ext"]
nitpicky = True
default_role = "code"

# Links with #anchor reach headings down to this level. Comments in pages are notes to the tests, see contributing.md.
myst_heading_anchors = 3

# Names as they are called: the page says of which module they are.
add_module_names = False
# Signatures without types: docstrings give shapes and units, which types cannot.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # torch has docstrings of its own for what our modules override
smartquotes = False
# What is not installed is stood in for, so that the pages build with the extra `docs` alone.
autodoc_mock_imports = [
    name for name in ("torch", "jax", "dask", "distributed", "zarr", "cupy") if importlib.util.find_spec(name) is None
]

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"dualwalk {release}"
html_static_path = ["_static"]
html_css_files = ["dualwalk.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}


def _offer_files(app: object, name: str, source: list[str]) -> None:
    """Links from a page to a file beside docs/, which works where the repository is read, become downloads in the built pages."""
    source[0] = re.sub(
        r"\]\((\.\./(?:\.\./)*(?:benchmarks|examples|python|csrc|tests)/[^)#]+|\.\./[A-Z]+\.md)\)", r"](path:\1)", source[0]
    )


def setup(app: Any) -> None:
    app.connect("source-read", _offer_files)
