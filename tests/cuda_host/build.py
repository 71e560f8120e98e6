"""Compiles csrc/cuda for the host: the same files that nvcc compiles, with this folder's cuda_runtime.h in the place of nvcc's."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAME = "_cuda_on_host"
SANITIZERS = {"": [], "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]}


def build(folder: Path, sanitizer: str = "") -> Path:
    """The compiled module in `folder`; what is there already and has not changed is kept."""
    pybind11 = importlib.util.find_spec("pybind11")
    if pybind11 is None or pybind11.origin is None:
        raise RuntimeError("the emulated kernels need pybind11, which is in the test extra")
    include = [HERE, ROOT / "csrc/include", ROOT / "csrc/cuda", ROOT / "csrc/bindings/cuda"]
    include += [Path(pybind11.origin).parent / "include", Path(sysconfig.get_paths()["include"])]
    # products and sums are not contracted on one side and split on the other: both ways must be within the tolerance
    flags = ["-std=c++17", "-O1", "-g1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wno-unknown-pragmas"]
    flags += [f"-I{path}" for path in include] + SANITIZERS[sanitizer]
    flags += [f"-DDUALWALK_CUDA_MODULE={NAME}", '-DDUALWALK_CUDA_ARCHITECTURES="none: emulated on the host"']
    sources = [HERE / "emulator.cpp", HERE / "controls.cpp", *sorted((ROOT / "csrc/cuda").rglob("*.cu"))]
    sources += sorted((ROOT / "csrc/bindings/cuda").glob("*.cpp"))
    folder.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CXX", "g++")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda source: _compile(source, [compiler, *flags], folder), sources))
    target = folder / f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not target.exists() or any(path.stat().st_mtime > target.stat().st_mtime for path in objects):
        _make(target, [compiler, "-shared", *map(str, objects), *SANITIZERS[sanitizer]])
    return target


def load(path: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(NAME, str(path))
    spec = importlib.util.spec_from_loader(NAME, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# the sanitizer's library is loaded into the tests' process, not into the compiler
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def _compile(source: Path, command: list[str], folder: Path) -> Path:
    """The object of one source, named after everything that goes into it."""
    preprocessed = subprocess.run(
        [*command, "-x", "c++", "-E", "-P", str(source)], capture_output=True, check=False, env=_ENVIRONMENT
    )
    if preprocessed.returncode:
        raise RuntimeError(preprocessed.stderr.decode())
    stamp = hashlib.sha256(preprocessed.stdout + " ".join(command).encode()).hexdigest()[:16]
    target = folder / f"{source.stem}-{stamp}.o"
    if not target.exists():
        _make(target, [*command, "-x", "c++", "-c", str(source)])
    return target


def _make(target: Path, command: list[str]) -> None:
    """What the command writes, as `target` once it is whole: others may be building in the same folder."""
    part = target.with_name(f"{target.name}.{os.getpid()}")
    _run([*command, "-o", str(part)])
    part.replace(target)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-8000:]}")
