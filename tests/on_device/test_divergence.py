"""DualDivergence on a device against the same fit on the CPU."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dualwalk import DualDivergence, _device, backends
from dualwalk._nodepath import fold
from dualwalk._nodepath.path import spanning_tree
from dualwalk.backends import cuda
from on_device.kit import Device

pytestmark = pytest.mark.filterwarnings("ignore::dualwalk.SmallSampleWarning")
NATS = 0.02  # early stopping may turn on a rounding error


def on_host(value: Any) -> Any:
    if hasattr(value, "codes"):
        parts = {name: on_host(getattr(value, name)) for name in ("child", "context", "statistics", "codes")}
        return replace(value, **parts)
    return value._host if hasattr(value, "_host") else value


@pytest.fixture
def nodes_on_host(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks' jobs and the tree by the CPU's code, on copies, which takes seconds where emulated kernels take minutes: all
    that surrounds them is what these tests look at."""

    def train(tasks: list[Any], **arguments: Any) -> Any:
        on_device = _device.is_on_device(tasks[0].train.child) if tasks else False
        here = [replace(task, train=on_host(task.train), validation=on_host(task.validation)) for task in tasks]
        found = train_many(here, **arguments)
        return [replace(one, weights=device.put(one.weights)) for one in found] if on_device else found

    def run(name: str) -> Any:
        def job(*arguments: Any) -> Any:
            result = backends.job(name, "native")(*map(on_host, arguments))
            return tuple(map(device.put, result)) if isinstance(result, tuple) else device.put(result)

        return job

    if device.emulated:
        train_many = fold.train_many
        monkeypatch.setattr(fold, "train_many", train)
        for name in ("density_terms", "density_slopes", "contrastive_terms", "contrastive_slopes"):
            monkeypatch.setattr(cuda, name, run(name))
        monkeypatch.setattr(cuda, "spanning_tree", lambda weight: tuple(map(device.put, spanning_tree(on_host(weight)))))


def some_rows(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((120, 1))
    rows = shared + rng.standard_normal((120, 6))
    if kind == "levels":
        return np.round(rows)
    if kind == "few":
        return rows[:30]
    if kind == "products":
        rows = rng.standard_normal((200, 5))
        rows[:, 4] = rows[:, 0] * np.sign(rows[:, 1]) + 0.3 * rows[:, 4]
    if kind == "clusters":
        return (4.0 * rng.integers(0, 2, (300, 1)) - 2.0) * np.array([1, -1, 1, 1]) + rng.standard_normal((300, 4))
    if kind == "constant":
        rows[:, 2] = 1.5
    if kind == "wide":
        return rng.standard_normal((60, 3)) @ rng.standard_normal((3, 1040)) + rng.standard_normal((60, 1040))
    return rows


@pytest.mark.usefixtures("nodes_on_host")
@pytest.mark.parametrize("kind", ["plain", "levels", "few", "products", "clusters", "constant", "wide"])
def test_the_fit_of_the_cpu(device: Device, kind: str) -> None:
    X = some_rows(kind)
    model = DualDivergence(cv=2, n_fits=2, random_state=1)
    host, there = copy.copy(model).fit(X), copy.copy(model).fit(device.put(X))
    assert there.base_names_ == host.base_names_
    for name in ("divergence_", "divergence_lower_", "divergence_held_out_", "divergence_training_", "rank_noise_"):
        assert isinstance(getattr(there, name), float)
        assert getattr(there, name) == pytest.approx(getattr(host, name), abs=NATS)
    np.testing.assert_allclose(device.get(there.dual_values_), host.dual_values_, atol=NATS)
    np.testing.assert_array_equal(device.get(there.held_out_), host.held_out_)
    np.testing.assert_array_equal(there.dependence_graph_.order, host.dependence_graph_.order)
    np.testing.assert_array_equal(there.dependence_graph_.parents, host.dependence_graph_.parents)
    new = X[:9] + 0.1
    np.testing.assert_allclose(device.get(there.score_samples(device.put(new))), host.score_samples(new), atol=NATS)
    np.testing.assert_allclose(device.get(there.node_terms(device.put(new))), host.node_terms(new), atol=NATS)
    z = host.normal_scores_.transform(new)
    for found, expected in zip(there.dual_.value_and_gradient(device.put(z)), host.dual_.value_and_gradient(z), strict=True):
        np.testing.assert_allclose(device.get(found), expected, atol=NATS)
