"""Numbers as tiny PNG pictures, a pixel a value, in colours that stand on light and on dark paper alike."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_LEVELS = 65  # of a palette: more cannot be told apart, fewer bytes to write
LIMIT = 2.5  # standard deviations at which the colours of samples end
BELOW, ABOVE = (155, 79, 208), (31, 143, 77)  # purple and green: over 3:1 on white and on the dark paper
VIRIDIS = (  # its colours at equal steps, from nothing to the most
    (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99), (170, 220, 50),
    (253, 231, 37),
)  # fmt: skip

Palette = NDArray[np.uint8]


def _signed() -> Palette:
    """Red, green, blue and opacity from -limit to +limit: zero is clear, so that the paper is the middle in any theme."""
    share = np.linspace(-1, 1, N_LEVELS)
    colors = np.where(share[:, None] < 0, BELOW, ABOVE)
    return np.column_stack([colors, np.round(255 * np.abs(share) ** 0.7)]).astype(np.uint8)


def _strength() -> Palette:
    share = np.linspace(0, len(VIRIDIS) - 1, N_LEVELS)
    colors = [np.interp(share, np.arange(len(VIRIDIS)), np.array(VIRIDIS)[:, k]) for k in range(3)]
    return np.column_stack([*colors, np.full(N_LEVELS, 255)]).round().astype(np.uint8)


SIGNED, STRENGTH = _signed(), _strength()


def signed(values: ArrayLike, limit: float = LIMIT) -> str:
    """An image of values (height, width), from -limit to +limit, as a data: address."""
    return _uri((np.asarray(values, dtype=np.float64) / limit + 1) / 2, SIGNED)


def strength(values: ArrayLike, top: float) -> str:
    """An image of values (height, width), from 0 to `top`, as a data: address."""
    return _uri(np.asarray(values, dtype=np.float64) / top, STRENGTH)


def ramp(palette: Palette) -> str:
    """The palette itself, low to high, for a legend."""
    return _uri(np.linspace(0, 1, N_LEVELS)[None], palette)


def _uri(share: NDArray[Any], palette: Palette) -> str:
    levels = np.clip(np.round(share * (N_LEVELS - 1)), 0, N_LEVELS - 1).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(levels, palette)).decode("ascii")


def png(levels: NDArray[np.uint8], palette: Palette) -> bytes:
    """An indexed PNG file of (height, width) levels of a palette (n, 4): red, green, blue, opacity."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = levels.shape
    lines = np.column_stack([np.zeros(height, dtype=np.uint8), levels])  # every line starts with its filter: none
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", palette[:, :3].tobytes()),
            chunk(b"tRNS", palette[:, 3].tobytes()),
            chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            chunk(b"IEND", b""),
        )
    )
