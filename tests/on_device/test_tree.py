"""The spanning tree on a device: that of the CPU, where weights are equal too."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk._nodepath.path import spanning_tree
from on_device.kit import Device


def symmetric(values: np.ndarray) -> np.ndarray:
    weight = np.triu(values, 1)
    return weight + weight.T


@pytest.mark.usefixtures("any_order")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [2, 31, 33, 70])
@pytest.mark.parametrize("kind", ["weights", "equal", "levels"])
def test_the_tree_of_the_cpu(device: Device, dtype: type, d: int, kind: str) -> None:
    rng = np.random.default_rng(d)
    values = {"weights": rng.random((d, d)), "equal": np.zeros((d, d)), "levels": rng.integers(0, 4, (d, d)) / 4}[kind]
    weight = symmetric(values).astype(dtype)
    for expected, found in zip(spanning_tree(weight), spanning_tree(device.put(weight)), strict=True):
        np.testing.assert_array_equal(device.get(found), expected)


def test_more_columns_than_threads(device: Device) -> None:
    weight = symmetric(np.random.default_rng(0).random((1100 if not device.emulated else 1030,) * 2).astype(np.float32))
    order, parent = spanning_tree(device.put(weight))
    expected = spanning_tree(weight)
    np.testing.assert_array_equal(device.get(order), expected[0])
    np.testing.assert_array_equal(device.get(parent), expected[1])


def test_a_single_column_and_what_is_no_number(device: Device) -> None:
    order, parent = spanning_tree(device.put(np.zeros((1, 1))))
    assert device.get(order).tolist() == [0]
    assert parent.shape == (0,)
    order, _ = spanning_tree(device.put(np.full((40, 40), np.nan)))
    assert sorted(device.get(order).tolist()) == list(range(40))
