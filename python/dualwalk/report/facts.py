"""What the data are before any model sees them: sizes, ranges, constant and tied columns, copies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TIED = 0.9  # of n: with fewer distinct values, a column has ties


@dataclass(frozen=True)
class Facts:
    """Counts of samples and columns (values of a sample), the range of all values, labels with their counts, and a checksum."""

    n_constant: int
    n_tied: int
    n_copies: int
    low: float
    high: float
    labels: tuple[tuple[str, int], ...]
    n_groups: int
    sha256: str


def facts(X: NDArray[Any], labels: NDArray[Any] | None, groups: NDArray[Any] | None) -> Facts:
    """Look at X (n_samples, ...) once."""
    rows = np.ascontiguousarray(X.reshape(len(X), -1))
    n_constant = n_tied = 0
    for column in np.array_split(np.arange(rows.shape[1]), max(1, rows.size // 2**22)):
        ordered = np.sort(rows[:, column], axis=0)
        distinct = 1 + np.count_nonzero(np.diff(ordered, axis=0), axis=0)
        n_constant += int((distinct == 1).sum())
        n_tied += int(((distinct > 1) & (distinct < TIED * len(rows))).sum())
    return Facts(
        n_constant=n_constant,
        n_tied=n_tied,
        n_copies=len(rows) - len({row.tobytes() for row in rows + 0.0}),  # the sum turns -0 into 0, which equals it
        low=float(rows.min()),
        high=float(rows.max()),
        labels=() if labels is None else _counted(labels),
        n_groups=0 if groups is None else len(np.unique(groups)),
        sha256=hashlib.sha256(np.ascontiguousarray(X).tobytes()).hexdigest(),
    )


def _counted(labels: NDArray[Any]) -> tuple[tuple[str, int], ...]:
    names, counts = np.unique(labels, return_counts=True)
    return tuple((str(name), int(count)) for name, count in zip(names, counts, strict=True))
