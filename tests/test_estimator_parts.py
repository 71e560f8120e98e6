"""What `DualDivergence` asks of its parts and what it makes of their answers, on fits that take a moment."""

from __future__ import annotations

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from dualwalk import _memory, dualspace, estimator
from dualwalk._blocks.fit import fit_blocks
from dualwalk._copies import CopiedRowsWarning
from dualwalk._estimator import SmallSampleWarning
from dualwalk._infinite import InfiniteDivergenceWarning
from dualwalk._nodepath.fit import fit_paths
from dualwalk._nodepath.fold import folds
from dualwalk._reverse import reverse_divergence
from dualwalk._single.calibration import UnsupportedEstimateWarning
from dualwalk._single.fit import fit_single
from dualwalk.estimator import DualDivergence, _printer, rows_at_once
from dualwalk.independence import independence_test
from dualwalk.normal_scores import NormalScores

SEED = 3


def rows(n: int = 60, d: int = 4) -> np.ndarray:
    """A chain of columns, each with the one before it: a correlation of 0.7."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((n, d))
    for k in range(1, d):
        X[:, k] = 0.7 * X[:, k - 1] + np.sqrt(0.51) * X[:, k]
    return X


def quick(**settings: object) -> DualDivergence:
    return DualDivergence(**{"cv": 2, "n_fits": 1, "random_state": SEED, "n_threads": 1, **settings})


@pytest.fixture(scope="module")
def one_split() -> DualDivergence:
    """A fifth of the rows held out."""
    return quick(cv=1, confidence_level=0.9).fit(rows())


def test_numbers_are_those_of_the_rows_held_out(one_split: DualDivergence) -> None:
    model, held_out = one_split, one_split.dual_values_[one_split.held_out_]
    assert len(held_out) == 12
    assert model.divergence_held_out_ == held_out.mean()
    assert model.divergence_se_ == pytest.approx(np.sqrt(((held_out - held_out.mean()) ** 2).sum() / 11 / 12))
    assert model.end_points_.tolist() == [held_out.min(), held_out.max()]
    space = dualspace.find_clusters(held_out)
    np.testing.assert_array_equal(model.cuts_, space.cuts)
    np.testing.assert_array_equal(model.cut_valleys_, space.valleys)
    np.testing.assert_array_equal(model.labels_, (model.dual_values_[:, None] > space.cuts).sum(axis=1))


@pytest.mark.parametrize(("level", "luck"), [(0.9, 1.2815515655446004), (0.5, 0.0), (0.3, -0.5244005127080409)])
def test_rank_noise_makes_up_for_luck_alone(level: float, luck: float) -> None:
    """The limit is `luck` standard errors (a quantile of the normal distribution) and the rank noise away, or `luck` at most."""
    model = quick(confidence_level=level).fit(rows())
    assert -luck * model.divergence_se_ < model.rank_noise_ < 0 or luck <= 0
    away = luck * model.divergence_se_ + (model.rank_noise_ if luck > 0 else 0.0)
    assert model.divergence_lower_ == pytest.approx(model.divergence_held_out_ - away, rel=1e-12)
    outside = int(61 * (1 - level) / 2)  # of 60 rows held out, at either end: (n + 1) (1 - level) / 2
    ordered = np.sort(model.dual_values_)
    assert model.end_points_.tolist() == [ordered[outside - 1], ordered[-outside]]


@pytest.mark.parametrize("settings", [{"nodes": "density", "cv": 2}, {"nodes": "contrastive", "cv": 1, "n_fits": 2}, {"cv": 3}])
def test_a_path_is_asked_for_as_set(settings: dict) -> None:
    X = rows()
    model = quick(confidence_level=0.8, **settings).fit(X)
    z = NormalScores().fit_transform(X)
    found = fit_paths(
        X,
        z,
        np.arange(4),
        folds(len(X), settings["cv"], SEED),
        n_fits=settings.get("n_fits", 1),
        kind=settings.get("nodes", "auto"),
        seed=SEED,
        n_threads=1,
    )
    np.testing.assert_array_equal(model.dual_values_, found.held_out)
    assert model.divergence_ == found.estimate()
    assert model.divergence_training_ == found.trained.mean()
    assert model.rank_noise_ == found.rank_noise
    assert model.base_names_ == tuple(path.base for path in found.paths)
    np.testing.assert_array_equal(model.dependence_graph_.nats, found.graph().nats)
    np.testing.assert_array_equal(model.training_end_points_, dualspace.end_points(found.trained, 0.8))
    np.testing.assert_array_equal(model.normal_scores_.transform(X), z)
    np.testing.assert_array_equal(model.score_samples(X[:3]), found.dual().value(z[:3]))
    assert model.feature_shape_ == (4,)
    assert model.n_features_in_ == 4
    assert model.determined_ == ()


@pytest.mark.filterwarnings("ignore::dualwalk.UnsupportedEstimateWarning")
@pytest.mark.parametrize(("critic", "loss"), [("mlp", "logistic"), ("conv", "dv")])
def test_a_single_critic_is_asked_for_as_set(critic: str, loss: str) -> None:
    X = rows().reshape(60, 2, 2)
    model = quick(cv=1, method="single", critic=critic, loss=loss).fit(X)
    z = NormalScores().fit_transform(X.reshape(60, 4))
    found = fit_single(z, folds(60, 1, SEED), critic=critic, loss=loss, feature_shape=(2, 2), seed=SEED)
    np.testing.assert_array_equal(model.dual_values_, found.held_out)
    assert model.divergence_ == found.held_out.mean()
    assert model.divergence_training_ == found.trained.mean()
    np.testing.assert_array_equal(model.score_samples(X[:3]), found.dual.value(z[:3]))
    assert model.normal_scores_.feature_shape_ == (2, 2)
    np.testing.assert_array_equal(model.normal_scores_.transform(X), z.reshape(60, 2, 2))
    assert model.rank_noise_ == 0.0
    assert model.base_names_ == ()
    assert model.dependence_graph_ is None


def test_blocks_are_asked_for_as_set() -> None:
    X, labels = rows(), np.array([5, 5, 2, 2])
    X[:, 2:] = X[:, :2] + 0.5 * X[:, 2:]
    z = NormalScores().fit_transform(X)
    found = fit_blocks(z, labels, folds(60, 2, SEED), seed=SEED)
    with pytest.warns(UnsupportedEstimateWarning, match=f"60 rows support: .* low by {found.own_part:.1f} nats"):
        model = quick(blocks=labels, n_permutations=19, reverse=True, confidence_level=0.8).fit(X)
    assert (found.held_out != 0).all()
    np.testing.assert_array_equal(model.dual_values_, found.held_out)
    assert model.divergence_ == found.estimate
    assert model.divergence_training_ == found.trained_values.mean()
    assert model.dependence_graph_ is None
    test = independence_test(X, blocks=labels, n_permutations=19, random_state=SEED)
    assert model.p_value_ == test.p_value
    other = reverse_divergence(model.dual_, z, SEED, held_out=model.dual_values_, confidence_level=0.8, blocks=labels)
    assert model.reverse_divergence_ == other.value
    assert model.reverse_divergence_se_ == other.se
    assert model.reverse_divergence_lower_ == other.lower


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [7, 1, 3, 2]])
def test_blocks_of_one_column_are_the_path(labels: list[int]) -> None:
    X = rows()
    np.testing.assert_array_equal(quick(blocks=labels).fit(X).dual_values_, quick().fit(X).dual_values_)
    X[:, 1] = 2 * X[:, 0]
    with pytest.warns(InfiniteDivergenceWarning, match="infinite: 0, 1 "):
        model = quick(blocks=labels).fit(X)
    assert model.determined_ == ((0, 1),)
    assert model.divergence_ == np.inf
    assert quick(blocks=[0, 0, 1, 1]).fit(X).determined_ == ()  # inside a block nothing counts


def test_columns_of_one_varying_block_are_zero_and_their_graph_is_empty() -> None:
    X = rows()
    X[:, 2:] = 1.0
    calls: list[tuple[int, int, str]] = []
    model = quick(blocks=[0, 0, 1, 1]).fit(X, progress=lambda *call: calls.append(call))
    assert model.divergence_ == model.divergence_training_ == model.rank_noise_ == 0.0
    np.testing.assert_array_equal(model.dual_values_, np.zeros(60))
    graph = model.dependence_graph_
    assert graph.order.tolist() == [0, 1, 2, 3]
    assert graph.parents.tolist() == [-1] * 4
    assert graph.nats.tolist() == [0.0] * 4
    assert calls == [(100, 100, "estimating the divergence")]
    assert model.node_terms(X[:2]).tolist() == [[0.0] * 4] * 2


@pytest.mark.filterwarnings("ignore::dualwalk.UnsupportedEstimateWarning")
@pytest.mark.parametrize("settings", [{"method": "single"}, {"blocks": [0, 0, 1, 1]}])
def test_progress_of_one_critic_and_of_blocks_ends_at_a_hundred(settings: dict) -> None:
    calls: list[tuple[int, int, str]] = []
    quick(**settings).fit(rows(), progress=lambda *call: calls.append(call))
    assert calls[-1] == (100, 100, "estimating the divergence")


def test_progress_ends_at_a_hundred_and_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[tuple[int, int, str]] = []
    quick(verbose=True).fit(rows(), progress=lambda *call: calls.append(call))
    assert capsys.readouterr().err == ""  # whoever listens prints for himself
    assert calls[-1] == (100, 100, "estimating the divergence")
    assert {call[1:] for call in calls} == {(100, "estimating the divergence")}
    quick(verbose=True, blocks=[0, 0, 0, 0]).fit(rows())
    assert capsys.readouterr().err == "dualwalk: estimating the divergence 100 %\n"
    quick(verbose=True).fit(rows())
    shares = [int(line.split()[-2]) // 10 for line in capsys.readouterr().err.splitlines()]
    assert shares[0] == 0
    assert shares == sorted(set(shares))  # once in every tenth


def test_a_line_is_printed_at_once_for_every_tenth_that_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the steps are that lead there."""
    shown: list[str] = []
    stream = SimpleNamespace(write=shown.append, flush=lambda: shown.append("at once"))
    monkeypatch.setattr(sys, "stderr", stream)
    tell = _printer()
    for done in (0, 19, 20, 20, 29, 30, 99, 100):
        tell(done, 100, "work")
    assert "".join(shown) == "".join(f"dualwalk: work {done} %\nat once" for done in (0, 19, 20, 30, 99, 100))


def test_copies_are_told_like_their_originals() -> None:
    X = rows()
    X = np.concatenate([X, X[:6]])
    with pytest.warns(CopiedRowsWarning) as caught:
        model = quick(cv=1).fit(X)
    assert str(caught[0].message) == (
        "6 of 66 samples are copies of others: the divergence is that of the 60 others (leave copies out of X)"
    )
    plain = quick(cv=1).fit(X[:60])
    for found, expected in ((model.dual_values_, plain.dual_values_), (model.held_out_, plain.held_out_)):
        np.testing.assert_array_equal(found, np.concatenate([expected, expected[:6]]))
    with pytest.raises(
        ValueError, match=r"X must have at least 8 different samples; got 7 and 7 copies of them \(collect more"
    ):
        quick().fit(np.repeat(rows(7), 2, axis=0))
    with pytest.warns(SmallSampleWarning, match="8 samples"), pytest.warns(CopiedRowsWarning, match="that of the 8 others"):
        quick().fit(np.repeat(rows(8), 2, axis=0))


@pytest.mark.filterwarnings("ignore::dualwalk.UnsupportedEstimateWarning")
@pytest.mark.parametrize(("part", "settings"), [("fit_paths", {"blocks": [3, 1, 2, 0]}), ("fit_single", {"method": "single"})])
def test_parts_are_told_what_their_numbers_may_not_show(monkeypatch: pytest.MonkeyPatch, part: str, settings: dict) -> None:
    """How many threads there are, and what is tested for no dependence: a p-value is the same for many."""
    told: dict[str, dict] = {}
    for name in (part, "independence_test"):
        work = getattr(estimator, name)
        monkeypatch.setattr(estimator, name, lambda *a, name=name, work=work, **k: told.update({name: k}) or work(*a, **k))
    quick(n_threads=3, n_permutations=20, **settings).fit(rows())
    assert told[part]["n_threads"] == 3
    blocks = told["independence_test"].pop("blocks")
    assert told["independence_test"] == {"n_permutations": 20, "random_state": SEED, "n_threads": 3}
    assert (blocks if blocks is None else blocks.tolist()) == settings.get("blocks")


@pytest.mark.filterwarnings("ignore::dualwalk.UnsupportedEstimateWarning")
def test_memory_is_asked_for_by_the_job_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []
    monkeypatch.setattr(_memory, "demand", lambda *call: asked.append(call))
    for settings, n_bytes in (
        ({"cv": 2, "n_threads": 3}, _memory.of_path((60, 4), 2, 3)),
        ({"cv": 1, "n_threads": 3, "method": "single"}, _memory.of_single((60, 4), 3)),
    ):
        quick(**settings).fit(rows())
        assert asked[0] == ("DualDivergence.fit", n_bytes, settings["cv"])  # BLAS has buffers for threads that have a fold
        asked.clear()


def test_few_samples_are_those_below_fifty_or_four_roots_of_the_columns() -> None:
    for n, d, wanted in ((49, 2, 50), (79, 400, 80), (80, 401, 81)):
        with pytest.warns(SmallSampleWarning) as caught:
            DualDivergence._warn_if_small(n, d)
        assert str(caught[0].message) == (
            f"{n} samples of {d} columns that vary are few: the divergence will read low and f is rough; "
            f"collect at least {wanted} samples, or use fewer channels or times"
        )
    for n, d in ((50, 2), (80, 400), (81, 401)):
        DualDivergence._warn_if_small(n, d)  # a warning would be an error here


def test_determined_columns_are_shown_up_to_six_of_four_groups() -> None:
    model = quick()
    model.determined_ = ((0, 1, 2, 3, 4, 5), (6, 7, 8, 9, 10, 11, 12), (13, 14), (15, 16), (17, 18))
    with pytest.warns(InfiniteDivergenceWarning) as caught:
        model._warn_infinite()
    assert str(caught[0].message) == (
        "columns determine each other exactly, so the divergence is infinite: 0, 1, 2, 3, 4, 5; 6, 7, 8, 9, 10, 11 ...; 13, 14; "
        "15, 16 (keep one column of each group, or all but one of an exact sum, and fit again); divergence_lower_ and the dual "
        "values are those of a finite model"
    )


def test_warnings_blame_the_caller() -> None:
    """Not for mutation testing, which puts calls of its own between the two."""
    X = rows(40)
    X[:, 3] = X[:, 0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick().fit(np.concatenate([X, X[:5]]))
    assert {w.category for w in caught} == {CopiedRowsWarning, SmallSampleWarning, InfiniteDivergenceWarning}
    assert {w.filename for w in caught} == {__file__}


def test_settings_at_the_ends_of_their_ranges_are_taken() -> None:
    X = rows()
    for settings in ({"n_permutations": 19}, {"confidence_level": 1e-3}, {"confidence_level": 0.999}):
        quick(**settings).fit(X)
    for settings, message in (
        ({"n_permutations": 18}, "n_permutations must be 0 (no test) or at least 19; got 18 (199 is enough)"),
        ({"n_permutations": 1}, "n_permutations must be 0 (no test) or at least 19; got 1 (199 is enough)"),
        ({"n_permutations": -1}, "n_permutations must be at least 0; got -1"),
        ({"confidence_level": 1.5}, "confidence_level must be below 1; got 1.5"),
        ({"critic": "forest"}, "critic must be one of 'mlp', 'conv'; got 'forest'"),
        ({"device": "tpu"}, "device must be one of 'cpu', 'cuda'; got 'tpu'"),
        ({"loss": "hinge"}, "loss must be one of 'dv', 'logistic', 'max'; got 'hinge'"),
        ({"method": "single", "blocks": [0, 0, 1, 1]}, 'blocks need method="path"; got method="single" (leave method out)'),
    ):
        with pytest.raises(ValueError, match=r"must be|need") as raised:
            quick(**settings).fit(X)
        assert str(raised.value).startswith(message)
    for name in ("reverse", "verbose"):
        with pytest.raises(TypeError, match=rf"^{name} must be True or False; got 'no'"):
            quick(**{name: "no"}).fit(X)
    with pytest.raises(TypeError, match=r"^progress must be a function or None; got 'no'"):
        quick().fit(X, progress="no")


def test_what_a_device_cannot_do_is_named() -> None:
    why = (
        ' which works in the host\'s memory only; got X on a CUDA device (pass X.get(), or device="cpu" with a NumPy X, '
        "or leave it out)"
    )
    for settings, labels, name in (
        ({"method": "single"}, None, 'method="single"'),
        ({}, [0, 1, 1, 2], "blocks of several columns"),
    ):
        with pytest.raises(ValueError, match="works in the host's memory only") as raised:
            quick(**settings)._check_for_device(None if labels is None else np.array(labels, np.int32))
        assert str(raised.value) == name + why
    for labels in (None, np.array([2, 0, 1], np.int32)):
        quick()._check_for_device(labels)  # no error


def test_a_data_frame_has_the_index_of_x_and_its_columns_by_name(one_split: DualDivergence) -> None:
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(), columns=list("abcd"), index=np.arange(100, 160))
    model = quick(cv=1, confidence_level=0.9).set_output(transform="pandas").fit(X)
    found = model.transform(X)
    assert found.index.tolist() == X.index.tolist()
    assert found.columns.tolist() == ["dual_value"]
    np.testing.assert_array_equal(found["dual_value"], one_split.score_samples(rows()))
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="same order as they were in fit"):
        model.transform(X[list("bacd")])


def test_methods_of_a_fitted_model(one_split: DualDivergence) -> None:
    X = rows()
    f = one_split.score_samples(X)
    assert one_split.score(X) == f.mean()
    np.testing.assert_array_equal(one_split.transform(X), f[:, None])
    np.testing.assert_array_equal(quick(cv=1, confidence_level=0.9).fit_transform(X), f[:, None])
    low, high = one_split.end_points_
    np.testing.assert_array_equal(one_split.predict(X) == 1, (low <= f) & (f <= high))
    assert one_split.get_feature_names_out().tolist() == ["dual_value"]
    assert one_split.get_feature_names_out().dtype == object
    assert one_split.score_samples(X[:0]).shape == (0,)
    for wrong, message in (
        (X[:0], r"^X must have at least 1 sample; got 0 samples \(pass rows to average f over\)$"),
        (
            X[:, :3],
            r"^X must have samples of the shape seen in fit, \(4,\); got \(3,\): X has 3 features, but DualDivergence is expecting 4 ",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            one_split.score(wrong)
    with pytest.raises(TypeError, match=r"^X must hold real numbers \(float32"):
        one_split.score([["a"] * 4])
    with pytest.raises(ValueError, match="input_features"):
        one_split.get_feature_names_out(["a", "b"])


def test_new_rows_are_worked_on_in_blocks(one_split: DualDivergence) -> None:
    for n, sizes in ((0, [0]), (1, [1]), (2500, [1024, 1024, 452])):
        seen: list[int] = []
        result = one_split._by_blocks(np.zeros((n, 4)), lambda scores, seen=seen: seen.append(len(scores)) or scores[:, 0])
        assert seen == sizes
        assert result.shape == (n,)


def test_rows_at_once_hold_at_most_four_million_numbers() -> None:
    assert [rows_at_once(d) for d in (1, 4096, 5000, 8192, 2**18, 2**20)] == [1024, 1024, 838, 512, 16, 16]
