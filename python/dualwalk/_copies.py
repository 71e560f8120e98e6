"""Rows that were entered twice: copies tell nothing new, and would be trained on in one fold and tested on in another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_COPIES = 5  # of a row, itself included


class CopiedRowsWarning(UserWarning):
    """Some rows are copies of others; the fit is that of the distinct rows."""


def distinct_rows(rows: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """`keep` (k,), the first of every set of copies and all other rows, increasing; `of` (n,), rows[keep][of] == rows.

    Equal rows are copies where most columns that vary have values that occur in those rows only. Rows of levels or zeros that
    are equal by chance have values that others have too, and are kept; so are all where fewer than a fifth would be left: then
    there are few rows to be had, not many copies.
    """
    n = len(rows)
    everyone = np.arange(n)
    _, first, group, size = np.unique(rows, axis=0, return_index=True, return_inverse=True, return_counts=True)
    if len(first) == n:
        return everyone, everyone
    group = group.reshape(-1)
    varying = np.flatnonzero(rows.min(axis=0) < rows.max(axis=0))
    own = np.zeros(len(first))
    for column in varying:
        _, value, counts = np.unique(rows[:, column], return_inverse=True, return_counts=True)
        own += counts[value[first]] == size
    copied = (size > 1) & (2 * own > len(varying))
    leader = np.where(copied[group], first[group], everyone)
    keep = np.unique(leader)
    if _MOST_COPIES * len(keep) < n:
        return everyone, everyone
    return keep, np.searchsorted(keep, leader)
