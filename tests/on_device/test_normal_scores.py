"""NormalScores on a device: the CPU's scores, in the memory that the rows came from."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from dualwalk import _device, _runs
from dualwalk.normal_scores import NormalScores, n_up_to
from on_device.kit import Device


def some_rows(kind: str, n: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, 5))
    if kind == "tied":
        rows = np.round(rows)
        rows[:, 2], rows[:, 3] = 1.5, np.where(rng.random(n) < 0.6, 0.0, rows[:, 3])
    return rows


@pytest.mark.parametrize("kind", ["continuous", "tied"])
@pytest.mark.parametrize("n", [8, 40])
def test_the_same_map_as_in_the_hosts_memory(device: Device, kind: str, n: int) -> None:
    X, rng = some_rows(kind, n), np.random.default_rng(1)
    new = np.vstack([X[:7], 3 * rng.standard_normal((9, 5)), np.full((1, 5), 1.5), np.full((2, 5), [[-99.0], [99.0]])])
    host, there = NormalScores().fit(X), NormalScores()
    np.testing.assert_array_equal(device.get(there.fit_transform(device.put(X))), host.transform(X))
    np.testing.assert_array_equal(device.get(there.tied_), host.tied_)
    np.testing.assert_array_equal(device.get(there.transform(device.put(X))), host.transform(X))
    np.testing.assert_allclose(device.get(there.transform(device.put(new))), host.transform(new), atol=1e-12)
    z = rng.standard_normal((20, 5))
    np.testing.assert_allclose(device.get(there.inverse_transform(device.put(z))), host.inverse_transform(z), atol=1e-12)


def test_shapes_dtypes_and_pickle(device: Device) -> None:
    X = some_rows("continuous").astype(np.float32).reshape(20, 2, 5)
    there = pickle.loads(pickle.dumps(NormalScores().fit(device.put(X))))
    back = there.inverse_transform(there.transform(device.put(X[:3])))
    assert back.shape == (3, 2, 5)
    assert back.dtype == np.float32
    np.testing.assert_allclose(device.get(back), X[:3], rtol=1e-6)


def test_rows_must_be_where_the_map_is(device: Device) -> None:
    X = some_rows("continuous")
    with pytest.raises(ValueError, match=r"X must be in the host's memory.*X\.get\(\)"):
        NormalScores().fit(X).transform(device.put(X))
    with pytest.raises(ValueError, match=r"z must be on the CUDA device.*cupy\.asarray\(z\)"):
        NormalScores().fit(device.put(X)).inverse_transform(X)


def test_bad_rows_on_a_device(device: Device) -> None:
    X = some_rows("continuous")
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"X must be finite; got nan at index \(3, 2\) and 1 such"):
        NormalScores().fit(device.put(X))
    with pytest.raises(ValueError, match="at least 8 samples; got 7"):
        NormalScores().fit(device.put(X[10:17]))
    assert NormalScores().fit(device.put(X[10:])).transform(device.put(np.empty((0, 5)))).shape == (0, 5)


def test_ranking_copies_nothing_to_the_host(device: Device) -> None:
    X = device.put(some_rows("continuous"))
    if device.emulated:
        before = device.xp.n_transfers
        z = NormalScores().fit_transform(X)
        assert device.xp.n_transfers <= before + 1  # the table of scores, up
        assert _device.is_on_device(z)


def test_runs_and_places(device: Device) -> None:
    ordered = np.sort(np.random.default_rng(2).integers(0, 9, (37, 4)).astype(float), axis=0)
    for here, there in zip(_runs.runs(ordered), _runs.runs(device.put(ordered)), strict=True):
        np.testing.assert_array_equal(device.get(there), here)
    values = np.random.default_rng(3).integers(-1, 11, (23, 4)).astype(float)
    expected = np.stack([np.searchsorted(a, b, "right") for a, b in zip(ordered.T, values.T, strict=True)], axis=1)
    np.testing.assert_array_equal(n_up_to(ordered, values), expected)
    np.testing.assert_array_equal(device.get(n_up_to(device.put(ordered), device.put(values))), expected)
