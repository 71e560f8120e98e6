"""The gradient of every objective, of every dual function, and of what compiled walks follow, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualwalk as dw
from dualwalk._critic.convolution import ConvNetwork, ConvShape, initial_weights
from dualwalk._critic.losses import DonskerVaradhan, Largest, Logistic
from dualwalk.duals.conv import ConvDual
from dualwalk.duals.mixture import MixtureDual

from . import slopes
from .slopes import Long

pytestmark = pytest.mark.statistical

D = 4
RNG = np.random.default_rng(101)
POINTS = RNG.standard_normal((9, D)) @ RNG.standard_normal((D, D))
NEIGHBORS = np.arange(2, 9)
SHRINKAGE = 0.3
LAYERS = [RNG.standard_normal((7, D)), RNG.standard_normal((5, 7)) / 2, RNG.standard_normal((1, 5))]
BIASES = [RNG.standard_normal(7), RNG.standard_normal(5), RNG.standard_normal(1)]
SHARES, MEANS = np.array([0.5, 0.2, 0.3]), RNG.standard_normal((3, D))
COVARIANCES = np.array([np.cov(RNG.standard_normal((D, 12))) for _ in SHARES])
X = RNG.standard_normal((6, D))


def mlp() -> tuple[Any, slopes.Value]:
    return dw.MLPDual(LAYERS, BIASES), slopes.perceptron(LAYERS, BIASES)


def local() -> tuple[Any, slopes.Value]:
    return dw.LocalDual(POINTS, NEIGHBORS, shrinkage=SHRINKAGE), slopes.local(POINTS, NEIGHBORS, SHRINKAGE)


def mixture(time: float) -> tuple[Any, slopes.Value]:
    return MixtureDual(SHARES, MEANS, COVARIANCES, time=time), slopes.mixture(SHARES, MEANS, COVARIANCES, time)


def conv() -> tuple[Any, slopes.Value]:
    """The network itself, in extended precision: only its gradient is asked for here."""
    shape = ConvShape(2, D // 2, n_filters=3)
    members = [initial_weights(np.random.default_rng(k), shape, np.float64) + 0.1 for k in range(2)]

    def value(x: slopes.Longs) -> slopes.Longs:
        parts = [ConvNetwork(shape, flat.astype(Long)).outputs(x.reshape(-1, D))[:, 0] for flat in members]
        return (sum(parts) / Long(2)).reshape(x.shape[:-1])

    return ConvDual(shape, members), value


DUALS = {"mlp": mlp, "local": local, "mixture": lambda: mixture(0.0), "mixture at .4": lambda: mixture(0.4), "conv": conv}


@pytest.mark.parametrize("name", DUALS)
def test_dual_functions(name: str) -> None:
    dual, value = DUALS[name]()
    f, gradient = dual.value_and_gradient(X)
    np.testing.assert_allclose(f, value(X.astype(Long)).astype(float), rtol=1e-10, atol=1e-10)
    slopes.accept(value, gradient, X)
    slopes.accept(value, dual.gradient(X), X)


@pytest.mark.parametrize("nodes", ["density", "contrastive"])
def test_fitted_node_paths(backend: str, nodes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference computes the value in whatever precision it is given; every backend's slopes are held against it."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((60, 3)) + rng.standard_normal((60, 1)) * [1.0, 1.0, -1.0]
    dual = dw.DualDivergence(cv=2, n_fits=2, nodes=nodes, random_state=0).fit(rows).dual_
    dual.dtype = np.float64
    assert all(path.refinement is None and path.tables is None for path in dual.paths)
    z = rng.standard_normal((5, 3))

    def value(x: slopes.Longs) -> slopes.Longs:
        with monkeypatch.context() as here:
            here.setenv("DUALWALK_BACKEND", "reference")
            parts = [path.terms_at(x, np.array([path.alpha], Long), Long)[0].sum(axis=0) for path in dual.paths if path.alpha]
        return sum(parts) / Long(len(dual.paths))

    with monkeypatch.context() as here:
        here.setenv("DUALWALK_BACKEND", backend)
        f, gradient = dual.value_and_gradient(z)
    np.testing.assert_allclose(f, value(z.astype(Long)).astype(float), rtol=1e-9)
    slopes.accept(value, gradient, z, tolerance=1e-8)


WALKED = {
    **{name: (*DUALS[name](), None) for name in ("mlp", "local", "mixture", "mixture at .4")},
    "mlp on p": (*mlp(), "normal"),
    "local on p": (local()[0], slopes.local(POINTS, NEIGHBORS, SHRINKAGE, "marginals"), "marginals"),
    "mixture on p": (mixture(0.4)[0], slopes.mixture(SHARES, MEANS, COVARIANCES, 0.4, "normal"), "normal"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WALKED)
def test_what_walks_follow(backend: str, name: str, dtype: str) -> None:
    """One step of size 1 without noise goes by the gradient."""
    dual, function, base = WALKED[name]

    def value(x: slopes.Longs) -> slopes.Longs:
        return function(x) - (x * x).sum(axis=-1) / 2 if name == "mlp on p" else function(x)

    start = X.astype(dtype)
    step = dw.walk(dual, start, n_steps=1, step_size=1.0, base=base, backend=backend).x.astype(float) - start
    slopes.accept(value, step, start, tolerance=slopes.TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_mean_exp(backend: str, dtype: str) -> None:
    rng, options = np.random.default_rng(7), {"return_gradient": True, "backend": backend}
    f, weights = (3 * rng.standard_normal((5, 9))).astype(dtype), rng.random(9).astype(dtype)
    weights[2] = 0
    tolerance = slopes.TOLERANCE[dtype]
    slopes.accept(slopes.log_mean_exp, dw.log_mean_exp(f, axis=1, **options)[1], f, tolerance=tolerance)
    slopes.accept(slopes.log_mean_exp, dw.log_mean_exp(f.T.copy(), axis=0, **options)[1].T, f, tolerance=tolerance)
    slopes.accept(
        lambda x: slopes.log_mean_exp(x, weights),
        dw.log_mean_exp(f, axis=1, weights=weights, **options)[1],
        f,
        tolerance=tolerance,
    )
    parts = dw.log_mean_exp(f[0], segments=[0, 2, 9], weights=weights, **options)[1]
    for part in (slice(0, 2), slice(2, 9)):
        slopes.accept(lambda x, w=weights[part]: slopes.log_mean_exp(x, w), parts[part], f[0, part], tolerance=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_objectives(backend: str, dtype: str) -> None:
    rng = np.random.default_rng(9)
    joint, marginal = ((2 * rng.standard_normal(n)).astype(dtype) for n in (6, 11))
    dv, nce = (run(joint, marginal, backend=backend) for run in (dw.donsker_varadhan, dw.logistic))
    for value, gradient, at in (
        (lambda x: x.mean(axis=-1), dv.grad_joint, joint),
        (lambda x: -slopes.log_mean_exp(x), dv.grad_marginal, marginal),
        (slopes.mean_log_sigmoid, nce.grad_joint, joint),
        (lambda x: slopes.mean_log_sigmoid(-x), nce.grad_marginal, marginal),
    ):
        slopes.accept(value, gradient, at, tolerance=slopes.TOLERANCE[dtype])


def test_losses_that_critics_are_trained_with() -> None:
    rng = np.random.default_rng(15)
    joint, marginal, k = rng.standard_normal(6), rng.standard_normal(11), 3.0
    shift = np.log(Long(k))
    cases = {
        Logistic(k): (
            lambda x: slopes.mean_log_sigmoid(x - shift),
            lambda x: k * slopes.mean_log_sigmoid(shift - x),
        ),
        DonskerVaradhan(memory=0.0): (lambda x: x.mean(axis=-1), lambda x: -slopes.log_mean_exp(x)),
        Largest(): (lambda x: x.mean(axis=-1), lambda x: -x.max(axis=-1)),
    }
    for loss, (of_joint, of_marginal) in cases.items():
        _, by_joint, by_marginal = loss(joint, marginal)
        slopes.accept(of_joint, by_joint, joint)
        slopes.accept(of_marginal, by_marginal, marginal)
