"""An install never fails: without a compiler it leaves out the compiled kernels, and without extras everything else works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from extras import needs_installed

SOURCE = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (SOURCE / "pyproject.toml").exists() or os.name != "posix", reason="needs the source tree and a POSIX system"
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder that holds NumPy and a dualwalk installed without a compiler, and what the installation said."""
    needs_installed("pip", "scikit-build-core", "pybind11")
    folder = tmp_path_factory.mktemp("bare")
    command = [sys.executable, "-m", "pip", "install", "-v", "--no-build-isolation", "--no-deps", "--no-index"]
    environment = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false", "DUALWALK_CUDA": "AUTO"}
    done = subprocess.run(
        [*command, "--target", str(folder), str(SOURCE)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder, done.stdout + done.stderr


def run(folder: Path, program: str, check: bool) -> subprocess.CompletedProcess[str]:
    """Run a program that finds nothing but the standard library and this folder."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    return subprocess.run([sys.executable, "-I", "-S", "-c", start + program], capture_output=True, text=True, check=check)


def test_the_installation_says_what_is_missing(bare: tuple[Path, str]) -> None:
    folder, said = bare
    assert "the compiled kernels were NOT built" in said
    assert not list(folder.glob("dualwalk/_core*.so"))
    out = run(folder, "import dualwalk as dw, json; print(json.dumps(dict(dw.show_config())))", check=True).stdout
    info = json.loads(out.splitlines()[-1])
    assert info["backend"] == "reference"
    assert "was not built when dualwalk was installed" in info["backends"]["native"]
    assert "pip install" in info["backends"]["numba"]


def test_the_main_job_runs_on_numpy_alone(bare: tuple[Path, str]) -> None:
    program = """
import numpy as np, dualwalk as dw
rng = np.random.default_rng(0)
X = np.cumsum(rng.standard_normal((60, 2, 5)), axis=2)
divergence = dw.DualDivergence(random_state=0, cv=3).fit(X)
new = dw.DualSampler(random_state=0).fit(X).sample(20)
assert new.shape == (20, 2, 5) and np.isfinite(new).all()
assert divergence.divergence_lower_ < divergence.divergence_
missing = [m for m in ("numba", "scipy", "matplotlib", "rich", "sklearn") if m in sys.modules]
print("fine", missing)
"""
    done = run(bare[0], program, check=False)
    assert done.stdout == "fine []\n", done.stderr


def test_a_missing_backend_is_named_with_its_remedy(bare: tuple[Path, str]) -> None:
    done = run(bare[0], "import dualwalk as dw; dw.permute_marginals([[1.0]], backend='native')", check=False)
    assert done.returncode == 1
    assert "MissingPackageError: backend='native' cannot be used: dualwalk._core was not built" in done.stderr


def test_the_report_needs_nothing_more(bare: tuple[Path, str], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((60, 4)))
    arguments = ["report", str(tmp_path / "x.npy"), "--out", str(tmp_path / "r.html"), "--quiet"]
    done = run(bare[0], f"from dualwalk.cli import main; raise SystemExit(main({arguments!r}))", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def cuda_build(folder: Path, nvcc: Path, wanted: str) -> subprocess.CompletedProcess[str]:
    """What building the CUDA module says with this nvcc; the rest of the library is not built."""
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not on PATH")
    pybind11 = pytest.importorskip("pybind11")
    settings = [f"-DCMAKE_CUDA_COMPILER={nvcc}", f"-DDUALWALK_CUDA={wanted}", f"-DPython_EXECUTABLE={sys.executable}"]
    configure = [cmake, "-S", str(SOURCE), "-B", str(folder), f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", *settings]
    done = subprocess.run(configure, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    build = [cmake, "--build", str(folder), "--target", "dualwalk_cuda"]
    return subprocess.run(build, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("wanted", ["AUTO", "ON"])
def test_a_broken_nvcc_costs_the_cuda_kernels_alone(tmp_path: Path, wanted: str) -> None:
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho this nvcc is broken >&2\nexit 1\n")
    nvcc.chmod(0o755)
    done = cuda_build(tmp_path / "build", nvcc, wanted)
    said = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode == 0) == (wanted == "AUTO"), said
    assert ("are left out" if wanted == "AUTO" else "could not be built") in said
    assert not list((tmp_path / "build").glob("cuda/module/*"))


def test_cuda_is_left_out_where_it_is_not_wanted(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="must be AUTO, ON or OFF; got 'maybe'"):
        cuda_build(tmp_path / "maybe", tmp_path / "nvcc", "maybe")
    assert "dualwalk_cuda" in cuda_build(tmp_path / "off", tmp_path / "nvcc", "OFF").stderr  # there is no such target


def test_importing_the_package_loads_no_gpu_library() -> None:
    program = """
import sys, dualwalk as dw
dw.permute_marginals([[1.0], [2.0]])
print([name for name in ("cupy", "torch", "dualwalk._cuda") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
