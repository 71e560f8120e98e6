"""`adapters.jax.walk`: functions of JAX as duals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extras import needs

import dualwalk as dw

jax = needs("jax")
jnp = jax.numpy

from dualwalk.adapters import jax as dwj


class Bowl:
    """What the functions below are, in NumPy."""

    def value_and_gradient(self, x: Any) -> Any:
        return -(x**2).sum(axis=1) / 2, -x


def of_row(row: Any) -> Any:
    assert row.ndim == 1
    return -(row**2).sum() / 2


def of_rows(rows: Any) -> Any:
    assert rows.ndim == 2
    return -(rows**2).sum(axis=1) / 2


def starts(dtype: Any = np.float32, n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3)).astype(dtype) + 2


@pytest.mark.parametrize("dual", [jax.jit(of_row), of_row, jax.jit(of_rows), lambda x: -(x**2).sum(axis=-1) / 2])
def test_it_is_numpys_walk(dual: Any) -> None:
    settings: dict[str, Any] = {"n_steps": 20, "step_size": 0.1, "noise": 0.5, "seed": 4, "bounds": (-1.0, 9.0), "record": True}
    made = dwj.walk(dual, jnp.asarray(starts()), **settings)
    expected = dw.walk(Bowl(), starts(), **settings)
    for part, wanted in zip(made, expected, strict=True):
        assert isinstance(part, jax.Array)
        np.testing.assert_allclose(part, wanted, rtol=2e-5, atol=1e-6)


def test_dtypes(jax_dtype: Any) -> None:
    made = dwj.walk(of_row, starts(jax_dtype), n_steps=3, step_size=0.1)
    assert made.x.dtype == jax_dtype
    assert made.f.dtype == jax_dtype
    assert made.trajectory is None
    expected = dw.walk(Bowl(), starts(jax_dtype), n_steps=3, step_size=0.1)
    np.testing.assert_allclose(made.x, expected.x, rtol=1e-12 if jax_dtype == np.float64 else 1e-6)


def test_walks_that_end_early_compile_few_sizes() -> None:
    sizes = []

    def dual(rows: Any) -> Any:
        sizes.append(rows.shape)  # once for every trace
        return of_rows(rows)

    x0 = starts(n=37)
    goals = jnp.linspace(-1, -4, 37)
    made = dwj.walk(jax.jit(dual), x0, n_steps=300, step_size=0.02, target=goals)
    expected = dw.walk(Bowl(), x0, n_steps=300, step_size=0.02, target=np.asarray(goals))
    assert made.reached.all()
    np.testing.assert_array_equal(made.n_steps, expected.n_steps)
    np.testing.assert_allclose(made.f, goals, atol=1.1e-3)
    assert len({shape[0] for shape in sizes if len(shape) == 2}) <= 7  # 37, 32, 16, ..., 1


def test_a_dual_is_compiled_once_for_many_walks() -> None:
    traces = []

    def dual(row: Any) -> Any:
        traces.append(row)
        return of_row(row)

    dwj.walk(dual, starts(), n_steps=2, step_size=0.1)
    first = len(traces)
    dwj.walk(dual, starts() + 1, n_steps=5, step_size=0.1)
    assert len(traces) == first


def test_a_dual_that_cannot_be_hashed() -> None:
    class Network:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, row: Any) -> Any:
            return of_row(row)

    made = dwj.walk(Network(), starts(), n_steps=2, step_size=0.1)
    np.testing.assert_allclose(made.x, starts() * 0.81, rtol=1e-6)


def test_duals_of_ours() -> None:
    random = np.random.default_rng(0)
    dual = dw.MLPDual([random.normal(size=(8, 3)), random.normal(size=(1, 8))], [np.zeros(8), np.zeros(1)])
    made = dwj.walk(dual, jnp.asarray(starts()), n_steps=4, step_size=0.1)
    np.testing.assert_array_equal(made.x, dw.walk(dual, starts(), n_steps=4, step_size=0.1).x)


def test_seeds_of_jax() -> None:
    settings: dict[str, Any] = {"n_steps": 3, "step_size": 0.1, "noise": 1.0}
    by_number = dwj.walk(of_row, starts(), seed=9, **settings).x
    np.testing.assert_array_equal(dwj.walk(of_row, starts(), seed=jnp.uint32(9), **settings).x, by_number)
    by_key = [dwj.walk(of_row, starts(), seed=jax.random.key(k), **settings).x for k in (0, 0, 1)]
    np.testing.assert_array_equal(by_key[0], by_key[1])
    assert (by_key[0] != by_key[2]).any()


def test_base_and_preconditioner() -> None:
    settings: dict[str, Any] = {"n_steps": 5, "step_size": 0.1, "base": "normal", "preconditioner": np.diag([1.0, 2.0, 0.5])}
    made = dwj.walk(of_row, starts(), **settings)
    np.testing.assert_allclose(made.x, dw.walk(Bowl(), starts(), **settings).x, rtol=2e-5, atol=1e-6)


def test_errors_name_the_remedy() -> None:
    x0 = starts()
    settings: dict[str, Any] = {"n_steps": 1, "step_size": 0.1}
    with pytest.raises(TypeError, match=r"x0 must be known.*call walk outside jit"):
        jax.jit(lambda x0: dwj.walk(of_row, x0, **settings).x)(x0)
    with pytest.raises(TypeError, match=r"dual must be a function of JAX or have value_and_gradient\(x\); got int"):
        dwj.walk(3, x0, **settings)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"dual must give one float for a row or \(n,\) floats for a batch; got .*\(3,\)"):
        dwj.walk(lambda x: x, x0, **settings)
    with pytest.raises(TypeError, match=r"for x of shape \(3,\) \(.*\) and .* \(pass f\(row\)"):
        dwj.walk(lambda x: x @ jnp.ones((4, 1)), x0, **settings)
    with pytest.raises(ValueError, match=r"x0 must have shape \(n_walks, n_features\); got \(3,\)"):
        dwj.walk(of_row, x0[0], **settings)
    with pytest.raises(ValueError, match="x0 must be finite"):
        dwj.walk(of_row, x0 * np.nan, **settings)
