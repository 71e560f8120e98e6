"""What stands in the report's sections, and in which order."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from .._arrays import distinct
from . import charts, graph, html, pixels, sentences
from .content import LEVELS
from .outline import PARTS
from .story import Story
from .walks import Path
from .words import number

N_STRIP = 7  # frames of a walk that stand in a row
N_NEAREST = 20  # rows of the table of novelty that need no script
NOVELTY_HEADER = ("generated sample", "novelty", "nearest real sample", "f (nats)", "end points")


def body(story: Story, *, title: str, credit: str, version: str, made_on: str) -> list[str]:
    """Everything between <body> and the data."""
    inner = (
        data(story),
        divergence(story),
        dual_space(story),
        dependence(story),
        beside(story),
        novelty(story),
        walks(story),
        made(story, credit, version, made_on),
    )
    links = "".join(f'<a href="#{part.name}">{part.short}</a>' for part in PARTS)
    return [
        '<a class="skip" href="#data">Skip to the first section</a>',
        "<header>",
        f"<h1>{escape(title)}</h1>",
        '<button type="button" id="theme" class="script">Dark colours</button>',
        html.paragraph(sentences.lead(story), "lead"),
        "</header>",
        f'<nav aria-label="Sections">{links}</nav>',
        "<main>",
        html.tiles(sentences.headlines(story)),
        *(
            html.section(part.name, f"{k}. {part.heading}", part.see, part.read, *rest)
            for k, (part, rest) in enumerate(zip(PARTS, inner, strict=True), 1)
        ),
        "</main>",
        f"<footer>{escape(f'Made by dualwalk {version}. Method: {sentences.CITATION}')}</footer>",
        '<div id="tip" role="tooltip" hidden></div>',
    ]


def data(story: Story) -> list[str]:
    """Shape, a few series as images and lines, what is constant, tied or copied."""
    parts = [html.table(sentences.data(story), caption="The data in numbers")]
    if len(story.view.grid) > 1:
        samples = [_thumb(story, story.X[k], "real", f"real sample {k + 1}") for k in story.shown_real.tolist()]
        parts.append(
            html.figure(
                html.thumbs(samples),
                "Five real samples as images, channels from top to bottom and times from left to right; they stand at the 10th, "
                "30th, 50th, 70th and 90th percentile of the dual value f, nobody picked them.",
                _colors(),
            )
        )
    marks = [("real-soft", "middle 80 % of the real samples"), ("line real", "median"), ("line real thin", "the five samples")]
    parts.append(
        html.panels(
            charts.panels(story, generated=False), f"Lines over {story.view.place}, in {story.view.unit}.", html.legend(marks)
        )
    )
    return [
        *parts,
    ]


def divergence(story: Story) -> list[str]:
    """The estimate with its limit, and what a nat is."""
    return [
        html.paragraph(sentences.nat(story)),
        html.chart(
            lambda width: charts.divergence(story, width),
            "All in nats. The bar runs from the lower limit upwards: what the data allow. The whisker is one standard error.",
        ),
        *map(html.paragraph, sentences.divergence(story)),
    ]


def dual_space(story: Story) -> list[str]:
    """f of all samples on one line."""
    marks = [
        ("shade1", "real samples, shaded by cluster"),
        ("line made", "generated samples"),
        ("line ink thick", "end points"),
        ("line ink dashed", "cut"),
        ("muted-fill", "ends of trained samples"),
    ]
    low, high = charts.space(story)
    beyond = int(((story.f_generated < low) | (story.f_generated > high)).sum())
    far = f" Beyond the edges, and drawn there: {sentences.plural(beyond, 'generated sample')}." if beyond else ""
    return [
        html.paragraph(sentences.dual_space(story)),
        html.chart(
            lambda width: charts.dual_space(story, width),
            "Real samples are scored by a model that never saw them. The triangles show where their end points would seem to lie "
            f"if the model trained on them scored them: the reason why end points come from held-out samples.{far}",
            html.legend(marks),
        ),
        _picker(
            "space",
            "One sample",
            '<label>of the <select id="space-set"><option value="real">real</option><option value="generated">generated</option>'
            "</select></label>"
            '<label class="grow">in the order of f <input type="range" id="space-rank" min="0" value="0"></label>'
            + _row_select(story, "space-row"),
            '<div class="show side" id="space-sample"></div>',
        ),
        html.table(
            sentences.clusters(story),
            header=sentences.CLUSTERS_HEADER,
            numbers=range(1, 5),
            caption="The clusters",
        ),
    ]


def dependence(story: Story) -> list[str]:
    """The map of mean terms and the graph of who leans on whom."""
    view = story.view
    top = number(max(float(view.parts(story.terms[None]).max()), 0.0))
    map_legend = html.ramp(pixels.ramp(pixels.STRENGTH), "0", f"{top} nats", "mean term of f") if len(view.grid) > 1 else ""
    parts = [
        html.chart(
            lambda width: charts.dependence(story, width),
            "f is a sum with one term a value: what that value's dependence on others contributes, on average over the real samples.",
            map_legend,
        ),
        _picker("column", "One value", _column_inputs(story), ""),
    ]
    if story.graph is not None:
        n, drawn = len(story.graph.edges(0.0)), len(graph.drawn_edges(story))
        strongest = f" The {drawn} strongest of {n} are drawn." if drawn < n else ""
        parts += [
            html.heading("Who leans on whom"),
            html.chart(
                lambda width: graph.graph(story, width),
                "Every value has one main parent among those that come before it in the chain rule, chosen by dependence and not by "
                f"time; the square is the one that comes first. The wider an edge, the more nats the value adds.{strongest}",
            ),
        ]
        between = (
            html.figure(
                graph.between_channels(story),
                "From channel to channel, in all; the diagonal is a channel's own past and future.",
            )
            if view.is_series and view.shape[0] > 1
            else ""
        )
        edges = html.table(
            sentences.strongest_edges(story), header=sentences.EDGES_HEADER, numbers=(2,), caption="The strongest edges"
        )
        parts.append(f'<div class="pair">{edges}{between}</div>')
    return [
        *parts,
    ]


def beside(story: Story) -> list[str]:
    """Generated samples with the real ones nearest to them."""
    view = story.view
    parts = []
    if len(view.grid) > 1:
        pairs = []
        for k in story.shown_generated.tolist():
            nearest = int(story.near.index[k])
            ratio = number(story.near.ratio[k])
            shown = [
                _thumb(story, story.generated[k], "made", f"generated sample {k + 1}"),
                _thumb(story, story.X[nearest], "real", f"real sample {nearest + 1}, distance {ratio}"),
            ]
            pairs.append(html.thumbs(shown, "stack"))
        parts.append(
            html.figure(
                f'<div class="thumbs">{"".join(pairs)}</div>',
                "Above, five generated samples, at the 10th to the 90th percentile of their f; below each the real sample that is "
                "nearest to it.",
                _colors(),
            )
        )
    marks = [
        ("real-soft", "real, middle 80 %"), ("line real thick", "real, median"),
        ("line made thick dashed", "generated, median"), ("line made dotted", "generated, middle 80 %"),
    ]  # fmt: skip
    parts.append(
        html.panels(
            charts.panels(story, generated=True),
            f"All generated samples against all real ones, over {view.place}, in {view.unit}.",
            html.legend(marks),
        )
    )
    labelled = story.labels is not None
    return [
        _picker(
            "beside",
            "Compare",
            (
                '<label>label <select id="beside-label"></select></label>'
                if labelled
                else '<label>cluster of f <select id="beside-label"></select></label>'
            )
            + '<label class="grow">in the order of f <input type="range" id="beside-rank" min="0" value="0"></label>'
            '<span><button type="button" id="beside-back" aria-label="previous generated sample">◀</button> '
            '<button type="button" id="beside-on" aria-label="next generated sample">▶</button></span>'
            + _row_select(story, "beside-row"),
            '<div class="show" id="beside-show"></div>',
        ),
        *parts,
    ]


def novelty(story: Story) -> list[str]:
    """How far generated samples are from real ones."""
    near = story.near
    order = np.argsort(near.ratio, kind="stable")[:N_NEAREST]
    rows = [
        (
            str(k + 1),
            number(near.ratio[k]),
            str(int(near.index[k]) + 1),
            number(story.f_generated[k]),
            "inside" if story.inside[k] else "outside",
            *([] if near.subject is None else [str(near.subject[k])]),
        )
        for k in order.tolist()
    ]
    warning = sentences.too_near(story)
    return [
        *([html.paragraph(warning, "caution")] if warning else []),
        html.paragraph(sentences.novelty(story)),
        html.chart(
            lambda width: charts.novelty(story, width),
            "Distances over the typical one between real samples. Dashed: medians. The last bar holds what lies beyond.",
            html.legend([("real-soft", "real samples, to their nearest other"), ("line made thick", "generated samples")]),
        ),
        html.table(
            rows,
            header=NOVELTY_HEADER if near.subject is None else (*NOVELTY_HEADER, "subject of that real sample"),
            numbers=range(4),
            caption=f"The {len(rows)} generated samples that are nearest to a real one",
            name="novelty-table",
        ),
        html.paragraph(sentences.privacy()),
    ]


def walks(story: Story) -> list[str]:
    """The walks: frames in a row, f along the way, and a player."""
    choices = "".join(
        f'<option value="{k}">{escape(sentences.walk_title(path))}</option>' for k, path in enumerate(story.paths)
    )
    player = _picker(
        "walk",
        "Play",
        f'<label>walk <select id="walk-which">{choices}</select></label>'
        '<button type="button" id="walk-play" aria-pressed="false">Play</button>'
        '<label class="grow">frame <input type="range" id="walk-frame" min="1" value="1"></label>'
        + _row_select(story, "walk-row"),
        '<div class="show side" id="walk-show"></div>',
    )
    return [
        player,
        *(_walk(story, k, path) for k, path in enumerate(story.paths)),
    ]


def _walk(story: Story, k: int, path: Path) -> str:
    strip = ""
    if len(story.view.grid) > 1:
        shown = distinct(np.round(np.linspace(0, len(path.f) - 1, N_STRIP)).astype(int)).tolist()
        frames = []
        for frame in shown:
            real = frame == 0 or (frame == len(path.f) - 1 and path.end >= 0)
            below = f"frame {frame + 1}, f {number(path.f[frame])}, distance {number(path.novelty[frame])}"
            frames.append(_thumb(story, path.frames[frame], "real" if real else "made", below))
        strip = html.thumbs(frames, "strip")
        strip = html.figure(strip, legend=_colors())
    along = html.chart(lambda width: charts.f_along(story, path, width))
    title, text = html.heading(sentences.walk_title(path)), html.paragraph(sentences.walk(path))
    return f'<div class="walk" data-walk="{k}">{title}{text}{along}{strip}</div>'


def made(story: Story, credit: str, version: str, made_on: str) -> list[str]:
    """Choices and why, what to keep in mind, versions, settings, provenance."""
    rows, chosen = sentences.tried(story)
    tried = (
        [
            html.table(
                rows,
                header=sentences.TRIED_HEADER,
                numbers=range(1, 5),
                chosen=chosen,
                caption=f"What was tried, {'the best first' if chosen is not None else 'the best of each part'}",
            )
        ]
        if rows
        else []
    )
    return [
        html.heading("What was chosen, and why"),
        html.paragraph(sentences.choice(story)),
        *tried,
        html.heading("Read with care"),
        html.bullets(sentences.caveats(story)),
        html.heading("Settings and provenance"),
        html.table(sentences.settings(story, credit, version, made_on), caption="Settings"),
        html.paragraph(sentences.kept(story, f"1/{LEVELS}")),
    ]


def _thumb(story: Story, sample: Any, kind: str, below: str) -> tuple[str, str, str, str]:
    colors = story.view.colors(sample[None])[0]
    return kind, pixels.signed(colors), f"Heat map of {below}", below


def _colors() -> str:
    limit = f"{pixels.LIMIT:g}"
    return html.ramp(pixels.ramp(pixels.SIGNED), f"\N{MINUS SIGN}{limit}", f"+{limit}", "standard deviations of the channel")


def _picker(name: str, title: str, inputs: str, shown: str) -> str:
    """Controls that need the script, what they show, and a line that tells it in words."""
    return (
        f'<div class="picker script" id="{name}-picker" role="group" aria-label="{title}"><div class="controls">{inputs}</div>{shown}'
        f'<output class="told" id="{name}-told" aria-live="polite"></output></div>'
    )


def _row_select(story: Story, name: str) -> str:
    """Which channel to draw as a line."""
    names = story.view.row_names
    if len(names) < 2:
        return ""
    options = "".join(f'<option value="{k}">{escape(text)}</option>' for k, text in enumerate(names))
    return f'<label>line of <select id="{name}">{options}</select></label>'


def _column_inputs(story: Story) -> str:
    rows = _row_select(story, "column-row").replace("line of ", "")
    return f'{rows}<label class="grow">{story.view.place} <input type="range" id="column-place" min="0" value="0"></label>'
