"""Who has arrays on a CUDA device, and why the CUDA kernels cannot be used where they cannot: no device is needed here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import _device, backends
from dualwalk._config import config_info

FACTS = {"architectures": "sm_80, sm_90", "runtime": "13.0"}
FOUND = {"device": "NVIDIA H200", "capability": "9.0", "multiprocessors": 132, "memory": 139 * 2**30, "driver": "13.0"}


def kernels(reason: str = "") -> Any:
    """The compiled module as it is where it gives this reason."""
    return SimpleNamespace(why_not=lambda: reason, facts=lambda: FACTS if reason else FACTS | FOUND)


def missing(error: ImportError) -> Any:
    def importing() -> Any:
        raise error

    return importing


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """installed(kernels=..., cupy=...) puts these, or the errors of their import, in the place of what is here."""

    def install(**parts: Any) -> None:
        for name, part in parts.items():
            monkeypatch.setattr(_device, name, missing(part) if isinstance(part, ImportError) else lambda part=part: part)
        why_not.cache_clear()
        backends.why_not.cache_clear()

    why_not = _device.why_not
    yield install
    monkeypatch.undo()
    why_not.cache_clear()
    backends.why_not.cache_clear()


CASES = {
    "not built": (
        {"kernels": ModuleNotFoundError("No module named 'dualwalk._cuda'")},
        "dualwalk._cuda was not built when dualwalk was installed (install dualwalk again where nvcc is found",
        "none (the CUDA kernels are not here)",
    ),
    "does not load": (
        {"kernels": ImportError("undefined symbol: nothing")},
        "dualwalk._cuda does not load: undefined symbol: nothing",
        "none (the CUDA kernels are not here)",
    ),
    "no driver": (
        {"kernels": kernels("no CUDA driver is installed")},
        "no CUDA driver is installed (the kernels are built; they need an NVIDIA device and its driver)",
        "sm_80, sm_90 (CUDA runtime 13.0)",
    ),
    "no CuPy": (
        {"kernels": kernels(), "cupy": ModuleNotFoundError("No module named 'cupy'")},
        'cupy is not installed (install it: pip install "dualwalk[cuda13]"',
        "sm_80, sm_90 (CUDA runtime 13.0)",
    ),
    "a broken CuPy": (
        {"kernels": kernels(), "cupy": ImportError("libnvrtc.so.13: cannot open")},
        "cupy does not load: libnvrtc.so.13: cannot open",
        "sm_80, sm_90 (CUDA runtime 13.0)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_configuration_says_why_cuda_is_off(installed: Any, case: str) -> None:
    parts, reason, built = CASES[case]
    installed(**parts)
    info = config_info()
    assert info["cuda"].startswith(f"not available: {reason}")
    assert info["cuda_built"] == built
    assert backends.choose() != "cuda"
    with pytest.raises(ImportError, match="X needs the CUDA kernels, which cannot be used"):
        _device.require("X")


def test_the_configuration_names_the_device(installed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    installed(kernels=kernels(), cupy=SimpleNamespace())
    info = dw.show_config()
    expected = "available: NVIDIA H200, capability 9.0, 132 multiprocessors, 139 GiB, driver for CUDA 13.0"
    assert info["cuda"] == expected
    assert expected in capsys.readouterr().out
    assert json.loads(json.dumps(info)) == info


def test_what_was_built_here_imports_and_gives_a_reason() -> None:
    module = pytest.importorskip("dualwalk._cuda", reason="the CUDA kernels were not built here")
    assert module.facts()["architectures"]
    assert isinstance(module.why_not(), str)


class Tensor:
    """Has what PyTorch's tensors have."""

    shape = (3,)

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return (self.kind, 0)

    def __dlpack__(self, **settings: Any) -> Any:
        raise AssertionError("CuPy asks, not we")

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.kind != 2:
            raise AttributeError("not on a CUDA device")
        return {"shape": (3,), "typestr": "<f4", "data": (0, False), "version": 2}


class Interface:
    """An array of Numba's: with the interface, without DLPack."""

    shape = (3,)
    __cuda_array_interface__ = Tensor(2).__cuda_array_interface__


def test_arrays_on_a_device_are_known_whoever_made_them() -> None:
    assert all(map(_device.is_on_device, (Tensor(2), Tensor(13), Interface())))
    others = (np.zeros(3), [1.0], 2.0, None, "cuda", Tensor(1), Tensor(10))  # the CPU's, and another maker's device
    assert not any(map(_device.is_on_device, others))


class Cupy:
    """What takes arrays in there; the current device is number 1."""

    class ndarray:
        shape = (3,)

        def __init__(self, device: int = 1) -> None:
            self.device = SimpleNamespace(id=device)

    cuda = SimpleNamespace(Device=lambda: SimpleNamespace(id=1))

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def from_dlpack(self, value: Any) -> Any:
        self.asked.append(("from_dlpack", value))
        return self.ndarray()

    def asarray(self, value: Any) -> Any:
        self.asked.append(("asarray", value))
        return self.ndarray()


def test_arrays_on_a_device_come_in_as_cupys_without_a_copy(installed: Any) -> None:
    cupy = Cupy()
    installed(kernels=kernels(), cupy=cupy)
    own, tensor, interface = cupy.ndarray(), Tensor(2), Interface()
    assert _device.as_array(own, "X") is own
    assert isinstance(_device.as_array(tensor, "X"), cupy.ndarray)
    assert isinstance(_device.as_array(interface, "X"), cupy.ndarray)
    assert cupy.asked == [("from_dlpack", tensor), ("asarray", interface)]


def test_an_array_on_another_device_names_the_remedy(installed: Any) -> None:
    installed(kernels=kernels(), cupy=Cupy())
    with pytest.raises(ValueError, match=r"X must be on the current CUDA device, 1; got an array on device 3 .*Device\(3\)"):
        _device.as_array(Cupy.ndarray(3), "X")


def test_an_array_on_a_device_without_kernels_names_the_reason(installed: Any) -> None:
    installed(kernels=ModuleNotFoundError("No module named 'dualwalk._cuda'"))
    with pytest.raises(ImportError, match=r"dualwalk\._cuda was not built"):
        dw.permute_marginals(Tensor(2))
    with pytest.raises(ValueError, match=r"backend='native' works in the host's memory"):
        backends.choose("native", Tensor(2))
    with pytest.raises(ValueError, match='backend="cuda" takes arrays on a CUDA device'):
        backends.choose("cuda", np.zeros(3))
