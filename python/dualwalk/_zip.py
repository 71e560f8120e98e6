"""Zip archives from strangers: what they announce is compared with what they can hold before anything is made of it."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import IO

_LONGEST_DIRECTORY = 1 << 23  # bytes
_MOST_EXPANDED = 1 << 26  # bytes that a member may take whatever it was deflated from
_MOST_FOLDS = 200  # beyond: measured series shrink less than this, and zeros a thousandfold


def check_directory(stream: IO[bytes], most_members: int) -> int:
    """Look at the end of an archive, before zipfile makes an object of each of its members; the size of the file in bytes.

    Raises BadZipFile where it does not end as an archive, where something stands before or behind it, and where it announces more
    than `most_members`.
    """
    end, far_end, locator = 22, 56, 20
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - end - locator - far_end))
    tail = stream.read(far_end + locator + end)
    if len(tail) < end or not tail[-end:].startswith(b"PK\5\6"):
        raise zipfile.BadZipFile("it is no archive, or it was cut short: it does not end as one")
    n_entries, length, offset, comment = struct.unpack("<HLLH", tail[-12:])
    extra = 0
    if tail[-end - locator :].startswith(b"PK\6\7"):  # of archives beyond 4 GiB
        if not tail.startswith(b"PK\6\6"):
            raise zipfile.BadZipFile("its directory is damaged")
        n_entries, length, offset = struct.unpack("<QQQ", tail[32:56])
        extra = far_end + locator
    if comment or offset + length + extra + end != size:
        raise zipfile.BadZipFile("it was cut short, or something was put before or behind it")
    if n_entries > most_members or length > _LONGEST_DIRECTORY:
        raise zipfile.BadZipFile(f"it announces {n_entries} members, and at most {most_members} are read")
    stream.seek(offset)
    if stream.read(length).count(b"PK\1\2") > n_entries:  # zipfile goes by the length, not by the number
        raise zipfile.BadZipFile(f"it announces {n_entries} members, and its directory has more")
    return size


def check_member(member: zipfile.ZipInfo, size: int) -> None:
    """Refuse a member that announces more bytes than its part of a file of `size` bytes can hold, or that is a bomb."""
    packed, expanded = member.compress_size, member.file_size
    stored = member.compress_type == zipfile.ZIP_STORED
    if packed > size or (stored and packed != expanded):
        raise zipfile.BadZipFile(f"{member.filename!r} announces {expanded} bytes, and the file has {size}")
    if not stored and member.compress_type != zipfile.ZIP_DEFLATED:
        raise zipfile.BadZipFile(f"{member.filename!r} is compressed in a way that NumPy never writes")
    if expanded > max(_MOST_EXPANDED, _MOST_FOLDS * packed):
        raise zipfile.BadZipFile(
            f"{member.filename!r} would expand from {packed} to {expanded} bytes, {_MOST_FOLDS}-fold and more, as bombs do; "
            "numpy.savez writes such arrays uncompressed"
        )
