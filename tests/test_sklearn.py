"""At home in scikit-learn: its own checks of estimators, and the tools that take estimators. Without it: see `test_no_sklearn`."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted

import dualwalk as dw

QUICK: dict[str, Any] = {"cv": 1, "n_fits": 1}
ESTIMATORS = (
    dw.NormalScores(),
    dw.DualDivergence(**QUICK),
    dw.DualDivergence(cv=2, n_fits=1, nodes="contrastive", reverse=True),
    dw.DualDivergence(**QUICK, blocks=None, n_permutations=19, confidence_level=0.8, n_threads=1),
    dw.DualSampler(),
    dw.DualSampler("local", n_neighbors=5),
    dw.DualSampler("langevin"),
)
FITTED = (dw.NormalScores(), dw.DualDivergence(**QUICK, random_state=0), dw.DualSampler("local", random_state=0))


def checks_of(estimators: tuple[Any, ...]) -> Any:
    """Every check of every estimator; there is no `expected_failed_checks`, since none is expected to fail."""
    with warnings.catch_warnings():  # tests are collected with warnings as errors
        warnings.filterwarnings("ignore", message=".*does not inherit from `sklearn.base.BaseEstimator`", category=UserWarning)
        mark = estimator_checks.parametrize_with_checks(list(estimators)).mark
        pairs = list(mark.args[1])  # a generator before scikit-learn 1.8
    return pytest.mark.parametrize(mark.args[0], pairs, **mark.kwargs)


def series(n: int = 60, seed: int = 0) -> np.ndarray:
    """Random walks, (n, 2, 5)."""
    return np.random.default_rng(seed).normal(size=(n, 2, 5)).cumsum(axis=2)


def rows(n: int = 120, seed: int = 0) -> np.ndarray:
    """Four columns that share a common part, (n, 4)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + rng.normal(size=(n, 4))


def what_it_makes(estimator: Any, X: Any) -> Any:
    return estimator.sample(9) if isinstance(estimator, dw.DualSampler) else estimator.transform(X)


@checks_of(ESTIMATORS)
# the checks fit 10 or 20 rows, and rows of round numbers
@pytest.mark.filterwarnings("ignore::dualwalk.SmallSampleWarning", "ignore::dualwalk.InfiniteDivergenceWarning")
@pytest.mark.filterwarnings("ignore::dualwalk.GroupedDataWarning", "ignore::dualwalk.CopiedRowsWarning")
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", FITTED[:2], ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
        "check_n_features_in_after_fitting",
    ],
)
@pytest.mark.filterwarnings("ignore::dualwalk.SmallSampleWarning")
def test_checks_of_transformers(estimator, name):
    """The checks that scikit-learn runs on its own transformers only."""
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this scikit-learn has no {name}")
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", FITTED, ids=repr)
def test_names_of_columns_are_checked(estimator):
    pytest.importorskip("pandas")
    estimator_checks.check_dataframe_column_names_consistency(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("estimator", FITTED, ids=repr)
def test_data_frames(estimator, library, tmp_path):
    frames = pytest.importorskip(library)
    X, names = rows(), list("abcd")
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    model = clone(estimator).fit(frame)
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(what_it_makes(model, frame), what_it_makes(clone(estimator).fit(X), X))
    method = model.nearest if isinstance(model, dw.DualSampler) else model.transform
    with pytest.raises(ValueError, match=r"(?s)same order as they were in fit.*X\[list\(model\.feature_names_in_\)\]"):
        method(frame[names[::-1]])
    method(frame[names[::-1]][list(model.feature_names_in_)])
    with pytest.raises(ValueError, match="yet now missing:\n- c\n- d\n"):
        method(frame[["a", "b"]])
    method(X)  # arrays are taken as they come
    model.save(tmp_path / "model.npz")
    assert dw.load(tmp_path / "model.npz").feature_names_in_.tolist() == names
    assert not hasattr(model.fit(X), "feature_names_in_")


def test_columns_of_objects_and_missing_values():
    pandas = pytest.importorskip("pandas")
    X = rows()
    frame = pandas.DataFrame(X, columns=list("abcd")).astype("Float64")
    scores = dw.NormalScores().fit(frame)
    np.testing.assert_array_equal(scores.transform(frame), dw.NormalScores().fit_transform(X))
    with pytest.raises(TypeError, match=r"got dtype object: .*keep only numeric columns of X"):
        scores.transform(frame.assign(a="high"))
    labels = pandas.Series(["low", "high"] * 60, dtype=object)
    assert dw.DualSampler("local", random_state=0).fit(frame, labels).classes_.tolist() == ["high", "low"]


@pytest.mark.parametrize("estimator", FITTED, ids=repr)
def test_messages(estimator):
    model, X = clone(estimator), rows()
    method = "nearest" if isinstance(model, dw.DualSampler) else "transform"
    with pytest.raises(NotFittedError, match="is not fitted yet") as caught:
        getattr(model, method)(X)
    assert isinstance(caught.value, dw.NotFittedError)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), NotFittedError)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    check_is_fitted(model.fit(X))
    with pytest.raises(ValueError, match=f"X has 3 features, but {type(model).__name__} is expecting 4 features as input"):
        getattr(model, method)(X[:, :3])
    with pytest.raises(TypeError, match=r"got a sparse .*X\.toarray\(\)"):
        model.fit(pytest.importorskip("scipy.sparse").csr_matrix(X))
    with pytest.raises(ValueError, match="got 1 sample "):
        model.fit(X[:1])


@pytest.mark.parametrize("estimator", FITTED, ids=repr)
@pytest.mark.parametrize("pickler", ["pickle", "cloudpickle"])
def test_pickled_after_fit_gives_the_same_bits(estimator, pickler):
    X, pickler = series(), pytest.importorskip(pickler)
    model = clone(estimator).fit(X)
    copy = pickle.loads(pickler.dumps(model))
    np.testing.assert_array_equal(what_it_makes(copy, X), what_it_makes(model, X))
    if not isinstance(model, dw.NormalScores):
        assert copy.score(series(seed=1)) == model.score(series(seed=1))
    assert repr(copy) == repr(model)
    assert not hasattr(clone(copy), "n_features_in_")


def test_float32_lists_and_read_only_memory_maps(tmp_path):
    X = rows().astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for estimator in FITTED:
        expected = what_it_makes(clone(estimator).fit(X), X)
        np.testing.assert_array_equal(what_it_makes(clone(estimator).fit(mapped), mapped), expected)
        from_list = what_it_makes(clone(estimator).fit(X.tolist()), X.tolist())
        np.testing.assert_array_equal(from_list.astype(expected.dtype), expected)


def test_the_word_and_the_method_walk():
    sampler = dw.DualSampler("local", random_state=0)
    assert sampler.get_params()["walk"] == vars(sampler)["walk"] == "local"
    assert sampler.set_params(walk="auto").get_params()["walk"] == "auto"
    assert dw.DualSampler.walk.__name__ == "walk"
    assert sampler.set_params(walk="local").fit(series()).walk(series()[:3], n_steps=4).x.shape == (3, 2, 5)
    with pytest.warns(DeprecationWarning, match=r'DualSampler\.walk_mode is deprecated .* \(use get_params\(\)\["walk"\]\)'):
        assert sampler.walk_mode == "local"


def test_parameters_of_a_dual_that_is_an_estimator():
    class Bowl(dw.NormalScores):
        def __init__(self, depth=1.0):
            self.depth = depth

    sampler = dw.DualSampler("langevin", dual=Bowl())
    assert sampler.get_params()["dual__depth"] == 1.0
    assert "dual__depth" not in sampler.get_params(deep=False)
    assert sampler.set_params(dual__depth=2.0, dual=Bowl(3.0)).dual.depth == 2.0
    assert clone(sampler).dual is not sampler.dual
    with pytest.raises(ValueError, match="DualSampler has no parameter 'walk__depth'; its parameters are walk, dual"):
        sampler.set_params(walk__depth=1.0)


class TestScores:
    def test_mean_of_f_in_nats(self):
        """For Gaussian columns the mean of the true f over the same rows is known."""
        X, new = rows(400), rows(400, seed=1)
        model = dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
        covariance = np.eye(4) + 1.0
        z = new / np.sqrt(2.0)
        quadratic = np.einsum("ij,jk,ik->i", new, np.linalg.inv(covariance), new)
        true = 0.5 * ((z**2).sum(axis=1) - quadratic - np.linalg.slogdet(covariance / 2.0)[1])
        assert model.score(new) == model.score_samples(new).mean()
        assert true.mean() - 0.15 < model.score(new) < true.mean() + 0.05
        shuffled = dw.permute_marginals(new, seed=0)
        assert model.score(shuffled) < 0 < model.score(new)
        with pytest.raises(ValueError, match="at least 1 sample; got 0"):
            model.score(new[:0])

    def test_samplers_that_copy_or_blur_score_lower(self):
        X, new = series(120), series(120, seed=1)
        score = dw.DualSampler(random_state=0).fit(X).score(new)
        copies = dw.DualSampler("gradient", random_state=0).fit(X).score(new)
        other = dw.DualSampler(random_state=0).fit(dw.permute_marginals(X.reshape(120, -1), seed=0).reshape(X.shape)).score(new)
        assert copies < score - 0.2
        assert other < score - 0.2
        assert -0.5 < score <= 0

    def test_score_is_deterministic_and_leaves_no_trace(self):
        X, new = series(), series(seed=1)
        sampler = dw.DualSampler("local").fit(X)  # random_state=None: samples differ, scores do not
        before = set(vars(sampler))
        assert sampler.score(new) == sampler.score(new, np.zeros(60))
        assert set(vars(sampler)) == before


class TestTools:
    def test_pipelines(self):
        X = rows()
        pipe = make_pipeline(dw.NormalScores(), dw.DualDivergence(**QUICK, random_state=0)).fit(X)
        plain = dw.DualDivergence(**QUICK, random_state=0).fit(X)
        # ranks of ranks: the divergence does not change under monotone maps
        np.testing.assert_array_equal(pipe[-1].dual_values_, plain.dual_values_)
        np.testing.assert_array_equal(pipe.transform(X[:5]), plain.transform(X[:5]))
        assert pipe.score(X) == plain.score(X)
        assert pipe.get_feature_names_out().tolist() == ["dual_value"]
        assert "DualDivergence" in pipe._repr_html_()
        assert "DualDivergence" in pipe[-1]._repr_html_()

    def test_samples_of_a_pipeline_in_the_units_of_X(self):
        X = rows() * [1.0, 10.0, 100.0, 1000.0] + 5.0
        pipe = make_pipeline(StandardScaler(), dw.DualSampler(random_state=0)).fit(X)
        new = pipe[:-1].inverse_transform(pipe[-1].sample(300))
        assert new.shape == (300, 4)
        np.testing.assert_allclose(new.mean(axis=0), X.mean(axis=0), atol=0.1 * X.std(axis=0).max(), rtol=0.1)
        np.testing.assert_allclose(new.std(axis=0), X.std(axis=0), rtol=0.1)

    def test_series_pass_through_pipelines_and_folds(self):
        X = series(100)
        pipe = make_pipeline(dw.NormalScores(), dw.DualDivergence(**QUICK, random_state=0))
        assert pipe.fit(X).predict(X).shape == (100,)
        assert pipe[-1].feature_shape_ == (2, 5)
        assert np.isfinite(cross_val_score(pipe, X, cv=2)).all()

    def test_grid_search(self):
        X = rows()
        search = GridSearchCV(dw.DualDivergence(**QUICK, random_state=0), {"n_fits": [1, 2], "nodes": ["density"]}, cv=2).fit(X)
        own = dw.DualDivergence(**QUICK, nodes="density", random_state=0).fit(X[60:]).score(X[:60])
        assert search.cv_results_["split0_test_score"][0] == own
        assert search.score(X) == search.best_estimator_.score(X)

    def test_grid_search_rejects_copies(self):
        walks = GridSearchCV(dw.DualSampler(random_state=0), {"walk": ["gradient", "local"]}, cv=2).fit(series(80))
        assert walks.best_params_ == {"walk": "local"}

    def test_labels_and_groups(self):
        X, y = series(), np.repeat(["calm", "wild"], 30)
        X[30:] *= 3.0
        made = make_pipeline(dw.NormalScores(), dw.DualSampler("local", random_state=0)).fit(X, y)[-1]
        assert made.sample(4, y="wild").shape == (4, 2, 5)
        groups = np.repeat(np.arange(20), 3)
        pipe = make_pipeline(dw.NormalScores(), dw.DualSampler("local", random_state=0))
        pipe.fit(X, y, dualsampler__groups=groups)
        assert pipe[-1].groups_.tolist() == groups.tolist()
        assert len(cross_validate(dw.DualSampler("local", random_state=0), X, y, cv=2)["test_score"]) == 2

    def test_processes_give_the_same_bits(self):
        X = [rows(seed=seed) for seed in range(2)]
        model = dw.DualDivergence(**QUICK, random_state=0, n_threads=1)
        fits = Parallel(n_jobs=2)(delayed(clone(model).fit)(x) for x in X)
        assert [fit.divergence_ for fit in fits] == [clone(model).fit(x).divergence_ for x in X]


class TestFrames:
    def test_everything_works_where_all_output_is_frames(self):
        """What the estimators do inside must not see the setting."""
        frames = pytest.importorskip("pandas")
        X = rows()
        plain = [clone(estimator).fit(X) for estimator in FITTED]

        def others() -> tuple[float, float]:
            test = dw.independence_test(X, n_permutations=19, random_state=0)
            return dw.mutual_information(X[:, :1], X[:, 1:], cv=2, random_state=0).estimate, test.statistic

        expected = others()
        with config_context(transform_output="pandas"):
            again = [clone(estimator).fit(X) for estimator in FITTED]
            for a, b in zip(plain, again, strict=True):
                np.testing.assert_array_equal(what_it_makes(a, X), what_it_makes(b, X))
            assert isinstance(again[0].transform(X), frames.DataFrame)
            assert isinstance(again[1].node_terms(X), np.ndarray)
            assert dw.NormalScores().fit_transform(series()).shape == (60, 2, 5)
            assert others() == expected

    def test_names_and_index(self):
        frames = pytest.importorskip("pandas")
        X = frames.DataFrame(rows(), columns=list("abcd"), index=np.arange(120) * 2)
        z = clone(dw.NormalScores().set_output(transform="pandas")).fit_transform(X)
        assert z.columns.tolist() == list("abcd")
        assert z.index.equals(X.index)
        np.testing.assert_allclose(dw.NormalScores().fit(X).inverse_transform(z), X, rtol=1e-12)
        both = FeatureUnion([("scores", dw.NormalScores()), ("f", dw.DualDivergence(**QUICK))]).set_output(transform="pandas")
        assert both.fit_transform(X).columns.tolist() == ["scores__a", "scores__b", "scores__c", "scores__d", "f__dual_value"]
        part = make_column_transformer((dw.NormalScores(), ["b", "d"])).fit(X)
        assert part.get_feature_names_out().tolist() == ["normalscores__b", "normalscores__d"]
        with pytest.raises(ValueError, match="transform must be one of 'default', 'pandas', 'polars'; got 'excel'"):
            dw.NormalScores().set_output(transform="excel")
        with pytest.raises(ValueError, match=r"samples of shape \(2, 5\)"):
            dw.NormalScores().fit(series()).get_feature_names_out()


WITHOUT = """
import pickle, sys
import numpy as np

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sklearn", "pandas", "polars", "scipy"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import dualwalk as dw

X = np.random.default_rng(0).normal(size=(60, 2, 3)).cumsum(axis=2)
for model in (dw.NormalScores(), dw.DualDivergence(cv=1, n_fits=1, random_state=0), dw.DualSampler("local", random_state=0)):
    try:
        model._check_fitted()
    except dw.NotFittedError as error:
        print(type(error) is dw.NotFittedError)
    copy = type(model)(**model.get_params()).set_params(**model.get_params()).fit(X)
    print(repr(copy), repr(copy) == repr(pickle.loads(pickle.dumps(copy))), copy._repr_html_())
    if hasattr(model, "transform"):
        print(copy.set_output(transform="default").transform(X).shape, type(copy.transform(X)).__name__)
    else:
        print(copy.sample(5).shape)
    if hasattr(model, "score"):
        print(np.isfinite(copy.score(X)))
print([name for name in sys.modules if name.partition(".")[0] == "sklearn"])
"""


def test_scikit_learn_is_not_needed():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "True",
        "NormalScores() True None",
        "(60, 2, 3) ndarray",
        "True",
        "DualDivergence(cv=1, n_fits=1, random_state=0) True None",
        "(60, 1) ndarray",
        "True",
        "True",
        "DualSampler(walk='local', random_state=0) True None",
        "(5, 2, 3)",
        "True",
        "[]",
    ], done.stderr
