"""Imputation and forecasts: closed forms against brute force and exact conditionals, calibration, and the interface."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from dualwalk import load_japanese_vowels
from dualwalk._given.choice import ranked_probability_score
from dualwalk._given.conditional import Conditional, columns_of_parts, diffuse
from dualwalk._given.fill import Completer
from dualwalk._given.neighborhood import local_weights
from dualwalk._given.precision import PatternRegression, Shrunk
from dualwalk._given.regression import Regression
from dualwalk._given.settings import Frame, Part, Settings, label_columns
from dualwalk._given.space import Space
from dualwalk._given.target import Target
from dualwalk.sampler import DualSampler

SHAPE = (3, 8)
TARGETS = ("diagonal", "half", "stationary", "separable")
D = SHAPE[0] * SHAPE[1]
ALL = np.arange(6)  # unknown columns of a forecast


def factor_covariance(seed: int = 0) -> np.ndarray:
    """Channels that move together, each an autoregression in time, and a factor on top: not separable."""
    stream = np.random.default_rng(seed)
    channels = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, 0.5], [0.2, 0.5, 1.0]])
    times = 0.8 ** np.abs(np.subtract.outer(np.arange(SHAPE[1]), np.arange(SHAPE[1])))
    loading = stream.normal(size=(D, 1))
    return np.kron(channels, times) + 0.5 * loading @ loading.T


def gaussian_rows(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal(np.zeros(D), factor_covariance(), size=n, method="cholesky")


def forecast_mask(n_known_times: int = 6) -> np.ndarray:
    known = np.zeros(SHAPE, dtype=bool)
    known[:, :n_known_times] = True
    return known.ravel()


def frame_of(points: np.ndarray, **groups: object) -> Frame:
    space = Space("standard", points)
    return Frame(space, Target(space.points, SHAPE), np.arange(D) // SHAPE[1], np.zeros((len(points), 0)), **groups)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("n", [20, 60])  # fewer and more rows than known columns
@pytest.mark.parametrize("grouped", [False, True])
def test_left_out_errors_are_those_of_a_second_fit(name: str, n: int, grouped: bool) -> None:
    points = gaussian_rows(n, 1)
    known, rho = forecast_mask(), 0.3
    target = Target(points, SHAPE)
    codes = np.arange(n) // 3 if grouped else np.arange(n)
    groups = [np.flatnonzero(codes == g) for g in range(codes.max() + 1)] if grouped else None
    extra = label_columns(np.arange(n) % 2, 2)
    members = np.array([0, 4, 5, 11])
    found = Regression(points, known, target, name, extra, groups).left_out_errors(rho, members, ALL)
    for row, error in zip(members, found, strict=True):
        rest = codes != codes[row]
        again = Regression(points[rest], known, target, name, extra[rest], None)
        mean, _ = again.predict(points[[row]][:, known], extra[[row]], rho * n / rest.sum(), ALL)
        np.testing.assert_allclose(error, (points[[row]][:, ~known] - mean)[0], atol=1e-4)


@pytest.mark.parametrize("name", TARGETS)
def test_regression_is_the_conditional_mean_under_the_shrunk_covariance(name: str) -> None:
    points = gaussian_rows(40, 2)
    known, s = forecast_mask(), 0.3
    target = Target(points, SHAPE)
    full = dense_target(target, name)
    center = points.mean(axis=0)
    shrunk = (1 - s) * np.cov(points.T, bias=True) + s * full
    query = gaussian_rows(5, 3)
    expected = center[~known] + (query[:, known] - center[known]) @ np.linalg.solve(
        shrunk[np.ix_(known, known)], shrunk[np.ix_(known, ~known)]
    )
    regression = Regression(points, known, target, name, np.zeros((40, 0)), None)
    mean, _ = regression.predict(query[:, known], np.zeros((5, 0)), s / (1 - s), ALL)
    np.testing.assert_allclose(mean, expected, atol=1e-6)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("grouped", [False, True])
def test_one_inverse_serves_every_pattern(name: str, grouped: bool) -> None:
    points, rho = gaussian_rows(60, 2), 0.1
    codes = np.arange(60) // 3
    groups = [np.flatnonzero(codes == g) for g in range(20)] if grouped else None
    space, extra = Space("standard", points), label_columns(np.arange(60) % 2, 2)
    frame = Frame(space, Target(space.points, SHAPE), np.arange(D) // SHAPE[1], extra, groups, codes if grouped else None)
    shrunk = Shrunk(frame, name, rho)
    query, members, neighbors = gaussian_rows(4, 3), np.array([0, 7, 30]), np.arange(36).reshape(4, 9)
    for known in (forecast_mask(), np.random.default_rng(0).random(D) < 0.7):
        exact = Regression(frame.points, known, frame.target, name, extra, groups)
        quick = PatternRegression(shrunk, known)
        columns = np.arange(int((~known).sum()))[::2]
        np.testing.assert_allclose(quick.fitted_errors(rho, columns), exact.fitted_errors(rho, columns), atol=1e-7)
        np.testing.assert_allclose(
            quick.left_out_errors(rho, members, columns), exact.left_out_errors(rho, members, columns), atol=1e-7
        )
        (mean, place), (wanted, wanted_place) = (r.predict(query[:, known], extra[:4], rho, columns) for r in (quick, exact))
        np.testing.assert_allclose(mean, wanted, atol=1e-7)
        weights, wanted_weights = (
            local_weights(r, rho, p, neighbors, (9,), (0.3,))[9, 0.3] for r, p in ((quick, place), (exact, wanted_place))
        )
        np.testing.assert_allclose(weights, wanted_weights, atol=1e-7)
        np.testing.assert_allclose(quick.left @ quick.right(rho).T, exact.left @ exact.right(rho).T, atol=1e-7)


def test_channels_that_nothing_foretells_do_not_decide_for_the_others() -> None:
    stream = np.random.default_rng(0)
    shared = stream.normal(size=(150, 1, 3))
    rows = np.concatenate([shared + 0.05 * stream.normal(size=(150, 3, 3)), 30.0 * stream.normal(size=(150, 2, 3))], axis=1)
    rows = rows.reshape(150, 15)
    known = np.tile([True, True, False], 5)
    drawn, chosen = Completer(rows[:100], (5, 3), None, None, 0).complete(np.where(known, rows[100:], np.nan), None, 2, 0)
    assert np.isfinite(drawn).all()
    assert chosen[0].settings.parts[0].channels is None
    parts = (Part("diagonal", 1.0), Part("half", 1.0, channels=(2, 4)))
    assert [c.tolist() for c in columns_of_parts(parts, np.array([0, 0, 2, 3, 4, 4]))] == [[0, 1, 3], [2, 4, 5]]
    settings = Settings("standard", parts)
    frame = Frame(Space("standard", rows), Target(rows, (5, 3)), np.arange(15) // 3, np.zeros((150, 0)))
    both = Conditional(frame, known, settings).errors(np.arange(10))
    for part, own in ((parts[0], [0, 1, 3]), (Part("half", 1.0), [2, 4])):
        alone = Conditional(frame, known, Settings("standard", (part,))).errors(np.arange(10))
        np.testing.assert_allclose(both[:, own], alone[:, own])


def dense_target(target: Target, name: str) -> np.ndarray:
    model, share = target.correlation(name), {"diagonal": 0.0, "half": 0.5}.get(name, 1.0)
    correlation = np.kron(model.channels, model.times)
    correlation /= np.outer(model.scale.ravel(), model.scale.ravel())
    np.testing.assert_allclose(np.diagonal(correlation), 1.0, atol=1e-9)
    mixed = share * correlation + (1 - share) * np.eye(D)
    return mixed * np.outer(target.deviation, target.deviation)


@pytest.mark.parametrize("share", [1.0, 0.6, 0.1])
def test_local_weights_are_the_local_gaussian_conditioned(share: float) -> None:
    points = gaussian_rows(50, 4)
    known, rho, k = forecast_mask(), 0.5, 12
    target = Target(points, SHAPE)
    regression = Regression(points, known, target, "half", np.zeros((50, 0)), None)
    query = gaussian_rows(3, 5)
    mean, place = regression.predict(query[:, known], np.zeros((3, 0)), rho, ALL)
    neighbors = np.array([np.arange(k), np.arange(k) + 7, np.arange(k) + 20])
    weights = local_weights(regression, rho, place, neighbors, (5, k), (share, 0.3))[k, share]
    errors = regression.fitted_errors(rho, ALL)
    shared = (np.cov(points.T, bias=True) + rho * dense_target(target, "half")) / (1 + rho)
    for q in range(3):
        near = points[neighbors[q]]
        local = (1 - share) * np.cov(near.T, bias=True) + share * shared
        expected = near.mean(axis=0)[~known] + local[np.ix_(~known, known)] @ np.linalg.solve(
            local[np.ix_(known, known)], query[q, known] - near.mean(axis=0)[known]
        )
        np.testing.assert_allclose(mean[q] + weights[q] @ errors[neighbors[q]], expected, atol=1e-6)


@pytest.mark.parametrize("grouped", [False, True])
def test_local_errors_leave_the_row_and_its_group_out(grouped: bool) -> None:
    rows = gaussian_rows(45, 6)
    codes = np.arange(45) // 3 if grouped else None
    groups = [np.flatnonzero(codes == g) for g in range(15)] if grouped else None
    frame = frame_of(rows, groups=groups, group_codes=codes)
    known, rho = forecast_mask(), 0.3
    settings = Settings("standard", (Part("diagonal", rho, n_neighbors=8, shared=1.0, gain=0.7),))
    conditional = Conditional(frame, known, settings)
    members = np.array([2, 9, 10])
    found = conditional.errors(members)
    for row, error in zip(members, found, strict=True):
        rest = codes != codes[row] if grouped else np.arange(45) != row
        points = frame.points[rest]
        again = Regression(points, known, frame.target, "diagonal", frame.extra[rest], None)
        mean, _ = again.predict(frame.points[[row]][:, known], frame.extra[[row]], rho * 45 / rest.sum(), ALL)
        distance = ((points[:, known] - frame.points[row, known]) ** 2).sum(axis=1)
        near = np.argsort(distance)[:8]
        mean += 0.7 * again.fitted_errors(rho * 45 / rest.sum(), ALL)[near].mean(axis=0)
        np.testing.assert_allclose(error, frame.points[row, ~known] - mean[0], atol=1e-4)


def test_walks_have_the_covariance_of_the_near_errors() -> None:
    stream = np.random.default_rng(0)
    errors = stream.normal(size=(30, 4)) @ stream.normal(size=(4, 4))
    near = np.array([np.arange(10), np.arange(10) + 15])
    drawn = diffuse(errors, near, 40_000, np.random.default_rng(1))
    for q in range(2):
        own = errors[near[q]]
        np.testing.assert_allclose(drawn[:, q].mean(axis=0), 0.0, atol=0.05)
        # A start among the ten has their covariance with divisor 10, the noise with divisor 9.
        expected = 0.25 * np.cov(own.T, bias=True) + 0.75 * np.cov(own.T)
        np.testing.assert_allclose(np.cov(drawn[:, q].T), expected, atol=0.04 * np.abs(expected).max())


def test_ranked_probability_score_of_known_laws() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 1))
    assert ranked_probability_score(draws, np.zeros(1))[0] == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi), abs=0.02)
    assert ranked_probability_score(np.full((10, 1), 3.0), np.array([1.0]))[0] == pytest.approx(2.0)


def test_gaussian_data_get_their_exact_conditional() -> None:
    covariance, known = factor_covariance(), forecast_mask()
    train, test = gaussian_rows(400, 7), gaussian_rows(150, 8)
    asked = np.where(known, test, np.nan)
    drawn, chosen = Completer(train, SHAPE, None, None, 0).complete(asked, None, 199, 0)
    slopes = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, ~known)])
    mean = test[:, known] @ slopes
    spread = covariance[np.ix_(~known, ~known)] - covariance[np.ix_(~known, known)] @ slopes
    unit = np.sqrt(np.diagonal(spread))
    off = (drawn[:, :, ~known].mean(axis=0) - mean) / unit
    assert np.sqrt((off**2).mean()) < 0.3  # of the conditional deviation: the excess squared error is below a tenth
    made = (drawn[:, :, ~known] - drawn[:, :, ~known].mean(axis=0)) / unit
    found = np.cov(made.reshape(-1, made.shape[-1]).T)
    wanted = spread / np.outer(unit, unit)
    assert np.abs(found - wanted).max() < 0.25
    assert 0.86 < inside(drawn, test, ~known) < 0.94
    assert len(chosen) == 1
    assert chosen[0].n_known == known.sum()


def inside(drawn: np.ndarray, truth: np.ndarray, unknown: np.ndarray) -> float:
    """Share of true values between the 5 % and the 95 % quantile of 199 draws."""
    ordered = np.sort(drawn[..., unknown], axis=0)
    return float(((truth[..., unknown] >= ordered[9]) & (truth[..., unknown] <= ordered[189])).mean())


def test_vowels_are_forecast_better_than_by_neighbours_and_calibrated() -> None:
    vowels = load_japanese_vowels()
    train, test = (X.reshape(len(X), -1).astype(float) for X in (vowels.X, vowels.X_test[:100]))
    known = np.zeros((12, 25), dtype=bool)
    known[:, :18] = True
    known = known.ravel()
    drawn, _ = Completer(train, (12, 25), None, None, 0).complete(np.where(known, test, np.nan), None, 199, 0)
    unit = train.std(axis=0)[~known]
    error = np.sqrt((((drawn.mean(axis=0) - test)[:, ~known] / unit) ** 2).mean())
    distance = ((test[:, None, known] - train[:, known]) ** 2).sum(axis=2)
    near = train[np.argsort(distance, axis=1)[:, :5]].mean(axis=1)
    by_neighbors = np.sqrt((((near - test)[:, ~known] / unit) ** 2).mean())
    assert error < 0.8 * by_neighbors
    assert 0.84 < inside(drawn, test, ~known) < 0.95


def test_curved_data_need_the_neighbourhood() -> None:
    stream = np.random.default_rng(0)
    x = stream.uniform(-2, 2, size=(400, 1))
    rows = np.hstack([x, x**2 + 0.05 * stream.normal(size=x.shape)])
    asked = rows[300:].copy()
    asked[:, 1] = np.nan
    drawn, chosen = Completer(rows[:300], (2,), None, None, 0).complete(asked, None, 99, 0)
    error = np.sqrt(((drawn.mean(axis=0)[:, 1] - rows[300:, 1]) ** 2).mean())
    assert error < 0.25 * rows[:, 1].std()  # the regression alone explains nothing
    assert chosen[0].settings.parts[0].n_neighbors > 0


def test_groups_keep_the_noise_honest() -> None:
    stream = np.random.default_rng(0)
    subjects = gaussian_rows(80, 9)
    groups = np.repeat(np.arange(60), 5)
    train = np.repeat(subjects[:60], 5, axis=0) + 0.02 * stream.normal(size=(300, D))
    known, new = forecast_mask(), subjects[60:]
    asked = np.where(known, new, np.nan)
    honest = Completer(train, SHAPE, None, groups, 0).complete(asked, None, 199, 0)[0]
    naive = Completer(train, SHAPE, None, None, 0).complete(asked, None, 199, 0)[0]
    assert inside(honest, new, ~known) > 0.8
    assert inside(naive, new, ~known) < 0.5


def test_labels_tell_which_class_to_complete_from() -> None:
    stream = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    rows = stream.normal(size=(200, 4))
    rows[:, 2:] += 6.0 * y[:, None]
    sampler = DualSampler("local", random_state=0).fit(rows, y)
    asked = np.full((40, 4), np.nan)
    asked[:, :2] = stream.normal(size=(40, 2))
    for label in (0, 1):
        made = sampler.impute(asked, y=label)
        assert np.abs(made[:, 2:] - 6.0 * label).max() < 4.5
        assert np.abs(made[:, 2:].mean() - 6.0 * label) < 0.4
    info = sampler.sample(5, y=1, given=asked[0], return_info=True)[1]
    assert info.label.tolist() == [1] * 5


@pytest.fixture(scope="module")
def fitted() -> tuple[DualSampler, np.ndarray]:
    rows = gaussian_rows(120, 10).reshape(-1, *SHAPE).astype(np.float32)
    rows[:, 0] = np.round(rows[:, 0])  # levels
    rows[:, 1, 3] = 7.0  # constant
    asked = rows[:6].copy()
    asked[0, :, 5:] = np.nan
    asked[1, 0] = np.nan
    asked[2, 1, 2:5] = np.nan
    asked[4] = np.nan
    asked[5, :, 5:] = np.nan
    return DualSampler("local", random_state=0).fit(rows[6:]), asked


def test_known_values_come_back_bit_for_bit(fitted: tuple[DualSampler, np.ndarray]) -> None:
    sampler, asked = fitted
    before = asked.copy()
    for X in (asked, asked.astype(float) * np.pi):
        one, many = sampler.impute(X), sampler.impute(X, 3)
        assert one.dtype == many.dtype == X.dtype
        assert one.shape == X.shape
        assert many.shape == (3, *X.shape)
        known = ~np.isnan(X)
        assert (one[known] == X[known]).all()
        assert (many[:, known] == X[known]).all()
        assert np.isfinite(many).all()
    np.testing.assert_array_equal(asked, before)
    assert (sampler.impute(asked)[[1], 0] == np.round(sampler.impute(asked)[[1], 0])).all()
    assert (sampler.impute(asked)[2, 1, 3]) == 7.0


def test_draws_stay_in_the_range_of_the_training_rows(fitted: tuple[DualSampler, np.ndarray]) -> None:
    sampler, asked = fitted
    drawn, unknown = sampler.impute(asked, 50), np.isnan(asked)
    assert (drawn >= sampler.X_.min(axis=0))[:, unknown].all()
    assert (drawn <= sampler.X_.max(axis=0))[:, unknown].all()


def test_seeds(fitted: tuple[DualSampler, np.ndarray]) -> None:
    sampler, asked = fitted
    np.testing.assert_array_equal(sampler.impute(asked), sampler.impute(asked))
    np.testing.assert_array_equal(sampler.impute(asked, 2, seed=3), sampler.impute(asked, 2, seed=3))
    assert (sampler.impute(asked, seed=3) != sampler.impute(asked, seed=4)).any()
    draws = sampler.impute(asked, 4)
    assert len(np.unique(draws[:, 0, 2, 7])) == 4
    # A row's draws do not depend on rows with other unknown values.
    np.testing.assert_array_equal(sampler.impute(asked)[1], sampler.impute(asked[[1, 2]])[0])


def test_sample_given(fitted: tuple[DualSampler, np.ndarray]) -> None:
    sampler, asked = fitted
    made, info = sampler.sample(20, given=asked[0], return_info=True)
    known = ~np.isnan(asked[0])
    assert (made[:, known] == asked[0][known]).all()
    assert made.dtype == np.float32
    assert len(np.unique(made[:, 2, 7])) == 20
    assert info.start.shape == (20,)
    np.testing.assert_array_equal(made, sampler.sample(20, given=asked[0]))
    np.testing.assert_array_equal(sampler.sample(5, given=asked[4]), sampler.sample(5))  # nothing is known
    assert sampler.sample(0, given=asked[0]).shape == (0, *SHAPE)
    assert sampler.impute(asked[:0]).shape == (0, *SHAPE)
    far = sampler.sample(20, given=asked[0], min_novelty=0.3, return_info=True)[1]
    assert far.novelty.min() >= 0.3


def test_more_patterns_than_choices(fitted: tuple[DualSampler, np.ndarray]) -> None:
    sampler, _ = fitted
    X = sampler.X_[:30].copy()
    X[np.random.default_rng(0).random(X.shape) < 0.4] = np.nan
    filled = sampler.impute(X)
    assert np.isfinite(filled).all()
    assert 1 <= len(sampler.given_choices_) <= 5


def test_flat_features_and_few_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 5))
    sampler = DualSampler("local", random_state=0).fit(rows)
    asked = rows[:3].copy()
    asked[:, 3:] = np.nan
    assert np.isfinite(sampler.impute(asked, 5)).all()


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(SHAPE), r"X must have shape \(n_samples, 3, 8\).*pass X\[None\]"),
        (np.zeros((2, 3, 9)), r"got \(2, 3, 9\)"),
        (np.full((1, *SHAPE), np.inf), "24 infinite values"),
    ],
)
def test_refusals_of_impute(fitted: tuple[DualSampler, np.ndarray], X: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted[0].impute(X)


def test_refusals_of_given(fitted: tuple[DualSampler, np.ndarray]) -> None:
    sampler, asked = fitted
    with pytest.raises(ValueError, match="given must have the shape of one sample"):
        sampler.sample(3, given=asked)
    with pytest.raises(ValueError, match="no NaN"):
        sampler.sample(3, given=asked[3])
    with pytest.raises(ValueError, match="y must be None"):
        sampler.impute(asked, y=1)
    with pytest.raises(ValueError, match="n_draws must be at least 1"):
        sampler.impute(asked, 0)


def test_the_benchmark_runs_on_small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    bench = importlib.import_module("bench_imputation")
    rows = gaussian_rows(48, 11).reshape(-1, *SHAPE)
    data = importlib.import_module("series").Series("small", rows[:40], rows[40:], None, None, "")
    scores = bench.run_set(data, n_seeds=1, n_rows=8)
    assert {row[2] for row in scores} == {"forecast", "gap", "channels", "scattered"}
    assert {row[3] for row in scores} == set(bench.METHODS)
    assert all(0 < row[5] < 3 for row in scores)
    assert len(bench.summary(scores)) == 2 + len({row[2:4] for row in scores})
    assert "**" in "".join(bench.markdown(scores))
    for name in ("bench_imputation", "series", "_timing"):
        sys.modules.pop(name, None)
