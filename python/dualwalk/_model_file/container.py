"""The archive: a manifest and arrays in one uncompressed zip file, read without believing any size that it announces.

As nothing is compressed, no file can hold more than its own length: every announced size is compared with it before a byte of
memory is taken.
"""

from __future__ import annotations

import math
import re
import zipfile
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _npy, _zip
from .errors import ModelFileError

MANIFEST = "manifest.json"
MOST_MEMBERS = 20_000
LONGEST_MANIFEST = 1 << 23  # bytes
MOST_AXES = 4
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\.npy")
_STORED_TYPES = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<U[1-9]\d{0,5}|\|S[1-9]\d{0,5}")
_SAME_TIME = (1980, 1, 1, 0, 0, 0)  # of every member: equal models are equal files


class Contents(NamedTuple):
    """What an archive holds: the text of its manifest, and its arrays by name (without .npy)."""

    manifest: str
    arrays: dict[str, NDArray[Any]]


def storable(dtype: np.dtype[Any]) -> bool:
    """Whether arrays of this dtype can be in a file, whatever their byte order."""
    return _STORED_TYPES.fullmatch(dtype.newbyteorder("<").str) is not None


def write(stream: IO[bytes], contents: Contents) -> None:
    """Write an archive. Arrays keep their dtype, in little-endian order, and their memory layout."""
    if len(contents.arrays) >= MOST_MEMBERS or len(contents.manifest) > LONGEST_MANIFEST:
        raise ValueError(
            f"a model file holds at most {MOST_MEMBERS} arrays and {LONGEST_MANIFEST} bytes of text; got "
            f"{len(contents.arrays)} and {len(contents.manifest)} (fit fewer classes)"
        )
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(MANIFEST), contents.manifest.encode("utf-8"))
        for name, array in contents.arrays.items():
            member = _member(f"{name}.npy")
            ready = array.astype(array.dtype.newbyteorder("<"), copy=False)
            with archive.open(member, "w", force_zip64=ready.nbytes >= 1 << 31) as part:
                np.lib.format.write_array(part, ready, version=(1, 0), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _SAME_TIME)
    info.external_attr = 0o644 << 16
    return info


def read(stream: IO[bytes]) -> Contents:
    """Read an archive; ModelFileError where it is not one, or announces what it does not hold."""
    size = _zip.check_directory(stream, MOST_MEMBERS)
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        _check_members(members, size)
        text = b""
        arrays: dict[str, NDArray[Any]] = {}
        for member in members:
            with archive.open(member) as part:
                if member.filename == MANIFEST:
                    text = part.read()
                else:
                    arrays[member.filename.removesuffix(".npy")] = _array(part, member, size)
    return Contents(text.decode("utf-8"), arrays)


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.filename for member in members]
    for member in members:
        name = member.filename
        if name != MANIFEST and not _NAME.fullmatch(name):
            raise ModelFileError(f"it holds a member called {name!r}, which is none of a model's")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size or member.flag_bits & 1:
            raise ModelFileError(f"its member {name} is compressed or encrypted, which dualwalk never writes")
    if len(set(names)) < len(names):
        raise ModelFileError("two of its members have one name")
    if MANIFEST not in names:
        raise ModelFileError(f"it holds no {MANIFEST}, so it is no model (samples are read by the command line, or numpy.load)")
    total = sum(member.file_size for member in members)
    if total > size:
        raise ModelFileError(f"it announces {total} bytes of arrays in a file of {size} bytes")
    longest = next(member.file_size for member in members if member.filename == MANIFEST)
    if longest > LONGEST_MANIFEST:
        raise ModelFileError(f"its manifest announces {longest} bytes, and a model's has at most {LONGEST_MANIFEST}")


def _array(part: IO[bytes], member: zipfile.ZipInfo, size: int) -> NDArray[Any]:
    """One array; its header is believed only after what it promises was compared with the size of the member."""
    try:
        header = _npy.read_header(part)
        if "O" not in header.descr and not _STORED_TYPES.fullmatch(header.descr):
            raise _npy.NotNumbers(f"dtype {header.descr}")
        dtype = _npy.dtype_of(header)
        # an axis of length 0 needs no bytes, but the others must not be longer for it
        empty = 0 in header.shape and math.prod(max(1, n) for n in header.shape) * dtype.itemsize > size
        if len(header.shape) > MOST_AXES or empty:
            raise ValueError(f"the absurd shape {header.shape}")
        array = _npy.read_numbers(part, header, member.file_size)
    except (EOFError, ValueError) as error:
        raise ModelFileError(f"its member {member.filename} holds {error}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)
