"""DualDivergence on a device against the same fit on the CPU."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dualwalk import (
    CopiedRowsWarning,
    DualDivergence,
    InfiniteDivergenceWarning,
    _device,
    backends,
    joint_clusters,
    mutual_information,
)
from dualwalk._nodepath import fold
from dualwalk._nodepath.path import spanning_tree
from dualwalk.backends import cuda
from dualwalk.metrics import energy_distance
from on_device.kit import Device

pytestmark = pytest.mark.filterwarnings("ignore::dualwalk.SmallSampleWarning")
NATS = 0.02  # where the networks are the CPU's, or too small to drift apart
SHARE = 0.05  # of the values, on average, on a GPU: its rounding may move an early stop, and a tie in single precision


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


def close(device: Device, found: Any, expected: Any) -> None:
    found = _device.to_host(found)
    if device.emulated:
        np.testing.assert_allclose(found, expected, atol=NATS)
    else:
        assert np.shape(found) == np.shape(expected)
        assert np.abs(found - expected).mean() <= SHARE * max(1.0, np.abs(expected).mean())


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
    for name in ("divergence_", "divergence_lower_", "divergence_held_out_", "divergence_training_", "rank_noise_"):
        assert isinstance(getattr(there, name), float)
        close(device, getattr(there, name), getattr(host, name))
    close(device, device.get(there.dual_values_), host.dual_values_)
    np.testing.assert_array_equal(device.get(there.held_out_), host.held_out_)
    if device.emulated or kind != "wide":
        assert there.base_names_ == host.base_names_
        np.testing.assert_array_equal(there.dependence_graph_.order, host.dependence_graph_.order)
        np.testing.assert_array_equal(there.dependence_graph_.parents, host.dependence_graph_.parents)
    new = X[:9] + 0.1
    close(device, device.get(there.score_samples(device.put(new))), host.score_samples(new))
    close(device, device.get(there.node_terms(device.put(new))), host.node_terms(new))
    z = host.normal_scores_.transform(new)
    for found, expected in zip(there.dual_.value_and_gradient(device.put(z)), host.dual_.value_and_gradient(z), strict=True):
        close(device, device.get(found), expected)


def agree(device: Device, there: DualDivergence, host: DualDivergence) -> None:
    for name in ("divergence_", "divergence_lower_", "dual_values_"):
        if np.isfinite(getattr(host, name)).all():
            close(device, getattr(there, name), getattr(host, name))


def test_with_the_kernels_of_the_networks(device: Device) -> None:
    X = some_rows("plain")[:50, :4]
    model = DualDivergence(cv=2, n_fits=1, random_state=1)
    host, there = copy.copy(model).fit(X), copy.copy(model).fit(device.put(X))
    agree(device, there, host)
    z = host.normal_scores_.transform(X[:5])
    for found, expected in zip(there.dual_.value_and_gradient(device.put(z)), host.dual_.value_and_gradient(z), strict=True):
        close(device, device.get(found), expected)
    again = copy.copy(model).fit(device.put(X))
    np.testing.assert_array_equal(device.get(again.dual_values_), device.get(there.dual_values_))


@pytest.mark.usefixtures("nodes_on_host")
def test_where_everything_lies(device: Device) -> None:
    X = some_rows("plain")
    by_name = DualDivergence(cv=2, n_fits=1, random_state=1, device="cuda").fit(X)
    by_array = DualDivergence(cv=2, n_fits=1, random_state=1).fit(device.put(X))
    for name in ("dual_values_", "held_out_", "labels_"):
        assert isinstance(getattr(by_name, name), np.ndarray)
        np.testing.assert_array_equal(device.get(getattr(by_array, name)), getattr(by_name, name))
    for name in ("cuts_", "cut_valleys_", "end_points_", "training_end_points_"):
        assert isinstance(getattr(by_array, name), np.ndarray)
    for method in ("score_samples", "transform", "predict", "node_terms"):
        found = getattr(by_array, method)(device.put(X[:9]))
        np.testing.assert_array_equal(device.get(found), getattr(by_name, method)(X[:9]))
        np.testing.assert_array_equal(device.get(getattr(by_name, method)(device.put(X[:9]))), device.get(found))
    loaded = pickle.loads(pickle.dumps(by_array))
    np.testing.assert_array_equal(device.get(loaded.score_samples(device.put(X[:9]))), by_name.score_samples(X[:9]))
    with pytest.raises(ValueError, match=r"X must be on the CUDA device.*pass cupy\.asarray\(X\)"):
        by_array.score_samples(X)
    with pytest.raises(ValueError, match=r"X must be in the host's memory.*pass X\.get\(\)"):
        DualDivergence(cv=2, n_fits=1, random_state=1).fit(X[:60, :2]).predict(device.put(X[:60, :2]))
    assert by_array.score_samples(device.put(X[:0])).shape == (0,)


@pytest.mark.usefixtures("nodes_on_host")
def test_no_rows_leave_the_device(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    if not device.emulated:
        pytest.skip("CuPy's copies are not counted")
    X, largest = device.put(some_rows("plain")), 0

    def get(self: Any) -> np.ndarray:
        nonlocal largest
        largest = max(largest, self.size)
        return self._host.copy()

    monkeypatch.setattr(device.xp.ndarray, "get", get)
    model = DualDivergence(cv=2, n_fits=2, random_state=1).fit(X)
    model.score_samples(X[:50])
    assert largest <= max(len(X), X.shape[1] ** 2)


@pytest.mark.usefixtures("nodes_on_host")
def test_the_permutation_test_and_the_other_direction(device: Device) -> None:
    X = np.random.default_rng(0).standard_normal((30, 3))
    options: dict[str, Any] = {"cv": 2, "n_fits": 1, "random_state": 1, "n_permutations": 19, "reverse": True}
    host, there = (DualDivergence(**options, blocks=[0, 1, 2]).fit(rows) for rows in (X, device.put(X)))
    assert there.p_value_ == host.p_value_
    for name in ("reverse_divergence_", "reverse_divergence_se_", "reverse_divergence_lower_"):
        close(device, getattr(there, name), getattr(host, name))


@pytest.mark.usefixtures("nodes_on_host")
def test_copies_of_rows_and_columns(device: Device) -> None:
    X = some_rows("plain")
    X = np.column_stack([X, np.exp(X[:, 0]), -X[:, 1]])[np.r_[0:100, 20:40, 5, 5]]
    X[3, 2], X[4, 2] = 0.0, -0.0
    model = DualDivergence(cv=2, n_fits=1, random_state=1)
    with pytest.warns(CopiedRowsWarning, match="22 of 122"), pytest.warns(InfiniteDivergenceWarning, match="0, 6; 1, 7"):
        there = copy.copy(model).fit(device.put(X))
    with pytest.warns(CopiedRowsWarning), pytest.warns(InfiniteDivergenceWarning):
        host = copy.copy(model).fit(X)
    assert there.determined_ == host.determined_ == ((0, 6), (1, 7))
    agree(device, there, host)


@pytest.mark.usefixtures("nodes_on_host")
def test_sums_of_columns_and_one_column(device: Device) -> None:
    X = np.random.default_rng(0).standard_normal((80, 4))
    X[:, 3] = X[:, 0] - 2 * X[:, 1]
    with pytest.warns(InfiniteDivergenceWarning, match="0, 1, 3"):
        assert DualDivergence(cv=2, n_fits=1, random_state=1).fit(device.put(X)).divergence_ == np.inf
    alone = DualDivergence(cv=2, n_fits=1, random_state=1).fit(device.put(X[:, :1]))
    assert alone.divergence_ == 0.0
    np.testing.assert_array_equal(device.get(alone.score_samples(device.put(X[:5, :1]))), np.zeros(5))


def test_what_a_device_is_not_for(device: Device) -> None:
    X = some_rows("plain")
    for options, name in (
        ({"method": "single"}, 'method="single"'),
        ({"blocks": [0, 0, 1, 1, 2, 2]}, "blocks of several columns"),
    ):
        with pytest.raises(ValueError, match=f"{name} .*host's memory only.*X\\.get\\(\\)"):
            DualDivergence(**options).fit(device.put(X))
    with pytest.raises(ValueError, match=r"X must be in the host's memory with device='cpu'.*X\.get\(\)"):
        DualDivergence(device="cpu").fit(device.put(X))
    with pytest.raises(ValueError, match="X must be finite; got inf at index"):
        DualDivergence(device="cuda").fit(np.where(X[3, 2] == X, np.inf, X))


def test_functions_of_the_hosts_memory_say_so(device: Device) -> None:
    X = device.put(some_rows("plain"))
    for function, arguments in ((joint_clusters, 1), (mutual_information, 2), (energy_distance, 2)):
        with pytest.raises(ValueError, match=r"must be in the host's memory, where alone this is done.*\.get\(\)"):
            function(*[X] * arguments)


def test_the_argument() -> None:
    model = DualDivergence(device="cuda")
    assert repr(model) == "DualDivergence(device='cuda')"
    assert model.get_params()["device"] == "cuda"
    assert model.set_params(device=None).device is None
    with pytest.raises(ValueError, match="device must be one of"):
        DualDivergence(device="gpu").fit(np.zeros((9, 2)))
    if _device.why_not() is not None:
        with pytest.raises(ImportError, match="device='cuda' needs the CUDA kernels"):
            DualDivergence(device="cuda").fit(np.zeros((9, 2)))
