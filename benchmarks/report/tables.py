"""The page's tables, as rows of cells that HTML and Markdown both render."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

from dualwalk import backends

from ..kernels.case import OURS
from ..kernels.measure import FEWEST_ROUNDS
from .goals import NUMBA_AT_MOST, goals, percent
from .results import Measured, Results, Row

LOST, MET, MISSED = "lost", "met", "missed"
WORDS = {LOST: "slower", MET: "met", MISSED: "missed"}
GOOD_SHARE = 0.7  # of the limit
LIMITS = {
    "read": "reading",
    "write": "writing",
    "copy": "copying",
    "read + copy": "reading and copying",
    "float32": "multiply-adds",
    "float64": "multiply-adds",
}


@dataclass(frozen=True)
class Cell:
    """A text, what is said smaller below it, and whether it is a win."""

    text: str
    detail: str = ""
    mark: str = ""


@dataclass
class Table:
    title: str
    note: str
    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)

    def add(self, *cells: Cell | str) -> None:
        self.rows.append([cell if isinstance(cell, Cell) else Cell(cell) for cell in cells])

    def markdown(self) -> str:
        def text(cell: Cell) -> str:
            words = [cell.text, f"({cell.detail})" if cell.detail else "", f"**{WORDS[cell.mark]}**" if cell.mark else ""]
            return " ".join(word for word in words if word).replace("|", "/")

        lines = [f"### {self.title}", "", self.note, ""] if self.title else []
        lines += [f"| {' | '.join(self.columns)} |", f"|{' --- |' * len(self.columns)}"]
        lines += [f"| {' | '.join(text(cell) for cell in row)} |" for row in self.rows]
        return "\n".join(lines)

    def html(self) -> str:
        def cell(one: Cell, first: bool) -> str:
            detail = f"<small>{html.escape(one.detail)}</small>" if one.detail else ""
            mark = f'<b class="{one.mark}">{WORDS[one.mark]}</b>' if one.mark else ""
            tag = 'th scope="row"' if first else "td"
            inner = f"{html.escape(one.text)}{mark}{detail}"
            return f"<{tag}{f' class={chr(34)}{one.mark}{chr(34)}' if one.mark else ''}>{inner}</{tag.split()[0]}>"

        head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in self.columns)
        body = "".join(f"<tr>{''.join(cell(one, k == 0) for k, one in enumerate(row))}</tr>" for row in self.rows)
        return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def duration(seconds: float) -> str:
    """Three digits and the unit that suits: "1.90 us"."""
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 999.5:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds)} s"


def _digits(value: float) -> str:
    if value < 0.995:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x" if value < 9.95 else f"{value:,.0f}x"


def error(measured: Measured | None, unit: str) -> str:
    if measured is None or measured.error is None:
        return ""
    if unit == "ULP":
        return f"{measured.error:.2g} ULP"
    if unit in ("relative", "of the walk"):
        return f"error {measured.error:.0e}"
    return f"{measured.error:.0f} {unit}"


def spread(measured: Measured) -> str:
    """Half the interquartile range, where there are rounds enough for one."""
    n = len(measured.seconds)
    return f"+- {50 * measured.spread:.0f} %" if n >= FEWEST_ROUNDS else "once" if n == 1 else f"{n} rounds"


def where(row: Row) -> str:
    return f"{row.form}, {row.size}"


def ours(row: Row) -> Cell:
    one = row.ours
    if one is None:
        return Cell("-")
    name = "" if one.candidate == "native" else f"{one.candidate}, "
    return Cell(duration(one.median / row.n_units), ", ".join(filter(None, [name + spread(one), error(one, row.error_unit)])))


def share(row: Row) -> Cell:
    """The share of the limit; more than all of it is what a cache gave, or what the limit lost to another process."""
    if row.share is None or row.limit is None:
        return Cell("-")
    return Cell(percent(row.share), f"of {LIMITS.get(row.limit, row.limit)}")


def peer(row: Row, one: Measured) -> Cell:
    times = row.times_as_fast(one.candidate)
    lost = times is not None and times < 1 and not one.ours
    told = [ratio(times), spread(one), error(one, row.error_unit)]
    if one.n_threads != row.n_threads:
        told.append("1 thread")
    return Cell(
        duration(one.median / row.n_units), ", ".join(filter(None, told)), LOST if lost and one.candidate != "a copy" else ""
    )


def largest(results: Results) -> list[Row]:
    """The largest size of every form, on one thread."""
    found: dict[str, Row] = {}
    for row in results:
        if row.n_threads == 1 and (row.series not in found or row.n_bytes > found[row.series].n_bytes):
            found[row.series] = row
    return list(found.values())


def goal_table(results: Results) -> Table:
    table = Table(
        "Goals",
        "What the kernels are meant to reach, float32. The share of a limit compares with loops of the same run that do nothing else.",
        ["goal", "wanted", "reached"],
    )
    for goal in goals(results):
        mark = "" if goal.met is None else MET if goal.met else MISSED
        table.add(goal.what, goal.wanted, Cell(goal.reached, mark=mark))
    return table


def glance(results: Results) -> Table:
    """The largest size of every form, one thread."""
    more = [n for n in results.threads if n > 1]
    columns = ["job", "ours, a unit", "share of the limit", "fastest peer", "its time over ours", "Numba over native"]
    table = Table(
        "At a glance",
        "The largest size of every form on one thread. A unit is an element, a value, a pair, or a step of all walks; +- is half the "
        "interquartile range.",
        [*columns, *(f"{n} threads over 1" for n in more)],
    )
    for row in largest(results):
        best = next(iter(row.peers), None)
        times = row.times_as_fast(best.candidate) if best else None
        speedups = (results.speedup(row.case, n) for n in more)
        table.add(
            Cell(row.form if row.form.startswith(("MLP", "local", "mixture")) else f"{row.job}, {row.form}", row.size),
            ours(row),
            share(row),
            Cell(best.candidate, duration(best.median / row.n_units)) if best else "-",
            Cell(ratio(times), mark=LOST if times is not None and times < 1 else ""),
            _numba(row.numba_over_native),
            *(ratio(speedup) for speedup in speedups),
        )
    return table


def _numba(value: float | None) -> Cell:
    return Cell(ratio(value), mark=MISSED if value is not None and value > NUMBA_AT_MOST else "")


def losses(results: Results) -> Table:
    """Every case and number of threads where a peer is faster than we are."""
    table = Table(
        "Where we lose",
        "Every case where a peer took less time than ours, the worst first.",
        ["case", "threads", "ours, a unit", "peer", "its time over ours"],
    )
    found = [
        (row.times_as_fast(one.candidate) or 0.0, row, one)
        for row in results
        for one in row.peers
        if (row.times_as_fast(one.candidate) or 2.0) < 1
    ]
    for times, row, one in sorted(found, key=lambda item: item[0]):
        table.add(
            Cell(row.job, where(row)),
            str(row.n_threads),
            ours(row),
            Cell(one.candidate, duration(one.median / row.n_units)),
            Cell(ratio(times), mark=LOST),
        )
    return table


def far_from_the_limit(results: Results) -> Table:
    """The largest size of every form that stays under GOOD_SHARE of its limit."""
    table = Table(
        "Far from the limit",
        f"The largest size of every form that reaches less than {percent(GOOD_SHARE)} of what its memory traffic or its arithmetic "
        "allows, one thread. Draws, sorting and exponentials have no limit of their own here: they show as distance from it.",
        ["case", "ours, a unit", "share of the limit"],
    )
    found = [row for row in largest(results) if row.share is not None and row.share < GOOD_SHARE]
    for row in sorted(found, key=lambda row: row.share or 0.0):
        table.add(Cell(row.job, where(row)), ours(row), share(row))
    return table


def numba_table(results: Results) -> Table:
    """Native and Numba for every job of the table of backends."""
    more = [n for n in results.threads if n > 1]
    table = Table(
        "Numba and native",
        f"Every job of `backends.JOBS`, warm, one thread unless it says more: the goal is {NUMBA_AT_MOST:g} times native at most. Compiling is apart: the "
        "first call in a process whose cache is empty, less the second; what jobs share is counted for the first of them.",
        ["job", "least", "median", "most", "the worst case", *(f"most, {n} threads" for n in more), "compiling"],
    )
    for job in backends.JOBS:
        ratios = [
            (row.numba_over_native, where(row), row.n_threads)
            for row in results
            if row.job == job and row.numba_over_native is not None
        ]
        found = sorted((value, place) for value, place, n_threads in ratios if n_threads == 1)
        worst = [max((value for value, _, n_threads in ratios if n_threads == n), default=None) for n in more]
        seconds = results.compile_seconds.get(job)
        compiling = "-" if seconds is None else f"{max(seconds, 0.0):.1f} s"
        if not found:
            table.add(job, "-", "-", "-", "not measured", *("-" for _ in more), compiling)
            continue
        values = [value for value, _ in found]
        table.add(
            job,
            ratio(values[0]),
            ratio(values[len(values) // 2]),
            _numba(values[-1]),
            found[-1][1],
            *map(_numba, worst),
            compiling,
        )
    return table


def job_tables(results: Results) -> list[Table]:
    """A table for every job: a row for every case and number of threads, a column for every candidate."""
    tables = []
    for job in dict.fromkeys(row.job for row in results):
        rows = [row for row in results if row.job == job]
        names = list(dict.fromkeys(name for row in rows for name in row.measured))
        names = [name for name in (*OURS, *(name for name in names if name not in OURS)) if name in names]
        units = ", ".join(dict.fromkeys(row.unit for row in rows))
        table = Table(
            job,
            f"Times are for one {units}; below them the time over ours, half the interquartile range and the error.",
            ["case", "threads", "limit", "share", *names],
        )
        for row in sorted(rows, key=lambda row: (rows.index(results.row(row.case, 1) or row), row.n_threads)):
            limit = "-" if row.limit_seconds is None else duration(row.limit_seconds / row.n_units)
            cells = [
                Cell("-")
                if name not in row.measured
                else ours(row)
                if row.measured[name] is row.ours
                else peer(row, row.measured[name])
                for name in names
            ]
            bound = Cell(limit, LIMITS.get(row.limit or "", row.limit or ""))
            table.add(Cell(row.form, row.size), str(row.n_threads), bound, share(row).text, *cells)
        tables.append(table)
    return tables


def rates_table(results: Results) -> Table:
    """What the machine could do in this run."""
    table = Table(
        "What the machine can do",
        "Measured between the kernels by loops of the same SIMD level (`csrc/cpu/limits.hpp`): medians over laps, lowest and highest.",
        ["what", "size", "threads", "rate", "range"],
    )
    groups: dict[tuple[str, int, int], list[float]] = {}
    for name, n_bytes, n_threads, _, rate in results.about["rates"]:
        groups.setdefault((name, n_bytes, n_threads), []).append(rate / 1e9)
    for (name, n_bytes, n_threads), rates in sorted(groups.items()):
        arithmetic = name.startswith("float")
        unit = "GFLOP/s" if arithmetic else "GB/s"
        middle = sorted(rates)[len(rates) // 2]
        size = "registers" if arithmetic else f"{n_bytes / 2**20:g} MiB" if n_bytes >= 1 << 20 else f"{n_bytes >> 10} KiB"
        what = f"multiply-adds, {name}" if arithmetic else LIMITS[name]
        table.add(what, size, str(n_threads), f"{middle:.0f} {unit}", f"{min(rates):.0f} to {max(rates):.0f}")
    return table


def skipped_table(results: Results) -> Table:
    table = Table("Left out", "Candidates that were not measured, and why.", ["case", "candidate", "reason"])
    for one in results.about["skipped"]:
        table.add(one["case"], one["candidate"], one["reason"])
    return table
