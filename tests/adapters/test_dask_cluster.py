"""The Dask adapter on worker processes, one of which is killed in the middle of every job: nothing lost, nothing twice."""

from __future__ import annotations

import numpy as np
import pytest
from extras import needs

da = needs("dask.array")
needs("distributed")
needs("zarr")

import dask

import dualwalk as dw
import dualwalk.adapters.dask as dwd

from .dask_cluster import a_worker_dies, local_cluster, runs
from .dask_jobs import Told, deadly, n_threads


@pytest.fixture(scope="module", autouse=True)
def client():
    with local_cluster() as found:
        yield found


SETTINGS = {"cv": 2, "n_fits": 1, "random_state": 0}


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((90, 2, 3)).cumsum(axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def model(series) -> dw.DualDivergence:
    return dw.DualDivergence(**SETTINGS).fit(series)


def test_fits_of_many_data_sets(series, tmp_path):
    """One data set's task kills its worker; every fit is there once, in its place, with the bits of a fit without Dask."""
    data = [series[k : k + 50 + k] for k in range(0, 40, 8)]
    sent = [dask.delayed(deadly)(part, str(tmp_path), name=f"set{k}") for k, part in enumerate(data)]
    with a_worker_dies(tmp_path):
        fitted = dwd.fit_many(dw.DualDivergence(**SETTINGS), sent)
    assert len(fitted) == len(data)
    for one, part in zip(fitted, data, strict=True):
        alone = dw.DualDivergence(**SETTINGS).fit(part)
        np.testing.assert_array_equal(one.dual_values_, alone.dual_values_)
        assert one.divergence_ == alone.divergence_
    count = runs(tmp_path)
    assert set(count) == {f"set{k}" for k in range(len(data))}
    assert max(count.values()) >= 2


def test_bootstraps(series, tmp_path):
    X = da.from_array(series, chunks=(30, 2, 3)).map_blocks(deadly, str(tmp_path), dtype=series.dtype, meta=series[:0])
    with a_worker_dies(tmp_path):
        fitted = dwd.bootstrap(dw.DualDivergence(**SETTINGS), X, 4, seed=5)
    for k, one in enumerate(fitted):
        alone = dw.DualDivergence(**SETTINGS).fit(series[dwd.bootstrap_rows(90, k, seed=5)])
        np.testing.assert_array_equal(one.dual_values_, alone.dual_values_)


def test_samples_of_many_samplers(series):
    fitted = dwd.fit_many(dw.DualSampler(random_state=1), [series, (series[:60], np.arange(60) % 2)])
    made = dwd.sample_many(fitted, 70, seed=3)
    for new, X, y in zip(made, (series, series[:60]), (None, np.arange(60) % 2), strict=True):
        np.testing.assert_array_equal(new, dw.DualSampler(random_state=1).fit(X, y).sample(70, seed=3))


@pytest.mark.parametrize(("source", "target"), [(".npy", ".zarr"), (".zarr", ".npy")])
def test_terms_from_file_to_file(model, tmp_path, source, target):
    rows = np.random.default_rng(1).standard_normal((9000, 2, 3)).cumsum(axis=2).astype(np.float32)
    path = dwd.store(da.from_array(rows, chunks=(1500, 2, 3)), tmp_path / f"rows{source}")
    gate = tmp_path / "gate"
    gate.mkdir()
    x = dwd.open_array(path, chunks=(1500, 2, 3)).map_blocks(deadly, str(gate), dtype=rows.dtype, meta=rows[:0])
    with a_worker_dies(gate):
        dwd.store(dwd.node_terms(model, x), tmp_path / f"terms{target}")
    np.testing.assert_array_equal(dwd.open_array(tmp_path / f"terms{target}"), model.node_terms(rows))
    assert len(runs(gate)) == 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gate", f"rows{source}", f"terms{target}"]


def test_samples_to_a_file(series, tmp_path):
    """The blocks on the killed worker are made again: every row is there once, as in the one call."""
    sampler = dw.DualSampler(walk="local", random_state=0).fit(series)
    made = dwd.sample(sampler, 20_000, seed=4, chunks=3300)
    gate = tmp_path / "gate"
    gate.mkdir()
    made = made.map_blocks(deadly, str(gate), dtype=made.dtype, meta=series[:0])
    with a_worker_dies(gate):
        dwd.store(made, tmp_path / "new.npy")
    expected = sampler.sample(20_000, seed=4)
    np.testing.assert_array_equal(dwd.open_array(tmp_path / "new.npy"), expected)
    assert len(np.unique(expected.reshape(20_000, -1), axis=0)) == 20_000
    assert len(runs(gate)) == 7


def test_dependence_and_order(tmp_path):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 2600)) + rng.standard_normal((40, 50))[:, rng.integers(0, 50, 2600)]
    matrix, order = dw.dependence_matrix(X), dw.dependence_order(X)
    gates = [tmp_path / "a", tmp_path / "b"]
    x = da.from_array(X, chunks=(40, 1024))
    for gate in gates:
        gate.mkdir()
    with a_worker_dies(gates[0]):
        gated = x.map_blocks(deadly, str(gates[0]), dtype=float, meta=X[:0])
        path = dwd.store(dwd.dependence_matrix(gated, block=1024), tmp_path / "m.zarr")
    np.testing.assert_array_equal(dwd.open_array(path), matrix)
    with a_worker_dies(gates[1]):
        found = dwd.dependence_order(x.map_blocks(deadly, str(gates[1]), dtype=float, meta=X[:0]), block=1024)
    for name, value in vars(order).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_a_task_takes_one_thread(series):
    assert [one.n_threads_ for one in dwd.fit_many(Told(), [series] * 2)] == [1, 1]
    assert da.zeros(3, chunks=3).map_blocks(n_threads, dtype=float).compute()[0] >= 1  # the workers themselves have no limit


def test_an_error_names_its_data_set(series):
    with pytest.raises(ValueError, match="at least 8 samples; got 3") as caught:
        dwd.fit_many(dw.DualDivergence(**SETTINGS), [series, series[:3]])
    assert caught.value.__notes__ == ["in the fit to data set 1"]
