"""Words, integers and noise on the device: the words of the reference, and its noise to rounding."""

from __future__ import annotations

import numpy as np

from dualwalk.backends import cuda, reference
from on_device.kit import Device


def test_philox_is_the_published_one(device: Device) -> None:
    counters = np.array([[0, 0, 0, 0], [0xFFFFFFFF] * 4], np.uint32)
    words = [device.get(cuda.philox(device.put(counters[k]), seed)) for k, seed in enumerate((0, 2**64 - 1))]
    assert words[0].tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # the authors' known answers (Random123)
    assert words[1].tolist() == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_integers_are_those_of_the_reference(device: Device, rng: np.random.Generator) -> None:
    bounds = rng.integers(1, 2**32, 1000, dtype=np.uint32)
    bounds[:3] = 1, 2**31 + 1, 3  # the second rejects half of all words
    ours = device.get(cuda.draw_integers(7, 1, 2, 3, device.put(bounds)))
    np.testing.assert_array_equal(ours, reference.draw_integers(7, 1, 2, 3, bounds))


def test_normals_are_those_of_the_reference_to_rounding(device: Device) -> None:
    ours = device.get(cuda.draw_normals(11, 5, 33, 7))
    np.testing.assert_allclose(ours, reference.draw_normals(11, 5, 33, 7), rtol=1e-12, atol=1e-13)


def test_nothing_to_draw(device: Device) -> None:
    assert cuda.draw_normals(0, 0, 0, 5).shape == (0, 5)
    assert cuda.draw_integers(0, 1, 0, 0, device.put(np.zeros(0, np.uint32))).shape == (0,)
