# mypy: disable-error-code="no-untyped-def"
"""The shuffle of many rows in Numba: deal the rows of a few columns into buckets, then shuffle bucket by bucket.

No memory but the result's is needed: the numbers of `width` columns are dealt into the result as one list, bucket after bucket
and inside a bucket column after column. The buckets are then taken up in order. A row is final when every column has come past
it, and then all lists before it have been taken up: row r holds the numbers r width .. of the list.
"""

from __future__ import annotations

import numpy as np

from ._numba_draws import GROUP, draw_group
from ._numba_scalar import WORD, jit, philox_words
from ._reference_draws import DEAL, SHUFFLE

TOGETHER = 4096  # rows dealt at once, a multiple of 16
_ONE, _FOUR = np.uint64(1), np.uint64(4)
_DEAL, _SHUFFLE = np.uint64(DEAL), np.uint64(SHUFFLE)


@jit()
def shuffle_tall(source, blocks, seed, out, first, width, copy, bits):
    """Shuffle columns first .. first + width - 1 of `source` into `out` (n_rows, n_columns)."""
    n_rows, n_buckets = len(out), 1 << bits
    size = np.zeros((width, n_buckets), np.int64)
    head = np.empty((width, n_buckets), np.int64)
    buckets = np.empty((width, TOGETHER), np.uint8)
    for row in range(0, n_rows, TOGETHER):
        _draw_buckets(seed, copy, blocks, first, row, bits, buckets)
        for c in range(width):
            for i in range(min(TOGETHER, n_rows - row)):
                size[c, buckets[c, i]] += 1
    element, longest = 0, 0
    ends = np.zeros(width, np.int64)
    for b in range(n_buckets):
        begin, end = ends.min(), 0
        for c in range(width):
            head[c, b] = element
            element += size[c, b]
            ends[c] += size[c, b]
            end = max(end, ends[c])
        longest = max(longest, end - begin)
    for row in range(0, n_rows, TOGETHER):
        _draw_buckets(seed, copy, blocks, first, row, bits, buckets)
        for i in range(min(TOGETHER, n_rows - row)):
            for c in range(width):
                at = head[c, buckets[c, i]]
                head[c, buckets[c, i]] = at + 1
                line = np.uint32(at) // np.uint32(width)
                out[line, first + at - np.int64(line) * width] = source[row + i, first + c, 0]
    _take_up(blocks, seed, out, first, width, copy, size, longest)


@jit()
def _draw_buckets(seed, copy, blocks, first, row, bits, buckets):
    """The buckets of rows row .. row + TOGETHER - 1, a byte of Philox each: 16 rows from a counter, low bytes first."""
    mask = np.uint64(((1 << bits) - 1) * 0x0101010101010101)
    for c in range(len(buckets)):
        pairs, block = buckets[c].view(np.uint64), blocks[first + c]
        for i in range(TOGETHER // 16):
            w0, w1, w2, w3 = philox_words(np.uint64(row // 16 + i), block, copy, _DEAL, seed)
            pairs[2 * i], pairs[2 * i + 1] = (w0 | w1 << WORD) & mask, (w2 | w3 << WORD) & mask


@jit()
def _take_up(blocks, seed, out, first, width, copy, size, longest):
    columns = np.empty((width, longest), out.dtype)
    draws = np.empty(GROUP, np.uint32)
    ends = np.zeros(width, np.int64)
    written, line, place = 0, 0, 0
    for b in range(size.shape[1]):
        for c in range(width):
            leaf = columns[c, ends[c] - written :]
            for i in range(size[c, b]):
                leaf[i] = out[line, first + place]
                place += 1
                if place == width:
                    line, place = line + 1, 0
            start = np.uint64(4 * (ends[c] // 4 + b))
            for group in range(0, size[c, b], GROUP):
                draw_group(seed, _SHUFFLE, copy, blocks[first + c], start + np.uint64(group), _ONE, _ONE - start, draws)
                for i in range(min(GROUP, size[c, b] - group)):  # Fisher-Yates from the inside out
                    leaf[group + i], leaf[draws[i]] = leaf[draws[i]], leaf[group + i]
            ends[c] += size[c, b]
        whole = ends.min()
        for row in range(written, whole):
            for c in range(width):
                out[row, first + c] = columns[c, row - written]
        for c in range(width):
            for i in range(ends[c] - whole):
                columns[c, i] = columns[c, i + whole - written]
        written = whole
