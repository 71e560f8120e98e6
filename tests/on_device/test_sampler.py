"""DualSampler on a device: the CPU's choice, and its rows to rounding, in the memory that they were asked for in."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from dualwalk import _device, _surroundings
from dualwalk._estimator import SmallSampleWarning
from dualwalk._ladder import criterion, marginals, neighborhoods, rung
from dualwalk._ladder.marginals import SMOOTHINGS, Marginals, observed_levels
from dualwalk._ladder.rung import Rung, Shared, Walker
from dualwalk._sampler import novelty
from dualwalk._sampler.grouped import GroupedDataWarning
from dualwalk.backends import cuda, reference
from dualwalk.duals.mixture import MixtureDual
from dualwalk.normal_scores import NormalScores
from dualwalk.sampler import DualSampler
from on_device.kit import Device

TOLERANCE = 1e-9
JOBS = ("relax_local", "balance_columns", "permute_marginals")


@pytest.fixture(autouse=True)
def host_jobs(device: Device, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A ladder calls its jobs a thousand times, which takes the emulated device minutes: there the reference stands in for them.

    The jobs have tests of their own, and one here climbs a ladder with them.
    """
    if not device.emulated or "real_jobs" in request.fixturenames:
        return

    def stand_in(name: str) -> Any:
        def job(*args: Any) -> Any:
            made = getattr(reference, name)(*(a._host if isinstance(a, device.xp.ndarray) else a for a in args))
            return made if made is None else device.xp.ndarray(made)

        return job

    for name in JOBS:
        monkeypatch.setattr(cuda, name, stand_in(name), raising=False)


@pytest.fixture
def real_jobs() -> None:
    """The kernels themselves, emulated too."""


def table(n: int = 40, d: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 1)) + 0.5 * rng.standard_normal((n, d))
    X[:, 2] = 3.0
    return X


def levels(X: np.ndarray, column: int) -> np.ndarray:
    """X with a column of few levels. What neighbours of one level give has equal ranks but for rounding, which a GPU does its
    own way: only the emulated device, which rounds as the CPU does, gives the CPU's rows.
    """
    X[:, column] = np.round(X[:, column])
    return X


def series(n: int = 40, n_channels: int = 2, n_times: int = 6) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, n_channels, n_times)).cumsum(axis=2) + rng.standard_normal((n, 1, 1))


def walkers(n: int = 70) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((n, 2, 4)).cumsum(axis=2)  # channels that are independent


CASES: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "table": (table(), {}),
    "levels": (levels(table(), 1), {}),
    "groups": (table(), {"groups": np.arange(40) // 2}),
    "classes": (table(), {"y": np.array(["quiet", "loud"])[np.arange(40) % 2]}),
    "small classes": (table(), {"y": np.repeat([0, 1, 2], [30, 2, 8])}),
    "constant": (np.full((12, 3), 7.0), {}),
    "clusters": (table(72), {}),
    "series": (series(), {}),
    "apart": (walkers(), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_cpus_choice_and_rows(device: Device, case: str) -> None:
    X, others = CASES[case]
    if case == "levels" and not device.emulated:
        made = device.get(DualSampler(random_state=0).fit(device.put(X)).sample(50))
        assert np.isin(made[:, 1], X[:, 1]).all()
        return
    host, there = DualSampler(random_state=0).fit(X, **others), DualSampler(random_state=0).fit(device.put(X), **others)
    assert there.choice_.why.splitlines()[:2] == host.choice_.why.splitlines()[:2]
    assert list(map(str, there.choices_.values())) == list(map(str, host.choices_.values()))
    np.testing.assert_allclose([c.criterion for c in there.criteria_], [c.criterion for c in host.criteria_], atol=TOLERANCE)
    made, info = host.sample(50, return_info=True)
    rows, told = there.sample(50, return_info=True)
    np.testing.assert_allclose(device.get(rows), made, atol=TOLERANCE)
    for name in ("f", "nearest", "distance", "novelty", "start"):
        np.testing.assert_allclose(device.get(getattr(told, name)), getattr(info, name), rtol=1e-6, err_msg=name)
    assert told.label is None if info.label is None else (told.label == info.label).all()
    np.testing.assert_allclose(device.get(there.sample(20, balanced=False)), host.sample(20, balanced=False), atol=TOLERANCE)
    for label in host.classes_ if "y" in others else ():
        of_class = host.sample(9, y=label, balanced=case == "classes")
        found = device.get(there.sample(9, y=label, balanced=case == "classes"))
        np.testing.assert_allclose(found, of_class, atol=TOLERANCE)
    if case == "constant":
        return  # where nothing is new
    new = host.sample(20, min_novelty=0.4)
    np.testing.assert_allclose(device.get(there.sample(20, min_novelty=0.4)), new, atol=TOLERANCE)
    assert there.n_rejected_ == host.n_rejected_


def test_in_small_blocks(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    X = device.put(series(30))
    whole = DualSampler(random_state=0).fit(X)
    made, info = whole.sample(40, return_info=True)
    for module, name, size in (
        (criterion, "ROWS_ON_DEVICE", 7),
        (criterion, "NUMBERS_ON_DEVICE", 0),
        (rung, "ROWS_ON_DEVICE", 7),
        (marginals, "NUMBERS_ON_DEVICE", 100),
        (_surroundings, "BLOCK_ON_DEVICE", 7),
        (neighborhoods, "BLOCK", 100),
        (novelty, "BLOCK", 100),
    ):
        monkeypatch.setattr(module, name, size)
    parts = DualSampler(random_state=0).fit(X)
    assert [str(tried) for tried in parts.criteria_] == [str(tried) for tried in whole.criteria_]
    again, told = parts.sample(40, return_info=True)
    np.testing.assert_allclose(device.get(again), device.get(made), atol=TOLERANCE)
    np.testing.assert_allclose(device.get(told.f), device.get(info.f), atol=1e-6)


@pytest.mark.parametrize("at_once", [4000, 1000])
def test_many_rows(device: Device, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fold of a part of the rows; of more than `at_once`, neighbours only of the rows that walks start from."""
    monkeypatch.setattr(neighborhoods, "ALL_AT_ONCE", at_once)
    X = np.random.default_rng(4).standard_normal((1600, 2)).cumsum(axis=1)
    groups = np.arange(1600) // 2 if at_once == 4000 else None
    host, there = (DualSampler(random_state=0).fit(rows, groups=groups) for rows in (X, device.put(X)))
    assert str(there.choice_) == str(host.choice_)
    np.testing.assert_allclose(device.get(there.sample(9)), host.sample(9), atol=TOLERANCE)


@pytest.mark.parametrize("walk", ["local", "mixture", "gradient", "renoised", "langevin"])
def test_every_walk(device: Device, walk: str) -> None:
    X, y = table(48, 4), np.arange(48) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        host, there = (DualSampler(walk, random_state=0).fit(rows, y) for rows in (X, device.put(X)))
        for asked in ({}, {"y": 1}):
            np.testing.assert_allclose(device.get(there.sample(12, **asked)), host.sample(12, **asked), atol=1e-6)


@pytest.mark.parametrize("walk", ["mixture", "langevin"])
def test_a_dual_of_the_users(device: Device, walk: str) -> None:
    X = table(40, 4)
    z = NormalScores().fit_transform(X)
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows, points in ((X, z), (device.put(X), device.put(z))):
            dual = MixtureDual.fit(points, n_components=2, shrinkage=0.5)
            sampler = DualSampler(walk, dual=dual, random_state=0).fit(rows)
            made += [sampler.sample(5), sampler.walk(rows[:3], n_steps=5).x] if walk == "langevin" else [sampler.sample(5)]
    for found, expected in zip(made[len(made) // 2 :], made, strict=False):
        np.testing.assert_allclose(device.get(found), expected, atol=1e-6)


def test_what_fit_and_sample_say_about_the_rows(device: Device) -> None:
    rng = np.random.default_rng(0)
    sampler = DualSampler("local", random_state=0)
    with pytest.warns(GroupedDataWarning, match="20 of 40 rows are exact copies of others"):
        sampler.fit(device.put(np.repeat(rng.standard_normal((20, 5)), 2, axis=0)))
    with pytest.warns(SmallSampleWarning, match="10 samples are few for 100 features"):
        sampler.fit(device.put(rng.standard_normal((10, 100))))
    with pytest.raises(ValueError, match="X must hold numbers below 1e100 in size; got 3e"):
        sampler.fit(device.put(1e150 * table()))
    with pytest.raises(ValueError, match="min_novelty must be within the sampler's reach; got 50"):
        sampler.fit(device.put(table())).sample(5, min_novelty=50.0)


def test_walks_and_explanations(device: Device) -> None:
    X = series()
    host, there = (DualSampler("local", random_state=0).fit(rows) for rows in (X, device.put(X)))
    f = device.get(there.sample(30, return_info=True)[1].f)
    for target in (None, float(np.median(f)), np.full(5, np.median(f))):
        walk, ours = host.walk(X[:5], target=target), there.walk(device.put(X[:5]), target=target)
        for name in ("x", "f", "n_steps", "reached", "trajectory"):
            np.testing.assert_allclose(device.get(getattr(ours, name)), getattr(walk, name), atol=1e-8, err_msg=name)
        for asked, told in (((walk,), (ours,)), ((walk.x,), (ours.x,)), ((X[:5], walk.x), (device.put(X[:5]), ours.x))):
            expected, found = host.explain(*asked), there.explain(*told)
            for name in ("movement", "f_change", "f_from", "f_to", "neighbors", "distances"):
                value = device.get(getattr(found, name))
                np.testing.assert_allclose(value, getattr(expected, name), atol=1e-7, err_msg=name)
    with pytest.raises(ValueError, match="target must be in"):
        there.walk(device.put(X[:5]), target=1e9)
    for found, expected in zip(there.nearest(device.put(X[:5] + 0.1)), host.nearest(X[:5] + 0.1), strict=True):
        np.testing.assert_allclose(device.get(found), expected, rtol=1e-9)
    np.testing.assert_allclose(device.get(there.training_distances()), host.training_distances())
    np.testing.assert_allclose(there.score(device.put(1.1 * X + 0.1)), host.score(1.1 * X + 0.1), rtol=1e-6)


def test_arrays_come_back_where_they_came_from(device: Device) -> None:
    X = table().astype(np.float32)
    there = DualSampler("local", random_state=0, device="cuda").fit(X)
    assert isinstance(there._rows, device.xp.ndarray)
    made, info = there.sample(7, return_info=True)
    assert isinstance(made, np.ndarray)
    assert made.dtype == there.X_.dtype == np.float32
    assert all(isinstance(array, np.ndarray) for array in (info.f, info.nearest, info.novelty, info.start, there.X_))
    assert isinstance(there.walk(X[:3], n_steps=2).trajectory, np.ndarray)
    assert device.get(there.walk(device.put(X[:3]), n_steps=2).trajectory).shape == (3, 3, 6)
    assert isinstance(there.nearest(X)[1], np.ndarray)
    own = DualSampler("local", random_state=0).fit(device.put(X), device.put(np.arange(40) % 2))
    np.testing.assert_array_equal(device.get(own.X_), X)
    np.testing.assert_array_equal(device.get(own.y_), np.arange(40) % 2)
    made, info = own.sample(6, y=device.put([1] * 6), return_info=True)
    assert device.get(made).dtype == np.float32
    assert device.get(info.label).tolist() == [1] * 6
    assert device.get(own.sample(0)).shape == (0, 6)


def test_where_arrays_must_be(device: Device) -> None:
    X = table()
    with pytest.raises(ValueError, match=r"X must be in the host's memory with device='cpu'.*X\.get\(\)"):
        DualSampler(device="cpu").fit(device.put(X))
    with pytest.raises(ValueError, match="device must be one of 'cpu', 'cuda'; got 'gpu'"):
        DualSampler(device="gpu").fit(X)
    there, host = DualSampler("local").fit(device.put(X)), DualSampler("local").fit(X)
    with pytest.raises(ValueError, match=r"X0 must be on the CUDA device.*cupy\.asarray\(X0\)"):
        there.walk(X)
    with pytest.raises(ValueError, match=r"X0 must be in the host's memory.*X0\.get\(\)"):
        host.walk(device.put(X))
    with pytest.raises(ValueError, match=r"impute works in the host's memory.*to_host\(\)"):
        there.impute(X)
    with pytest.raises(ValueError, match=r"sample\(given=\) works in the host's memory"):
        there.sample(2, given=X[0])
    with pytest.raises(ValueError, match="interpolate works in the host's memory"):
        there.interpolate(device.put(X[:1]), 0)


def test_without_kernels_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_device, "why_not", lambda: "no device here")
    with pytest.raises(ImportError, match="device='cuda' needs the CUDA kernels, which cannot be used: no device here"):
        DualSampler(device="cuda").fit(table())


def test_to_host_and_pickle(device: Device) -> None:
    X = table()
    there = DualSampler(random_state=0, device="cuda").fit(device.put(X))
    made = device.get(there.sample(9))
    again = pickle.loads(pickle.dumps(there))
    np.testing.assert_array_equal(device.get(again.sample(9)), made)
    host = there.to_host()
    assert host.to_host() is host
    assert host.device == "cpu"
    assert there.device == "cuda"
    np.testing.assert_allclose(host.sample(9), made, atol=TOLERANCE)
    known = X[:3].copy()
    known[:, 4:] = np.nan
    assert host.impute(known).shape == (3, 6)
    assert repr(DualSampler(device="cuda")) == "DualSampler(device='cuda')"
    assert DualSampler().set_params(device="cuda").get_params()["device"] == "cuda"


def test_what_crosses_between_the_memories_is_small(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """No array of rows x features crosses; what does is counted, and does not grow with the features."""
    if not device.emulated:
        pytest.skip("the emulated device counts")
    sizes: list[int] = []
    get, array = device.xp.ndarray.get, device.xp.array

    def counted_get(self: Any) -> np.ndarray:
        sizes.append(self.size)
        return get(self)

    def counted_array(value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, device.xp.ndarray):
            sizes.append(np.size(value))
        return array(value, *args, **kwargs)

    crossed = {}
    for n_features in (30, 60):
        X = device.put(np.random.default_rng(0).standard_normal((32, n_features)))
        sizes.clear()
        with monkeypatch.context() as patch:
            patch.setattr(device.xp.ndarray, "get", counted_get)
            patch.setattr(device.xp, "array", counted_array)
            there = DualSampler(random_state=0).fit(X)
            there.sample(64, min_novelty=0.1)
        crossed[n_features] = len(sizes)
        assert max(sizes) <= 1024  # which rows are in which fold
    assert crossed[60] <= 1.2 * crossed[30]


def test_a_ladder_climbed_with_the_kernels(device: Device, real_jobs: None) -> None:
    X = table(24, 3)
    host, there = DualSampler(random_state=0).fit(X), DualSampler(random_state=0).fit(device.put(X))
    assert str(there.choice_) == str(host.choice_)
    np.testing.assert_allclose(device.get(there.sample(24)), host.sample(24), atol=TOLERANCE)


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=str)
def test_marginals(device: Device, smoothing: Any) -> None:
    rows = series(18).reshape(18, -1)
    rows[:, 3], rows[:, 4], rows[:, 7] = np.round(rows[:, 3]), 2.0, np.round(rows[:, 7])
    host, there = (Marginals(some, (2, 6), smoothing) for some in (rows, device.put(rows)))
    np.testing.assert_allclose(device.get(there.table), host.table, atol=1e-12)
    rng = np.random.default_rng(3)
    points, pool = rng.standard_normal((9, 12)), np.sort(rng.standard_normal((40, 12)), axis=0)
    points[:, 4] = pool[:, 4] = 0.0
    expected = host.placed(points, pool, np.random.default_rng(4))
    found = there.placed(device.put(points), device.put(pool), np.random.default_rng(4))
    np.testing.assert_allclose(device.get(found), expected, atol=1e-12)


def test_values_half_way_between_two_levels_go_to_the_lower(device: Device) -> None:
    ordered, values = np.array([[0.0], [0.0], [1.0], [4.0]]), np.array([[-9.0], [0.5], [0.6], [1.0], [2.5], [2.6], [9.0]])
    found = observed_levels(device.put(values), device.put(ordered))
    assert device.get(found)[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 4.0, 4.0]


@pytest.mark.parametrize("space", ["scores", "standard"])
@pytest.mark.parametrize(
    "rung", [Rung(n_neighbors=7, metric="relative"), Rung(n_neighbors=None, pooled_noise=0.5), None], ids=str
)
def test_rungs(device: Device, rung: Rung | None, space: str) -> None:
    """Every kind of rung in both spaces; None: a class too small for a ladder."""
    rows = series(20).reshape(20, -1)
    rows[:, 4] = 2.0
    if device.emulated:
        rows = levels(rows, 3)
    rung = rung or Rung("standard", 19, balanced=False)
    made = []
    for some in (rows, device.put(rows)):
        walker = Walker(some, (2, 6), space if rung.balanced else "standard", Shared())
        for among in (None, np.arange(0, 20, 2)):
            made.append(walker.generate(rung, np.arange(0, 20, 2), np.random.default_rng(5), among=among))
    for found, expected in zip(made[2:], made[:2], strict=True):
        np.testing.assert_allclose(device.get(found), expected, atol=1e-10)
