"""The page itself: one HTML file that needs nothing else, and the same tables in Markdown."""

from __future__ import annotations

import html

from .pictures import Picture, pictures
from .results import Results
from .tables import (
    Table,
    far_from_the_limit,
    glance,
    goal_table,
    job_tables,
    losses,
    numba_table,
    rates_table,
    skipped_table,
)

STYLE = """
:root { --ground: #fbfaf7; --raised: #ffffff; --ink: #1d2327; --quiet: #5d666d; --line: #d9dcdb; --accent: #1f7a70;
  --good: #1f7a4d; --bad: #b3372a; --bad-ground: #fbe9e5; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181a; --raised: #1b2023; --ink: #e6e8e7; --quiet: #9aa4a9;
  --line: #343b3f; --accent: #5cc0b3; --good: #6cc596; --bad: #f0907f; --bad-ground: #3a2320; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .3rem; }
p { margin: .2rem 0 .9rem; max-width: 78ch; }
.quiet, figcaption, small { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0; font-size: .9rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .3rem .9rem; font-size: .9rem; margin: 1rem 0 0; }
a { color: var(--accent); }
.facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.3rem 0; }
.facts div { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .9rem; min-width: 10rem; }
.facts b { display: block; font-size: 1.45rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts span { color: var(--quiet); font-size: .85rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--raised); }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .34rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th:first-child { text-align: left; white-space: normal; min-width: 13rem; }
thead th { position: sticky; top: 0; background: var(--raised); color: var(--quiet); font-weight: 600; white-space: normal;
  vertical-align: bottom; }
tbody th { font-weight: 500; } tbody tr:last-child > * { border-bottom: 0; }
td small, th small { display: block; font-weight: 400; font-size: .76rem; line-height: 1.3; }
td.lost, td.missed { background: var(--bad-ground); }
b.lost, b.missed { color: var(--bad); } b.met { color: var(--good); }
td b { font-size: .74rem; font-weight: 600; margin-left: .4rem; }
.text td { text-align: left; white-space: normal; }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 600; padding: .25rem 0; }
summary small { font-weight: 400; margin-left: .5rem; }
figure { margin: 1.2rem 0; background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: .9rem; overflow-x: auto; }
figure svg { display: block; max-width: 100%; height: auto; } figcaption { font-size: .88rem; }
code { font: .86em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
"""
LEAD = "Every compiled job beside other libraries and beside what the machine can do, measured in one run. Where we lose, it shows."
HOW = (
    "Candidates of a case take turns within a lap, in one process, after calls to warm up that are not counted; medians over all "
    "rounds of all laps are shown, with half the interquartile range. PyTorch runs on as many threads as ours; what "
    "takes none (NumPy, SciPy, plain loops) is shown from one. The limit of a case is the time of the memory traffic, or of the multiply-adds, that no "
    "implementation can do without, at the rate of a loop that does nothing else, measured in the same lap on arrays of the same "
    "size; the larger of the two binds. More than 100 % means that a cache served what the limit had to fetch, or that another "
    "process slowed the limit down. Errors are against float64 (ULP of the result; else relative to the largest number, or to the "
    "distance walked)."
)


def facts(results: Results) -> list[tuple[str, str]]:
    """What was measured, on what and how."""
    about, run = results.about, results.run
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    caches = ", ".join(f"{name} {size}" for name, size in about["caches"].items())
    loads = " ".join(f"{load:.1f}" for load in run.get("load_before", []))
    return [
        ("processor", f"{about['processor']}, {about['n_processors']} processors; {caches}; {about['platform']}"),
        ("SIMD level", about["simd_level"]),
        ("versions", versions),
        ("commit", about["commit"]),
        ("command", run.get("command", "pytest benchmarks/kernels")),
        ("run", f"{about['time']} (its end); {run.get('seconds', 0.0):.0f} s, {run.get('laps', 1)} laps"),
        (
            "load",
            f"{loads} before; {' '.join(f'{load:.1f}' for load in about['load'])} after (1, 5, 15 minutes; the run itself counts)",
        ),
    ]


def _tiles(results: Results, goals: Table, lost: Table) -> list[tuple[str, str]]:
    marks = [row[-1].mark for row in goals.rows]
    compared = sum(len(row.peers) for row in results)
    return [
        (f"{marks.count('met')} of {marks.count('met') + marks.count('missed')}", "goals met"),
        (f"{compared - len(lost.rows)} of {compared}", "comparisons with a peer won"),
        (str(len({row.case for row in results})), "cases"),
    ]


def _summary(table: Table, opened: bool = False) -> str:
    note = f'<p class="quiet">{html.escape(table.note)}</p>'
    head = f"{html.escape(table.title)} <small>{len(table.rows)} rows</small>"
    return f"<details{' open' if opened else ''}><summary>{head}</summary>{note}{table.html()}</details>"


def _section(name: str, table: Table) -> str:
    body = table.html() if table.rows else "<p>Nothing.</p>"
    return f'<h2 id="{name}">{html.escape(table.title)}</h2><p class="quiet">{html.escape(table.note)}</p>{body}'


def html_page(results: Results) -> str:
    """The whole page."""
    goals, lost = goal_table(results), losses(results)
    shown = pictures(results)
    rows = "".join(f"<dt>{name}</dt><dd>{html.escape(str(text))}</dd>" for name, text in facts(results))
    tiles = "".join(f"<div><b>{value}</b><span>{label}</span></div>" for value, label in _tiles(results, goals, lost))
    links = {
        "glance": "at a glance",
        "lost": "where we lose",
        "goals": "goals",
        "curves": "curves",
        "numba": "Numba",
        "all": "every case",
    }
    parts = [
        "<h1>Speed of the kernels</h1>",
        f"<p>{LEAD}</p>",
        f'<div class="facts">{tiles}</div>',
        f"<nav>{''.join(f'<a href={chr(34)}#{key}{chr(34)}>{label}</a>' for key, label in links.items())}</nav>",
        f"<dl>{rows}</dl>",
        f"<details><summary>How it was measured</summary><p>{HOW}</p></details>",
        _section("glance", glance(results)),
        _section("lost", lost),
        _summary(far_from_the_limit(results)),
        _section("goals", goals),
        '<h2 id="curves">Curves</h2>',
        *(picture.html() for picture in shown),
        _section("numba", numba_table(results)),
        '<h2 id="all">Every case</h2>',
        *(_summary(table) for table in job_tables(results)),
        _summary(rates_table(results)),
        _summary(skipped_table(results)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"><title>dualwalk: speed of the kernels</title><style>{STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def markdown_page(results: Results) -> str:
    """The same tables."""
    lines = ["# Speed of the kernels", "", LEAD, "", HOW, ""]
    lines += [f"- {name}: {text}" for name, text in facts(results)]
    tables = [glance(results), losses(results), far_from_the_limit(results), goal_table(results), numba_table(results)]
    tables += [*job_tables(results), rates_table(results), skipped_table(results)]
    for table in tables:
        lines += ["", table.markdown()]
    return "\n".join(lines) + "\n"


__all__ = ["Picture", "html_page", "markdown_page"]
