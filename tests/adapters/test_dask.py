"""The Dask adapter on threads: the bits of the calls without Dask, files whole or not there, and little memory."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from extras import needs

da = needs("dask.array")
zarr = needs("zarr")

import cloudpickle
import dask

import dualwalk as dw
import dualwalk.adapters.dask as dwd

WIDE = (40, 2100)


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((90, 2, 3)).cumsum(axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((5000, 2, 3)).cumsum(axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def model(series) -> dw.DualDivergence:
    return dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(series)


@pytest.fixture(scope="module")
def sampler(series) -> dw.DualSampler:
    return dw.DualSampler(walk="local", random_state=0).fit(series, np.arange(90) % 3)


@pytest.mark.parametrize("method", ["score_samples", "transform", "predict", "node_terms"])
@pytest.mark.parametrize("chunks", [(5000, 2, 3), (1024, 2, 3), (700, 1, 2), ((1, 4000, 999), 2, 3)])
def test_rows_in_any_chunks(model, rows, method, chunks):
    found, expected = getattr(dwd, method)(model, da.from_array(rows, chunks=chunks)), getattr(model, method)(rows)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.compute(), expected)


@pytest.mark.parametrize("settings", [{"method": "single"}, {"blocks": [0, 0, 0, 1, 1, 1]}])
@pytest.mark.filterwarnings("ignore::dualwalk.UnsupportedEstimateWarning")
def test_rows_of_models_whose_products_round_by_their_shape(series, rows, settings):
    model = dw.DualDivergence(cv=2, n_fits=1, random_state=0, **settings).fit(series.reshape(90, 6))
    x = rows.reshape(-1, 6)
    found = dwd.score_samples(model, da.from_array(x, chunks=(7, 6)))
    np.testing.assert_array_equal(found.compute(), model.score_samples(x))


@pytest.mark.parametrize("chunks", [1024, 5000, 999, (4999, 2, 4000)])
def test_samples_in_any_chunks(sampler, chunks):
    made = dwd.sample(sampler, 9001, chunks=chunks)
    assert (made.shape, made.dtype) == ((9001, 2, 3), np.float32)
    np.testing.assert_array_equal(made.compute(), sampler.sample(9001))


@pytest.mark.parametrize("y", [2, np.random.default_rng(3).integers(0, 3, 3000)])
def test_samples_of_labels(sampler, y):
    np.testing.assert_array_equal(dwd.sample(sampler, 3000, y, seed=8, chunks=1000), sampler.sample(3000, y, seed=8))


def test_samples_of_a_sampler_without_a_seed(series):
    """The blocks are of one call, though each call is another."""
    made = dwd.sample(dw.DualSampler(walk="local").fit(series), 200, chunks=40)
    np.testing.assert_array_equal(made.compute(), made.compute())


def test_what_blocks_of_samples_cannot_be(series, sampler):
    with pytest.raises(ValueError, match="needs walk='auto' or 'local'"):
        dwd.sample(dw.DualSampler(walk="langevin", random_state=0).fit(series), 10)
    with pytest.raises(ValueError, match="labels seen in fit"):
        dwd.sample(sampler, 10, 7)
    with pytest.raises(dw.NotFittedError):
        dwd.sample(dw.DualSampler(), 10)


def test_fits_and_samples_of_many(series):
    sets = [series, (series[:50], np.arange(50) % 2), da.from_array(series[20:], chunks=(9, 2, 3))]
    fitted = dwd.fit_many(dw.DualSampler(random_state=np.random.default_rng(6)), sets)
    one_stream = np.random.default_rng(6)
    alone = [dw.DualSampler(random_state=one_stream).fit(*data) for data in ((series,), sets[1], (series[20:],))]
    for new, expected in zip(dwd.sample_many(fitted, 33), (one.sample(33) for one in alone), strict=True):
        np.testing.assert_array_equal(new, expected)


def test_bootstraps_of_groups(series):
    groups = np.arange(90) // 3
    drawn = dwd.bootstrap_rows(90, 1, seed=2, groups=groups)
    assert set(np.bincount(groups[drawn])) == {0, 3}
    assert not np.array_equal(drawn, dwd.bootstrap_rows(90, 0, seed=2, groups=groups))
    sampler = dw.DualSampler(walk="local", random_state=0)
    fitted = dwd.bootstrap(sampler, series, 2, seed=2, groups=groups)
    np.testing.assert_array_equal(fitted[1].groups_, groups[drawn])
    np.testing.assert_array_equal(fitted[1].X_, series[drawn])
    share = np.mean([len(dwd.bootstrap_rows(1000, k, seed=0)) for k in range(50)]) / 1000
    assert share == pytest.approx(1 - np.exp(-1), abs=0.01)


@pytest.mark.parametrize("form", [np.asarray, lambda X: X.reshape(40, 3, 700), lambda X: da.from_array(X, chunks=(7, 500))])
def test_dependence_in_blocks(form):
    rng = np.random.default_rng(2)
    X = rng.standard_normal(WIDE) + rng.standard_normal((40, 9))[:, rng.integers(0, 9, WIDE[1])]
    matrix = dwd.dependence_matrix(form(X), block=1024)
    np.testing.assert_array_equal(matrix.compute(), dw.dependence_matrix(X))
    found, expected = dwd.dependence_order(form(X), block=2048), dw.dependence_order(X)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_what_dependence_cannot_use():
    with pytest.raises(ValueError, match=r"block must be a multiple of 1024; got 1000 \(pass 1024\)"):
        dwd.dependence_matrix(np.zeros((9, 4)), block=1000)
    with pytest.raises(ValueError, match="at least 8 samples; got shape"):
        dwd.dependence_order(np.zeros((7, 4)))
    with pytest.raises(ValueError, match="X must be finite"):
        dwd.dependence_order(np.full((9, 3), np.nan))


@pytest.mark.parametrize("ending", [".npy", ".zarr"])
@pytest.mark.parametrize("shape", [(10,), (7, 5), (4, 3, 6), (0, 3)])
def test_files_there_and_back(tmp_path, ending, shape):
    values = np.random.default_rng(0).standard_normal(shape)
    array = da.from_array(values, chunks=[(1, size - 1) if size > 1 else (size,) for size in shape])
    path = dwd.store(array, tmp_path / f"a{ending}")
    np.testing.assert_array_equal(np.load(path) if ending == ".npy" else zarr.open_array(str(path), mode="r")[...], values)
    np.testing.assert_array_equal(dwd.open_array(path).compute(), values)
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        dwd.store(array, path)
    dwd.store(array + 1, path, overwrite=True)
    np.testing.assert_array_equal(dwd.open_array(path).compute(), values + 1)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{ending}"]


@pytest.mark.parametrize("ending", [".npy", ".zarr"])
def test_a_call_that_fails_leaves_nothing_or_what_was_there(tmp_path, ending):
    def fail(block, block_info=None):
        if block_info[0]["chunk-location"] == (3,):
            raise RuntimeError("no such block")
        return block

    path = tmp_path / f"a{ending}"
    broken = da.ones(50, chunks=10).map_blocks(fail, dtype=float, meta=np.empty(0))
    with pytest.raises(RuntimeError, match="no such block"):
        dwd.store(broken, path)
    assert not list(tmp_path.iterdir())
    dwd.store(da.zeros(3), path)
    with pytest.raises(RuntimeError, match="no such block"):
        dwd.store(broken, path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert not dwd.open_array(path).compute().any()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_call_leaves_no_half_file_and_is_called_again(tmp_path):
    script = """
        import sys, time, numpy as np, dask.array as da, dualwalk.adapters.dask as dwd
        def slow(block, block_info=None):
            if block_info[0]["chunk-location"] == (3,):
                print("half", flush=True)
                time.sleep(60)
            return block
        dwd.store(da.ones(40, chunks=10).map_blocks(slow, dtype=float, meta=np.empty(0)), sys.argv[1])
    """
    path = tmp_path / "a.npy"
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        time.sleep(0.1)
        writer.send_signal(signal.SIGKILL)
    assert [p.name.startswith(".dualwalk-") for p in tmp_path.iterdir()] == [True]
    dwd.store(da.ones(40, chunks=10), path)
    np.testing.assert_array_equal(np.load(path), np.ones(40))


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import dask, numpy as np, dask.array as da
import dualwalk.adapters.dask as dwd

path = Path(sys.argv[1])
arrays = [da.full((200, 50), k, chunks=(50, 50)) for k in (0.0, 1.0)]
dask.config.set(scheduler="synchronous")
began = time.perf_counter()
for array in arrays:
    dwd.store(array, path, overwrite=True)
    longest = time.perf_counter() - began
chance = random.Random(0)
for _ in range(40):
    child = os.fork()
    if child == 0:
        while True:
            for array in arrays:
                dwd.store(array, path, overwrite=True)
    time.sleep(chance.uniform(0.0, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = np.load(path)
    assert found.shape == (200, 50) and (found == found[0, 0]).all(), "neither the old nor the new file"
print(len(list(path.parent.glob(".dualwalk-*.part.npy"))))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is POSIX's")
def test_killed_at_any_instant_a_store_leaves_the_old_file_or_the_new_one(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3, "few of the kills came while a file was being written"


class Exploit:
    def __init__(self, trap):
        self.trap = trap

    def __reduce__(self):
        return os.mkdir, (str(self.trap),)


@pytest.mark.parametrize("codec", ["pickle", "\\u0070ickle"])
@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_pickles_in_files_are_never_loaded(tmp_path, codec, place):
    folder, trap = tmp_path / "a.zarr", tmp_path / "trap"
    folder.mkdir()
    entry = f'{{"id": "{codec}", "protocol": 4}}'
    codecs = f'"compressor": {entry}, "filters": null' if place == "compressor" else f'"compressor": null, "filters": [{entry}]'
    shape = '"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<f8", "fill_value": 0, "order": "C"'
    (folder / ".zarray").write_text(f"{{{shape}, {codecs}}}")
    (folder / "0").write_bytes(pickle.dumps(Exploit(trap)))
    with pytest.raises(ValueError, match=r"got pickled numbers, which can run code and are never loaded \(store"):
        dwd.open_array(folder)
    np.save(tmp_path / "objects.npy", np.array([Exploit(trap)]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        dwd.open_array(tmp_path / "objects.npy")
    assert not trap.exists()


def test_damaged_files_are_one_error(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(12.0).reshape(4, 3))
    good = path.read_bytes()
    np.savez(tmp_path / "a.npz", X=np.zeros(3))
    rng = np.random.default_rng(0)
    damaged = [good[:length] for length in (0, 5, 9, 60, 128, len(good) - 1)] + [(tmp_path / "a.npz").read_bytes()]
    for _ in range(300):
        changed = bytearray(good)
        changed[rng.integers(128)] = rng.integers(256)
        damaged.append(bytes(changed))
    n_refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            dwd.open_array(path)
        except ValueError as error:
            n_refused += 1
            message = str(error)
            assert message.startswith(f"{path} must hold an array"), message
    assert n_refused > 100
    (tmp_path / "b.zarr").mkdir()
    for content in (b"{", b"[]", b'{"zarr_format": 2, "shape": "x"}', b'{"zarr_format": 9}', b"\xff"):
        (tmp_path / "b.zarr" / ".zarray").write_bytes(content)
        with pytest.raises((ValueError, FileNotFoundError), match=r"b\.zarr"):
            dwd.open_array(tmp_path / "b.zarr")


def test_what_files_cannot_be(tmp_path, model):
    with pytest.raises(ValueError, match=r"must end in .npy or .zarr; got 'a.csv'"):
        dwd.open_array(tmp_path / "a.csv")
    with pytest.raises(ValueError, match=r"must end in .npy or .zarr; got 'a.csv'"):
        dwd.store(da.ones(3), tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError):
        dwd.open_array(tmp_path / "a.npy")
    np.save(tmp_path / "objects.npy", np.array([{}]))
    with pytest.raises(ValueError, match="Python objects"):
        dwd.open_array(tmp_path / "objects.npy")
    x = da.ones((9, 2, 3), chunks=3)
    with pytest.raises(ValueError, match="chunks of known size"):
        dwd.score_samples(model, x[x[:, 0, 0] > 0])
    with pytest.raises(ValueError, match=r"shape seen in fit, \(2, 3\); got \(3, 2\)"):
        dwd.score_samples(model, da.ones((9, 3, 2)))
    with pytest.raises(dw.NotFittedError):
        dwd.score_samples(dw.DualDivergence(), x)


def test_a_model_is_in_the_graph_once(model, sampler):
    """However many blocks there are: what is sent is the model, and little for each block."""
    for one, lazy in (
        (model, dwd.node_terms(model, da.zeros((100_000, 2, 3), chunks=(1024, 2, 3)))),
        (sampler, dwd.sample(sampler, 100_000, chunks=1024)),
    ):
        (graph,) = dask.optimize(lazy)
        sizes = sorted(len(cloudpickle.dumps(task)) for task in dict(graph.__dask_graph__()).values())
        assert lazy.npartitions == 98
        assert sizes[-2] < 5000 < len(cloudpickle.dumps(one)) <= sizes[-1]


def test_arrays_larger_than_memory(tmp_path):
    """51 MB of samples to a file and 102 MB of terms from it to another, in a process that may grow by 45 MB."""
    script = """
        import resource, sys, numpy as np, dask, dualwalk as dw, dualwalk.adapters.dask as dwd, zarr
        rng = np.random.default_rng(0)
        X = np.zeros((60, 64), dtype=np.float32)  # two columns vary: there is little to compute, and all to move
        X[:, :2] = rng.standard_normal((60, 1)) + rng.standard_normal((60, 2))
        sampler = dw.DualSampler(walk="local", random_state=0).fit(X)
        model = dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
        dwd.store(dwd.score_samples(model, dwd.sample(sampler, 10_000, chunks=5000)), sys.argv[1] + "/warm.zarr")
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        before = peak()
        with dask.config.set(scheduler="threads", num_workers=2):
            made = dwd.store(dwd.sample(sampler, 200_000, chunks=8192), sys.argv[1] + "/new.npy")
            dwd.store(dwd.node_terms(model, dwd.open_array(made, chunks=(8192, 64))), sys.argv[1] + "/terms.zarr")
        print(peak() - before)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), str(tmp_path)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert (tmp_path / "new.npy").stat().st_size > 51e6
    assert grown < 45e6
