"""The same loops on aarch64 (NEON), cross-compiled and run under an emulator: same integers, same floats to rounding."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dualwalk as dw
from dualwalk.backends._native_panels import pack_lines, pack_panels
from dualwalk.backends.reference import OPERATIONS
from dualwalk.marginals import METHODS

COMPILER, EMULATOR = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
SOURCE = Path(__file__).parents[1] / "csrc"

pytestmark = pytest.mark.skipif(
    not (COMPILER and EMULATOR and SOURCE.exists()), reason="needs aarch64-linux-gnu-g++, qemu-aarch64 and the source tree"
)


class Processor:
    """The cross-compiled program, and a folder for its files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.program = folder, folder / "other_processor"
        sources = [SOURCE / "cpu" / name for name in ("level.cpp", "dispatch.cpp", "parallel.cpp")]
        flags = [
            "-std=c++17",
            "-O2",
            "-static",
            "-fno-math-errno",
            "-fno-trapping-math",
            "-DDUALWALK_LEVEL=baseline",
            "-pthread",
        ]
        command = [str(COMPILER), *flags, f"-I{SOURCE / 'include'}", f"-I{SOURCE / 'cpu'}", "-o", str(self.program)]
        program = Path(__file__).with_name("other_processor.cpp")
        done = subprocess.run([*command, *map(str, sources), str(program)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, job: str, given: np.ndarray, dtype: type, n: int, d: int, *more: int) -> np.ndarray:
        given.tofile(self.folder / "in")
        command = [str(EMULATOR), str(self.program), job, str(self.folder / "in"), str(self.folder / "out")]
        subprocess.run([*command, *map(str, (n, d, *more))], check=True, capture_output=True)
        return np.fromfile(self.folder / "out", dtype)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Processor:
    return Processor(tmp_path_factory.mktemp("aarch64"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (37, 5), (100, 40), (20_000, 3), (30_000, 3)])
def test_the_same_rows(processor: Processor, method: str, shape: tuple[int, int]) -> None:
    x = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    out = processor.run("permute", x, np.float32, *shape, OPERATIONS[method], 7).reshape(shape)
    assert np.array_equal(out, dw.permute_marginals(x, method=method, seed=7, backend="reference"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 1), (4, 100), (2, 5000)])
def test_the_same_sums(processor: Processor, dtype: type, shape: tuple[int, int], rng: np.random.Generator) -> None:
    f = (5 * rng.standard_normal(shape)).astype(dtype)
    out = processor.run(f"log_mean_exp_{np.dtype(dtype).name}", f, np.float64, *shape)
    wide = f.astype(np.float64)
    value, gradient = dw.log_mean_exp(wide, axis=1, return_gradient=True, backend="reference")
    tolerance = 1e-6 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(out[: shape[0]], value, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(out[shape[0] :].reshape(shape), gradient, rtol=20 * tolerance, atol=1e-37)


@pytest.mark.parametrize(("n", "d"), [(1, 7), (5, 24), (40, 33)])
def test_the_same_walks(processor: Processor, n: int, d: int, rng: np.random.Generator) -> None:
    x0 = rng.standard_normal((n, d)).astype(np.float32)
    weights = [rng.standard_normal((d, d)) / np.sqrt(d), rng.standard_normal((1, d)) / np.sqrt(d)]
    dual = dw.MLPDual(weights, [np.zeros(d), np.zeros(1)])
    settings = {"n_steps": 10, "step_size": 0.1, "noise": 0.01, "seed": 3}
    expected = dw.walk(dual, x0.astype(np.float64), backend="reference", **settings).x
    kind = np.dtype(np.float32)
    parts = x0, pack_panels(weights[0], kind), pack_panels(weights[0].T, kind), pack_lines(weights[1], kind)
    given = np.concatenate([part.ravel() for part in parts])
    out = processor.run("walk_mlp", given, np.float32, n, d).reshape(n, d)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)
