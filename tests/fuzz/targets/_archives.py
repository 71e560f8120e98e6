"""Changes of zip archives that stay archives: a member is changed, and its checksum is right again."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib

Member = tuple[bytes, bytes, int]  # name, content, method of compression


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Half of the time any bytes; else one member's bytes, its name or its compression, or the members' order."""
    import atheris

    chance = random.Random(seed)
    members = None if chance.random() < 0.5 else _members(data)
    if not members:
        return atheris.Mutate(data, min(max_size, len(data) + 16))
    k = chance.randrange(len(members))
    name, content, method = members[k]
    what = chance.random()
    if what < 0.8:
        members[k] = name, atheris.Mutate(content, len(content) + 64), method
    elif what < 0.85:
        members[k] = chance.choice([b"X.npy", b"X_train.npy", b"y.npy", b"y_train.npy", b"a.npy", b"b"]), content, method
    elif what < 0.9:
        members[k] = name, content, zipfile.ZIP_STORED if method else zipfile.ZIP_DEFLATED
    elif what < 0.95:
        members.insert(chance.randrange(len(members)), members[k])
    else:
        del members[k]
    made = _archive(members)
    return made if len(made) <= max_size else data


def _members(data: bytes) -> list[Member] | None:
    """The members of a plain archive, without zipfile: that one is watched, and slow by it."""
    end = data.rfind(b"PK\5\6")
    if end < 0 or len(data) < end + 22:
        return None
    (n, _, at) = struct.unpack("<HLL", data[end + 10 : end + 20])
    found = []
    try:
        for _ in range(min(n, 200)):
            (method,) = struct.unpack("<H", data[at + 10 : at + 12])
            packed, _, name, extra, comment = struct.unpack("<LLHHH", data[at + 20 : at + 34])
            (local,) = struct.unpack("<L", data[at + 42 : at + 46])
            begin = local + 30 + sum(struct.unpack("<HH", data[local + 26 : local + 30]))
            content = data[begin : begin + packed]
            if method == zipfile.ZIP_DEFLATED:
                content = zlib.decompressobj(-15).decompress(content, 1 << 20)
            found.append((data[at + 46 : at + 46 + name], content, method))
            at += 46 + name + extra + comment
    except (struct.error, zlib.error):
        return None
    return found


def _archive(members: list[Member]) -> bytes:
    parts, directory, at = [], [], 0
    for name, content, method in members:
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = content if method != zipfile.ZIP_DEFLATED else deflate.compress(content) + deflate.flush()
        facts = struct.pack(
            "<HHHHHLLLHH", 20, 0, method, 0, 33, zlib.crc32(content), len(packed), len(content), len(name) & 0xFFFF, 0
        )
        parts += [b"PK\3\4" + facts + name, packed]
        directory.append(b"PK\1\2" + struct.pack("<H", 20) + facts + struct.pack("<HHHLL", 0, 0, 0, 0, at) + name)
        at += 30 + len(name) + len(packed)
    listed = b"".join(directory)
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, len(members), len(members), len(listed), at, 0)
    return b"".join([*parts, listed, end])
