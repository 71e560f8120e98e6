# mypy: disable-error-code="no-untyped-def"
"""permute_marginals in Numba: panels of columns, one cache line wide, rearranged row by row in a tile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_draws import GROUP, draw_group, draw_integer
from ._numba_permute_tall import shuffle_tall
from ._numba_scalar import jit, read_only
from ._reference_draws import RESAMPLE, SHIFT, SHUFFLE
from .reference import LONGEST_CHAIN, OPERATIONS, bucket_bits

LINE = 64  # bytes: a panel of columns is one cache line wide
TILE_BYTES = 8 * 1024 * 1024  # a share of the last cache
SHIFT_TILE_BYTES = 1024 * 1024
STAGED = 32  # rows
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_SHIFT = np.uint64(SHIFT)


def permute_marginals(
    x: NDArray[Any],
    block_of_column: NDArray[np.int32],
    method: str,
    seed: int,
    out: NDArray[Any],
    n_threads: int,
    longest: int = LONGEST_CHAIN,
) -> None:
    n_copies, n_rows, n_columns = out.shape
    if out.size == 0:
        return
    item = np.dtype(f"u{x.dtype.itemsize}")
    # narrower panels for very many rows, so that the random accesses of a column stay in the cache
    width = min(n_columns, max(1, min(16, LINE // item.itemsize, TILE_BYTES // (item.itemsize * (n_rows + 1)))))
    # broadcast over an axis of 2, x has one type for Numba whatever its strides: read-only, not contiguous
    source = np.broadcast_to(x.view(item)[:, :, None], (n_rows, n_columns, 2))
    blocks = np.ascontiguousarray(block_of_column, np.uint64)
    target, key, bits = out.view(item), np.uint64(seed), bucket_bits(n_rows, longest)
    if method == "shuffle" and bits:
        width = min(n_columns, 16, LINE // item.itemsize)
        groups = -(-n_columns // width)

        def tall(begin: int, end: int) -> None:
            for task in range(begin, end):
                first, copy = task % groups * width, task // groups
                n = min(width, n_columns - first)
                shuffle_tall(source, blocks, key, target[copy], first, n, np.uint64(copy), bits)

        parallel_ranges(tall, n_copies * groups, n_threads)
        return

    wide = min(n_columns, 4 * LINE // item.itemsize)  # single lines of rows that lie far apart are written slowly
    if method == "shift" and x.flags.c_contiguous and 2 * wide * n_rows * item.itemsize <= SHIFT_TILE_BYTES:
        flat = read_only(x.view(item).reshape(-1))

        def shift(begin: int, end: int) -> None:
            _shift(flat, blocks, key, target, wide, begin, end)

        parallel_ranges(shift, n_copies * -(-n_columns // wide), n_threads)
        return

    def work(begin: int, end: int) -> None:
        _permute(source, blocks, np.uint64(OPERATIONS[method]), key, target, width, begin, end)

    parallel_ranges(work, n_copies * -(-n_columns // width), n_threads)


@jit()
def _permute(source, blocks, operation, seed, out, width, begin, end):
    """Tasks begin .. end - 1, all copies of a panel of columns one after another. A panel is rearranged row by row in a tile
    that stays in the cache: its columns are chains of their own, so the processor works on all of them at once."""
    n_copies, n_rows, n_columns = out.shape
    tile, loaded = np.empty((n_rows, width), out.dtype), -1
    draws = np.empty((width, GROUP), np.uint32)
    shift = np.empty(width, np.int64)
    for task in range(begin, end):
        panel, copy = task // n_copies, np.uint64(task % n_copies)
        first = panel * width
        n = min(width, n_columns - first)
        to = out[task % n_copies, :, first : first + n]
        if operation != SHUFFLE and panel != loaded:
            for row in range(n_rows):
                for c in range(n):
                    tile[row, c] = source[row, first + c, 0]
            loaded = panel
        if operation == SHIFT:
            for c in range(n):
                shift[c] = 0
                if n_rows > 1:
                    shift[c] = _ONE + draw_integer(seed, operation, copy, blocks[first + c], _ZERO, np.uint64(n_rows - 1))
            for row in range(n_rows):
                for c in range(n):
                    to[row, c] = tile[shift[c], c]
                    shift[c] = 0 if shift[c] + 1 == n_rows else shift[c] + 1
            continue
        for group in range(0, n_rows, GROUP):
            for c in range(n):
                if c > 0 and blocks[first + c] == blocks[first + c - 1]:
                    draws[c] = draws[c - 1]
                elif operation == RESAMPLE:
                    draw_group(seed, operation, copy, blocks[first + c], np.uint64(group), _ZERO, np.uint64(n_rows), draws[c])
                else:
                    draw_group(seed, operation, copy, blocks[first + c], np.uint64(group), _ONE, _ONE, draws[c])
            for i in range(min(GROUP, n_rows - group)):
                row = group + i
                if operation == RESAMPLE:
                    for c in range(n):
                        to[row, c] = tile[draws[c, i], c]
                else:  # Fisher-Yates from the inside out
                    for c in range(n):
                        other = draws[c, i]
                        tile[row, c] = tile[other, c]
                        tile[other, c] = source[row, first + c, 0]
        if operation == SHUFFLE:
            for row in range(n_rows):
                for c in range(n):
                    to[row, c] = tile[row, c]


@jit()
def _shift(x, blocks, seed, out, width, begin, end):
    """Tasks begin .. end - 1 of a shift of rows that lie in one piece, x being flat. The tile holds every row two times, so that
    no index runs over its end."""
    n_copies, n_rows, n_columns = out.shape
    tile, loaded = np.empty(2 * n_rows * width, out.dtype), -1
    offset, staged = np.empty(width, np.uint64), np.empty((STAGED, width), out.dtype)
    for task in range(begin, end):
        panel, copy = task // n_copies, task % n_copies
        first = panel * width
        n = min(width, n_columns - first)
        if panel != loaded:
            for row in range(n_rows):
                to, from_row = tile[row * width :], x[row * n_columns + first :]
                for c in range(n):
                    to[c] = from_row[c]
            tile[n_rows * width :] = tile[: n_rows * width]
            loaded = panel
        for c in range(n):
            offset[c] = np.uint64(c)
            if n_rows > 1:
                drawn = draw_integer(seed, _SHIFT, np.uint64(copy), blocks[first + c], _ZERO, np.uint64(n_rows - 1))
                offset[c] += np.uint64(width) * (_ONE + drawn)
        for group in range(0, n_rows, STAGED):
            rows = min(STAGED, n_rows - group)
            # numbers one by one straight into the result would fill the queue of stores with a line or two
            for i in range(rows):
                from_row, stage = tile[(group + i) * width :], staged[i]
                for c in range(n):
                    stage[c] = from_row[offset[c]]
            for i in range(rows):
                stage, to = staged[i], out[copy, group + i, first : first + n]
                for c in range(n):
                    to[c] = stage[c]
