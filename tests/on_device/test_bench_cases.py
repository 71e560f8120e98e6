"""Every GPU benchmark computes what it says, at sizes that the emulated device can run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from on_device.kit import Device

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="needs the source tree")


@pytest.mark.parametrize("room", ["permute", "objective", "walks", "sampling", "nodes", "sampler", "divergence"])
def test_the_cases_of_a_room_are_right_when_tiny(device: Device, room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    module = pytest.importorskip(f"benchmarks.gpu.{room}", reason="this room has no benchmarks yet")
    for case in module.cases(tiny=True):
        inputs = case.setup(device.xp, 0)
        result = case.ours(inputs)()
        if case.error is not None:
            assert case.error(inputs, result) <= case.tolerance, case.name
