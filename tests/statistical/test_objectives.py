"""The log of a mean reads low, by as much as mathematics says and no more; so the Donsker-Varadhan value reads high by it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dualwalk as dw

from . import bias

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_mean_exp(backend: str, dtype: str, accept: Accept) -> None:
    accept(bias.of_log_mean_exp(lambda f: dw.log_mean_exp(f.astype(dtype), axis=1, backend=backend)))


def test_donsker_varadhan(backend: str, accept: Accept) -> None:
    """With the true f = log p/q of a coin: on average the divergence, and what the log of the mean reads low."""

    def values(f_joint: bias.Floats, f_marginal: bias.Floats) -> bias.Floats:
        pairs = zip(f_joint, f_marginal, strict=True)
        return np.array([dw.donsker_varadhan(one, other, backend=backend).value for one, other in pairs])

    accept(bias.of_donsker_varadhan(values, n_batches=2_000))
