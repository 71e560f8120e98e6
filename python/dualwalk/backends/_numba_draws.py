# mypy: disable-error-code="no-untyped-def"
"""Philox words and exactly uniform integers in Numba, one by one and for a group of rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._numba_scalar import LOW, WORD, jit, philox_words, read_only

GROUP = 256  # rows drawn at once, a multiple of 4
_ZERO, _ONE, _TWO, _THREE, _EIGHT = (np.uint64(i) for i in (0, 1, 2, 3, 8))


def philox(counter: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]:
    counters = np.ascontiguousarray(counter, np.uint32)
    words = np.empty_like(counters)
    _philox(read_only(counters.reshape(-1, 4)), np.uint64(seed), words.reshape(-1, 4))
    return words


@jit()
def _philox(counters, seed, words):
    for i in range(len(counters)):
        c0, c1, c2, c3 = (
            np.uint64(counters[i, 0]),
            np.uint64(counters[i, 1]),
            np.uint64(counters[i, 2]),
            np.uint64(counters[i, 3]),
        )
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = philox_words(c0, c1, c2, c3, seed)


def draw_integers(seed: int, operation: int, copy: int, block: int, bounds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    bound = np.ascontiguousarray(bounds, np.uint32)
    draws = np.empty_like(bound)
    _draw_integers(np.uint64(seed), np.uint64(operation), np.uint64(copy), np.uint64(block), read_only(bound), draws)
    return draws


@jit()
def _draw_integers(seed, operation, copy, block, bounds, draws):
    words = np.empty(GROUP, np.uint64)
    for first in range(0, len(bounds), GROUP):
        for i in range(GROUP // 4):
            counter = np.uint64(first // 4 + i)
            words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3] = philox_words(
                counter, block, copy, operation, seed
            )
        rows, doubtful = min(GROUP, len(bounds) - first), _ZERO
        for i in range(rows):
            bound = np.uint64(bounds[first + i])
            product = words[i] * bound
            draws[first + i] = product >> WORD
            doubtful |= np.uint64(product & LOW < bound)
        if doubtful:  # a low word below the bound may be one to reject
            for i in range(rows):
                bound = np.uint64(bounds[first + i])
                if words[i] * bound & LOW < bound:
                    draws[first + i] = draw_integer(seed, operation, copy, block, np.uint64(first + i), bound)


@jit()
def draw_integer(seed, operation, copy, block, row, bound):
    threshold = ((_ONE << WORD) - bound) % max(bound, _ONE)
    attempt = _ZERO
    while True:
        words = philox_words(row >> _TWO, block, copy, operation | attempt << _EIGHT, seed)
        product = words[row & _THREE] * bound
        if product & LOW >= threshold:
            return product >> WORD
        attempt += _ONE


@jit()
def draw_group(seed, operation, copy, block, first, slope, start, draws):
    """The draws of GROUP rows from `first` on with bound(row) = slope row + start: (1, 1) for a shuffle, (0, n) to resample."""
    doubtful = _ZERO
    for i in range(GROUP // 4):
        row = first + np.uint64(4 * i)
        w0, w1, w2, w3 = philox_words(row >> _TWO, block, copy, operation, seed)
        bound = row * slope + start
        p0, p1 = w0 * (bound & LOW), w1 * ((bound + slope) & LOW)
        p2, p3 = w2 * ((bound + _TWO * slope) & LOW), w3 * ((bound + _THREE * slope) & LOW)
        # a low word below the bound may be one to reject; the last of the four bounds is the largest
        last = bound + _THREE * slope
        doubtful |= (
            np.uint64(p0 & LOW < last) | np.uint64(p1 & LOW < last) | np.uint64(p2 & LOW < last) | np.uint64(p3 & LOW < last)
        )
        draws[4 * i], draws[4 * i + 1], draws[4 * i + 2], draws[4 * i + 3] = p0 >> WORD, p1 >> WORD, p2 >> WORD, p3 >> WORD
    if doubtful:  # decide one by one
        for i in range(GROUP):
            row = first + np.uint64(i)
            draws[i] = draw_integer(seed, operation, copy, block, row, (row * slope + start) & LOW)
