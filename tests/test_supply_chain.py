"""What dualwalk is made of and needs is written down and true, and nothing of it asks a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from extras import needs, script

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "dualwalk"

needs_source = pytest.mark.skipif(not (ROOT / ".ci" / "sbom.py").exists(), reason="needs the source tree of the repository")

# Every job on the built-in data, with an audit hook that ends the process where anything asks for a connection or an address.
WITHOUT_A_NETWORK = """
import os, sys

def refuse(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "urllib.", "http.client.")):
        os.write(2, f"asked for the network: {event} {arguments}\\n".encode())
        os._exit(3)

sys.addaudithook(refuse)
import numpy as np
import dualwalk as dw
from dualwalk import metrics
from dualwalk.cli import main

for name in dw.__all__:
    getattr(dw, name)
data = dw.load_japanese_vowels()
X = data.X[:60, :2, ::8]
dw.DualDivergence(cv=2, random_state=0).fit(X)
sampler = dw.DualSampler(random_state=0).fit(X)
new = sampler.sample(40)
sampler.report("report.html")
sampler.save("model.npz")
dw.load("model.npz")
np.save("x.npy", X)
metrics.evaluate(X[:40], data.X_test[:40, :2, ::8], new, random_state=0)
dw.show_config()
assert main(["estimate", "x.npy", "--quiet"]) == 0
assert main(["sample", "x.npy", "-n", "40", "--out", "new.npy", "--quiet"]) == 0
"""


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    return script(ROOT / ".ci" / "sbom.py")


@needs_source
def test_the_bill_of_materials_is_todays(sbom: ModuleType) -> None:
    assert (ROOT / "sbom.cdx.json").read_text() == sbom.text(), "run python .ci/sbom.py"
    assert set(sbom.LICENCES) == set(sbom.requirements())
    assert all(bound for bound, _ in sbom.requirements().values()), "a requirement without a lowest version"


@needs_source
def test_the_bill_of_materials_keeps_the_schema() -> None:
    needs("cyclonedx")
    needs("jsonschema")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str((ROOT / "sbom.cdx.json").read_text()) is None


@needs_source
def test_licences_are_what_the_packages_say(sbom: ModuleType) -> None:
    """Of those installed here: the name is in their expression or licence, or its family in their classifiers."""
    compared = 0
    for name, licence in sbom.LICENCES.items():
        try:
            said = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        words = [said.get(key) or "" for key in ("License-Expression", "License")] + (said.get_all("Classifier") or [])
        family = licence.split("-")[0].replace("PSF", "(PSF|Python Software Foundation)")
        assert any(re.search(rf"\b{family}\b", line) for line in words), (name, licence, words)
        compared += 1
    assert compared >= 5


@needs_source
def test_the_page_lists_every_requirement(sbom: ModuleType) -> None:
    page = (ROOT / "docs/trust/supply-chain.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    told = {name: (bound, groups.split(", "), licence) for name, bound, groups, licence in rows}
    asked = sbom.requirements().items()
    assert told == {name: (bound, groups, sbom.LICENCES[name]) for name, (bound, groups) in asked}


def test_nothing_asks_the_network_at_run_time(tmp_path: Path) -> None:
    needs("sklearn")
    done = subprocess.run([sys.executable, "-c", WITHOUT_A_NETWORK], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_hook_would_notice() -> None:
    program = WITHOUT_A_NETWORK.partition("import numpy")[0] + "import socket\nsocket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "asked for the network" in done.stderr


@needs_source
@pytest.mark.parametrize(
    ("folder", "pattern", "words"),
    [
        (PACKAGE, "*.py", r"\b(urllib\.request|urlopen|http\.client|import requests|import httpx|import socket|ftplib)\b"),
        (ROOT / "csrc", "*", r"\b(FetchContent|ExternalProject|DOWNLOAD|curl|wget|sys/socket\.h)\b"),
        (ROOT, "CMakeLists.txt", r"\b(FetchContent|ExternalProject|DOWNLOAD|curl|wget)\b"),
    ],
)
def test_no_source_holds_a_way_to_the_network(folder: Path, pattern: str, words: str) -> None:
    files = [folder / pattern] if (folder / pattern).is_file() else [path for path in folder.rglob(pattern) if path.is_file()]
    assert files
    found = [(path.name, match[0]) for path in files for match in re.finditer(words, path.read_text("utf-8", errors="replace"))]
    assert found == []


@needs_source
def test_the_wheel_takes_its_bill_of_materials_along() -> None:
    """By PEP 770, beside its other metadata; a tree that was compiled and installed shows it."""
    files = [str(path) for path in metadata.files("dualwalk") or []] if _installed() else []
    if not any("/_core." in name for name in files):
        pytest.skip("dualwalk was not installed from a wheel with compiled kernels")
    (place,) = [path for path in metadata.files("dualwalk") or [] if path.name == "dualwalk.cdx.json"]
    assert place.parent.name == "sboms"
    assert json.loads(place.read_text()) == json.loads((ROOT / "sbom.cdx.json").read_text())


def _installed() -> bool:
    try:
        return metadata.version("dualwalk") != ""
    except metadata.PackageNotFoundError:
        return False
