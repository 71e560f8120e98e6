"""Rearranged rows of the reference: integers drawn by what they are for, and the permutations made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._arrays import distinct
from ._reference_draws import DEAL, LOW, RESAMPLE, SHIFT, SHUFFLE, WORD, philox

OPERATIONS = {"shuffle": SHUFFLE, "resample": RESAMPLE, "shift": SHIFT}
LONGEST_CHAIN = 28672  # more rows than these are dealt into buckets before Fisher-Yates: 8 columns of them fill 896 KiB
MOST_BUCKET_BITS = 8


def _words(seed: int, operation: int, copy: int, block: int, rows: NDArray[np.int64], attempt: int) -> NDArray[np.uint64]:
    counter = np.empty((len(rows), 4), np.uint32)
    counter[:] = (0, block, copy, operation | attempt << 8)
    counter[:, 0] = rows >> 2
    words: NDArray[np.uint64] = philox(counter, seed)[np.arange(len(rows)), rows & 3].astype(np.uint64)
    return words


def draw_integers(
    seed: int, operation: int, copy: int, block: int, bounds: NDArray[np.uint32], first: int = 0
) -> NDArray[np.uint32]:
    """For each row `first` + i an exactly uniform integer in [0, bounds[i]): multiply, take the high word, reject the biased few.

    (Lemire, "Fast random integer generation in an interval", 2019.) A rejected row draws again at the next attempt number.
    """
    bound = np.asarray(bounds, np.uint64)
    rows = first + np.arange(len(bound))
    product = _words(seed, operation, copy, block, rows, 0) * bound
    threshold = (np.uint64(2**32) - bound) % np.maximum(bound, np.uint64(1))
    attempt, pending = 1, np.flatnonzero((product & LOW) < threshold)
    while len(pending):
        product[pending] = _words(seed, operation, copy, block, rows[pending], attempt) * bound[pending]
        pending = pending[(product[pending] & LOW) < threshold[pending]]
        attempt += 1
    return (product >> WORD).astype(np.uint32)


def bucket_bits(n_rows: int, longest: int) -> int:
    """Rows are dealt into 2**bits buckets, so that they hold `longest` / 8 rows or fewer on average; 0: into none."""
    if n_rows <= longest:
        return 0
    bits = 1
    while bits < MOST_BUCKET_BITS and n_rows > max(longest // 8, 1) << bits:
        bits += 1
    return bits


def _buckets(seed: int, copy: int, block: int, n_rows: int, bits: int) -> NDArray[np.uint8]:
    """The bucket of each row, a byte of Philox: 16 rows from a counter (row // 16, block, copy, DEAL), low bytes first."""
    counter = np.empty((-(-n_rows // 16), 4), np.uint32)
    counter[:] = (0, block, copy, DEAL)
    counter[:, 0] = np.arange(len(counter))
    return philox(counter, seed).astype("<u4").view(np.uint8).ravel()[:n_rows] & np.uint8((1 << bits) - 1)


def permutation(seed: int, method: str, copy: int, block: int, n_rows: int, longest: int = LONGEST_CHAIN) -> NDArray[np.int64]:
    """The source row of every output row of one column block in one copy.

    A shuffle of more than `longest` rows deals them into buckets, in their order, and shuffles each bucket by itself. Given the
    sizes of the buckets every division is as likely as any other, so the whole is exactly uniform. (Rao, Sankhya A 1961;
    Sandelius, "A simple randomization procedure", JRSS B 1962.)
    """
    operation = OPERATIONS[method]
    if method == "resample":
        return draw_integers(seed, operation, copy, block, np.full(n_rows, n_rows, np.uint32)).astype(np.int64)
    if method == "shift":
        shift = 0 if n_rows < 2 else 1 + int(draw_integers(seed, operation, copy, block, np.array([n_rows - 1], np.uint32))[0])
        return (np.arange(n_rows) + shift) % max(n_rows, 1)
    bits = bucket_bits(n_rows, longest)
    bucket = _buckets(seed, copy, block, n_rows, bits)
    source = np.argsort(bucket, kind="stable").astype(np.int64)
    start = 0
    for number, size in enumerate(np.bincount(bucket, minlength=1 << bits).tolist()):
        # the first draw of a bucket is the first of a counter, and no two buckets share one, whatever their sizes
        first = 4 * (start // 4 + number)
        partner = draw_integers(seed, operation, copy, block, np.arange(1, size + 1, dtype=np.uint32), first)
        source[start : start + size] = source[start : start + size][_fisher_yates(partner)]
        start += size
    return source


def _fisher_yates(partner: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Fisher-Yates from the inside out: row i takes what row partner[i] <= i has, which gets i."""
    source = list(range(len(partner)))
    for row, other in enumerate(partner.tolist()):
        source[row] = source[other]
        source[other] = row
    return np.array(source, np.int64)


def permute_marginals(
    x: NDArray[Any],
    block_of_column: NDArray[np.int32],
    method: str,
    seed: int,
    out: NDArray[Any],
    n_threads: int,
    longest: int = LONGEST_CHAIN,
) -> None:
    """Write into `out` `(n_copies, n_rows, n_columns)` copies of x with the rows of every column block rearranged."""
    for block in distinct(block_of_column):
        columns = np.flatnonzero(block_of_column == block)
        for copy in range(len(out)):
            source = permutation(seed, method, copy, int(block), len(x), longest)
            out[copy][:, columns] = x[np.ix_(source, columns)]
