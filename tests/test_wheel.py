"""The files of a release: a sdist that is complete, the same each time and installs offline; wheels with what belongs there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from extras import needs_installed, script

import dualwalk as dw

SOURCE = Path(__file__).parents[1]
GATE = SOURCE / ".ci" / "check_wheel.py"

pytestmark = pytest.mark.skipif(
    not GATE.exists() or os.name != "posix", reason="needs the source tree of the repository and a POSIX system"
)


@pytest.fixture(scope="module")
def gate() -> ModuleType:
    return script(GATE)


def built(folder: Path) -> Path:
    """A sdist of the source tree."""
    pytest.importorskip("scikit_build_core")
    program = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def bare_wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds from the sdist where no compiler works, without a network."""
    needs_installed("pip", "pybind11")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder)]
    environment = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false", "DUALWALK_CUDA": "OFF"}
    done = subprocess.run([*command, str(sdist)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_sdist_holds_the_source_and_no_more(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", "docs/install.md"}
    sources = {str(path.relative_to(SOURCE)) for path in (SOURCE / "csrc").rglob("*") if path.is_file()}
    tests = {f"tests/{path.name}" for path in (SOURCE / "tests").glob("*.py")}
    assert tracked | sources | tests <= names
    assert "python/dualwalk/data/japanese_vowels.npz" in names
    assert not [name for name in names if name.startswith((".ci", ".github", ".git/", "benchmarks/results", "build", "dist"))]
    assert not [name for name in names if name.endswith((".so", ".pyc", ".whl", ".o"))]
    assert sdist.stat().st_size < 5e6  # 3.2 MB when this was written, pictures half of it
    assert sdist.name == f"dualwalk-{dw.__version__}.tar.gz"


def test_the_sdist_is_the_same_each_time(sdist: Path, tmp_path: Path) -> None:
    assert built(tmp_path).read_bytes() == sdist.read_bytes()


def test_the_sdist_installs_offline(bare_wheel: Path, gate: ModuleType) -> None:
    assert gate.faults(bare_wheel) == ["the compiled kernels (dualwalk/_core) are missing"]


def test_the_gate_refuses(bare_wheel: Path, gate: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / bare_wheel.name
    wheel.write_bytes(bare_wheel.read_bytes())
    with zipfile.ZipFile(wheel, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dualwalk/_core.abi3.so", np.random.default_rng(0).bytes(4_000_000))
        archive.writestr("tests/test_walk.py", "")
        archive.writestr("dualwalk/notes.xlsx", "")
    stray, unknown, large = gate.faults(wheel)
    assert "tests/test_walk.py does not belong" in stray
    assert "dualwalk/notes.xlsx is no kind of file" in unknown
    assert "more than 4.0 MB (the largest: dualwalk/_core.abi3.so 4.00 MB" in large
    assert gate.main([str(wheel)]) == 1
    (tmp_path / "empty").mkdir()
    assert gate.main([str(tmp_path / "empty")]) == 1


def test_what_is_installed_passes_the_gate(gate: ModuleType, tmp_path: Path) -> None:
    """The wheel that this installation came from, packed again: nothing missing, and not too large."""
    package = Path(dw.__file__).parent
    files = (
        [path for path in metadata.files("dualwalk") or [] if ".." not in path.parts]
        if package.parent.name == "site-packages"
        else []
    )
    if not any(path.name.startswith("_core.") for path in files):
        pytest.skip("dualwalk was not installed from a wheel with compiled kernels")
    wheel = tmp_path / "dualwalk-again.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            if path.suffix != ".pyc" and path.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                archive.write(path.locate(), path.as_posix())
    assert gate.faults(wheel) == []
