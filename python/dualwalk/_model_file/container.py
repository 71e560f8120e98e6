"""The archive: a manifest and arrays in one uncompressed zip file, read without believing any size that it announces.

As nothing is compressed, no file can hold more than its own length: every announced size is compared with it before a byte of
memory is taken.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import ModelFileError

MANIFEST = "manifest.json"
MOST_MEMBERS = 20_000
LONGEST_MANIFEST = 1 << 23  # bytes
MOST_AXES = 4
_LONGEST_DIRECTORY = 1 << 23
_LONGEST_HEADER = 4096
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*\.npy")
# what numpy.save writes; nothing in it is evaluated
_HEADER = re.compile(rb"\{'descr': '([ -&(-~]{1,16})', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,64})\), \} *\n")
_STORED_TYPES = re.compile(r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<U[1-9]\d{0,5}|\|S[1-9]\d{0,5}")
_LARGEST_LETTER = 0x10FFFF
_AT_ONCE = 1 << 20  # bytes
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
    size = stream.seek(0, io.SEEK_END)
    _check_end(stream, size)
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


def _check_end(stream: IO[bytes], size: int) -> None:
    """The directory at the end of the file, before zipfile makes an object of each of its entries."""
    end, far_end, locator = 22, 56, 20
    stream.seek(max(0, size - end - locator - far_end))
    tail = stream.read(far_end + locator + end)
    if len(tail) < end or not tail[-end:].startswith(b"PK\5\6"):
        raise ModelFileError("it is no archive, or it was cut short: it does not end as one")
    n_entries, length, offset, comment = struct.unpack("<HLLH", tail[-12:])
    extra = 0
    if tail[-end - locator :].startswith(b"PK\6\7"):  # of archives beyond 4 GiB
        if not tail.startswith(b"PK\6\6"):
            raise ModelFileError("its directory is damaged")
        n_entries, length, offset = struct.unpack("<QQQ", tail[32:56])
        extra = far_end + locator
    if comment or offset + length + extra + end != size:
        raise ModelFileError("it was cut short, or something was put before or behind it")
    if n_entries > MOST_MEMBERS or length > _LONGEST_DIRECTORY:
        raise ModelFileError(f"it announces {n_entries} members, and a model has at most {MOST_MEMBERS}")


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
    start = part.read(10)
    if len(start) < 10 or start[:8] != b"\x93NUMPY\x01\x00":
        raise ModelFileError(f"its member {member.filename} is no array in NumPy's format 1.0")
    length = struct.unpack("<H", start[8:])[0]
    header = _HEADER.fullmatch(part.read(length)) if length <= _LONGEST_HEADER else None
    if header is None:
        raise ModelFileError(f"its member {member.filename} has a header that NumPy does not write")
    descr, order, lengths = (word.decode("ascii") for word in header.groups())
    if not _STORED_TYPES.fullmatch(descr):
        what = "Python objects, which are pickled and never loaded" if "O" in descr else f"dtype {descr}"
        raise ModelFileError(f"its member {member.filename} holds {what}")
    dtype, shape = np.dtype(descr), tuple(int(length) for length in lengths.split(",") if length.strip())
    n_bytes = math.prod(shape) * dtype.itemsize
    # an axis of length 0 needs no bytes, but the others must not be longer for it
    if len(shape) > MOST_AXES or math.prod(max(1, length) for length in shape) * dtype.itemsize > max(size, n_bytes):
        raise ModelFileError(f"its member {member.filename} has the absurd shape {shape}")
    if 10 + length + n_bytes != member.file_size:
        raise ModelFileError(
            f"its member {member.filename} announces {n_bytes} bytes of numbers, and {member.file_size - 10 - length} are there"
        )
    array: NDArray[Any] = np.empty(shape, dtype, order="F" if order == "True" else "C")
    flat = array.reshape(-1, order="A")
    filled = flat.view(np.uint8)
    for begin in range(0, n_bytes, _AT_ONCE):
        end = min(begin + _AT_ONCE, n_bytes)
        filled[begin:end] = np.frombuffer(part.read(end - begin), np.uint8)
    if part.read(1):  # and with the last byte read, the checksum has been compared
        raise ModelFileError(f"its member {member.filename} is longer than it announces")
    _check_values(flat, member.filename)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _check_values(flat: NDArray[Any], name: str) -> None:
    """Bytes that are no truth value, or no letter, would be undefined in every operation on them."""
    if not flat.size or not flat.dtype.itemsize:
        return
    if flat.dtype.kind == "b" and flat.view(np.uint8).max() > 1:
        raise ModelFileError(f"its member {name} holds bytes that are neither true nor false")
    if flat.dtype.kind == "U" and flat.view("<u4").max() > _LARGEST_LETTER:
        raise ModelFileError(f"its member {name} holds numbers that are no letters")
