"""The test of independence on a device: the CPU's statistics and p-values, to the rounding of float32."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk.independence import independence_test
from on_device.kit import Device


@pytest.mark.parametrize("blocks", [None, [0, 0, 1, 1, 2], [0, 1, 1, 2, 3]], ids=["columns", "pairs", "mixed"])
def test_the_cpus_statistics(device: Device, blocks: list[int] | None) -> None:
    rng = np.random.default_rng(0)
    dependent = np.abs(rng.standard_normal((30, 1))) * rng.standard_normal((30, 5))
    dependent[:, 1] = np.round(dependent[:, 1])
    for X in (dependent, rng.standard_normal((30, 5))):
        expected = independence_test(X, blocks=blocks, n_permutations=39, random_state=1)
        found = independence_test(device.put(X), blocks=blocks, n_permutations=39, random_state=1)
        assert found.statistic == pytest.approx(expected.statistic, abs=1e-3)
        assert dict(found.p_values) == pytest.approx(dict(expected.p_values), abs=1 / 39)  # ranks of what differs by rounding


def test_columns_that_do_not_vary(device: Device) -> None:
    X = np.ones((20, 3))
    X[:, 1] = np.arange(20)
    assert independence_test(device.put(X), random_state=0).p_value == 1.0
