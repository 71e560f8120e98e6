"""Walks with noise have the law that their steps give them: exactly after so many steps, hence also when they run long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import dualwalk as dw
from dualwalk.duals.mixture import MixtureDual

from . import laws, walks

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]

N_WALKS = {"native": 20_000, "numba": 20_000, "reference": 5_000}
POINTS = np.random.default_rng(3).standard_normal((12, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.6, 0.2], [0.0, 0.0, 1.5]])
MEAN, SAMPLE = POINTS.mean(axis=0), np.cov(POINTS.T)
SHRINKAGE = 0.3
COVARIANCE = (1 - SHRINKAGE) * SAMPLE + SHRINKAGE * np.diag(np.diag(SAMPLE))
GRID = np.linspace(-7, 7, 1401)


class Plain:
    """A dual function of the caller's own, as a log density against N(0, I)."""

    def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pull = np.linalg.solve(COVARIANCE, (x - MEAN).T).T
        return 0.5 * (x * x).sum(axis=1) - 0.5 * ((x - MEAN) * pull).sum(axis=1), x - pull


GAUSSIANS: dict[str, tuple[Any, str]] = {
    "local": (dw.LocalDual(POINTS, np.arange(12), shrinkage=SHRINKAGE), "marginals"),
    "mixture": (MixtureDual([1.0], [MEAN], [COVARIANCE]), "normal"),
    "own": (Plain(), "normal"),
}


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("name", GAUSSIANS)
def test_langevin_on_a_gaussian(backend: str, name: str, preconditioned: bool, accept: Accept) -> None:
    """Far from the start the law is the Gaussian but for the step's own bias, which is known."""
    dual, base = GAUSSIANS[name]
    start, n_steps = MEAN + np.array([2.0, 0.0, -3.0]), 60
    shape = dw.LocalCovariance(POINTS, np.arange(12), shrinkage=SHRINKAGE) if preconditioned else None
    step_size = 0.2 if preconditioned else 0.5 * np.linalg.eigvalsh(COVARIANCE)[0]
    x = dw.walk(
        dual,
        np.tile(start, (N_WALKS[backend], 1)),
        n_steps=n_steps,
        step_size=step_size,
        noise=1.0,
        preconditioner=shape,
        base=base,
        seed=5,
        backend=backend,
    ).x
    matrix = COVARIANCE if preconditioned else np.eye(3)
    accept(laws.of_gaussians(x, *walks.gaussian_chain(MEAN, COVARIANCE, start, step_size, n_steps, matrix)))


@pytest.mark.parametrize("n_steps", [3, 80])
@pytest.mark.parametrize("name", ["mixture", "mlp"])
def test_langevin_on_a_law_with_two_humps(backend: str, name: str, n_steps: int, accept: Accept) -> None:
    two = MixtureDual([0.6, 0.4], [[-1.2], [1.5]], [[[0.3]], [[0.5]]])
    rng = np.random.default_rng(2)
    net = dw.MLPDual(
        [2 * rng.standard_normal((6, 1)), 0.3 * rng.standard_normal((1, 6))], [rng.standard_normal(6), np.zeros(1)]
    )
    dual = {"mixture": two, "mlp": net}[name]
    x = dw.walk(
        dual, np.zeros((N_WALKS[backend], 1)), n_steps=n_steps, step_size=0.1, noise=1.0, base="normal", seed=7, backend=backend
    ).x[:, 0]

    def slope(at: walks.Floats) -> walks.Floats:
        return np.asarray(dual.gradient(at[:, None])[:, 0] - at)

    accept(walks.on_grid(x, GRID, walks.chain_on_grid(slope, 0.0, 0.1, n_steps, GRID)))


@pytest.mark.parametrize("t_start", [0.5, 0.99])
def test_annealed_points_have_the_law_of_the_mixture(backend: str, t_start: float, accept: Accept) -> None:
    """Draws of the mixture, renoised and walked back, are draws of the mixture again."""
    shares, means = np.array([0.7, 0.3]), np.array([[-1.0, 0.5], [1.5, -0.5]])
    covariances = np.array([[[0.5, 0.3], [0.3, 0.4]], [[0.3, -0.1], [-0.1, 0.6]]])
    rng, n = np.random.default_rng(8), N_WALKS[backend]
    which = rng.random(n) > shares[0]
    draws = means[which.astype(int)] + np.einsum(
        "nij,nj->ni", np.linalg.cholesky(covariances)[which.astype(int)], rng.standard_normal((n, 2))
    )
    dual = MixtureDual(shares, means, covariances)
    x = dw.anneal(dual, draws, t_start=t_start, n_steps=60, seed=9, backend=backend).x
    found = {}
    for name, direction in {"first": (1, 0), "second": (0, 1), "sum": (1, 1), "difference": (1, -1)}.items():
        a = np.array(direction, float)
        middle, width = means @ a, np.sqrt(np.einsum("i,kij,j->k", a, covariances, a))
        found[name] = laws.of_sample(x @ a, lambda at, m=middle, w=width: stats.norm.cdf((at[:, None] - m) / w) @ shares)
    accept(found)
