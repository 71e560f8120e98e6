"""What docs/interchange.md says of arrays that come in and go out, cell by cell."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import interchange
import numpy as np
import pytest
from extras import needs
from interchange import CALLS, SHAPE, Given

import dualwalk as dw

BASE = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
SWAPPED = BASE.astype(BASE.dtype.newbyteorder("S"))  # of the other byte order

pytestmark = pytest.mark.skipif(not interchange.PAGE.exists(), reason="needs the source tree")


class OnlyDLPack:
    """An array of a library that speaks DLPack and nothing else."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = array, array.shape

    def __dlpack__(self, **settings: Any) -> Any:
        return self._array.__dlpack__(**settings)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


def same(array: np.ndarray) -> list[Given]:
    return [Given(array, array, array)]


def made_of(value: Any, array: np.ndarray) -> Given:
    """A value whose memory is that of `array`."""
    return Given(value, array, array)


def refused(*values: Any) -> list[Given]:
    return [Given(value, None, None) for value in values]


def read_only(tmp_path: Path) -> list[Given]:
    frozen = BASE.copy()
    frozen.flags.writeable = False
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=SHAPE)
    mapped[:] = BASE
    return [*same(frozen), made_of(mapped, np.asarray(mapped))]


def swapped_or_not_aligned() -> list[Given]:
    memory = np.zeros(BASE.nbytes + 1, np.uint8)
    memory[1:] = np.frombuffer(BASE.tobytes(), np.uint8)
    shifted = memory[1:].view(np.float32).reshape(SHAPE)
    assert not shifted.flags.aligned
    return [Given(SWAPPED, SWAPPED, BASE), Given(shifted, shifted, BASE)]


def masked(masks: Any) -> Any:
    return np.ma.array(BASE, mask=masks)


def matrix_or_unmasked() -> list[Given]:
    with pytest.warns(PendingDeprecationWarning, match="matrix subclass"):
        matrix = np.matrix(BASE, copy=False)
    return [made_of(matrix, BASE), made_of(masked(False), BASE)]


def torch_tensor() -> list[Given]:
    torch = needs("torch")
    return [made_of(torch.from_numpy(BASE), BASE)]


def requires_grad() -> list[Given]:
    torch = needs("torch")
    return refused(torch.from_numpy(BASE.copy()).requires_grad_())


def bfloat16() -> list[Given]:
    found = []
    for name, make in (
        ("torch", lambda torch: torch.from_numpy(BASE.copy()).bfloat16()),
        ("jax.numpy", lambda jnp: jnp.asarray(BASE, jnp.bfloat16)),
    ):
        try:
            found += refused(make(__import__(name, fromlist=["x"])))
        except ImportError:
            continue
    return found or pytest.skip("neither PyTorch nor JAX is installed")


def jax_array() -> list[Given]:
    jnp = needs("jax").numpy
    array = jnp.asarray(BASE)
    return [made_of(array, np.asarray(array))]


def jax_traced() -> list[Given]:
    jax = needs("jax")
    kept: list[Any] = []
    jax.make_jaxpr(lambda x: kept.append(x) or x)(BASE)
    return refused(*kept)


def strict() -> list[Given]:
    library = needs("array_api_strict")
    array = library.asarray(BASE)
    return [made_of(array, np.asarray(array))]


def frame(*parts: np.ndarray) -> Any:
    pandas = needs("pandas")
    return pandas.concat([pandas.DataFrame(part) for part in parts], axis=1) if parts[1:] else pandas.DataFrame(parts[0])


def pandas_one_dtype() -> list[Given]:
    value = frame(BASE)
    return [made_of(value, np.asarray(value))]


def pandas_many_dtypes() -> list[Given]:
    parts = BASE[:, :30].astype(np.float64), (BASE[:, 30:] * 9).astype(np.int64)
    return [Given(frame(*parts), None, np.hstack(parts))]


def polars_one_dtype() -> list[Given]:
    polars = needs("polars")
    return [Given(polars.DataFrame(BASE), None, np.asfortranarray(BASE))]


def dask_array() -> list[Given]:
    da = needs("dask.array")
    return [Given(da.from_array(BASE, chunks=(100, 64)), None, BASE)]


def sparse() -> list[Given]:
    return refused(needs("scipy.sparse").csr_array(BASE))


ROWS: dict[str, Callable[[Path], list[Given]]] = {
    "NumPy float32, C order": lambda _: same(BASE),
    "NumPy float64, C order": lambda _: same(BASE.astype(np.float64)),
    "read-only, or a memory map": read_only,
    "Fortran order or transposed": lambda _: same(np.asfortranarray(BASE)),
    "every second row or column, reversed": lambda _: [
        *same(np.repeat(BASE, 2, axis=0)[::2]),
        *same(np.repeat(BASE, 2, axis=1)[:, ::2]),
        *same(BASE[::-1]),
    ],
    "integers, bool, float16": lambda _: [
        given for kind in ("int8", "int64", "uint16", "bool", "float16") for given in same((BASE * 9).astype(kind))
    ],
    "other byte order, or not aligned": lambda _: swapped_or_not_aligned(),
    "list of lists of floats": lambda _: [Given(BASE.tolist(), None, BASE.astype(np.float64))],
    "np.matrix, masked array without masked values": lambda _: matrix_or_unmasked(),
    "masked array with masked values": lambda _: refused(masked(BASE > 1)),
    "rows of different lengths": lambda _: refused([row[: 60 + k % 4] for k, row in enumerate(BASE.tolist())]),
    "long double, complex": lambda _: refused(
        *[BASE.astype(k) for k in ("longdouble", "complex64") if np.dtype(k).itemsize > 8 or k[0] == "c"]
    ),
    "numbers as Python objects": lambda _: [Given(BASE.astype(object), None, BASE.astype(np.float64))],
    "strings, datetimes, structured dtypes": lambda _: refused(
        BASE.astype(str), (BASE * 9).astype("M8[s]"), np.zeros(SHAPE, [("a", "f4")])
    ),
    "sparse matrix of SciPy": lambda _: sparse(),
    "only DLPack, on the CPU": lambda _: [made_of(OnlyDLPack(BASE), BASE)],
    "array-api-strict array": lambda _: strict(),
    "pandas DataFrame, one dtype": lambda _: pandas_one_dtype(),
    "pandas DataFrame, several numeric dtypes": lambda _: pandas_many_dtypes(),
    "polars DataFrame, one dtype": lambda _: polars_one_dtype(),
    "PyTorch tensor on the CPU": lambda _: torch_tensor(),
    "PyTorch tensor that requires grad": lambda _: requires_grad(),
    "PyTorch or JAX bfloat16": lambda _: bfloat16(),
    "JAX array on the CPU": lambda _: jax_array(),
    "JAX array that is traced": lambda _: jax_traced(),
    "Dask array (computed)": lambda _: dask_array(),
}


def test_every_row_of_the_table_is_tested() -> None:
    assert {row for row in interchange.table() if not row.startswith("CUDA: ")} == set(ROWS)
    assert all(set(words) == set(CALLS) for words in interchange.table().values())


@pytest.mark.parametrize(("row", "column", "word"), interchange.cells(on_device=False) if interchange.PAGE.exists() else [])
def test_a_cell_of_the_table(row: str, column: str, word: str, tmp_path: Path) -> None:
    for given in ROWS[row](tmp_path):
        for call in CALLS[column]:
            interchange.check(call, column, word, given, np.shares_memory)


@pytest.mark.parametrize(
    "row", ["NumPy float32, C order", "Fortran order or transposed", "integers, bool, float16", "PyTorch tensor on the CPU"]
)
def test_a_view_takes_no_memory(row: str, tmp_path: Path) -> None:
    for value, memory, _ in ROWS[row](tmp_path):
        out = np.empty(memory.shape, memory.dtype)
        calls: list[Callable[[], Any]] = [
            lambda value=value, out=out: dw.permute_marginals(value, seed=0, out=out, n_threads=1)
        ]
        if interchange.table()[row]["log_mean_exp"] == "view":
            calls.append(lambda value=value: dw.log_mean_exp(value, n_threads=1))
        for call in calls:
            call()  # what a first call leaves behind is not the data's
            tracemalloc.start()
            call()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < memory.nbytes / 2


RESULTS: dict[str, Callable[[], np.ndarray]] = {
    "permute_marginals": lambda: dw.permute_marginals(SWAPPED, seed=0),
    "copies": lambda: dw.permute_marginals(BASE, seed=0, n_copies=2),
    "log_mean_exp": lambda: dw.log_mean_exp(SWAPPED, axis=0),
    "gradient": lambda: dw.log_mean_exp(BASE, return_gradient=True)[1],
    "objective": lambda: dw.donsker_varadhan(BASE, BASE).grad_marginal,
    "walk": lambda: CALLS["walk"][0](BASE),
    "scores": lambda: dw.NormalScores().fit(BASE).transform(BASE),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_go_out_without_a_copy(name: str) -> None:
    result = RESULTS[name]()
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert result.dtype.isnative
    assert not np.shares_memory(result, BASE)
    assert np.shares_memory(np.from_dlpack(result), result)


@pytest.mark.parametrize("name", RESULTS)
def test_pytorch_shares_results(name: str) -> None:
    torch = needs("torch")
    result = RESULTS[name]()
    tensor = torch.from_dlpack(result)
    assert tensor.data_ptr() == result.ctypes.data
    tensor.fill_(3)
    assert (result == 3).all()


def test_jax_shares_results_that_are_aligned() -> None:
    jax = needs("jax")
    memory = np.zeros(BASE.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    out = memory[start : start + BASE.nbytes].view(np.float32).reshape(SHAPE)
    dw.permute_marginals(BASE, seed=0, out=out)
    array = jax.dlpack.from_dlpack(out)
    assert array.unsafe_buffer_pointer() == out.ctypes.data
    np.testing.assert_array_equal(array, out)


def test_the_array_api_takes_results() -> None:
    library = needs("array_api_strict")
    result = dw.permute_marginals(library.asarray(BASE), seed=0)
    assert library.all(library.from_dlpack(result) == library.asarray(result))


def test_labels_and_offsets_come_in_by_the_same_door() -> None:
    hidden = np.ma.array(np.arange(64), mask=np.arange(64) == 3)
    with pytest.raises(ValueError, match="blocks must not have masked values; got 1 of 64"):
        dw.permute_marginals(BASE, blocks=hidden)
    with pytest.raises(ValueError, match="segments must not have masked values"):
        dw.log_mean_exp(BASE[0], segments=np.ma.array([0, 64], mask=[0, 1]))
    with pytest.raises(ValueError, match="y must not have masked values"):
        dw.DualSampler().fit(BASE[:64], hidden)
    by_dlpack = dw.permute_marginals(BASE, blocks=OnlyDLPack(np.arange(64) // 2), seed=0)
    np.testing.assert_array_equal(by_dlpack, dw.permute_marginals(BASE, blocks=np.arange(64) // 2, seed=0))
