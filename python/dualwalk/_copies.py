"""Rows that were entered twice: copies tell nothing new, and would be trained on in one fold and tested on in another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _device
from ._arrays import distinct
from ._hashes import row_hashes
from ._runs import runs

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_MOST_COPIES = 5  # of a row, itself included


class CopiedRowsWarning(UserWarning):
    """Some rows are copies of others; the fit is that of the distinct rows."""


def distinct_rows(rows: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """`keep` (k,), the first of every set of copies and all other rows, increasing; `of` (n,), rows[keep][of] == rows.

    Equal rows are copies where most columns that vary have values that occur in those rows only. Rows of levels or zeros that
    are equal by chance have values that others have too, and are kept; so are all where fewer than a fifth would be left: then
    there are few rows to be had, not many copies. Both are in the host's memory; rows on a device are told apart by 64-bit
    hashes.
    """
    n = len(rows)
    everyone = np.arange(n)
    on_device = _device.is_on_device(rows)
    key, along = (_device.to_host(row_hashes(rows)), None) if on_device else (rows, 0)
    _, first, group, size = np.unique(key, axis=along, return_index=True, return_inverse=True, return_counts=True)
    if len(first) == n:
        return everyone, everyone
    group = group.reshape(-1)
    own, n_varying = (_own_values_on_device if on_device else _own_values)(rows, first, size)
    copied = (size > 1) & (2 * own > n_varying)
    leader = np.where(copied[group], first[group], everyone)
    keep = distinct(leader)
    if _MOST_COPIES * len(keep) < n:
        return everyone, everyone
    return keep, np.searchsorted(keep, leader)


def _own_values(rows: Floats, first: Places, size: Places) -> tuple[Places, int]:
    """In how many columns each of some rows has a value that occurs `size` times in all, and how many columns vary."""
    varying = np.flatnonzero(rows.min(axis=0) < rows.max(axis=0))
    own = np.zeros(len(first), dtype=np.intp)
    for column in varying:
        _, value, counts = np.unique(rows[:, column], return_inverse=True, return_counts=True)
        own += counts[value[first]] == size
    return own, len(varying)


def _own_values_on_device(rows: Floats, first: Places, size: Places) -> tuple[Places, int]:
    """The same, all columns at once; the results are in the host's memory."""
    order = np.argsort(rows, axis=0, kind="stable")
    start, stop = runs(np.take_along_axis(rows, order, axis=0))
    times = np.empty_like(start)
    np.put_along_axis(times, order, stop - start + 1, axis=0)
    varying = rows.min(axis=0) < rows.max(axis=0)
    own = (times[_device.beside(first, rows)] == _device.beside(size, rows)[:, None]) & varying
    return _device.to_host(own.sum(axis=1)), int(varying.sum())
