"""Arrays from and to .npy files and Zarr, block by block; a file is there whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np

from ... import _arrays, _checks
from ..._files import as_path, printable


class MissingFileError(ValueError, FileNotFoundError):
    """There is no file or folder of that name."""


class ExistingFileError(ValueError, FileExistsError):
    """There is a file or folder of that name already, which nobody said to replace."""


_CHUNK_BYTES = 64 * 2**20
# What NumPy and its header's parser raise on damaged bytes.
_DAMAGE: tuple[type[Exception], ...] = (ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, SyntaxError)
_DAMAGE += (TypeError, ValueError, tokenize.TokenError)


class _NpyFile:
    """A .npy file whose regions are read and written one by one; what travels to workers is its path."""

    def __init__(self, path: Path) -> None:
        array = _mapped(path)
        self.path, self.shape, self.dtype, self.ndim = path, array.shape, array.dtype, array.ndim

    def __getitem__(self, region: Any) -> Any:
        return np.array(np.load(self.path, mmap_mode="r", allow_pickle=False)[region])

    def __setitem__(self, region: Any, block: Any) -> None:
        file = np.load(self.path, mmap_mode="r+", allow_pickle=False)
        file[region] = block
        file.flush()


def _mapped(path: Path) -> Any:
    """The array in a .npy file, whoever wrote it, mapped; ValueError where there is none."""
    with _told(path, "an array in NumPy's format"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of headers that Python 2 wrote
        return np.lib.format.open_memmap(path, mode="r")


@contextmanager
def _told(path: Path, wanted: str) -> Iterator[None]:
    """Whatever damaged files raise, as one error with the path and the remedy."""
    try:
        yield
    except _DAMAGE as error:
        said = printable(" ".join(str(error).split())) or type(error).__name__
        raise ValueError(f"{path} must hold {wanted}; got {said} (store it again)") from None


class _ZarrFolder:
    """The same for a Zarr array."""

    def __init__(self, path: Path) -> None:
        with _told(path, "a Zarr array"):
            _refuse_pickles(path)
            array = _zarr().open_array(str(path), mode="r")
        self.path, self.shape, self.dtype, self.ndim, self.chunks = path, array.shape, array.dtype, array.ndim, array.chunks

    def __getitem__(self, region: Any) -> Any:
        return np.asarray(_zarr().open_array(str(self.path), mode="r")[region])

    def __setitem__(self, region: Any, block: Any) -> None:
        _zarr().open_array(str(self.path), mode="r+")[region] = block


def _refuse_pickles(path: Path) -> None:
    """ValueError where the metadata of a Zarr array ask for the codec that unpickles, which some versions of zarr would run."""
    for name in (".zarray", "zarr.json"):
        metadata = path / name
        if metadata.is_file() and "pickle" in json.dumps(json.loads(metadata.read_bytes())):
            raise ValueError("pickled numbers, which can run code and are never loaded")


def open_array(path: str | os.PathLike[str], chunks: Any = None) -> Any:
    """A .npy file, or a folder .zarr that holds one array, as a dask array that reads nothing yet.

    path : workers open it by themselves, so on a cluster it must lie where all of them see it.
    chunks : as Dask takes them. None: those of a Zarr array; whole rows of a .npy file, about 64 MiB of them.

    Raises ValueError for a path of another ending, a damaged file, or one that needs pickle, and MissingFileError.
    """
    path = as_path(path, "path").absolute()
    if _kind(path) and not path.exists():
        raise MissingFileError(f"path must be of a file that is there; got {path} (look for it from {Path.cwd()})")
    file = _kind(path)(path)
    if chunks is None:
        chunks = getattr(file, "chunks", None) or row_chunks(file.shape, file.dtype)
    name = f"open-{path.name}-{secrets.token_hex(8)}"  # not by content: reading it all for a name would be no gain
    return da.from_array(file, chunks=chunks, name=name, lock=False, meta=np.empty((0,) * file.ndim, dtype=file.dtype))


def store(array: Any, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Compute a dask array and write it to a .npy file or a folder .zarr, every block by the worker that made it; the path.

    Never more than some blocks are in memory. Blocks go to a hidden neighbour `.dualwalk-*.part`, which takes the name `path` when
    all are there: whoever finds `path` finds all of it. A call that fails removes what it began, and one that is called again
    begins anew. A block that is written twice, because a worker died, is written to the same place with the same bits.

    path : on a cluster, a folder that all workers share. For .npy it must be one on which mapped files agree (a local disk; over a
        network choose Zarr, where every chunk is a file of its own). The chunks of a Zarr array are the (largest) blocks, in the
        format that the installed zarr writes by default.
    overwrite : replace what is there; else an ExistingFileError, before any work.

    Raises ValueError for another ending, or chunks of unknown size.
    """
    path = as_path(path, "path").absolute()
    kind = _kind(path)
    overwrite = _checks.flag(overwrite, "overwrite")
    array = as_array(array, "array")
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in a folder that exists; got {path} (create it first: mkdir -p {path.parent})")
    if path.exists() and not overwrite:
        raise ExistingFileError(f"path must be new; got {path}, which is there (choose another name, or pass overwrite=True)")
    blocks = array.rechunk(array.chunksize)  # all of one size but the last ones, as Zarr's are
    temporary = path.with_name(f".dualwalk-{secrets.token_hex(8)}.part{path.suffix}")
    try:
        if kind is _NpyFile:
            np.lib.format.open_memmap(temporary, mode="w+", dtype=blocks.dtype, shape=blocks.shape)
        else:
            chunks = tuple(max(1, size) for size in blocks.chunksize)
            _zarr().open_array(str(temporary), mode="w", shape=blocks.shape, chunks=chunks, dtype=blocks.dtype)
        da.store(blocks, kind(temporary), lock=False)
        if kind is _NpyFile:
            _sync(temporary)
        if path.is_dir():
            old = path.with_name(f".dualwalk-{secrets.token_hex(8)}.old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise
    return path


def _sync(path: Path) -> None:
    """Put a file on the disk before it takes another's name: after a crash there is the old one or this one."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def as_array(value: Any, name: str) -> Any:
    """A dask array as it is, a path opened, anything else (a Zarr array too) as blocks of rows. Sizes must be known."""
    if isinstance(value, (str, os.PathLike)):
        value = open_array(value)
    if not isinstance(value, da.Array):
        value = value if hasattr(value, "chunks") else _arrays.as_numpy(value, name)
        value = da.from_array(value, chunks=getattr(value, "chunks", None) or row_chunks(value.shape, value.dtype))
    if value.dtype.hasobject:
        raise TypeError(f"{name} must hold numbers; got dtype {value.dtype} (convert it with astype(float))")
    if any(np.isnan(size) for sizes in value.chunks for size in sizes):
        raise ValueError(f"{name} must have chunks of known size; got {value.chunks} (call {name}.compute_chunk_sizes() first)")
    return value


def numbers(value: Any, name: str) -> Any:
    """`as_array` of real numbers."""
    array = as_array(value, name)
    _checks.real_array(np.empty(max(1, array.ndim) * (0,), array.dtype), name)  # its error, which is of the dtype only
    return array


def row_chunks(shape: tuple[int, ...], dtype: Any) -> tuple[int, ...]:
    """Whole rows, about 64 MiB of them."""
    row = max(1, int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
    return (max(1, min(shape[0], _CHUNK_BYTES // row)), *shape[1:]) if shape else ()


def _remove(path: Path) -> None:
    """Remove a file or folder; again after a while, as blocks that were on their way may still have been written to it."""
    for wait in (0.0, 0.1, 0.5):
        time.sleep(wait)
        shutil.rmtree(path, ignore_errors=True)
        if not path.is_dir():
            path.unlink(missing_ok=True)


def _kind(path: Path) -> type[_NpyFile | _ZarrFolder]:
    if path.suffix not in (".npy", ".zarr"):
        raise ValueError(f"path must end in .npy or .zarr; got {path.name!r} (rename it, or open it as a dask array yourself)")
    return _NpyFile if path.suffix == ".npy" else _ZarrFolder


def _zarr() -> Any:
    import zarr  # only where it is needed

    return zarr
