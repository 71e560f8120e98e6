"""The command line with --device cuda: what it finds is what the CPU finds."""

from __future__ import annotations

import numpy as np
from cli_kit import found, series

from .kit import Device


def test_estimate_and_sample(device: Device, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", series())
    here, there = (found(capsys, "estimate", "a.npy", "--cv", 2, "--device", name) for name in ("cpu", "cuda"))
    assert abs(there["divergence"] - here["divergence"]) < here["divergence_se"], "rounding may stop a training elsewhere"
    for name in ("cpu", "cuda"):
        found(capsys, "sample", "a.npy", "-n", 6, "--walk", "local", "--device", name, "--out", f"{name}.npy")
    np.testing.assert_allclose(np.load("cuda.npy"), np.load("cpu.npy"), atol=1e-3)
