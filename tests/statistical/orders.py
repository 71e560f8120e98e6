"""Are rearranged rows uniform, and independent of each other? Asked of source rows: where each row of the result came from.

`sources` is (n_copies, n_rows, n_columns), integers in [0, n_rows); column j of copy c is one rearrangement.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from . import laws

Integers = NDArray[np.integer]
Draw = Callable[[int, int, int, int], Integers]  # (n_copies, n_rows, n_columns, seed) -> sources
P_values = dict[str, float]

SHARES = 8  # parts of the rows, from and to
LAGS = (1, 4, 8)  # columns so far apart are compared; kernels draw four words and write eight columns at once


def outcomes(method: str, n: int) -> Iterable[tuple[int, ...]]:
    """All rearrangements of n rows that a method may give, equally likely."""
    if method == "shift":
        return [tuple((row + by) % n for row in range(n)) for by in range(1, n)]
    return itertools.product(range(n), repeat=n) if method == "resample" else itertools.permutations(range(n))


def exact(draw: Draw, method: str, n: int, n_copies: int, n_columns: int, seed: int) -> P_values:
    """Every outcome equally often; and no column, copy or seed tells about another."""
    codes, count = _codes(draw(n_copies, n, n_columns, seed), method)
    others, _ = _codes(draw(n_copies, n, n_columns, seed + 1), method)
    found = {"every order": _uniform(codes, count)}
    if n > 4:  # too many outcomes for a table of pairs
        return found
    for lag in LAGS:
        found[f"columns {lag} apart"] = _pairs(codes[:, :-lag], codes[:, lag:], count)
    found["the next copy"] = _pairs(codes[:-1], codes[1:], count)
    found["the next column of the next copy"] = _pairs(codes[:-1, :-1], codes[1:, 1:], count)
    found["the next column of the copy before"] = _pairs(codes[1:, :-1], codes[:-1, 1:], count)
    found["the next seed"] = _pairs(codes, others, count)
    return found


def _codes(sources: Integers, method: str) -> tuple[Integers, int]:
    """The number of every rearrangement among its outcomes, (n_copies, n_columns), -1 for none of them; and how many there are."""
    n = sources.shape[1]
    digits = n ** np.arange(n)
    known = np.array([digits @ np.array(one) for one in outcomes(method, n)])
    order = np.argsort(known)
    value = np.einsum("cnj,n->cj", sources, digits)
    place = np.minimum(np.searchsorted(known[order], value), len(known) - 1)
    return np.where(known[order][place] == value, place, -1), len(known)


def _uniform(codes: Integers, count: int) -> float:
    return 0.0 if codes.min() < 0 else laws.of_counts(np.bincount(codes.ravel(), minlength=count), codes.size / count)


def _pairs(first: Integers, second: Integers, count: int) -> float:
    table = np.bincount((first * count + second).ravel().clip(0), minlength=count**2)[: count**2].reshape(count, count)
    # two rearrangements that are always equal leave most of the table empty, but all of its rows and columns filled
    return laws.of_table(table) if table.sum(axis=0).all() and table.sum(axis=1).all() else 0.0


def large(draw: Draw, n: int, n_columns: int, seed: int) -> P_values:
    """Permutations of many rows: where rows go, what stays, what follows what; and the same of one column relative to another."""
    sources = draw(2, n, n_columns, seed)
    relative = [_relative(sources[0, :, j], sources[0, :, j + 1]) for j in range(n_columns - 1)]
    between = [_relative(*sources[:, :, j]) for j in range(n_columns)]
    alone = np.moveaxis(sources, 2, 1).reshape(-1, n)
    return {
        **_statistics(alone, "alone"),
        **_statistics(np.array(relative), "next to another column"),
        **_statistics(np.array(between), "in two copies"),
    }


def _relative(first: Integers, second: Integers) -> Integers:
    """The permutation that leads from one to the other; uniform where they are and do not depend on each other."""
    place = np.empty_like(first)
    place[first] = np.arange(len(first))
    return place[second]


def _statistics(permutations: Integers, kind: str) -> P_values:
    """Of independent uniform permutations (m, n)."""
    n = permutations.shape[1]
    if not (np.sort(permutations, axis=1) == np.arange(n)).all():
        return {f"{kind}: permutations": 0.0}
    where = np.arange(n)
    fixed = (permutations == where).sum(axis=1)
    followed = (np.diff(permutations, axis=1) == 1).sum(axis=1)
    x = (permutations - (n - 1) / 2) / np.sqrt((n**2 - 1) / 12)  # ranks of mean 0 and variance 1
    trend = x @ x[0][np.argsort(permutations[0])] / np.sqrt(n**2 / (n - 1))  # with the rows in their old order
    return {
        f"{kind}: from where to where": _moves(permutations),
        f"{kind}: rows that stay": _poisson(fixed),
        f"{kind}: rows that follow each other as before": _poisson(followed),
        f"{kind}: trend": laws.of_scores(trend),
        f"{kind}: neighbours": laws.of_scores(_serial(x)),
    }


def _moves(permutations: Integers) -> float:
    """Rows by the share of the table that they come from and go to. Both margins are given, which the factor accounts for."""
    n = permutations.shape[1]
    share = np.arange(n) * SHARES // n
    cells = (share * SHARES + share[permutations]).ravel()
    sizes = np.bincount(share, minlength=SHARES)
    expected = len(permutations) * np.outer(sizes, sizes) / n
    table = np.bincount(cells, minlength=SHARES**2).reshape(SHARES, SHARES)
    distance = ((table - expected) ** 2 / expected).sum() * (n - 1) / n
    return float(stats.chi2.sf(distance, (SHARES - 1) ** 2))


def _poisson(counts: Integers) -> float:
    """Matches of uniform permutations: Poisson with mean 1 in each, but for 1 / n."""
    total, law = int(counts.sum()), stats.poisson(len(counts))
    return float(min(1.0, 2 * min(law.cdf(total), law.sf(total - 1))))


def _serial(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wald and Wolfowitz' correlation of rows with the next one, round the circle, with its mean and variance under all orders."""
    n = x.shape[1]
    second, third, fourth = (float((x[0] ** k).sum()) for k in (2, 3, 4))
    mean = -second / (n - 1)
    variance = (second**2 - fourth) / (n - 1) + (second**2 - 2 * fourth) / ((n - 1) * (n - 2)) - mean**2
    assert abs(third) < 1e-6 * n, "ranks are symmetric"
    return ((x * np.roll(x, -1, axis=1)).sum(axis=1) - mean) / np.sqrt(variance)


def drawn(draw: Draw, n: int, n_columns: int, seed: int) -> P_values:
    """Rows drawn with replacement, many of them: how often each comes, how many never, and neighbours."""
    sources = draw(1, n, n_columns, seed)[0]
    missing = n - np.array([len(np.unique(column)) for column in sources.T])
    expected = n * (1 - 1 / n) ** n
    variance = expected + n * (n - 1) * (1 - 2 / n) ** n - expected**2
    scores = (missing - expected) / np.sqrt(variance)
    share = sources * SHARES // n
    return {
        "each row": laws.of_counts(np.bincount(sources.ravel(), minlength=n), n_columns),
        "rows that never come": laws.of_scores(scores),
        "neighbours": _pairs(share[:-1], share[1:], SHARES),
        "columns": _pairs(share[:, :-1], share[:, 1:], SHARES),
    }


def shifted(draw: Draw, n: int, n_columns: int, seed: int) -> P_values:
    """Cyclic shifts of many rows: by 1 .. n - 1 equally often, whatever the next column's."""
    sources = draw(1, n, n_columns, seed)[0]
    by = sources[0]
    if not ((np.arange(n)[:, None] + by) % n == sources).all():
        return {"shifts": 0.0}
    share = (by - 1) * SHARES // (n - 1)
    return {
        "every shift": laws.of_counts(np.bincount(by, minlength=n)[1:], n_columns / (n - 1)) if by.min() else 0.0,
        "columns": _pairs(share[:-1], share[1:], SHARES),
    }
