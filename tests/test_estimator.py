"""`DualDivergence` on data whose total correlation is known, and on data that is degenerate."""

from __future__ import annotations

import pickle
import threading
import warnings

import numpy as np
import pytest

from dualwalk._copies import CopiedRowsWarning
from dualwalk._estimator import NotFittedError, SmallSampleWarning
from dualwalk._infinite import InfiniteDivergenceWarning
from dualwalk._single.calibration import UnsupportedEstimateWarning
from dualwalk.estimator import DualDivergence, rows_at_once

D = 8


def chain(n: int, total: float, seed: int, d: int = D, sign: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A chain whose steps keep their sign with probability `sign` (`total` nats where that is 1), and its true f."""
    rng = np.random.default_rng(seed)
    s2 = np.exp(-2 * total / (d - 1))
    r = np.sqrt(1 - s2)
    z = np.empty((n, d))
    z[:, 0] = rng.standard_normal(n)
    for t in range(1, d):
        z[:, t] = np.where(rng.random(n) < sign, r, -r) * z[:, t - 1] + np.sqrt(s2) * rng.standard_normal(n)
    past, new = z[:, :-1], z[:, 1:]
    kept = np.exp(-((new - r * past) ** 2) / (2 * s2))
    turned = np.exp(-((new + r * past) ** 2) / (2 * s2))
    f = np.log(sign * kept + (1 - sign) * turned) - 0.5 * np.log(s2) + new**2 / 2
    return z, f.sum(1)


@pytest.fixture(scope="module")
def fitted() -> tuple[DualDivergence, np.ndarray, np.ndarray]:
    z, f = chain(300, 3.0, 0)
    return DualDivergence(random_state=0).fit(np.sinh(z)), z, f


@pytest.mark.parametrize("seed", range(4))
def test_estimate_is_near_and_the_limit_below(seed: int) -> None:
    z, f = chain(250, 2.0, 10 + seed)
    model = DualDivergence(random_state=seed).fit(z)
    assert abs(model.divergence_ - 2.0) < 0.4
    assert abs(model.divergence_ - f.mean()) < 0.3
    assert model.divergence_lower_ < 2.0
    assert 0 < model.divergence_se_ < 0.3
    limit = model.divergence_held_out_ - model.rank_noise_ - 1.6449 * model.divergence_se_
    assert model.divergence_lower_ == pytest.approx(limit, abs=1e-4)


def test_lost_signs_are_seen() -> None:
    z, f = chain(400, 4.0, 1, sign=0.5)
    model = DualDivergence(random_state=0).fit(z)
    assert np.abs(np.corrcoef(z.T) - np.eye(D)).max() < 0.2
    assert -0.5 < model.divergence_ - f.mean() < 0.2
    assert 1.0 < model.divergence_lower_ < chain(100_000, 4.0, 2, sign=0.5)[1].mean()


@pytest.mark.parametrize("d", [2, 16])
def test_independent_columns_have_none(d: int) -> None:
    for seed in range(2):
        model = DualDivergence(random_state=seed).fit(np.random.default_rng(seed).standard_normal((300, d)))
        assert abs(model.divergence_) < 0.15
        assert model.divergence_lower_ <= 0.02


def test_dual_values_follow_the_true_log_ratio(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, _, f = fitted
    assert model.dual_values_.shape == (300,)
    assert model.divergence_held_out_ == model.dual_values_.mean()
    assert model.held_out_.all()
    # held-out rows read low, rows trained on high, ranks cost something; what is left is near the truth
    assert model.divergence_held_out_ < model.divergence_training_
    assert model.rank_noise_ < 0
    midpoint = 0.5 * (model.divergence_held_out_ + model.divergence_training_)
    assert model.divergence_ == pytest.approx(midpoint - model.rank_noise_)
    assert abs(model.divergence_ - f.mean()) < abs(model.divergence_held_out_ - f.mean())
    assert np.corrcoef(model.dual_values_, f)[0, 1] > 0.9


def test_monotone_maps_change_nothing(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, z, _ = fitted
    plain = DualDivergence(random_state=0).fit(z)
    np.testing.assert_array_equal(plain.dual_values_, model.dual_values_)
    np.testing.assert_array_equal(plain.labels_, model.labels_)


def test_public_attributes_fit_together(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, z, _ = fitted
    assert model.n_features_in_ == D
    assert model.feature_shape_ == (D,)
    assert len(model.cuts_) == len(model.cut_valleys_)
    assert (np.diff(model.cuts_) > 0).all()
    np.testing.assert_array_equal(model.labels_, np.searchsorted(model.cuts_, model.dual_values_))
    low, high = model.end_points_
    assert low < model.divergence_ < high
    assert model.training_end_points_.shape == (2,)
    assert model.score_samples(np.sinh(z)).mean() > model.divergence_held_out_  # rows it was trained on read higher
    assert len(model.base_names_) == 5


def test_new_rows(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, _, _ = fitted
    z, f = chain(500, 3.0, 99)
    scores = model.score_samples(np.sinh(z))
    assert scores.shape == (500,)
    assert np.corrcoef(scores, f)[0, 1] > 0.9
    np.testing.assert_array_equal(model.transform(np.sinh(z)), scores[:, None])
    assert 0.9 < (model.predict(np.sinh(z)) == 1).mean() <= 1.0
    shuffled = np.random.default_rng(0).permuted(np.sinh(z), axis=0)
    assert (model.predict(shuffled) == -1).mean() > 0.4
    wild = 1e6 * np.random.default_rng(1).choice([-1.0, 1.0], (200, D))
    assert (model.predict(wild) == -1).mean() > 0.9


def test_node_terms_sum_to_the_score_in_the_shape_of_x() -> None:
    z, _ = chain(100, 2.0, 3)
    X = z.reshape(100, 2, 4).astype(np.float32)
    before = X.copy()
    model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    terms = model.node_terms(X[:7])
    assert terms.shape == (7, 2, 4)
    assert model.feature_shape_ == (2, 4)
    np.testing.assert_allclose(terms.sum((1, 2)), model.score_samples(X[:7]))
    np.testing.assert_array_equal(X, before)
    scores = model.normal_scores_.transform(X[:7])
    assert scores.shape == X[:7].shape
    np.testing.assert_allclose(model.dual_.value(scores.reshape(7, 8)), model.score_samples(X[:7]))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    with pytest.raises(ValueError, match=r"X must have samples of the shape seen in fit, \(2, 4\)"):
        model.predict(z)


def test_one_critic_has_no_terms(rng: np.random.Generator) -> None:
    X = rng.normal(size=(60, 3))
    with pytest.raises(NotFittedError):
        DualDivergence(method="single").node_terms(X)
    model = DualDivergence(method="single", cv=2, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"^node_terms needs method"):
        model.node_terms(X)


@pytest.mark.parametrize("settings", [{}, {"method": "single"}, {"blocks": [0, 0, 1, 1]}])
@pytest.mark.filterwarnings("ignore::dualwalk.UnsupportedEstimateWarning")
def test_parts_that_begin_at_whole_blocks_have_the_bits_of_the_whole(settings) -> None:
    z, _ = chain(2100, 1.0, 3, d=4)
    model = DualDivergence(cv=2, n_fits=1, random_state=0, **settings).fit(z[:100])
    size = rows_at_once(4)
    assert size == 1024
    for method in (model.score_samples, *([] if model.method == "single" else [model.node_terms])):
        parts = [method(z[:size]), method(z[size : 2 * size]), method(z[2 * size :]), method(z[:0])]
        np.testing.assert_array_equal(method(z), np.concatenate(parts))


def test_the_dual_is_the_score_on_normal_scores(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, z, _ = fitted
    scores = model.normal_scores_.transform(np.sinh(z[:20]))
    value, gradient = model.dual_.value_and_gradient(scores)
    np.testing.assert_allclose(value, model.score_samples(np.sinh(z[:20])), atol=1e-3)
    # where the gradient leads, f rises
    assert (model.dual_.value(scores + 1e-3 * gradient) > value).mean() > 0.9


def test_same_seed_same_bits_whatever_the_threads() -> None:
    z, _ = chain(80, 2.0, 4)
    fits = [DualDivergence(random_state=s, n_threads=t, cv=3).fit(z) for s, t in ((0, 1), (0, 3), (1, 1))]
    np.testing.assert_array_equal(fits[0].dual_values_, fits[1].dual_values_)
    np.testing.assert_array_equal(fits[0].score_samples(z), fits[1].score_samples(z))
    assert (fits[0].dual_values_ != fits[2].dual_values_).any()
    drawn = [DualDivergence(random_state=np.random.default_rng(5), cv=3).fit(z).divergence_ for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_progress_is_told_by_the_calling_thread(n_threads: int) -> None:
    z, _ = chain(60, 2.0, 5)
    calls: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, text: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        calls.append((done, total, text))

    DualDivergence(cv=2, random_state=0, n_threads=n_threads).fit(z, progress=progress)
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == calls[-1][1]


def test_verbose_prints_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    DualDivergence(cv=2, n_fits=1, random_state=0, n_threads=1, verbose=True).fit(chain(60, 2.0, 5)[0])
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 11
    assert lines[-1] == "dualwalk: estimating the divergence 100 %"


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_in_progress_ends_the_fit(n_threads: int) -> None:
    z, _ = chain(60, 2.0, 6)

    def progress(done: int, total: int, text: str) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DualDivergence(cv=5, random_state=0, n_threads=n_threads).fit(z, progress=progress)


def test_one_column_is_zero_exactly() -> None:
    X = np.random.default_rng(0).standard_normal((60, 1))
    for rows in (X, np.column_stack([X, np.ones(60)]), np.ones((60, 3))):
        model = DualDivergence(random_state=0).fit(rows)
        assert model.divergence_ == model.divergence_se_ == model.divergence_lower_ == 0.0
        assert (model.score_samples(rows) == 0).all()
        assert (model.predict(rows) == 1).all()
        assert (model.labels_ == 0).all()


def test_a_constant_column_carries_nothing() -> None:
    z, _ = chain(80, 2.0, 7)
    with_constant = np.insert(z, 3, 5.0, axis=1)
    model = DualDivergence(cv=2, random_state=0).fit(with_constant)
    plain = DualDivergence(cv=2, random_state=0).fit(z)
    np.testing.assert_allclose(model.dual_values_, plain.dual_values_, atol=0.05)
    assert (model.node_terms(with_constant)[:, 3] == 0).all()


def test_tied_columns() -> None:
    rng = np.random.default_rng(8)
    bit = rng.integers(0, 2, 300)
    copies = np.column_stack([np.where(rng.random(300) < 0.1, 1 - bit, bit) for _ in range(3)] + [rng.integers(0, 3, 300)])
    model = DualDivergence(cv=3, random_state=0).fit(copies)
    # three noisy copies of a fair bit: H(x1) + H(x2) + H(x3) - H(x1, x2, x3)
    p = 0.5 * (0.9**3 + 0.1**3), 0.5 * (0.9**2 * 0.1 + 0.1**2 * 0.9)
    truth = 3 * np.log(2) + 2 * p[0] * np.log(p[0]) + 6 * p[1] * np.log(p[1])
    assert abs(model.divergence_ - truth) < 2 * model.divergence_se_ + 0.05
    assert model.divergence_lower_ < truth


def test_copies_of_rows_count_once() -> None:
    z, _ = chain(60, 2.0, 22)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(60), 3))
    first = np.sort(np.unique(order, return_index=True)[1])
    with pytest.warns(CopiedRowsWarning, match="120 of 180 samples are copies"):
        copied = DualDivergence(cv=2, random_state=0).fit(z[order])
    plain = DualDivergence(cv=2, random_state=0).fit(z[order][first])
    assert copied.divergence_ == plain.divergence_
    assert copied.divergence_se_ == plain.divergence_se_
    assert copied.dual_values_.shape == copied.labels_.shape == (180,)
    np.testing.assert_array_equal(copied.dual_values_[first], plain.dual_values_)
    assert len(np.unique(copied.dual_values_)) == 60
    with pytest.raises(ValueError, match="at least 8 different samples; got 5 and 15 copies"):
        DualDivergence().fit(np.repeat(z[:5], 4, axis=0))


def test_equal_rows_of_levels_are_no_copies() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (200, 3))
    model = DualDivergence(cv=2, random_state=0).fit(bits)
    assert abs(model.divergence_) < 0.05
    assert model.held_out_.all()


def test_zero_inflated_columns() -> None:
    rng = np.random.default_rng(11)
    wet = np.zeros((400, 6), dtype=int)
    wet[:, 0] = rng.random(400) < 0.5
    for t in range(1, 6):
        wet[:, t] = np.where(rng.random(400) < 0.1, 1 - wet[:, t - 1], wet[:, t - 1])
    truth = 5 * (np.log(2) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    model = DualDivergence(cv=3, random_state=0).fit(wet * rng.exponential(size=(400, 6)))
    assert abs(model.divergence_ - truth) < 0.2
    assert model.divergence_lower_ < truth
    scores = model.normal_scores_.transform(wet[:5] * 1.3)
    np.testing.assert_allclose(model.dual_.value_and_gradient(scores)[0], model.dual_.value(scores), atol=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_columns_that_determine_each_other_are_named(sign: int) -> None:
    x = np.random.default_rng(9).standard_normal((100, 3))
    x[:, 2] = sign * x[:, 0] ** 3
    with pytest.warns(InfiniteDivergenceWarning, match=r"infinite: 0, 2 \(keep one column"):
        model = DualDivergence(cv=2, random_state=0).fit(x)
    assert model.determined_ == ((0, 2),)
    assert model.divergence_ == np.inf
    assert 1.5 < model.divergence_lower_ < model.divergence_held_out_ < np.log(96)


def test_an_exact_sum_is_named_and_equal_levels_are_finite() -> None:
    rng = np.random.default_rng(10)
    x = rng.standard_normal((100, 4))
    x[:, 3] = 2 * x[:, 0] - x[:, 2]
    with pytest.warns(InfiniteDivergenceWarning, match="infinite: 0, 2, 3"):
        assert DualDivergence(cv=2, random_state=0).fit(x).divergence_ == np.inf
    bits = np.repeat(rng.integers(0, 2, (200, 1)), 2, axis=1)
    model = DualDivergence(cv=2, random_state=0).fit(bits)
    assert model.determined_ == ()
    assert model.divergence_ == pytest.approx(np.log(2), abs=0.1)


def test_one_split() -> None:
    z, f = chain(300, 3.0, 12)
    model = DualDivergence(cv=1, random_state=0).fit(z)
    assert model.held_out_.sum() == 60
    assert len(model.dual_.paths) == 1
    assert model.divergence_held_out_ == model.dual_values_[model.held_out_].mean()
    assert abs(model.divergence_ - f.mean()) < 0.5
    assert model.labels_.shape == (300,)


def test_contrastive_nodes_find_the_same() -> None:
    z, f = chain(300, 3.0, 13)
    model = DualDivergence(nodes="contrastive", cv=3, random_state=0).fit(z)
    assert abs(model.divergence_ - f.mean()) < 0.5
    assert model.divergence_lower_ < 3.0
    scores = model.normal_scores_.transform(z[:5])
    value, gradient = model.dual_.value_and_gradient(scores)
    step = 1e-2 * gradient / np.abs(gradient).max()
    np.testing.assert_allclose(model.dual_.value(scores + step) - value, (step * gradient).sum(1), rtol=0.2, atol=1e-2)


def test_sign_triples_are_found() -> None:
    z = np.random.default_rng(20).standard_normal((300, 9))
    z[:, 2::3] = np.abs(z[:, 2::3]) * np.sign(z[:, 0::3] * z[:, 1::3])
    model = DualDivergence(cv=3, random_state=0).fit(z)
    truth = 3 * np.log(2)
    assert 0.7 * truth < model.divergence_ < truth + 0.1
    assert 0.5 * truth < model.divergence_lower_ < truth
    kinds = {path.kind for path in model.dual_.paths}
    assert kinds <= {"density", "contrastive"}
    plain = DualDivergence(cv=3, random_state=0, nodes="density").fit(z)
    assert model.divergence_held_out_ >= plain.divergence_held_out_ - 0.02


def test_the_single_critic_is_the_foil() -> None:
    z, _ = chain(400, 3.0, 14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsupportedEstimateWarning)
        single = DualDivergence(method="single", loss="logistic", cv=2, random_state=0).fit(z)
    path = DualDivergence(cv=2, random_state=0).fit(z)
    assert single.divergence_ == single.divergence_held_out_ < path.divergence_
    assert single.dependence_graph_ is None
    assert single.score_samples(z[:3]).shape == (3,)


def test_blocks_count_what_lies_between_them() -> None:
    rng = np.random.default_rng(15)
    left = rng.standard_normal((500, 1)) + 0.3 * rng.standard_normal((500, 3))  # 2 nats inside
    right = 0.8 * left[:, :1] + rng.standard_normal((500, 1)) * 0.7
    X = np.hstack([left, right])
    joint = np.cov(X.T)
    truth = 0.5 * np.log(np.linalg.det(joint[:3, :3]) * joint[3, 3] / np.linalg.det(joint))
    model = DualDivergence(blocks=[0, 0, 0, 7], random_state=0).fit(X)
    assert model.divergence_ == pytest.approx(truth, abs=0.12)
    assert model.divergence_lower_ < truth
    np.testing.assert_allclose(model.node_terms(X[:4]).sum(1), model.score_samples(X[:4]))
    assert DualDivergence(blocks=[1, 1, 1, 1], random_state=0).fit(X).divergence_ == 0.0
    channels = DualDivergence(blocks=[0, 1], random_state=0).fit(X.reshape(500, 2, 2))
    features = DualDivergence(blocks=[0, 0, 1, 1], random_state=0).fit(X)
    assert channels.divergence_ == features.divergence_


def test_p_value_and_the_other_direction() -> None:
    z, _ = chain(200, 2.0, 16)
    model = DualDivergence(cv=2, random_state=0, n_permutations=99, reverse=True).fit(z)
    assert model.p_value_ == 0.01
    assert model.reverse_divergence_lower_ < model.reverse_divergence_
    assert 0 < model.reverse_divergence_se_ < model.reverse_divergence_
    plain = DualDivergence(cv=2, random_state=0).fit(z)
    assert plain.p_value_ is None
    assert not hasattr(plain, "reverse_divergence_")


def test_the_graph_carries_the_held_out_nats(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, _, _ = fitted
    graph = model.dependence_graph_
    assert graph.nats.sum() == pytest.approx(model.divergence_held_out_)
    assert all(abs(a - b) == 1 for a, b in graph.edges())  # a chain's neighbours
    assert len(graph.edges()) == D - 1


@pytest.mark.parametrize("shape", [(8, 1), (8, 3), (9, 2, 40)])
def test_eight_samples_run_and_warn(shape: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).standard_normal(shape)
    with pytest.warns(SmallSampleWarning, match=f"{shape[0]} samples"):
        model = DualDivergence(random_state=0).fit(X)
    assert np.isfinite(model.dual_values_).all()
    assert model.divergence_lower_ < 1.0


def test_more_columns_than_rows() -> None:
    X = np.random.default_rng(0).standard_normal((100, 300))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    assert -0.05 < model.divergence_ / (300 / 32) < 0.1  # what 32 independent columns may read
    assert model.divergence_lower_ < 0.1
    with pytest.warns(SmallSampleWarning, match="collect at least 92 samples"):
        DualDivergence(cv=2, n_fits=1, random_state=0).fit(np.random.default_rng(0).standard_normal((60, 520)))


def test_confidence_level_moves_the_limit(fitted: tuple[DualDivergence, np.ndarray, np.ndarray]) -> None:
    model, z, _ = fitted
    wide = DualDivergence(random_state=0, confidence_level=0.99).fit(z)
    assert wide.divergence_ == model.divergence_
    assert wide.divergence_lower_ < model.divergence_lower_
    assert wide.end_points_[0] <= model.end_points_[0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cv": 0}, "cv must be at least 1; got 0"),
        ({"n_fits": 0}, "n_fits must be at least 1; got 0"),
        ({"confidence_level": 1.0}, "confidence_level must be below 1; got 1"),
        ({"confidence_level": 0.0}, "confidence_level must be greater than 0; got 0"),
        ({"n_permutations": 5}, "n_permutations must be 0 .no test. or at least 19; got 5"),
        ({"method": "both"}, "method must be one of 'path', 'single'; got 'both'"),
        ({"nodes": "tree"}, "nodes must be one of 'auto', 'density', 'contrastive'; got 'tree'"),
        ({"blocks": [0, 1, 2]}, "blocks must hold one label a feature"),
        ({"blocks": [0, 1], "method": "single"}, 'blocks need method="path"'),
        ({"n_threads": 0}, "n_threads must be at least 1; got 0"),
        ({"random_state": -1}, "random_state must be at least 0; got -1"),
    ],
)
def test_parameters_are_checked_before_any_work(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DualDivergence(**parameters).fit(np.random.default_rng(0).standard_normal((60, 2)))


def test_bad_rows_name_the_remedy() -> None:
    with pytest.raises(ValueError, match="at least 8 samples; got 7"):
        DualDivergence().fit(np.zeros((7, 2)))
    with pytest.raises(ValueError, match="X must be finite"):
        DualDivergence().fit(np.full((20, 2), np.nan))
    with pytest.raises(TypeError, match=r"^X must hold real numbers"):
        DualDivergence().fit(np.array([["a", "b"]] * 10))


def test_methods_need_a_fit() -> None:
    model = DualDivergence(cv=3)
    for method in ("score_samples", "transform", "predict", "node_terms"):
        with pytest.raises(NotFittedError, match="call DualDivergence"):
            getattr(model, method)(np.zeros((10, 2)))
    assert repr(model) == "DualDivergence(cv=3)"
    assert model.get_params()["n_fits"] == 2
    assert DualDivergence().cv == 5
