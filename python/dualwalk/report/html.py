"""One self-contained HTML page: its frame, its policy, and the few elements that the report is made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files

WIDE, NARROW = 760, 340  # pixels that a picture is drawn for: a page, a phone
ICON = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"  # or a browser would ask the server for one
MOST_ROWS = 15  # of a table that does not scroll
SCRIPTS = ("draw.js", "choose.js", "play.js")


def asset(name: str) -> str:
    """A file of the page's style or script, as it lies beside this module."""
    return (files("dualwalk.report") / name).read_text(encoding="utf-8")


def script() -> str:
    """The page's script: its files in one function, so that nothing becomes global."""
    return "(() => {\n" + "\n".join(map(asset, SCRIPTS)) + "})();\n"


def policy(style: str, code: str) -> str:
    """Nothing from elsewhere, no other script, no form: the browser holds us to that."""

    def fingerprint(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"

    return (
        f"default-src 'none'; img-src data:; style-src {fingerprint(style)}; script-src {fingerprint(code)}; "
        "base-uri 'none'; form-action 'none'"
    )


def page(title: str, body: Iterable[str], data: str) -> str:
    """The whole document; `data` is JSON that may stand inside a script element."""
    style, code = asset("page.css"), script()
    head = (
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy(style, code)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f'<link rel="icon" href="{ICON}">',
        f"<title>{escape(title)}</title>",
        f"<style>{style}</style>",
    )
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        *head,
        "</head>",
        "<body>",
        *body,
        f'<script type="application/json" id="dualwalk-data">{data}</script>',
        f"<script>{code}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def said(text: str) -> str:
    """A sentence of ours, escaped; a number keeps its per cent sign beside it."""
    return escape(text).replace(" %", "\N{NO-BREAK SPACE}%")


def section(name: str, heading: str, see: str, read: str, *parts: str) -> str:
    """A card: a heading, what you see, how to read it, and the rest."""
    words = f"<p><b>What you see.</b> {said(see)}</p><p><b>How to read it.</b> {said(read)}</p>"
    return "\n".join(
        (
            f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escape(heading)}</h2>',
            words,
            *parts,
            "</section>",
        )
    )


def heading(text: str) -> str:
    """A heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{said(text)}</p>' if kind else f"<p>{said(text)}</p>"


def tiles(content: Iterable[tuple[str, str, str]]) -> str:
    """Headline numbers: a name, the number, what it means."""
    inner = (
        f'<div class="tile"><span class="name">{escape(name)}</span><b>{said(number)}</b><span>{said(meaning)}</span></div>'
        for name, number, meaning in content
    )
    return "\n".join(('<div class="tiles">', *inner, "</div>"))


def chart(draw: Callable[[float], str], caption: str = "", legend: str = "") -> str:
    """A picture drawn twice, for a page and for a phone: the style sheet shows one."""
    both = f'<div class="for-page">{draw(WIDE)}</div><div class="for-phone">{draw(NARROW)}</div>'
    return f"<figure>{both}{legend}{_caption(caption)}</figure>"


def panels(content: Iterable[tuple[str, str]], caption: str, legend: str = "") -> str:
    """Small charts side by side, each under its name, as many as there is room for."""
    inner = "".join(f"<div>{f'<b>{escape(name)}</b>' if name else ''}{svg}</div>" for name, svg in content)
    return f'<figure><div class="panels">{inner}</div>{legend}{_caption(caption)}</figure>'


def thumbs(content: Iterable[tuple[str, str, str, str]], kind: str = "", attributes: str = "") -> str:
    """Samples as small pictures in a row: (class, data: address, what it shows, words below)."""
    inner = "".join(
        f'<div class="thumb {of}"><img class="pixels" src="{uri}" alt="{escape(alt)}"><span>{escape(below)}</span></div>'
        for of, uri, alt, below in content
    )
    return f'<div class="thumbs {kind}"{attributes}>{inner}</div>'


def figure(parts: str, caption: str = "", legend: str = "") -> str:
    """Anything with a caption."""
    return f"<figure>{parts}{legend}{_caption(caption)}</figure>"


def _caption(text: str) -> str:
    return f"<figcaption>{said(text)}</figcaption>" if text else ""


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Marks and what they stand for: (class of the mark, words)."""
    inner = "".join(f'<span><i class="mark {kind}"></i>{escape(text)}</span>' for kind, text in entries)
    return f'<div class="legend">{inner}</div>'


def ramp(uri: str, low: str, high: str, what: str) -> str:
    """The colours of a map and what their ends are."""
    return (
        f'<div class="legend"><span>{escape(low)}</span><img class="ramp pixels" src="{uri}" alt="">'
        f"<span>{escape(high)}</span><span>{escape(what)}</span></div>"
    )


def table(
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    header: Sequence[str] = (),
    numbers: Sequence[int] = (),
    chosen: int | None = None,
    name: str = "",
) -> str:
    """A table under its name, in a box that scrolls; the columns named in `numbers` are aligned to the right, one row may be marked.

    Without a header, the first column names its row.
    """

    def cell(k: int, text: str) -> str:
        number = ' class="number"' if k in numbers else ""
        return f'<th scope="row">{escape(text)}</th>' if not header and k == 0 else f"<td{number}>{escape(text)}</td>"

    heads = "".join(
        f'<th scope="col"{" class=number" if k in numbers else ""}>{escape(text)}</th>' for k, text in enumerate(header)
    )
    body = "".join(
        f"<tr{' class=chosen' if k == chosen else ''}>{''.join(map(cell, range(len(row)), row))}</tr>"
        for k, row in enumerate(rows)
    )
    top = f"<thead><tr>{heads}</tr></thead>" if header else ""
    marked = f' id="{name}"' if name else ""
    kind = "box tall" if len(rows) > MOST_ROWS else "box"
    return (
        f'<div><p class="named">{escape(caption)}</p><div class="{kind}" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{marked}>{top}<tbody>{body}</tbody></table></div></div>"
    )


def bullets(items: Iterable[str]) -> str:
    """A list of sentences."""
    return "\n".join(("<ul>", *(f"<li>{said(item)}</li>" for item in items), "</ul>"))
