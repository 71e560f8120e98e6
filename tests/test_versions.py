"""One version, one list of requirements: what says it twice says the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from extras import script

import dualwalk as dw

SOURCE = Path(__file__).parents[1]
LOWEST = SOURCE / ".ci" / "lowest.py"

tomllib = pytest.importorskip("tomllib")
pytestmark = pytest.mark.skipif(not LOWEST.exists(), reason="needs the source tree of the repository")


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    return found


def test_the_package_and_the_project_have_one_version() -> None:
    assert project()["version"] == dw.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", dw.__version__)  # SemVer in Python's spelling


def test_the_lowest_versions_come_from_the_requirements() -> None:
    said = subprocess.run([sys.executable, str(LOWEST)], capture_output=True, text=True, check=True).stdout.split()
    pins = dict(line.split("==") for line in said)
    text = (SOURCE / "pyproject.toml").read_text()
    assert {"numpy", "numba", "scikit-learn", "torch", "jax", "cupy-cuda12x", "pybind11", "scikit-build-core"} <= set(pins)
    assert all(f"{name}>={pins[name]}" in text for name in ("numpy", "numba", "scikit-learn", "jax", "pybind11"))
    assert pins["torch"] == max(re.findall(r'"torch>=([\d.]+)"', text), key=lambda version: tuple(map(int, version.split("."))))


def test_every_python_that_has_wheels_is_named() -> None:
    settings = tomllib.loads((SOURCE / "pyproject.toml").read_text())
    builds = settings["tool"]["cibuildwheel"]["build"].split()
    named = {
        f"cp{c.rpartition(' ')[2].replace('.', '')}-*"
        for c in settings["project"]["classifiers"]
        if re.search(r":: 3\.\d+$", c)
    }
    assert named == {build for build in builds if not build.startswith("cp314t")}
    assert any("Free Threading" in c for c in settings["project"]["classifiers"]) == ("cp314t-*" in builds)
    assert settings["project"]["requires-python"] == ">=3." + min(build[3:5] for build in builds)


def test_the_page_of_versions_knows_the_lowest() -> None:
    page = (SOURCE / "docs" / "versions.md").read_text()
    table = {cells[1].strip(): cells[2].strip() for line in page.splitlines() if len(cells := line.split("|")) > 5}
    lowest = script(LOWEST).lowest_versions()
    names = {"NumPy": "numpy", "Numba": "numba", "CuPy": "cupy-cuda12x", "scikit-learn": "scikit-learn", "PyTorch": "torch"}
    for shown, name in {**names, "JAX": "jax", "Dask": "dask", "matplotlib": "matplotlib", "rich": "rich"}.items():
        assert table[shown] == lowest[name], f"docs/versions.md says {table[shown]} for {shown}, pyproject.toml {lowest[name]}"
