"""Columns of levels: a table of counts beside the network, for nodes whose own and whose parent's values come back.

A mixture of Gaussians learns atoms slowly. Where a child and its parent have values that many rows share (levels, bits, the
zeros of an inflated column), counts say it at once: with categories a for the parent and b for the child, each an atom or
"any other value", and pseudo-count s,

    T(a, b) = log (N_ab + s q_b) / (N_a + s) - log q_b,      sum_b q_b exp T(a, b) = 1

A node's term becomes log((1 - w) exp f + w exp T); s and w are chosen on held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._lazy import cached_property

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

PSEUDO_COUNTS = (1.0, 3.0, 10.0, 30.0)
WEIGHTS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_LEAST_SHARE = 0.02  # of the rows, from which a value is an atom
_SAME = 1e-6


def atoms(z: Floats) -> Floats:
    """The values of one column (n,) that at least 2 % of the rows (and at least 3) share, increasing."""
    values, counts = np.unique(z, return_counts=True)
    return np.asarray(values[counts >= max(3.0, _LEAST_SHARE * len(z))])


def _categories(z: Floats, values: Floats) -> Places:
    """0 .. k - 1 for rows at one of the k atoms, k for all others."""
    nearest = np.searchsorted(0.5 * (values[1:] + values[:-1]), z)
    return np.where(np.abs(values[nearest] - z) < _SAME, nearest, len(values))


@dataclass(frozen=True)
class Tables:
    """Tables of some nodes of a path. `node` (m,), `child` and `parent` (m,) places in path order; `values` by place, the
    atoms; `log_ratio`, one (k_parent + 1, k_child + 1) a node; `weight`, w above. All are in the host's memory; rows on a
    device meet a copy there."""

    node: Places
    child: Places
    parent: Places
    values: dict[int, Floats]
    log_ratio: tuple[Floats, ...]
    weight: float

    def terms(self, ordered: Floats) -> Floats:
        """T of rows in path order: (m, n)."""
        if _device.is_on_device(ordered):
            return self._on_device.terms(ordered)
        category = {place: _categories(ordered[:, place], values) for place, values in self.values.items()}
        rows = [
            table[category[parent], category[child]]
            for table, parent, child in zip(self.log_ratio, self.parent.tolist(), self.child.tolist(), strict=True)
        ]
        return np.stack(rows)

    def blend(self, ordered: Floats, terms: Floats) -> tuple[Floats, Floats]:
        """Terms of all nodes (N, n) with the tables' share in them, and by how much a gradient shrinks: (m, n)."""
        with np.errstate(divide="ignore"):
            node = _device.beside(self.node, ordered)
            kept = np.log1p(-self.weight) + terms[node]
            blended = np.logaddexp(kept, np.log(self.weight) + self.terms(ordered))
        result = terms.copy()
        result[node] = blended
        return result, np.exp(kept - blended)

    @cached_property
    def _on_device(self) -> _TablesOnDevice:
        return _TablesOnDevice.of(self)


@dataclass(frozen=True)
class _TablesOnDevice:
    """The same padded to one size, so that all tables are read at once: `place` (p,) and the atoms `values` (p, k) there, not a
    number beyond a place's own; `child` and `parent` (m,) count among those places; `log_ratio` (m, k + 1, k + 1), and
    category k is "any other value"."""

    place: Any
    values: Any
    child: Any
    parent: Any
    log_ratio: Any

    @classmethod
    def of(cls, tables: Tables) -> _TablesOnDevice:
        place = np.array(sorted(tables.values), dtype=np.intp)
        most = max(map(len, tables.values.values()))
        values = np.full((len(place), most), np.nan)
        for row, column in zip(values, place.tolist(), strict=True):
            row[: len(tables.values[column])] = tables.values[column]
        log_ratio = np.zeros((len(tables.node), most + 1, most + 1))
        for padded, table in zip(log_ratio, tables.log_ratio, strict=True):
            here = [[*range(length - 1), most] for length in table.shape]
            padded[np.ix_(*here)] = table
        child, parent = np.searchsorted(place, tables.child), np.searchsorted(place, tables.parent)
        return cls(*map(_device.to_device, (place, values, child, parent, log_ratio)))

    def terms(self, ordered: Floats) -> Floats:
        xp = _device.namespace(ordered)
        z, most = ordered[:, self.place], self.values.shape[1]
        category = xp.full(z.shape, most)
        for k in range(most):
            category = np.where(np.abs(self.values[:, k] - z) < _SAME, k, category)
        every = xp.arange(len(self.child))
        terms: Floats = self.log_ratio[every, category[:, self.parent], category[:, self.child]].T
        return terms


def count_tables(train: Floats, every: Floats, parent: Places, pseudo_count: float) -> Tables | None:
    """Tables from rows `train`, with atoms and shares q from `every` row; both in path order, `parent` (N,) places of nodes.

    None where no node has atoms on both sides.
    """
    values = {place: found for place in range(every.shape[1]) if len(found := atoms(every[:, place]))}
    node = np.array([k for k, p in enumerate(parent.tolist()) if k + 1 in values and p in values], dtype=np.intp)
    if not len(node):
        return None
    used = {place: values[place] for place in {*(node + 1).tolist(), *parent[node].tolist()}}
    category = {place: _categories(train[:, place], found) for place, found in used.items()}
    tables = []
    for k in node.tolist():
        child, above = used[k + 1], used[int(parent[k])]
        share = np.bincount(_categories(every[:, k + 1], child), minlength=len(child) + 1) / len(every)
        counts = np.zeros((len(above) + 1, len(child) + 1))
        np.add.at(counts, (category[int(parent[k])], category[k + 1]), 1.0)
        possible = np.maximum(share, 1e-300)  # a category that no row has is met by new rows only, at the ratio 1
        ratio = (counts + pseudo_count * possible) / (counts.sum(axis=1, keepdims=True) + pseudo_count) / possible
        tables.append(np.log(np.where(share > 0, ratio, 1.0)))
    return Tables(node, node + 1, parent[node], used, tuple(tables), 1.0)


@dataclass(frozen=True)
class TableRecipe:
    """How tables are counted and how much they weigh."""

    pseudo_count: float
    weight: float

    def counted(self, train: Floats, every: Floats, parent: Places) -> Tables | None:
        """`count_tables` with this weight."""
        found = count_tables(train, every, parent, self.pseudo_count)
        return None if found is None else replace(found, weight=self.weight)


def choose_tables(parts: list[tuple[Floats, Floats, Floats]], every: Floats, parent: Places) -> TableRecipe | None:
    """The tables that held-out rows ask for; None where they ask for none.

    `parts` holds (train (m, d), held out (h, d), the path's terms there (N, h)), `every` is (n, d); path order.
    """
    best, chosen = 0.0, None
    for pseudo_count in PSEUDO_COUNTS:
        fitted = [count_tables(train, every, parent, pseudo_count) for train, _, _ in parts]
        if fitted[0] is None:
            return None
        for weight in WEIGHTS:
            gain = sum(
                float((replace(one, weight=weight).blend(held, terms)[0] - terms).sum())
                for one, (_, held, terms) in zip(fitted, parts, strict=True)
                if one is not None
            )
            if gain > best:
                best, chosen = gain, TableRecipe(pseudo_count, weight)
    return chosen
