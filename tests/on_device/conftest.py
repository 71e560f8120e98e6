"""The device of these tests: a real one where there is a GPU, and everywhere the kernels compiled for the host (`cuda_host`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from dualwalk import _device, backends
from on_device.kit import Device

LARGE = {"test_bench_cases", "test_divergence", "test_independence", "test_sampler"}  # whole fits


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        # a warning of the real CuPy is no failure; what the library warns of is tested on the emulated device
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.filterwarnings("default"))
        if item.path.parent == Path(__file__).parent and item.path.stem in LARGE:
            item.add_marker("large")


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The kernels compiled for the host. DUALWALK_CUDA_HOST names a folder that keeps them from one run to the next, and
    DUALWALK_CUDA_HOST_SANITIZER=address has g++'s sanitizers watch them (`.ci/run` knows how)."""
    from cuda_host import build

    folder = os.environ.get("DUALWALK_CUDA_HOST")
    sanitizer = os.environ.get("DUALWALK_CUDA_HOST_SANITIZER", "")
    return build.load(build.build(Path(folder) if folder else tmp_path_factory.mktemp("cuda_host"), sanitizer))


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    if request.param == "gpu":
        reason = _device.why_not()
        if reason is not None:
            pytest.skip(reason)
        if os.environ.get("DUALWALK_GPU_POOL") == "off":  # each array by itself, so that compute-sanitizer knows its ends
            _device.cupy().cuda.set_allocator(None)
        yield Device(_device.cupy(), _device.kernels())
        return
    kernels = request.getfixturevalue("host_kernels")
    from cuda_host import cupy_on_host

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_device, "cupy", lambda: cupy_on_host)
        patch.setattr(_device, "kernels", lambda: kernels)
        patch.setattr(_device, "why_not", lambda: None)
        patch.setitem(sys.modules, "cupyx", cupy_on_host.cupyx)
        backends.why_not.cache_clear()
        yield Device(cupy_on_host, kernels)
        kernels.set_order("forward")
        kernels.set_device()
    backends.why_not.cache_clear()


@pytest.fixture(params=["forward", "backward", "shuffled"])
def any_order(request: pytest.FixtureRequest, device: Device) -> str:
    """Runs a test with the emulated threads in every order: a result that changes shows a barrier that is missing."""
    if device.emulated:
        device.kernels.set_order(request.param)
    elif request.param != "forward":
        pytest.skip("a GPU chooses its own order")
    return str(request.param)
