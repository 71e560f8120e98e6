"""Model files: a fitted model comes back with the same bits; `test_model_files_forged.py` has what must not come back."""

from __future__ import annotations

import io
import os
import stat
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from _series import series, two_classes
from model_kit import same, through

import dualwalk as dw
from dualwalk._model_file import codec, records_paths
from dualwalk._nodepath.conditionals import Dense, LowRank
from dualwalk._nodepath.greedy_net import GreedyNet
from dualwalk._nodepath.screen import Triples
from dualwalk._nodepath.tables import count_tables
from dualwalk._refine.choice import Refinement
from dualwalk._refine.mixture import Recipe, fit_mixture

GOLDEN = Path(__file__).parent / "golden"


def returned(model):
    """The model, written and read; written again, it gives the same file."""
    stream, second = io.BytesIO(), io.BytesIO()
    model.save(stream)
    again = dw.load(stream)
    again.save(second)
    assert second.getvalue() == stream.getvalue()
    return again


def unwarned(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


# everything comes back


@pytest.mark.parametrize("walk", ["auto", "local", "mixture", "gradient", "renoised", "langevin"])
def test_samplers_come_back(walk):
    model = unwarned(lambda: dw.DualSampler(walk, random_state=3).fit(series()))
    again = returned(model)
    same(model, again)
    assert repr(again) == repr(model)
    assert again.get_params() == model.get_params()
    assert again.choice_.why == model.choice_.why
    same(*(unwarned(lambda m=m: m.sample(7, return_info=True)) for m in (model, again)))


def test_a_sampler_with_labels_does_all_that_it_did():
    model, X, _ = two_classes()
    again = returned(model)
    same(model, again)
    for y in (None, "rare", "left"):
        same(model.sample(9, y=y, balanced=False), again.sample(9, y=y, balanced=False))
    same(model.sample(9, min_novelty=0.2), again.sample(9, min_novelty=0.2))
    holes = X[:4].copy()
    holes[:, 0] = np.nan
    same(model.impute(holes, 2, y=["left"] * 4), again.impute(holes, 2, y=["left"] * 4))
    same(model.sample(3, given=holes[0]), again.sample(3, given=holes[0]))
    same(model.walk(X[:3]), again.walk(X[:3]))
    same(model.explain(X[:3]), again.explain(X[:3]))
    same(model.interpolate(X[:2], X[40]), again.interpolate(X[:2], X[40]))
    same(model.nearest(X[:3]), again.nearest(X[:3]))
    same(returned(model), model)  # with what the calls have left behind: choices of completions, refused draws


@pytest.mark.parametrize("dtype", [np.float32, np.int16, ">f4", np.uint64])
def test_training_rows_keep_their_type(dtype):
    X = abs(1e3 * series()).round().astype(dtype) if np.dtype(dtype).kind != "f" else series().astype(dtype)
    model = unwarned(lambda: dw.DualSampler("local", random_state=0).fit(X, groups=np.arange(60) // 2))
    again = returned(model)
    same(model, again)
    same(model.X_, again.X_)
    same(model.groups_, again.groups_)


def test_whole_numbers_beyond_a_float_come_back_as_they_were_used():
    X = np.random.default_rng(0).integers(2**53, 2**64, size=(20, 3), dtype=np.uint64)
    X[0] = 2**64 - 1
    model = unwarned(lambda: dw.DualSampler("local", random_state=0).fit(X))
    same(model._rows, returned(model)._rows)


def test_channels_that_are_walked_apart_come_back():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((120, 2, 4)).cumsum(axis=2)
    model = unwarned(lambda: dw.DualSampler(random_state=0).fit(X))
    assert model.choice_.parts == "channels"
    again = returned(model)
    same(model, again)
    same(model.sample(9), again.sample(9))


@pytest.mark.parametrize("X", [series(n=50), np.round(series(n=50)), series(n=70, channels=1, times=1).repeat(2, axis=1)])
def test_divergences_come_back(X):
    model = unwarned(lambda: dw.DualDivergence(cv=2, n_fits=1, reverse=True, n_permutations=19, random_state=0).fit(X))
    again = returned(model)
    same(model, again)
    assert repr(again) == repr(model)
    for name in ("score_samples", "node_terms", "predict", "transform"):
        same(getattr(model, name)(X), getattr(again, name)(X), name)
    same(*(one.dual_.gradient(np.zeros((3, one.n_features_in_))) for one in (model, again)))


@pytest.mark.parametrize(
    "options", [{"blocks": (0, 1)}, {"blocks": np.arange(6) % 2}, {"method": "single"}, {"method": "single", "critic": "conv"}]
)
def test_divergences_of_other_kinds_come_back(options):
    X = series(n=40, channels=2, times=3)
    model = unwarned(lambda: dw.DualDivergence(cv=2, random_state=0, **options).fit(X))
    again = returned(model)
    same(model, again)
    same(model.score_samples(X), again.score_samples(X))


def test_all_that_may_be_part_of_a_path_comes_back():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(80, 6)) + rng.normal(size=(80, 1))
    parent = np.array([0, 0, 2, 1, 3])
    tables = count_tables(np.round(z), np.round(z), parent, 3.0)
    correlation = np.corrcoef(z.T)
    parts = [
        (records_paths.TABLES, replace(tables, weight=0.5)),
        (
            records_paths.REFINEMENT,
            Refinement(Recipe(2, "means", "common", 0.5), fit_mixture(z, Recipe(2, "means", "common", 0.5)), 0.2, 0.1),
        ),
        (records_paths.CONDITIONALS, Dense.of(correlation)),
        (records_paths.CONDITIONALS, LowRank.of(np.full((6, 2), 0.3), np.full(6, 0.5))),
        (records_paths.CONDITIONALS, GreedyNet.grow(correlation, 80, 3).first(2)),
        (records_paths.TRIPLES, Triples(np.array([3, 5]), np.array([0, 1]), np.array([2, 3]), np.array([0.5, -0.4]))),
    ]
    for record, part in parts:
        same(through(record, part), part)


@pytest.mark.parametrize("nodes", ["density", "contrastive"])
def test_both_kinds_of_nodes_come_back(nodes):
    X = series(n=50)
    model = unwarned(lambda: dw.DualDivergence(cv=2, n_fits=2, nodes=nodes, random_state=0).fit(X))
    again = returned(model)
    same(model, again)
    same(model.score_samples(X), again.score_samples(X))


def test_constant_columns_and_one_column_come_back():
    for X in (np.zeros((20, 1)), np.column_stack([np.arange(20.0), np.ones(20)])):
        model = unwarned(lambda X=X: dw.DualDivergence(random_state=0).fit(X))
        same(model, returned(model))


def test_a_fit_with_one_row_held_out_has_no_standard_error_and_comes_back():
    X = np.random.default_rng(0).normal(size=(9, 2))
    model = unwarned(lambda: dw.DualDivergence(cv=1, reverse=True, random_state=0).fit(X))
    assert np.isnan(model.divergence_se_)
    same(model, returned(model))


def duals():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 3))
    near = np.arange(12).reshape(2, 6)
    mixture = dw.MixtureDual.fit(points)
    local = dw.LocalDual(points, near, shrinkage=0.3)
    yield mixture
    yield mixture.at(0.25).density("normal")
    yield dw.MixtureDual([0.5, 0.5], rng.normal(size=(2, 3)), [np.eye(3)] * 2)
    yield local
    yield local.in_deviations()
    yield local.density("marginals")
    yield dw.MLPDual([rng.normal(size=(4, 3)).T.copy().T, rng.normal(size=(1, 4))], [np.zeros(4), np.ones(1)])
    yield dw.LocalCovariance(points, near, shrinkage=0.1)
    yield dw.LocalCovariance.from_matrix(np.cov(points.T))
    yield dw.NodeDual([], 3)


@pytest.mark.parametrize("dual", list(duals()), ids=lambda dual: type(dual).__name__)
def test_dual_functions_come_back(dual):
    again = returned(dual)
    same(dual, again)
    x = np.random.default_rng(1).normal(size=(2, 3))
    if isinstance(dual, dw.LocalCovariance):
        same(dual.apply(x), again.apply(x))
    else:
        same(dual.value_and_gradient(x), again.value_and_gradient(x))
    assert type(type(dual).load(io.BytesIO(saved(dual)))) is type(dual)


def saved(model):
    stream = io.BytesIO()
    model.save(stream)
    return stream.getvalue()


def test_a_dual_of_ours_in_a_sampler():
    dual = dw.MixtureDual([1.0], np.zeros((1, 10)), [np.eye(10)])
    for walk in ("langevin", "mixture"):
        model = unwarned(lambda walk=walk: dw.DualSampler(walk, dual=dual, random_state=0).fit(series()))
        again = returned(model)
        same(*(unwarned(lambda m=m: m.sample(5)) for m in (model, again)))


@pytest.mark.parametrize("X", [series(), series().astype(np.float32), np.round(series())[:, 0]])
def test_normal_scores_come_back(X):
    model = dw.NormalScores().fit(X)
    again = returned(model)
    same(model, again)
    same(model.transform(X), again.transform(X))
    same(model.inverse_transform(model.transform(X)), again.inverse_transform(model.transform(X)))


class Frame:
    """A table with names, as estimators see a data frame."""

    columns = ("left", "right", "größe")

    def __init__(self, rows):
        self.rows = rows

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.rows, dtype=dtype)


@pytest.mark.parametrize("kind", [dw.NormalScores, dw.DualDivergence, lambda: dw.DualSampler("local")])
def test_names_of_columns_come_back(kind):
    model = unwarned(lambda: kind().fit(Frame(np.random.default_rng(0).normal(size=(50, 3)))))
    if hasattr(model, "set_output"):
        model.set_output(transform="pandas")
    again = returned(model)
    same(model, again)
    assert again.feature_names_in_.tolist() == list(Frame.columns)


@pytest.mark.parametrize(
    "state",
    [
        None,
        7,
        np.int64(7),
        *(np.random.Generator(bits(5)) for bits in (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox)),
        *(np.random.Generator(bits(5)) for bits in (np.random.SFC64, np.random.MT19937)),
        np.random.RandomState(5),
    ],
    ids=repr,
)
def test_random_states_come_back(state):
    if isinstance(state, (np.random.Generator, np.random.RandomState)):
        state.standard_normal(3)  # RandomState keeps one of a pair
    model = unwarned(lambda: dw.DualSampler("local", random_state=state).fit(series()))
    again = returned(model)
    if state is None:
        assert again.random_state is None
        assert again._fresh
    elif isinstance(state, (int, np.integer)):
        assert again.random_state == 7
    else:
        same(state, again.random_state)
        assert state.standard_normal() == again.random_state.standard_normal()
    same(model.sample(4, seed=1), again.sample(4, seed=1))


# what cannot be saved is said before anything is written


class OwnDual:
    def value_and_gradient(self, x):
        return -0.5 * (x**2).sum(axis=1), -x


class OwnSampler(dw.DualSampler):
    pass


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(b"old")
    own = unwarned(lambda: dw.DualSampler("langevin", dual=OwnDual(), random_state=0).fit(series()))
    with pytest.raises(TypeError, match=r"dual must be one of NodeDual.*got OwnDual, whose code no file can hold \(keep"):
        own.save(path)
    with pytest.raises(TypeError, match="got OwnSampler"):
        unwarned(lambda: OwnSampler("local", random_state=0).fit(series())).save(path)
    for model in (dw.DualSampler(), dw.DualDivergence(), dw.NormalScores()):
        with pytest.raises(dw.NotFittedError):
            model.save(path)
    scores = dw.NormalScores().fit(series())
    odd = unwarned(lambda: dw.DualSampler("local", random_state=0).fit(series())).set_params(n_neighbors=[3])
    with pytest.raises(TypeError, match=r"n_neighbors must be a number, a text or None to be saved; got \[3\]"):
        odd.save(path)
    for bad, match in (("model.pkl", r"must end in \.npz"), ("none/model.npz", "folder that exists")):
        with pytest.raises(ValueError, match=match):
            scores.save(tmp_path / bad)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def test_what_could_not_be_read_back_is_not_written():
    model = dw.NormalScores().fit(series())
    model._ordered = model._ordered[::-1]
    with pytest.raises(
        RuntimeError, match=r"could not be read back: .*the columns of ordered must not fall \(please report it\)"
    ):
        model.save(io.BytesIO())


# written whole or not at all: `test_atomic.py` kills the writer


def test_files_links_and_permissions(tmp_path):
    model, other = dw.NormalScores().fit(series()), dw.NormalScores().fit(series(seed=1))
    path, link = tmp_path / "model.npz", tmp_path / "link.npz"
    model.save(str(path))
    assert path.read_bytes() == saved(model)
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
        path.chmod(0o640)
        link.symlink_to("model.npz")
        other.save(link)
        assert link.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        same(dw.NormalScores.load(path), other)
    with pytest.raises(FileNotFoundError):
        dw.load(tmp_path / "none.npz")
    with pytest.raises(dw.ModelFileError, match="is a folder"):
        dw.load(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    dw.NormalScores().fit(series()).save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space"):
        dw.NormalScores().fit(series(seed=1)).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


# files that earlier versions wrote


def test_every_class_has_a_golden_file():
    kinds = {type(dw.load(path)).__name__ for path in GOLDEN.glob("*.npz")}
    assert kinds == set(codec.MODELS.records)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.npz")), ids=lambda path: path.stem)
def test_golden_files_load_and_do_what_they_did(path):
    from golden.make import EXPECTED, outputs

    model = dw.load(path)
    with np.load(EXPECTED, allow_pickle=False) as expected:
        for name, found in outputs(model).items():
            np.testing.assert_allclose(found, expected[f"{path.stem}.{name}"], rtol=1e-4, atol=1e-5)
