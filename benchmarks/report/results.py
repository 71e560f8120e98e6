"""What a run of the suites measured, its laps merged: one measurement a case, number of threads and candidate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Measured:
    """One candidate of one case on some number of threads. Times are seconds of a call."""

    candidate: str
    ours: bool
    n_threads: int
    seconds: np.ndarray  # of every round of every lap
    first_seconds: float
    error: float | None

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """The interquartile range, as a share of the median."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float((high - low) / self.median)


@dataclass
class Row:
    """One case on some number of threads: every candidate, and the limit."""

    case: str
    job: str
    form: str
    size: str
    series: str
    n_bytes: int
    swept: tuple[str, float] | None
    unit: str
    n_units: float
    error_unit: str
    n_threads: int
    limit: str | None  # what binds
    operations: float  # multiplications and additions of a call, at the least; 0 where none are counted
    limit_laps: list[float] = field(default_factory=list)  # seconds of a call at the limit, a lap each
    measured: dict[str, Measured] = field(default_factory=dict)

    @property
    def limit_seconds(self) -> float | None:
        return float(np.median(self.limit_laps)) if self.limit_laps else None

    @property
    def ours(self) -> Measured | None:
        """The compiled kernel, or the best of ours that is here."""
        return next((self.measured[name] for name in ("native", "numba", "reference") if name in self.measured), None)

    @property
    def peers(self) -> list[Measured]:
        """Other libraries, the fastest first. A plain copy is no peer: it is a measure of memory."""
        found = [m for m in self.measured.values() if not m.ours and m.candidate != "a copy"]
        return sorted(found, key=lambda m: m.median)

    @property
    def share(self) -> float | None:
        """The share of the limit that ours reaches."""
        if self.limit_seconds is None or self.ours is None:
            return None
        return self.limit_seconds / self.ours.median

    def times_as_fast(self, candidate: str) -> float | None:
        """How many times as long as ours a candidate takes."""
        if candidate not in self.measured or self.ours is None:
            return None
        return self.measured[candidate].median / self.ours.median

    @property
    def numba_over_native(self) -> float | None:
        return self.times_as_fast("numba") if "native" in self.measured else None


class Results:
    """All rows of a run, in the order in which they were measured, and what it was measured on."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.about: dict[str, Any] = content["dualwalk"]
        self.compile_seconds: dict[str, float] = content.get("compile_seconds", {})
        self.run: dict[str, Any] = content.get("run", {})
        self._rows: dict[tuple[str, int], Row] = {}
        for benchmark in content["benchmarks"]:
            self._add(benchmark["extra_info"], benchmark["stats"]["data"])
        for row in self:  # what takes no threads was measured once
            alone = self._rows.get((row.case, 1))
            for name, measured in (alone.measured if alone else {}).items():
                row.measured.setdefault(name, measured)

    def _add(self, info: dict[str, Any], seconds: list[float]) -> None:
        key = info["case"], info["n_threads"]
        if key not in self._rows:
            names = (
                "case",
                "job",
                "form",
                "size",
                "series",
                "n_bytes",
                "unit",
                "n_units",
                "error_unit",
                "n_threads",
                "limit",
                "operations",
            )
            self._rows[key] = Row(swept=tuple(info["swept"]) or None, **{name: info[name] for name in names})
        row = self._rows[key]
        name = info["candidate"]
        if name in row.measured:
            row.measured[name].seconds = np.append(row.measured[name].seconds, seconds)
        else:
            row.measured[name] = Measured(
                name, info["ours"], info["n_threads"], np.array(seconds), info["first_seconds"], info["error"]
            )
        if info["limit_seconds"] is not None and len(row.limit_laps) <= info["lap"]:
            row.limit_laps.append(info["limit_seconds"])

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def row(self, case: str, n_threads: int = 1) -> Row | None:
        return self._rows.get((case, n_threads))

    @property
    def threads(self) -> list[int]:
        return sorted({row.n_threads for row in self})

    def speedup(self, case: str, n_threads: int) -> float | None:
        """Of ours on `n_threads` threads over one."""
        one, many = self.row(case), self.row(case, n_threads)
        if one is None or many is None or one.ours is None or many.ours is None:
            return None
        return one.ours.median / many.ours.median
