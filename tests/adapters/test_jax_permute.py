"""`adapters.jax.permute_marginals`: the rows of the NumPy function, under jit, vmap and grad."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from extras import needs

import dualwalk as dw

jax = needs("jax")
jnp = jax.numpy

from jax.test_util import check_grads

from dualwalk.adapters import jax as dwj
from dualwalk.adapters.jax import _arguments

LABELS = np.array([5, 5, -1, 5, 2, 2])


def table(dtype: Any = np.float32, shape: tuple[int, ...] = (9, 6)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("n_copies", [None, 3])
@pytest.mark.parametrize("blocks", [None, LABELS])
@pytest.mark.parametrize("method", ["shuffle", "resample", "shift"])
def test_the_integers_are_those_of_numpy(jax_dtype: Any, method: str, blocks: Any, n_copies: Any) -> None:
    x = table(jax_dtype)
    settings = {"method": method, "blocks": blocks, "n_copies": n_copies}
    permute = functools.partial(dwj.permute_marginals, **settings)
    for run, seed in ((permute, 0), (jax.jit(permute), 2**31 - 1)):
        made = run(x, seed=seed)
        assert isinstance(made, jax.Array)
        assert made.dtype == jax_dtype
        np.testing.assert_array_equal(made, dw.permute_marginals(x, seed=seed, **settings))


@pytest.mark.parametrize("seed", [2**32 - 1, 2**32, 2**64 - 1])
def test_all_64_bits_of_a_seed_count(seed: int) -> None:
    x = table()
    expected = dw.permute_marginals(x, seed=seed)
    np.testing.assert_array_equal(dwj.permute_marginals(x, seed=seed), expected)
    np.testing.assert_array_equal(jax.jit(lambda x: dwj.permute_marginals(x, seed=seed))(x), expected)


@pytest.mark.parametrize(("kind", "seed"), [("int64", 2**40 + 3), ("uint64", 2**63 + 1), ("int8", 5), ("uint32", 2**31 + 1)])
def test_seeds_of_any_integer_dtype(jax_x64: None, kind: str, seed: int) -> None:
    made = jax.jit(dwj.permute_marginals)(table(), seed=jnp.asarray(seed, kind))
    np.testing.assert_array_equal(made, dw.permute_marginals(table(), seed=seed))


@pytest.mark.parametrize("kind", ["int8", "int32", "int64"])
def test_integers_below_zero_are_taken_modulo_2_to_the_64(jax_x64: None, kind: str) -> None:
    made = dwj.permute_marginals(table(), seed=jnp.asarray(-3, kind))
    np.testing.assert_array_equal(made, dw.permute_marginals(table(), seed=2**64 - 3))


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
def test_keys_of_jax(make: Any) -> None:
    x, key = table(), make(7)
    made = dwj.permute_marginals(x, seed=key)
    np.testing.assert_array_equal(np.sort(made, axis=0), np.sort(x, axis=0))
    np.testing.assert_array_equal(made, jax.jit(dwj.permute_marginals)(x, seed=key))
    assert (made != dwj.permute_marginals(x, seed=make(8))).any()
    first, second = jax.vmap(lambda key: dwj.permute_marginals(x, seed=key))(jax.random.split(key))
    assert (first != second).any()


def test_series_and_labels_of_channels() -> None:
    x = table(shape=(7, 3, 2))
    for blocks in (None, np.array([1, 0, 1]), LABELS.reshape(3, 2)):
        made = dwj.permute_marginals(x, blocks=blocks, seed=4)
        np.testing.assert_array_equal(made, dw.permute_marginals(x, blocks=blocks, seed=4))


def test_labels_may_be_traced_and_mapped() -> None:
    x, labels = table(), np.stack([LABELS, np.arange(6)])
    made = jax.jit(jax.vmap(lambda blocks: dwj.permute_marginals(x, blocks=blocks, seed=2)))(labels)
    np.testing.assert_array_equal(made, [dw.permute_marginals(x, blocks=one, seed=2) for one in labels])
    series = x.reshape(9, 3, 2)
    by_channel = jax.jit(lambda blocks: dwj.permute_marginals(series, blocks=blocks, seed=2))(jnp.array([0, 1, 0]))
    np.testing.assert_array_equal(by_channel, dw.permute_marginals(series, blocks=[0, 1, 0], seed=2))


@pytest.mark.parametrize("kind", ["bool", "int8", "bfloat16", "complex64"])
def test_any_dtype(kind: str) -> None:
    x = jnp.asarray(table() > 0 if kind == "bool" else table() * 50).astype(kind)
    made = dwj.permute_marginals(x, seed=1)
    rows = dw.permute_marginals(np.tile(np.arange(9)[:, None], 6), seed=1)
    assert made.dtype == x.dtype
    assert (made == jnp.take_along_axis(x, rows, axis=0)).all()


def test_no_rows_no_columns_no_copies() -> None:
    for shape in ((0, 3), (4, 0), (0, 2, 2)):
        assert dwj.permute_marginals(np.zeros(shape, np.float32), seed=0).shape == shape
    assert dwj.permute_marginals(table(), seed=0, n_copies=0).shape == (0, 9, 6)


def test_vmap_over_seeds_tables_and_both() -> None:
    tables, seeds = np.stack([table(), table() + 100]), np.array([3, 8])
    over_seeds = jax.vmap(lambda seed: dwj.permute_marginals(tables[0], seed=seed))(seeds)
    np.testing.assert_array_equal(over_seeds, [dw.permute_marginals(tables[0], seed=int(seed)) for seed in seeds])
    over_tables = jax.vmap(lambda x: dwj.permute_marginals(x, seed=3))(tables)  # one seed: the same rows in every table
    np.testing.assert_array_equal(over_tables, [dw.permute_marginals(x, seed=3) for x in tables])
    nested = jax.jit(jax.vmap(jax.vmap(lambda x, s: dwj.permute_marginals(x, seed=s), (0, None)), (None, 0)))(tables, seeds)
    expected = [[dw.permute_marginals(x, seed=int(seed)) for x in tables] for seed in seeds]
    np.testing.assert_array_equal(nested, expected)


@pytest.mark.parametrize("method", ["shuffle", "resample", "shift"])
def test_derivatives(jax_x64: None, method: str) -> None:
    def f(x: Any) -> Any:
        return dwj.permute_marginals(x, method=method, n_copies=2, blocks=LABELS[:3], seed=5) ** 2

    check_grads(jax.jit(f), (jnp.asarray(table(float, (4, 3))),), order=2, modes=("fwd", "rev"))


def test_derivatives_of_a_batch() -> None:
    f = jax.jit(jax.vmap(lambda x, seed: dwj.permute_marginals(x, seed=seed) ** 2))
    check_grads(lambda x: f(x, jnp.arange(2)), (jnp.asarray(table(shape=(2, 4, 3))),), order=1, modes=("fwd", "rev"))


def test_the_gradient_goes_back_to_the_rows_it_came_from() -> None:
    x, weight = table(), table() + 3
    back = jax.grad(lambda x: (dwj.permute_marginals(x, method="resample", seed=6) * weight).sum())(x)
    rows = dw.permute_marginals(np.tile(np.arange(9)[:, None], 6), method="resample", seed=6)
    expected = np.zeros_like(x)
    np.add.at(expected, (rows, np.arange(6)), weight)
    np.testing.assert_allclose(back, expected, rtol=1e-6)


def test_no_seed() -> None:
    x = table(shape=(40, 6))
    assert (dwj.permute_marginals(x) != dwj.permute_marginals(x)).any()
    assert jax.grad(lambda x: dwj.permute_marginals(x).sum())(x).tolist() == np.ones_like(x).tolist()
    with pytest.raises(ValueError, match=r"seed must be given under jit.*got None \(pass an integer or a key"):
        jax.jit(dwj.permute_marginals)(x)
    with pytest.raises(ValueError, match="seed must be given under jit"):
        jax.jit(lambda scale: scale * dwj.permute_marginals(x))(2.0)  # x is known, yet the draw would be kept


def test_errors_name_the_remedy() -> None:
    x = table()
    key = jax.random.key(0)
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (x[0], {"seed": 0}, ValueError, r"x must have shape .* got shape \(6,\) \(pass x\[:, None\]"),
        (x, {"seed": -1}, ValueError, "seed must be at least 0; got -1"),
        (x, {"seed": 2**64}, ValueError, r"seed must be below 2\*\*64"),
        (x, {"seed": 1.5}, TypeError, "seed must be a whole number; got 1.5"),
        (
            x,
            {"seed": jnp.arange(3)},
            TypeError,
            r"seed must be one integer or one key .* shape \(3,\).*use jax.vmap over seeds",
        ),
        (x, {"seed": jax.random.split(key)}, TypeError, "seed must be one integer or one key"),
        (x, {"seed": jnp.float32(1)}, TypeError, "seed must be one integer or one key .* float32"),
        (x, {"seed": 0, "method": "sort"}, ValueError, "method must be one of 'shuffle'"),
        (x, {"seed": 0, "n_copies": -1}, ValueError, "n_copies must be at least 0"),
        (x, {"seed": 0, "blocks": [0, 1]}, ValueError, "blocks must hold one label a feature"),
        (x, {"seed": 0, "blocks": jnp.zeros(6)}, TypeError, "blocks must hold integer labels; got dtype float32"),
    ]
    for value, settings, error, words in cases:
        with pytest.raises(error, match=words):
            dwj.permute_marginals(value, **settings)
    with pytest.raises(ValueError, match="blocks must hold one label a feature"):
        jax.jit(lambda blocks: dwj.permute_marginals(x, blocks=blocks, seed=0))(jnp.arange(2))


def test_many_large_calls_in_flight_do_not_wait_for_each_other() -> None:
    # a callback that waits for JAX's own threads can stand still for ever where there is one processor
    program = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
import jax, jax.numpy as jnp
from dualwalk.adapters import jax as dwj
from dualwalk.adapters.jax import _arguments

@jax.jit
def step(x, seed):
    return jnp.tanh(dwj.permute_marginals(x, seed=seed)) + dwj.permute_marginals(x, seed=seed + 1) + dwj.log_mean_exp(x)

x = jnp.ones((2048, 256))
for seed in range(20):
    x = step(x, seed)
print(jax.block_until_ready(jax.vmap(step, (None, 0))(x, jnp.arange(3))).shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split("\n")[0] == "(3, 2048, 256)", done.stderr


def test_a_jax_whose_callbacks_can_stand_still_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "__version_info__", (0, 5, 2))
    with pytest.raises(ImportError, match=r"needs JAX 0.5.3 or newer.*pip install"):
        importlib.reload(_arguments)
