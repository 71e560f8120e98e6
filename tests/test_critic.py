"""The trainable critic: gradients against finite differences, losses against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk._critic.losses import DonskerVaradhan, Largest, Logistic, Loss
from dualwalk._critic.network import AdamW, Network, initial_weights, n_weights
from dualwalk.duals.mlp import MLPDual
from dualwalk.objective import donsker_varadhan, log_mean_exp

WIDTHS = (4, 7, 5, 2)


def network(rng: np.random.Generator) -> Network:
    return Network(WIDTHS, initial_weights(rng, WIDTHS, last=1.0, dtype=np.float64))


def test_weight_and_input_gradients_match_finite_differences(rng: np.random.Generator) -> None:
    net, x, slope = network(rng), rng.standard_normal((6, 4)), rng.standard_normal((6, 2))
    gradient = np.zeros(n_weights(WIDTHS))
    net.outputs(x)
    by_inputs = net.backward(slope, gradient, by_inputs=True)
    assert by_inputs is not None
    step = 1e-6
    for k in range(len(net.weights)):
        ends = []
        for sign in (1, -1):
            net.weights[k] += sign * step
            ends.append(float((net.outputs(x) * slope).sum()))
            net.weights[k] -= sign * step
        assert gradient[k] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        difference = ((net.outputs(x + shift) * slope).sum() - (net.outputs(x - shift) * slope).sum()) / (2 * step)
        assert by_inputs[place] == pytest.approx(difference, abs=1e-7)


def test_backward_adds_to_the_gradient(rng: np.random.Generator) -> None:
    net, x, slope = network(rng), rng.standard_normal((6, 4)), rng.standard_normal((6, 2))
    once, twice = np.zeros(n_weights(WIDTHS)), np.zeros(n_weights(WIDTHS))
    for gradient, times in ((once, 1), (twice, 2)):
        for _ in range(times):
            net.outputs(x)
            net.backward(slope, gradient)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-12)


def test_matrices_make_the_same_dual(rng: np.random.Generator) -> None:
    widths = (3, 6, 1)
    net = Network(widths, initial_weights(rng, widths, dtype=np.float64))
    x = rng.standard_normal((9, 3))
    np.testing.assert_allclose(MLPDual(*net.matrices()).value(x), net.outputs(x)[:, 0], rtol=1e-12)


@pytest.mark.parametrize(
    "loss", [Logistic(), Logistic(5.0), DonskerVaradhan(memory=0.0), Largest()], ids=lambda v: type(v).__name__
)
def test_loss_gradients_match_finite_differences(loss: Loss, rng: np.random.Generator) -> None:
    joint, marginal = rng.standard_normal(5), rng.standard_normal(8)
    _, by_joint, by_marginal = loss(joint, marginal)
    step = 1e-6
    for values, slopes in ((joint, by_joint), (marginal, by_marginal)):
        for k in range(len(values)):
            ends = []
            for sign in (1, -1):
                values[k] += sign * step
                ends.append(loss(joint, marginal).value)
                values[k] -= sign * step
            assert slopes[k] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("share", [1.0, 0.25, 6.0])
def test_logistic_is_stationary_at_the_log_ratio(share: float) -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])  # two coins with three sides, as counts of rows
    f_p, f_q = np.repeat(np.log(p / q), [5, 3, 2]), np.repeat(np.log(p / q), [1, 3, 6])
    _, by_p, by_q = Logistic(share)(f_p, f_q)
    side_p, side_q = np.repeat(np.arange(3), [5, 3, 2]), np.repeat(np.arange(3), [1, 3, 6])
    total = np.bincount(side_p, by_p) + np.bincount(side_q, by_q)
    np.testing.assert_allclose(total, 0, atol=1e-12)


def test_losses_do_not_overflow() -> None:
    far = np.array([-2000.0, 2000.0])
    for loss in (Logistic(), Logistic(4.0), DonskerVaradhan(), Largest()):
        value, by_joint, by_marginal = loss(far, far)
        assert np.isfinite([value, *by_joint, *by_marginal]).all()


def test_moving_average_divides_by_the_mean_of_batches() -> None:
    loss, joint = DonskerVaradhan(memory=0.9), np.zeros(2)
    first, second = np.array([0.0, 1.0]), np.array([2.0, 0.5])
    loss(joint, first)
    gradient = loss(joint, second).grad_marginal
    mean = 0.9 * np.exp(first).mean() + 0.1 * np.exp(second).mean()
    np.testing.assert_allclose(gradient, -np.exp(second) / 2 / mean, rtol=1e-12)


def test_the_largest_form_is_never_below_dv(rng: np.random.Generator) -> None:
    for _ in range(20):
        joint, marginal = rng.standard_normal(6), 3 * rng.standard_normal(40)
        assert Largest()(joint, marginal).value >= donsker_varadhan(joint, marginal).value - 1e-12


def test_a_critic_learns_a_gaussian_log_ratio(rng: np.random.Generator) -> None:
    """Mutual information of a bivariate Gaussian with correlation .8 is .511 nats."""
    r, n = 0.8, 2000
    x = rng.standard_normal((2 * n, 1))
    rows = np.hstack([x, r * x + np.sqrt(1 - r * r) * rng.standard_normal((2 * n, 1))]).astype(np.float32)
    net = Network((2, 32, 1), initial_weights(rng, (2, 32, 1)))
    optimizer, loss, gradient = AdamW(net.weights, learning_rate=1e-2), Logistic(), np.zeros_like(net.weights)
    for _ in range(300):
        chosen = rng.permutation(n)[:256]
        joint = rows[chosen]
        product = np.column_stack([joint[:, 0], np.roll(joint[:, 1], 1)])
        f = net.outputs(np.vstack([joint, product]))[:, 0]
        _, by_joint, by_product = loss(f[:256], f[256:])
        gradient[:] = 0
        net.backward(-np.concatenate([by_joint, by_product])[:, None], gradient)
        optimizer.step(gradient)
    test = rows[n:]
    shuffled = np.column_stack([test[:, 0], np.roll(test[:, 1], 7)])
    estimate = float(net.outputs(test).mean()) - float(log_mean_exp(net.outputs(shuffled)))
    assert estimate == pytest.approx(-0.5 * np.log(1 - r * r), abs=0.08)
