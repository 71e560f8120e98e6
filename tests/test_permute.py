"""permute_marginals: every backend is the reference bit for bit, on every layout, whatever the threads."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dualwalk as dw
from dualwalk import backends
from dualwalk.backends.reference import LONGEST_CHAIN, bucket_bits, permutation
from dualwalk.marginals import METHODS

DTYPES = ("bool", "uint8", "int16", "int32", "int64", "float32", "float64")


def layouts(x: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays equal to x that lie differently in memory."""
    wide = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
    wide[..., 1::3] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "C": x,
        "F": np.asfortranarray(x),
        "reversed rows": x[::-1].copy()[::-1],
        "reversed columns": x[..., ::-1].copy()[..., ::-1],
        "strided": wide[..., 1::3],
        "read-only": frozen,
    }


@given(data=st.data())
def test_backend_is_the_reference(backend: str, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 40), min_size=2, max_size=3), label="shape"))
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES), label="dtype"))
    method = data.draw(st.sampled_from(METHODS), label="method")
    n_copies = data.draw(st.one_of(st.none(), st.integers(0, 3)), label="n_copies")
    seed = data.draw(st.integers(0, 2**64 - 1), label="seed")
    n_features = int(np.prod(shape[1:]))
    labels = st.lists(st.integers(-2, 5), min_size=n_features, max_size=n_features)
    blocks = data.draw(st.one_of(st.none(), labels), label="blocks")
    x = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    name = data.draw(st.sampled_from(sorted(layouts(x))), label="layout")
    given_x = layouts(x)[name]
    options = {"n_copies": n_copies, "blocks": np.array(blocks, int) if blocks is not None else None, "method": method}
    expected = dw.permute_marginals(x, seed=seed, backend="reference", **options)
    result = dw.permute_marginals(given_x, seed=seed, backend=backend, n_threads=2, **options)
    assert result.dtype == dtype
    assert np.array_equal(result, expected)
    assert np.array_equal(given_x, x)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("shape", "dtype", "n_copies", "width"),
    [
        ((700, 131), "float32", 1, 1),  # several panels, the last one narrow; more rows than are drawn at once
        ((300, 70), "float64", 2, 5),
        ((257, 130), "uint8", 1, 3),
        ((150, 90), "int16", 2, 90),
        ((40, 7, 9), "float32", 3, 20),
        ((200, 10500), "float32", 1, 12),  # large enough to be written past the caches
    ],
)
def test_panels_agree_with_the_reference(
    backend: str, method: str, shape: tuple[int, ...], dtype: str, n_copies: int, width: int, rng: np.random.Generator
) -> None:
    """Shapes that need several panels of columns, at every offset from a cache line that `out` may have."""
    x = rng.integers(0, 100, shape).astype(dtype)
    options = {"n_copies": n_copies, "blocks": np.arange(x[0].size) // width, "method": method, "seed": 4}
    expected = dw.permute_marginals(x, backend="reference", **options)
    for offset in (0, 1, 13):
        out = np.empty(expected.size + 16, dtype)[offset : offset + expected.size].reshape(expected.shape)
        result = dw.permute_marginals(np.asfortranarray(x) if offset == 1 else x, backend=backend, out=out, **options)
        assert np.array_equal(result, expected)


@given(data=st.data())
def test_buckets_agree_with_the_reference(backend: str, data: st.DataObject) -> None:
    """Few rows and a short chain: every size of bucket comes up, the empty ones and those longer than the chain included."""
    method = data.draw(st.sampled_from(METHODS), label="method")
    n_rows, n_columns = data.draw(st.integers(2, 300), label="rows"), data.draw(st.integers(1, 40), label="columns")
    dtype = data.draw(st.sampled_from(("u1", "u2", "u4", "u8")), label="dtype")
    longest, seed = data.draw(st.integers(1, 40), label="longest"), data.draw(st.integers(0, 2**64 - 1), label="seed")
    n_copies = data.draw(st.integers(1, 2), label="copies")
    x = np.random.default_rng(seed).integers(0, 200, (n_rows, n_columns)).astype(dtype)
    block = np.arange(n_columns, dtype=np.int32) // data.draw(st.integers(1, 3), label="width")
    name = data.draw(st.sampled_from(sorted(layouts(x))), label="layout")
    results = []
    for which in ("reference", backend):
        out = np.empty((n_copies, n_rows, n_columns), dtype)
        given_x = x if which == "reference" else layouts(x)[name]
        backends.job("permute_marginals", which)(given_x, block, method, seed, out, 2, longest)
        results.append(out)
    assert np.array_equal(*results)


def test_buckets_are_as_few_as_hold_an_eighth_of_a_chain_each() -> None:
    """On average, and 256 at most: the bucket of a row is a byte."""
    for longest in (1, 7, 8, 15, 16, 71, 72, 1000, LONGEST_CHAIN):
        eighth = max(longest // 8, 1)
        assert bucket_bits(longest, longest) == 0
        assert bucket_bits(longest + 1, longest) >= 1
        for bits in range(1, 9):
            if eighth << bits > longest:
                assert bucket_bits(eighth << bits, longest) == bits
                assert bucket_bits((eighth << bits) + 1, longest) == min(bits + 1, 8)
    assert bucket_bits(2**32 - 1, 1) == 8


@pytest.mark.parametrize("n_rows", [20_000, 28_673, 100_003])
def test_many_rows_agree_with_the_reference(backend: str, n_rows: int) -> None:
    x = np.arange(18 * n_rows, dtype=np.int32).reshape(n_rows, 18)
    out = dw.permute_marginals(x, seed=8, backend=backend, blocks=[0] * 9 + list(range(1, 10)))
    for column, block in ((0, 0), (8, 0), (9, 1), (17, 9)):
        source = permutation(8, "shuffle", 0, block, n_rows)
        assert np.array_equal(out[:, column], x[source, column])


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_copies_do_not_change_the_draws(backend: str, method: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((333, 300)).astype(np.float32)
    many = dw.permute_marginals(x, n_copies=5, method=method, seed=9, n_threads=1, backend=backend)
    assert np.array_equal(dw.permute_marginals(x, n_copies=5, method=method, seed=9, n_threads=3, backend=backend), many)
    assert np.array_equal(dw.permute_marginals(x, n_copies=2, method=method, seed=9, backend=backend), many[:2])
    assert np.array_equal(dw.permute_marginals(x, method=method, seed=9, backend=backend), many[0])
    assert not np.array_equal(many[0], many[1])


def test_shuffle_permutes_each_column_by_itself(backend: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((200, 12))
    out = dw.permute_marginals(x, seed=1, backend=backend)
    assert np.array_equal(np.sort(out, axis=0), np.sort(x, axis=0))
    sources = np.argsort(np.argsort(out, axis=0), axis=0)  # ranks name the source rows
    assert len({tuple(column) for column in sources.T}) == 12


def test_shuffle_is_uniform_over_all_permutations(backend: str) -> None:
    n_copies = 24000
    out = dw.permute_marginals(np.arange(4)[:, None], n_copies=n_copies, seed=5, backend=backend)[..., 0]
    counts = [int((out == p).all(axis=1).sum()) for p in itertools.permutations(range(4))]
    chi_square = sum((c - n_copies / 24) ** 2 / (n_copies / 24) for c in counts)
    assert sum(counts) == n_copies
    assert chi_square < 49.7  # the 99.9 % quantile with 23 degrees of freedom


def test_dealt_shuffle_is_uniform_over_all_permutations(backend: str) -> None:
    """Five rows with a chain of two: eight buckets, most of them empty."""
    n_copies = 6000
    out = np.empty((n_copies, 5, 1), np.int64)
    x, block = np.arange(5)[:, None], np.zeros(1, np.int32)
    backends.job("permute_marginals", backend)(x, block, "shuffle", 6, out, 1, 2)
    number = out[..., 0] @ 5 ** np.arange(5)
    counts = np.unique(number, return_counts=True)[1]
    assert len(counts) == 120
    assert ((counts - n_copies / 120) ** 2 / (n_copies / 120)).sum() < 172.7  # the 99.9 % quantile with 119 degrees of freedom


def test_every_row_of_a_dealt_shuffle_goes_everywhere(backend: str) -> None:
    """100 rows, 16 of them a bucket: where each row ends, in ten parts, is uniform; so is the place of one given another's."""
    n_columns = 5000
    x = np.repeat(np.arange(100)[:, None], n_columns, axis=1)
    out = np.empty((1, *x.shape), x.dtype)
    backends.job("permute_marginals", backend)(x, np.arange(n_columns, dtype=np.int32), "shuffle", 3, out, 1, 32)
    place = np.argsort(out[0], axis=0)  # of row r in column c
    for row in (0, 1, 50, 99):
        counts = np.bincount(place[row] // 10, minlength=10)
        assert ((counts - n_columns / 10) ** 2 / (n_columns / 10)).sum() < 27.9  # 99.9 %, 9 degrees of freedom
    apart = (place[1] - place[0]) % 100  # uniform on 1 .. 99
    counts = np.bincount(apart, minlength=100)[1:]
    assert counts.sum() == n_columns
    assert ((counts - n_columns / 99) ** 2 / (n_columns / 99)).sum() < 145.3  # 99.9 %, 98 degrees of freedom


def test_shift_moves_every_value_and_resample_repeats_some(backend: str) -> None:
    x = np.repeat(np.arange(50)[:, None], 30, axis=1)
    shifted = dw.permute_marginals(x, method="shift", seed=2, backend=backend)
    assert (shifted != x).all()
    assert (np.diff(shifted, axis=0) % 50 == 1).all()
    drawn = dw.permute_marginals(x, method="resample", seed=2, backend=backend)
    assert 25 < len(np.unique(drawn[:, 0])) < 40  # 1 - 1/e of 50 rows


@pytest.mark.parametrize("method", METHODS)
def test_no_row_and_one_row_have_one_arrangement(method: str) -> None:
    for n_rows in (0, 1):
        assert permutation(3, method, 0, 0, n_rows).tolist() == [0] * n_rows


def test_blocks_keep_the_dependence_inside(backend: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((100, 3, 4))
    out = dw.permute_marginals(x, blocks=np.repeat([0, 1, 2], 4), seed=3, backend=backend)
    for channel in range(3):
        rows = {tuple(row) for row in x[:, channel]}
        assert all(tuple(row) in rows for row in out[:, channel])
    assert not np.array_equal(out[:, 0], x[:, 0])
    by_shape = dw.permute_marginals(x, blocks=np.repeat([[0], [1], [2]], 4, axis=1), seed=3, backend=backend)
    assert np.array_equal(by_shape, out)


def test_out_is_filled_and_returned(backend: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((20, 5))
    out = np.empty((3, 20, 5))
    assert dw.permute_marginals(x, n_copies=3, seed=0, out=out, backend=backend) is out
    assert np.array_equal(out, dw.permute_marginals(x, n_copies=3, seed=0, backend=backend))


def test_bad_input_is_refused_before_out_is_touched(backend: str) -> None:
    x = np.arange(20.0).reshape(10, 2)
    out = np.full((10, 2), -1.0)

    def call(value: object = x, **options: object) -> None:
        dw.permute_marginals(value, **{"out": out, "backend": backend, **options})

    with pytest.raises(ValueError, match=r"got shape \(10,\).*x\[:, None\]"):
        call(x[:, 0])
    with pytest.raises(ValueError, match="different lengths"):
        call([[1.0, 2.0], [3.0]])
    with pytest.raises(TypeError, match="got dtype object"):
        call(x.astype(object))
    with pytest.raises(TypeError, match="got dtype complex128"):
        call(x.astype(complex))
    with pytest.raises(ValueError, match=r"'shuffle'.*got 'sort'"):
        call(method="sort")
    with pytest.raises(ValueError, match="n_copies must be at least 0; got -1"):
        call(n_copies=-1)
    with pytest.raises(TypeError, match=r"n_copies must be a whole number; got 1\.5"):
        call(n_copies=1.5)
    with pytest.raises(ValueError, match="seed must be at least 0"):
        call(seed=-1)
    with pytest.raises(ValueError, match="n_threads must be at least 1; got 0"):
        call(n_threads=0)
    with pytest.raises(ValueError, match=r"one label a feature.*got shape \(3,\)"):
        call(blocks=[0, 1, 2])
    with pytest.raises(TypeError, match="integer labels; got dtype float64"):
        call(blocks=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"out must have shape \(10, 2\)"):
        call(out=np.empty((2, 10)))
    with pytest.raises(ValueError, match="dtype float32"):
        call(out=np.empty((10, 2), np.float32))
    with pytest.raises(ValueError, match="C-contiguous and writeable; got an array with strides"):
        call(out=np.empty((2, 10)).T)
    with pytest.raises(TypeError, match="got list"):
        call(out=[])
    with pytest.raises(ValueError, match="must not overlap"):
        call(out=x)
    with pytest.raises(ValueError, match="backend must be one of"):
        call(backend="gpu")
    assert (out == -1).all()


def test_a_seed_can_be_a_generator_or_none() -> None:
    x = np.arange(100)[:, None]
    first = dw.permute_marginals(x, seed=np.random.default_rng(3))
    assert np.array_equal(first, dw.permute_marginals(x, seed=np.random.default_rng(3)))
    assert not np.array_equal(dw.permute_marginals(x), dw.permute_marginals(x))
