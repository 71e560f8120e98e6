"""Random numbers of every backend: normals and bounded integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dualwalk as dw
from dualwalk import backends

from . import noise

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]


def test_normals(backend: str, accept: Accept) -> None:
    """What new samples are made of."""
    draw = backends.job("draw_normals", backend)
    accept(noise.normals(lambda seed: draw(seed, 0, 20_000, 25)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_of_a_walk(backend: str, dtype: str, accept: Accept) -> None:
    """On a flat dual function a step is the noise alone; here the steps of a walk lie side by side."""
    flat = dw.MLPDual([np.zeros((1, 5))], [np.zeros(1)])
    start = np.zeros((20_000, 5), dtype)

    def steps(seed: int) -> noise.Floats:
        walked = dw.walk(flat, start, n_steps=5, step_size=0.5, noise=1.0, seed=seed, record=True, backend=backend)
        assert walked.trajectory is not None
        return np.diff(walked.trajectory.astype(np.float64), axis=1).reshape(20_000, 25)

    accept(noise.normals(steps))


@pytest.mark.parametrize("bound", [2, 7, 1000, 3 * 2**30, 2**32 - 5])
def test_integers(backend: str, bound: int, accept: Accept) -> None:
    """3 * 2**30: a quarter of all words must be refused, or one remainder of 3 comes twice as often as the others."""
    n = 200_000
    draws = backends.job("draw_integers", backend)(31, 1, 2, 3, np.full(n, bound, np.uint32))
    accept(noise.integers(draws, bound))
