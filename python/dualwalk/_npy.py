"""Arrays in NumPy's .npy format: nothing in a file is evaluated or unpickled, and no size is believed that is not there.

NumPy's own reader evaluates the header as a Python literal. Here it is matched by a pattern; and memory is taken only after the bytes
that the header announces were compared with those that the file has.
"""

from __future__ import annotations

import math
import re
import struct
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 1 << 12  # bytes; that of an array of numbers has about 100
_AT_ONCE = 1 << 20  # bytes
_LARGEST_LETTER = 0x10FFFF
# One entry of the header, {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }, whoever wrote it: any order, any spaces.
_ENTRY = re.compile(
    r""" *(['"])(?:(?P<name>descr)\1 *: *(['"])(?P<text>[^'"\\]{1,24})\3"""
    r"""|(?P<flag>fortran_order)\1 *: *(?P<truth>True|False)"""
    r"""|(?P<axes>shape)\1 *: *\( *(?P<lengths>(?:(?:0|[1-9]\d{0,19})L? *, *){0,64}(?:(?:0|[1-9]\d{0,19})L?)?) *\)) *(?:, *|$)"""
)
_DTYPE = re.compile(r"[<>|=]?[biufcSU][1-9]\d{0,8}")


class NotNumbers(ValueError):
    """An array of Python objects, of records, or of dates."""


class Header(NamedTuple):
    """What a .npy file says of itself: `begin` bytes stand before the numbers."""

    begin: int
    descr: str
    fortran_order: bool
    shape: tuple[int, ...]


def read_header(stream: IO[bytes]) -> Header:
    """The header at the beginning of a stream, which then stands at the numbers; ValueError where there is none."""
    start = stream.read(8)
    if len(start) < 8 or start[:6] != MAGIC or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise ValueError("no array in NumPy's format 1.0 or 2.0")
    code = "<H" if start[6] == 1 else "<I"
    width = struct.calcsize(code)
    (length,) = struct.unpack(code, _exactly(stream, width))
    if length > _LONGEST_HEADER:
        raise NotNumbers(f"a header of {length} bytes, which no array of numbers has")
    return Header(8 + width + length, *_parsed(_exactly(stream, length).decode("latin-1")))


def _parsed(text: str) -> tuple[str, bool, tuple[int, ...]]:
    line = text.lstrip(" ").rstrip(" \n")
    inner, found, at = line[1:-1], {}, 0
    while line[:1] == "{" and line[-1:] == "}" and (entry := _ENTRY.match(inner, at)) and entry.end() > at:
        found[entry["name"] or entry["flag"] or entry["axes"]] = entry["text"] or entry["truth"] or entry["lengths"]
        at = entry.end()
    if at < len(inner) or found.keys() != {"descr", "fortran_order", "shape"}:
        raise NotNumbers(f"the header {line[:80]!r}, which is not that of an array of numbers")
    shape = tuple(int(length.strip().rstrip("L")) for length in found["shape"].split(",") if length.strip())
    return found["descr"], found["fortran_order"] == "True", shape


def dtype_of(header: Header) -> np.dtype[Any]:
    """The dtype that a header names; NotNumbers for objects, which only a pickle holds, dates and records."""
    if "O" in header.descr:
        raise NotNumbers("Python objects, which are pickled and never loaded")
    if not _DTYPE.fullmatch(header.descr):
        raise NotNumbers(f"dtype {header.descr!r}")
    try:
        return np.dtype(header.descr)
    except TypeError:
        raise NotNumbers(f"dtype {header.descr!r}") from None


def read_numbers(stream: IO[bytes], header: Header, size: int) -> NDArray[Any]:
    """The array behind a header in a file of `size` bytes, in its own dtype and memory layout."""
    dtype = dtype_of(header)
    n_bytes = math.prod(header.shape) * dtype.itemsize
    if header.begin + n_bytes != size:
        raise EOFError(f"{header.begin + n_bytes} bytes are announced and {size} are there")
    array: NDArray[Any] = np.empty(header.shape, dtype, order="F" if header.fortran_order else "C")
    flat = array.reshape(-1, order="A")
    filled = flat.view(np.uint8)
    for begin in range(0, n_bytes, _AT_ONCE):
        end = min(begin + _AT_ONCE, n_bytes)
        filled[begin:end] = np.frombuffer(_exactly(stream, end - begin), np.uint8)
    if stream.read(1):  # and with the last byte read, an archive has compared its checksum
        raise EOFError("more bytes are there than announced")
    _check_values(flat)
    return array


def _exactly(stream: IO[bytes], length: int) -> bytes:
    got = stream.read(length)
    if len(got) != length:
        raise EOFError(f"{length} bytes are announced and {len(got)} are there")
    return got


def _check_values(flat: NDArray[Any]) -> None:
    """Bytes that are no truth value, or no letter, would be undefined in every operation on them."""
    if not flat.size:
        return
    if flat.dtype.kind == "b" and flat.view(np.uint8).max() > 1:
        raise ValueError("bytes that are neither true nor false")
    if flat.dtype.kind == "U" and flat.view(flat.dtype.byteorder + "u4").max() > _LARGEST_LETTER:
        raise ValueError("numbers that are no letters")
