"""A model that was fitted on a device is saved as its copy in the host's memory."""

from __future__ import annotations

import io

import numpy as np
import pytest
from _series import series

import dualwalk as dw
from dualwalk import _device
from on_device.kit import Device


def returned(model):
    stream = io.BytesIO()
    model.save(stream)
    return dw.load(stream)


def test_a_sampler(device: Device) -> None:
    X = series(n=40, channels=1, times=4)
    model = dw.DualSampler("local", random_state=0).fit(device.xp.asarray(X))
    again = returned(model)
    assert again.device == "cpu"
    rows = again.sample(9)
    assert isinstance(rows, np.ndarray)
    np.testing.assert_allclose(rows, model.to_host().sample(9), rtol=1e-9, atol=1e-9)
    assert _device.is_on_device(model.sample(3)), "the saved model is as it was"


@pytest.mark.large
def test_a_divergence(device: Device) -> None:
    X = series(n=50, channels=1, times=3)
    model = dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(device.xp.asarray(X))
    again = returned(model)
    assert again.divergence_ == model.divergence_
    np.testing.assert_allclose(again.score_samples(X), _device.to_host(model.score_samples(device.xp.asarray(X))), atol=1e-4)
    np.testing.assert_array_equal(again.dual_values_, _device.to_host(model.dual_values_))


def test_a_dual_function(device: Device) -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    for dual in (
        dw.LocalDual(device.xp.asarray(points), np.arange(8), shrinkage=0.2),
        dw.MixtureDual(*(device.xp.asarray(part) for part in ([0.5, 0.5], points[:2], [np.eye(3)] * 2))),
    ):
        found = returned(dual).value(points)
        np.testing.assert_allclose(found, _device.to_host(dual.value(device.xp.asarray(points))), rtol=1e-9, atol=1e-9)
