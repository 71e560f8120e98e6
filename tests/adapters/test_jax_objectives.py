"""`log_mean_exp`, `donsker_varadhan` and `logistic` of `adapters.jax`, against NumPy's functions, closed forms and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extras import needs

import dualwalk as dw

jax = needs("jax")
jnp = jax.numpy

from jax.test_util import check_grads

from dualwalk.adapters import jax as dwj

BOTH = ("fwd", "rev")
SEGMENTS = np.array([0, 2, 3, 6])


def values(dtype: Any = np.float64, shape: tuple[int, ...] = (4, 6), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("axis", [None, 1, (0, -1)])
def test_log_mean_exp_is_numpys(jax_dtype: Any, axis: Any, weighted: bool) -> None:
    f = values(jax_dtype, (4, 3, 6))
    weights = abs(values(jax_dtype, (3, 1), 1)) if weighted else None
    expected, slope = dw.log_mean_exp(f, axis=axis, weights=weights, return_gradient=True)
    plain = dwj.log_mean_exp(f, axis=axis, weights=weights)
    both = jax.jit(lambda f: dwj.log_mean_exp(f, axis=axis, weights=weights, return_gradient=True))(f)
    for made, wanted in ((plain, expected), (both[0], expected), (both[1], slope)):
        assert isinstance(made, jax.Array)
        assert made.dtype == jax_dtype
        np.testing.assert_array_equal(made, wanted)


def test_log_mean_exp_over_segments(jax_dtype: Any) -> None:
    f, weights = values(jax_dtype)[0], abs(values(jax_dtype, (6,), 1))
    expected, slope = dw.log_mean_exp(f, segments=SEGMENTS, weights=weights, return_gradient=True)
    made = jax.jit(lambda f, w: dwj.log_mean_exp(f, segments=SEGMENTS, weights=w, return_gradient=True))(f, weights)
    np.testing.assert_array_equal(made[0], expected)
    np.testing.assert_array_equal(made[1], slope)


def test_known_answers() -> None:
    assert dwj.log_mean_exp([1000.0, 1000.0]) == 1000  # no overflow
    assert dwj.log_mean_exp(jnp.float32(2.5)) == 2.5
    np.testing.assert_allclose(dwj.log_mean_exp(jnp.array([-jnp.inf, 0.0])), -np.log(2), rtol=1e-6)
    np.testing.assert_allclose(dwj.donsker_varadhan([1.0, 3.0], [np.log(2), np.log(4)]), 2 - np.log(3), rtol=1e-6)
    np.testing.assert_allclose(dwj.logistic([0.0], [0.0, 0.0]), -2 * np.log(2), rtol=1e-6)
    assert dwj.log_mean_exp(jnp.arange(3)).dtype == jnp.float32
    assert dwj.log_mean_exp(jnp.zeros(3, jnp.float16)).dtype == jnp.float32


def test_derivatives_of_log_mean_exp(jax_x64: None) -> None:
    f, weights = jnp.asarray(values(shape=(2, 3))), jnp.asarray(abs(values(shape=(2, 3), seed=1)) + 0.1)
    check_grads(lambda f, w: dwj.log_mean_exp(f, axis=0, weights=w), (f, weights), order=2, modes=BOTH)
    check_grads(jax.jit(lambda w: dwj.log_mean_exp(f, axis=0, weights=w)), (weights[:, :1],), order=1, modes=BOTH)
    check_grads(jax.jit(dwj.log_mean_exp), (f,), order=2, modes=BOTH)


def test_derivatives_over_segments(jax_x64: None) -> None:
    f, weights = jnp.asarray(values(shape=(2, 6))), jnp.asarray(abs(values(shape=(2, 6), seed=1)) + 0.1)

    def by_segment(f: Any, w: Any) -> Any:
        return dwj.log_mean_exp(f, segments=SEGMENTS, weights=w)

    check_grads(jax.jit(by_segment), (f[0], weights[0]), order=2, modes=("rev",))
    check_grads(jax.jit(jax.vmap(by_segment)), (f, weights), order=1, modes=BOTH)


def test_derivatives_of_the_gradient_that_is_returned(jax_x64: None) -> None:
    f = jnp.asarray(values()[0])
    slope = jax.jacobian(lambda f: dwj.log_mean_exp(f, return_gradient=True)[1])(f)
    p = np.exp(f) / np.exp(f).sum()
    np.testing.assert_allclose(slope, np.diag(p) - np.outer(p, p), atol=1e-15)
    np.testing.assert_allclose(jax.hessian(dwj.log_mean_exp)(f), slope, atol=1e-15)


def test_derivatives_in_float32() -> None:
    f, other = jnp.asarray(values(np.float32)), jnp.asarray(values(np.float32, seed=1))
    check_grads(jax.jit(lambda f: dwj.log_mean_exp(f, axis=1)), (f,), order=1, modes=BOTH)
    check_grads(jax.jit(dwj.donsker_varadhan), (f, other), order=1, modes=BOTH)
    check_grads(jax.jit(dwj.logistic), (f, other), order=1, modes=BOTH)


def test_entries_without_mass_have_no_slope() -> None:
    f = jnp.array([0.0, -jnp.inf, 500.0])
    slope = jax.grad(lambda f: dwj.log_mean_exp(f, weights=jnp.array([1.0, 1.0, 0.0])))(f)
    assert slope.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("name", ["donsker_varadhan", "logistic"])
def test_objectives_are_numpys(jax_dtype: Any, name: str) -> None:
    joint, marginal = values(jax_dtype), values(jax_dtype, (2, 5), 1)
    expected = getattr(dw, name)(joint, marginal)
    run = jax.jit(jax.value_and_grad(getattr(dwj, name), argnums=(0, 1)))
    value, gradients = run(joint, marginal)
    assert value.dtype == jax_dtype
    assert value.shape == ()
    assert value == jax_dtype.type(expected.value)
    np.testing.assert_array_equal(gradients[0], expected.grad_joint)
    np.testing.assert_array_equal(gradients[1], expected.grad_marginal)


@pytest.mark.parametrize("name", ["donsker_varadhan", "logistic"])
def test_derivatives_of_objectives(jax_x64: None, name: str) -> None:
    run = jax.jit(getattr(dwj, name))
    joint, marginal = jnp.asarray(values(shape=(3,))), jnp.asarray(values(shape=(2, 2), seed=1))
    check_grads(run, (joint, marginal), order=2, modes=BOTH)


def test_the_curvature_of_the_logistic_objective_far_out(jax_x64: None) -> None:
    f = jnp.array([-40.0, 40.0])
    second = jnp.diag(jax.hessian(dwj.logistic)(f, jnp.zeros(1)))
    np.testing.assert_allclose(second, [-np.exp(-40.0) / 2] * 2, rtol=1e-12)  # no digits are lost to 1 - 1


@pytest.mark.parametrize("name", ["donsker_varadhan", "logistic"])
def test_vmap_of_objectives(name: str) -> None:
    run = getattr(dwj, name)
    joint, marginal = values(np.float32, (3, 5)), values(np.float32, (2, 4), 1)
    made = jax.jit(jax.vmap(jax.vmap(run, (0, None)), (None, 0)))(joint, marginal)
    np.testing.assert_array_equal(made, [[run(a, b) for a in joint] for b in marginal])
    slopes = jax.vmap(jax.grad(run), (0, None))(joint, marginal[0])
    np.testing.assert_array_equal(slopes, [jax.grad(run)(a, marginal[0]) for a in joint])


def test_vmap_of_log_mean_exp() -> None:
    f, weights = values(np.float32, (3, 4, 5)), abs(values(np.float32, (3, 4, 1), 1)) + 0.1
    for axes in ((0, None), (None, 0), (0, 0)):
        pair = [array if place == 0 else array[0] for array, place in zip((f, weights), axes, strict=True)]
        made = jax.vmap(lambda f, w: dwj.log_mean_exp(f, axis=0, weights=w, return_gradient=True), axes)(*pair)
        wanted = [
            dw.log_mean_exp(
                f[k if axes[0] == 0 else 0], axis=0, weights=weights[k if axes[1] == 0 else 0], return_gradient=True
            )
            for k in range(3)
        ]
        np.testing.assert_allclose(made[0], [value for value, _ in wanted], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(made[1], [slope for _, slope in wanted], rtol=1e-6)
    by_segment = jax.vmap(jax.vmap(lambda f: dwj.log_mean_exp(f, segments=[0, 2, 5])))(f)
    wanted_there = [[dw.log_mean_exp(row, segments=[0, 2, 5]) for row in table] for table in f]
    np.testing.assert_array_equal(by_segment, wanted_there)


def test_errors_name_the_remedy() -> None:
    f = jnp.zeros((2, 3))
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (
            f.astype(jnp.bfloat16),
            {},
            TypeError,
            r"f must hold real numbers .* got dtype bfloat16 \(pass f.astype\(jnp.float32\)\)",
        ),
        (f.astype(complex), {}, TypeError, "f must hold real numbers .* got dtype complex64"),
        (f[:0], {}, ValueError, "f must not be empty along axis None"),
        (f, {"axis": 2}, ValueError, "axis must be below 2"),
        (f, {"weights": -f - 1}, ValueError, "weights must be finite and not negative; got -1.0"),
        (f, {"weights": f}, ValueError, "weights must have a positive sum along axis"),
        (f, {"weights": jnp.ones(2)}, ValueError, r"weights must broadcast to f, shape \(2, 3\); got shape \(2,\)"),
        (f, {"segments": [0, 2]}, ValueError, "f must be 1-D where segments are given"),
        (f[0], {"segments": [0, 2]}, ValueError, "segments must go from 0 to the 3 values of f"),
    ]
    for value, settings, error, words in cases:
        with pytest.raises(error, match=words):
            dwj.log_mean_exp(value, **settings)
    with pytest.raises(ValueError, match="f must not have masked values; got 1 of 2"):
        dwj.log_mean_exp(np.ma.array([1.0, 2.0], mask=[0, 1]))
    with pytest.raises(ValueError, match="f must be a rectangular array"):
        dwj.log_mean_exp([[1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="f_marginal must not be empty"):
        dwj.logistic(f, f[:0])
    with pytest.raises(TypeError, match="f_joint must hold real numbers"):
        dwj.donsker_varadhan(f.astype(jnp.bfloat16), f)


def test_errors_of_what_is_traced(caplog: pytest.LogCaptureFixture) -> None:
    f = jnp.zeros(3)
    with pytest.raises(TypeError, match=r"segments must be known when JAX traces.*name it in static_argnames"):
        jax.jit(lambda f, edges: dwj.log_mean_exp(f, segments=edges))(f, jnp.array([0, 3]))
    with pytest.raises(ValueError, match="weights must broadcast to f"):
        jax.jit(lambda f, w: dwj.log_mean_exp(f, weights=w))(f, jnp.ones(2))
    with pytest.raises(jax.errors.JaxRuntimeError, match="weights must be finite and not negative; got -1"):
        jax.jit(lambda f, w: dwj.log_mean_exp(f, weights=w))(f, -jnp.ones(3)).block_until_ready()
    assert dwj.log_mean_exp(f, weights=jnp.ones(3)) == 0  # the next call is none the worse for it
