"""The one-shot critic: its gradients, its bound, and what it says when its samples cannot carry the bound."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

from dualwalk._critic.convolution import ConvNetwork, ConvShape, initial_weights
from dualwalk._nodepath.fold import folds
from dualwalk._single import UnsupportedEstimateWarning, fit_single
from dualwalk._single.calibration import Calibration, best_scale, calibrate, why_unsupported
from dualwalk._single.training import SinglePlan, negatives, train_critic, values
from dualwalk.duals.conv import ConvDual
from dualwalk.walks import walk

QUICK = SinglePlan(n_steps=300, n_negatives=4, patience=4)


def numerical(function, x, step=1e-5):
    slopes = np.empty(x.size)
    for k in range(x.size):
        up, down = x.copy(), x.copy()
        up.flat[k] += step
        down.flat[k] -= step
        slopes[k] = (function(up) - function(down)) / (2 * step)
    return slopes.reshape(x.shape)


@pytest.mark.parametrize("feature_shape", [(3, 6), (5,), (2, 1)])
def test_convolution_gradients_are_those_of_finite_differences(feature_shape, rng):
    shape = ConvShape.of(feature_shape, n_filters=4)
    weights = 3 * initial_weights(rng, shape, np.float64)
    x = rng.standard_normal((4, int(np.prod(feature_shape))))
    slope = rng.standard_normal((4, 1))
    network = ConvNetwork(shape, weights)
    network.outputs(x)
    by_weights = np.zeros_like(weights)
    by_inputs = network.backward(slope, by_weights, by_inputs=True)

    def total(w, rows):
        return float((ConvNetwork(shape, w).outputs(rows) * slope).sum())

    np.testing.assert_allclose(by_weights, numerical(lambda w: total(w, x), weights), atol=1e-7)
    np.testing.assert_allclose(by_inputs, numerical(lambda rows: total(weights, rows), x), atol=1e-7)


def test_convolution_is_the_plain_formula(rng):
    shape = ConvShape(2, 4, n_filters=3)
    weights = initial_weights(rng, shape, np.float64)
    sizes = [rows * columns for rows, columns in shape.matrices]
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    first, second, last = (part.reshape(s) for part, s in zip(parts, shape.matrices, strict=True))

    def convolve(signal, matrix, reach):
        out = np.zeros((4, len(matrix)))
        for t in range(4):
            for row in range(len(matrix)):
                total = matrix[row, -1]
                for k in range(reach):
                    at = t + k - reach // 2
                    if 0 <= at < 4:
                        total += matrix[row, k * signal.shape[1] : (k + 1) * signal.shape[1]] @ signal[at]
                out[t, row] = total / (1 + np.exp(-total))
        return out

    x = rng.standard_normal((1, 8))
    features = convolve(convolve(x.reshape(2, 4).T, first, 5), second, 3)
    assert ConvNetwork(shape, weights).outputs(x)[0, 0] == pytest.approx(features.ravel() @ last[0, :-1] + last[0, -1])


def test_conv_dual_is_the_mean_of_its_members_and_can_be_walked(rng):
    shape = ConvShape(2, 5, n_filters=4)
    members = [initial_weights(np.random.default_rng(k), shape, np.float64) for k in range(3)]
    dual = ConvDual(shape, members)
    x = rng.standard_normal((7, 10))
    one_by_one = [ConvNetwork(shape, flat).outputs(x)[:, 0] for flat in members]
    np.testing.assert_allclose(dual.value(x), np.mean(one_by_one, axis=0))
    value, gradient = pickle.loads(pickle.dumps(dual)).value_and_gradient(x)
    np.testing.assert_array_equal(value, dual.value(x))
    np.testing.assert_allclose(gradient, numerical(lambda rows: float(dual.value(rows).sum()), x), atol=1e-7)
    assert dual.value(x.astype(np.float32)).dtype == np.float32
    assert dual.value(x[:0]).shape == (0,)
    walked = walk(dual, x, n_steps=20, step_size=0.05)
    assert (walked.f > dual.value(x)).all()
    with pytest.raises(ValueError, match=r"x must have shape \(n, 10\)"):
        dual.value(x[:, :9])
    with pytest.raises(ValueError, match="weights each"):
        ConvDual(shape, [members[0][1:]])


def gaussian(n, rho, d, rng):
    z = rng.standard_normal((n, d))
    z[:, 1] = rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]
    return z


@pytest.mark.parametrize("critic", ["mlp", "conv"])
@pytest.mark.parametrize("loss", ["dv", "logistic"])
def test_finds_the_information_of_a_gaussian_pair(critic, loss, rng):
    z = gaussian(1000, 0.8, 2, rng)
    fit = fit_single(z, folds(1000, 2, 0), critic=critic, loss=loss, feature_shape=(2,), seed=0, plan=QUICK)
    truth = -0.5 * np.log(1 - 0.8**2)
    oracle = truth + np.mean((z[:, 0] ** 2 + z[:, 1] ** 2) / 2 - (z[:, 0] ** 2 + z[:, 1] ** 2 - 1.6 * z[:, 0] * z[:, 1]) / 0.72)
    assert abs(fit.held_out.mean() - oracle) < 0.07
    assert fit.trained.mean() > fit.held_out.mean() - 0.1
    q = np.random.default_rng(1).standard_normal((20_000, 2))
    assert abs(np.log(np.exp(fit.dual.value(q)).mean())) < 0.05


def test_the_max_form_finds_dependence_that_sets_p_apart(rng):
    z = rng.standard_normal((600, 1)) + 0.3 * rng.standard_normal((600, 12))
    z /= z.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsupportedEstimateWarning)
        fit = fit_single(z, folds(600, 2, 0), critic="mlp", loss="max", feature_shape=(12,), seed=0, plan=QUICK)
    assert 3 < fit.held_out.mean() < 9.3  # the truth is 11.6


@pytest.mark.parametrize("loss", ["dv", "logistic", "max"])
def test_reads_nothing_where_there_is_nothing(loss, rng):
    z = rng.standard_normal((300, 10))
    fit = fit_single(z, folds(300, 3, 0), critic="mlp", loss=loss, feature_shape=(10,), seed=0, plan=QUICK)
    assert abs(fit.held_out.mean()) < 0.06


@pytest.mark.parametrize("critic", ["mlp", "conv"])
def test_same_bits_for_any_number_of_threads_and_the_dual_is_the_mean_of_folds(critic, rng):
    z = gaussian(120, 0.7, 4, rng)
    plan = SinglePlan(n_steps=60, n_rows=32, n_negatives=2)
    runs = [
        fit_single(z, folds(120, 3, 0), critic=critic, loss="logistic", feature_shape=(2, 2), seed=5, n_threads=k, plan=plan)
        for k in (1, 3)
    ]
    np.testing.assert_array_equal(runs[0].held_out, runs[1].held_out)
    np.testing.assert_array_equal(runs[0].dual.value(z), runs[1].dual.value(z))
    one = fit_single(z, folds(120, 3, 0)[:1], critic=critic, loss="logistic", feature_shape=(2, 2), seed=5, plan=plan)
    test = folds(120, 3, 0)[0][1]
    np.testing.assert_allclose(one.dual.value(z[test]), one.held_out[test], atol=1e-5)
    np.testing.assert_array_equal(one.held_out[test], runs[0].held_out[test])
    np.testing.assert_allclose(one.held_out, one.dual.value(z), atol=1e-5)  # rows of no test part, too
    np.testing.assert_allclose(
        runs[0].dual.value(z).mean(), np.mean([runs[0].held_out.mean(), runs[0].trained.mean()]), atol=0.3
    )


def wide(n, rng):
    return rng.standard_normal((n, 3)) @ rng.standard_normal((3, 40)) + 0.05 * rng.standard_normal((n, 40))


def test_warns_and_stays_below_what_its_samples_support(rng):
    z = wide(300, rng)
    z /= z.std(axis=0)
    with pytest.warns(UnsupportedEstimateWarning, match="so f was multiplied by"):
        fit = fit_single(z, folds(300, 2, 0), critic="mlp", loss="dv", feature_shape=(40,), seed=0, plan=QUICK)
    assert fit.held_out.mean() < np.log(fit.calibrations[0].n_negatives)
    assert all(c.supported for c in fit.calibrations)
    raw = SinglePlan(n_steps=300, n_negatives=4, patience=4, shrink=False)
    with pytest.warns(UnsupportedEstimateWarning, match="may be off by any amount"):
        fit_single(z, folds(300, 2, 0), critic="mlp", loss="dv", feature_shape=(40,), seed=0, plan=raw)


def test_support_is_judged_by_what_decides():
    n = 10_000
    even = np.random.default_rng(0).normal(0, 0.5, n)
    assert Calibration.at(1.0, np.full(10, 2.0), even).supported
    assert not Calibration.at(1.0, np.full(10, 9.0), even).supported  # beyond log(n / 10)
    lonely = np.concatenate([even, [14.0]])  # one sample decides
    found = calibrate(1.0, np.full(10, 2.0), lonely, shrink=True)
    assert found.supported
    assert 0.3 < found.shrunk < 0.8
    assert "of which 1 decide" in str(why_unsupported(3.0, [calibrate(1.0, np.full(10, 2.0), lonely, shrink=False)]))
    assert why_unsupported(2.0, [Calibration.at(1.0, np.full(10, 2.0), even)]) is None


def test_best_scale_is_that_of_the_gaussian_formula():
    marginal = np.random.default_rng(0).normal(0, 2.0, 100_000)  # DV value s m - 2 s^2: largest at s = m / 4
    assert best_scale(np.array([2.0]), marginal)[0] == pytest.approx(0.5, rel=0.15)
    assert best_scale(np.array([-1.0]), marginal) == (0.0, 0.0)


def test_negatives_keep_every_column_and_lose_the_rows():
    z = np.arange(30.0).reshape(10, 3)
    rows = negatives(z, 25, 7)
    assert rows.shape == (30, 3)
    for copy in rows.reshape(3, 10, 3):
        np.testing.assert_array_equal(np.sort(copy, axis=0), z)
    assert (rows[:, 1] - rows[:, 0] != 1).any()


def test_the_best_weights_on_validation_are_kept(rng):
    shape = ConvShape(1, 2, n_filters=4)
    network = ConvNetwork(shape, initial_weights(rng, shape))
    train, validation = np.float32(gaussian(40, 0.9, 2, rng)), np.float32(rng.standard_normal((200, 2)))
    plan = SinglePlan(n_steps=400, n_rows=20, check_every=10, patience=100)
    train_critic(network, train, validation, "logistic", seed=0, path=(), plan=plan)
    assert np.abs(values(network, validation)).mean() < 0.3  # validation is independent: what fits `train` is not kept


def test_an_error_in_report_stops_the_work(rng):
    def report(share):
        if share > 0:
            raise KeyboardInterrupt

    z = gaussian(200, 0.5, 3, rng)
    plan = SinglePlan(n_steps=10**7, patience=10**7)
    with pytest.raises(KeyboardInterrupt):
        fit_single(z, folds(200, 2, 0), loss="logistic", feature_shape=(3,), seed=0, n_threads=2, plan=plan, report=report)
