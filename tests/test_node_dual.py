"""The dual function of a node path: gradient against finite differences, normalization, sums, shapes."""

from __future__ import annotations

import numpy as np
import pytest

from dualwalk._nodepath.density import marginal_quantiles
from dualwalk._nodepath.gaussian_base import fit_base
from dualwalk._nodepath.network import initial_density
from dualwalk._nodepath.path import CODES, dependence, fit_path, spanning_tree
from dualwalk._nodepath.screen import Triples
from dualwalk.duals.node import FittedPath, NodeDual

D = 6


def some_rows(rng: np.random.Generator, n: int) -> np.ndarray:
    mixing = np.random.default_rng(3).standard_normal((3, D))
    z = rng.standard_normal((n, 3)) @ mixing + 0.5 * rng.standard_normal((n, D))
    return z / np.sqrt((mixing**2).sum(0) + 0.25)


def some_path(rng: np.random.Generator, z: np.ndarray, alpha: float, spread: float = 0.3) -> FittedPath:
    columns = np.array([0, 1, 2, 4, 5])  # column 3 is not on the path
    tree, parent = spanning_tree(dependence(z[:, columns]))
    order = columns[tree]
    triples = Triples(np.array([4]), np.array([1]), np.array([0]), np.array([0.3]))
    base, sizes = fit_base("shrinkage 0.2", z[:, order]), fit_base("1 parents", np.abs(z[:, order]))
    path = fit_path(z, order, parent, base, sizes, triples)
    weights = np.stack([initial_density(rng, len(CODES), dtype=np.float64) for _ in range(2)])
    weights += spread * rng.standard_normal(weights.shape)
    return FittedPath(path, weights, alpha, marginal_quantiles(z)[path.column])


@pytest.mark.parametrize("alpha", [0.7, 1.0, 1.2])
def test_gradient_is_that_of_the_value(rng: np.random.Generator, alpha: float) -> None:
    z = some_rows(rng, 40)
    dual = NodeDual([some_path(rng, z, alpha), some_path(rng, z[:30], 1.0)], D, dtype=np.float64)
    value, gradient = dual.value_and_gradient(z)
    np.testing.assert_allclose(value, dual.value(z), atol=1e-12)
    np.testing.assert_array_equal(gradient, dual.gradient(z))
    step = 1e-6
    for column in range(D):
        ahead, behind = z.copy(), z.copy()
        ahead[:, column] += step
        behind[:, column] -= step
        slope = (dual.value(ahead) - dual.value(behind)) / (2 * step)
        np.testing.assert_allclose(gradient[:, column], slope, atol=1e-4, rtol=1e-4)
    assert (gradient[:, 3] == 0).all()


def test_terms_sum_to_the_value_and_stay_below_their_support(rng: np.random.Generator) -> None:
    z = some_rows(rng, 200)
    dual = NodeDual([some_path(rng, z, 1.2, spread=0.6)], D)
    terms = dual.terms(z)
    assert terms.shape == z.shape
    assert terms.dtype == np.float64
    np.testing.assert_allclose(terms.sum(1), dual.value(z))
    assert terms.max() <= np.log(96) + 1e-6
    assert (terms[:, 3] == 0).all()
    assert (terms[:, dual.paths[0].path.order[0]] == 0).all()


def test_exp_of_a_term_averages_to_one_over_the_marginal(rng: np.random.Generator) -> None:
    z = some_rows(rng, 96)
    path = some_path(rng, z, 0.8, spread=0.1)
    dual = NodeDual([path], D, dtype=np.float64)
    last = path.path.column[-1]  # no other node's context holds it
    rows = np.repeat(z[:1], 96, axis=0)
    rows[:, last] = np.sort(z[:, last])
    term = dual.terms(rows)[:, last]
    assert term.max() < np.log(96)
    assert np.exp(term).mean() == pytest.approx(1.0)


def test_values_do_not_depend_on_the_batch(rng: np.random.Generator) -> None:
    z = some_rows(rng, 700)
    dual = NodeDual([some_path(rng, z, 1.0)], D)
    whole = dual.value(z)
    np.testing.assert_allclose(whole[:5], dual.value(z[:5]), rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(whole, dual.value_and_gradient(z)[0], rtol=2e-4, atol=2e-4)


def test_float32_is_close_to_float64(rng: np.random.Generator) -> None:
    z = some_rows(rng, 50)
    path = some_path(rng, z, 1.0)
    np.testing.assert_allclose(
        NodeDual([path], D).value(z), NodeDual([path], D, dtype=np.float64).value(z), atol=1e-3, rtol=1e-3
    )


def test_average_over_folds(rng: np.random.Generator) -> None:
    z = some_rows(rng, 50)
    one, two = some_path(rng, z, 1.0), some_path(rng, z, 0.9)
    mean = 0.5 * (NodeDual([one], D).terms(z) + NodeDual([two], D).terms(z))
    np.testing.assert_allclose(NodeDual([one, two], D).terms(z), mean)


def test_no_path_and_alpha_zero_are_the_dual_function_zero(rng: np.random.Generator) -> None:
    z = some_rows(rng, 10)
    for dual in (NodeDual([], D), NodeDual([some_path(rng, z, 0.0)], D)):
        value, gradient = dual.value_and_gradient(z)
        assert (value == 0).all()
        assert (gradient == 0).all()
        assert gradient.shape == z.shape


def test_no_rows(rng: np.random.Generator) -> None:
    dual = NodeDual([some_path(rng, some_rows(rng, 40), 1.0)], D)
    value, gradient = dual.value_and_gradient(np.empty((0, D)))
    assert value.shape == (0,)
    assert gradient.shape == (0, D)


def test_wrong_rows(rng: np.random.Generator) -> None:
    dual = NodeDual([], D)
    with pytest.raises(ValueError, match="x must have samples of the shape seen in fit"):
        dual.value(np.zeros((3, D + 1)))
    with pytest.raises(ValueError, match="x must be finite"):
        dual.gradient(np.full((3, D), np.nan))
