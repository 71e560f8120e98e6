"""One self-contained HTML page: its frame, its style, and the few elements that the report is made of."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

# No script, no font, nothing from elsewhere: the policy makes the browser hold us to that.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark;
  --paper: #fff; --page: #f4f6f8; --ink: #1f2933; --muted: #5f6c7b; --line: #dfe4ea; --real: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161b22; --page: #0d1117; --ink: #e6edf3; --muted: #9aa7b4; --line: #30363d; --real: #56b4e9; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
.lead { color: var(--muted); max-width: none; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.3rem 1.4rem; margin-top: 1.2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: .8rem; margin-top: 1.2rem; }
.tile { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: .88rem; display: block; line-height: 1.4; }
.tile .name { color: var(--ink); font-size: .88rem; }
figure { margin: .4rem 0 0; }
figure + figure { margin-top: 1.6rem; }
.wide { overflow-x: auto; }
.wide img { display: block; width: 100%; min-width: 40rem; height: auto; }
figcaption { color: var(--muted); font-size: .92rem; margin-top: .6rem; max-width: 46rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
td.number, th.number { text-align: right; }
tr.chosen td { font-weight: 650; color: var(--real); }
ul { margin: 0; padding-left: 1.2rem; max-width: 46rem; }
li { margin-bottom: .4rem; }
footer { color: var(--muted); font-size: .88rem; margin-top: 1.6rem; }
@media (max-width: 600px) {
  section, .tile { padding: .9rem; } h1 { font-size: 1.35rem; } .tile b { font-size: 1.2rem; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .6rem; }
}
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """The whole document."""
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
    )
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        *head,
        "</head>",
        "<body>",
        "<main>",
        *body,
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def section(heading: str, *parts: str) -> str:
    """A card with a heading."""
    return "\n".join((f"<section><h2>{escape(heading)}</h2>", *parts, "</section>"))


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def tiles(content: Iterable[tuple[str, str, str]]) -> str:
    """Headline numbers: a name, the number, what it means."""
    inner = (
        f'<div class="tile"><span class="name">{escape(name)}</span><b>{escape(number)}</b><span>{escape(meaning)}</span></div>'
        for name, number, meaning in content
    )
    return "\n".join(('<div class="tiles">', *inner, "</div>"))


def figure(light: bytes, dark: bytes, alt: str, caption: str) -> str:
    """A picture inside the page, in a light and a dark version, with its caption."""

    def uri(png: bytes) -> str:
        return "data:image/png;base64," + base64.b64encode(png).decode("ascii")

    source = f'<source media="(prefers-color-scheme: dark)" srcset="{uri(dark)}">'
    picture = f'<picture>{source}<img alt="{escape(alt)}" src="{uri(light)}"></picture>'
    return f'<figure><div class="wide">{picture}</div><figcaption>{escape(caption)}</figcaption></figure>'


def table(
    rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), numbers: Sequence[int] = (), chosen: int | None = None
) -> str:
    """A table; the columns named in `numbers` are aligned to the right, one row may be marked."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = (' class="number"' if k in numbers else "" for k in range(len(row)))
        return "".join(f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(kinds, row, strict=True))

    lines = [f"<tr>{cells('th', header)}</tr>"] if header else []
    lines += [f"<tr{' class=chosen' if k == chosen else ''}>{cells('td', row)}</tr>" for k, row in enumerate(rows)]
    return "\n".join(('<div class="wide"><table>', *lines, "</table></div>"))


def bullets(items: Iterable[str]) -> str:
    """A list of sentences."""
    return "\n".join(("<ul>", *(f"<li>{escape(item)}</li>" for item in items), "</ul>"))
