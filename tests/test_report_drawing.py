"""What the report draws with: pictures of values, and axes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from dualwalk.report import pixels
from dualwalk.report.svg import ticks


def test_a_picture_is_a_png_of_its_values():
    image = pytest.importorskip("PIL.Image")
    values = np.array([[-2.5, 0.0, 2.5], [9.0, -9.0, 1.25]])
    uri = pixels.signed(values)
    found = np.asarray(image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA"))
    assert found[0, 0].tolist() == found[1, 1].tolist() == [*pixels.BELOW, 255]
    assert found[0, 2].tolist() == found[1, 0].tolist() == [*pixels.ABOVE, 255]
    assert found[0, 1, 3] == 0, "zero is clear"
    assert 100 < found[1, 2, 3] < 220


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-0.35, 0.36, [-0.2, 0, 0.2]), (3, 3, [3]), (590, 632, [590, 600, 610, 620, 630])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)
