"""The report as text: well-formed, self-contained, escaped, readable in both themes, and refused before any work where it cannot be."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from dualwalk._nodepath.graph import DependenceGraph
from dualwalk.estimator import DualDivergence
from dualwalk.report import html, pixels, sentences, words, write_report
from dualwalk.report.content import script_text
from dualwalk.report.facts import facts
from dualwalk.report.story import FEWEST_KEPT, MOST_VALUES, N_KEPT, tell
from dualwalk.report.view import View
from dualwalk.report.words import column, strongest_edges, with_error
from dualwalk.sampler import DualSampler

VOID = {"meta", "img", "input", "link", "br"}
HOSTILE = "</script><script>alert(1)</script><!-- <b>&amp; \"'\u2028 ä"


def data(n=56, shape=(3, 6), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).cumsum(axis=-1)


@pytest.fixture(scope="module")
def sampler():
    return DualSampler("local", n_neighbors=8, random_state=0).fit(data())


@pytest.fixture(scope="module")
def divergence():
    """A model with everything that the report can show, whatever its estimator tells of itself."""
    model = copy.copy(DualDivergence(cv=2, n_fits=1, random_state=0).fit(data()))
    d = model.n_features_in_
    order = np.random.default_rng(0).permutation(d)
    parents = np.full(d, -1)
    parents[order[1:]] = order[:-1]
    model.dependence_graph_ = DependenceGraph(order, parents, np.where(parents >= 0, 0.25 + np.arange(d) / d, 0.0))
    model.divergence_held_out_, model.divergence_training_ = model.divergence_ - 1.25, model.divergence_ + 1.25
    return model


@pytest.fixture(scope="module")
def story(sampler, divergence):
    return tell(sampler, divergence, sampler.X_, sampler.sample(20))


class Page(HTMLParser):
    """Collects what a browser would load and say, and checks that elements are closed in order and ids are unique."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open
        ids = Counter(attributes["id"] for _, attributes in self.tags if "id" in attributes)
        assert not [name for name, count in ids.items() if count > 1]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "srcset", "href", "action", "poster")]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        kind = self.open[-1] if self.open else ""
        {"script": self.scripts, "style": self.styles}.get(kind, self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def content(self) -> dict:
        def refuse(name: str) -> None:
            pytest.fail(f"{name} in JSON")

        return json.loads(self.scripts[0], parse_constant=refuse)


def read(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory, sampler, divergence):
    """A page with a hostile word wherever a user's word can stand."""
    labelled = DualSampler("local", n_neighbors=8, random_state=0).fit(data(), np.array([HOSTILE, "b"])[np.arange(56) % 2])
    path = tmp_path_factory.mktemp("report") / "r.html"
    names = [HOSTILE, "<img src=x onerror=alert(1)>", "c"]
    made = labelled.sample(20)
    write_report(
        path, sampler=labelled, divergence=divergence, generated=made, generated_labels=["b", HOSTILE] * 10, title=HOSTILE,
        credit=HOSTILE, channel_names=names,
    )  # fmt: skip
    return read(path)


def test_nothing_comes_from_elsewhere(page):
    assert page.loads
    for address in page.loads:
        assert re.match(r"data:image/(png;base64,|svg\+xml,)|#[a-z]+$", address), address[:60]
    for style in page.styles:
        assert not re.search(r"@import|url\(|@font-face", style)
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "sendBeacon", "localStorage", "innerHTML", "eval("):
        assert word not in page.scripts[1]


def test_the_policy_allows_this_style_and_this_script_alone(page):
    (policy,) = [meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for rule, (text,) in (("style-src", page.styles), ("script-src", page.scripts[1:])):
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], "the policy would refuse it"


def test_words_of_the_data_are_words(page):
    assert not page.of("b") or all("<b>&amp;" not in words for words in page.scripts[1:])
    assert len(page.of("script")) == 2
    assert not [image for image in page.of("img") if "onerror" in image]
    assert page.text.count(HOSTILE) >= 4, "title, heading, credit, labels"
    content = page.content
    assert content["title"] == content["credit"] == content["data"]["channel_names"][0] == HOSTILE
    assert set(content["pictures"]["generated"]["label"]) == {HOSTILE, "b"}
    assert not re.search(r"<|>|&|\u2028", page.scripts[0])


def test_json_survives_any_string():
    assert json.loads(script_text({"a": HOSTILE})) == {"a": HOSTILE}
    with pytest.raises(ValueError, match="JSON"):
        script_text({"a": float("nan")})


def test_it_can_be_read_without_seeing(page):
    assert page.of("html")[0]["lang"] == "en"
    assert len(page.of("h1")) == len(page.of("title")) == len(page.of("main")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no level is left out"
    assert levels.count(2) == 8
    for svg in page.of("svg"):
        assert svg["role"] == "img"
        assert len(svg["aria-label"]) > 20
    thumbs = [image for image in page.of("img") if "ramp" not in image["class"]]
    assert thumbs
    assert all(image["alt"] for image in thumbs)
    for link in page.of("a"):
        assert link["href"][1:] in {attributes.get("id") for _, attributes in page.tags}
    text = "".join(f"<{tag}>" for tag, _ in page.tags)
    for control in re.finditer("<select>|<input>", text):
        assert text[: control.start()].count("<label>") > 0
    for section in page.of("section"):
        assert section["aria-labelledby"] == f"{section['id']}-h"
    assert page.text.count("What you see.") == page.text.count("How to read it.") == 8


def colors() -> dict[str, tuple[str, str]]:
    """The style's colours, light and dark."""
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", html.asset("page.css"))
    return {name: (light, dark) for name, light, dark in found}


def contrast(a, b) -> float:
    """WCAG 2.1's contrast ratio of two colours."""

    def luminance(color) -> float:
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)] if isinstance(color, str) else color) / 255
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast(theme):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    found = {name: both[theme] for name, both in colors().items()}
    for ink in ("ink", "muted", "real", "made"):  # words: AA
        for paper in ("paper", "page"):
            assert contrast(found[ink], found[paper]) >= 4.5, (ink, paper)
    for k in range(4):
        assert contrast(found[f"on-shade{k}"], found[f"shade{k}"]) >= 4.5, k
    for mark in ("control", "warn"):  # borders of controls, marks
        assert contrast(found[mark], found["paper"]) >= 3, mark
    for mark in (pixels.BELOW, pixels.ABOVE):
        assert contrast(mark, found["paper"]) >= 3


def test_numbers_are_those_of_the_model(page, divergence):
    found = page.content["divergence"]
    assert found["estimate"] == divergence.divergence_
    assert found["lower_limit"] == divergence.divergence_lower_
    assert found["end_points"] == divergence.end_points_.tolist()
    for number in (divergence.divergence_, divergence.divergence_lower_, divergence.divergence_held_out_):
        assert with_error(number, divergence.divergence_se_)[0] in page.text
    assert "p = 0.005" in page.text, "random walks in time are not independent"


def test_samples_are_inside_to_half_a_step(page):
    found = page.content["pictures"]
    low, step = (np.array(found[name])[:, None] for name in ("low", "step"))
    levels = np.frombuffer(base64.b64decode(found["real"]["values"]), dtype="<u2").reshape(-1, 3, 6)
    X = data()[found["real"]["index"]]
    np.testing.assert_allclose(low + step * levels, X, atol=0.51 * step.max())
    assert (step <= 1.01 * (np.ptp(X, axis=(0, 2)).max() + 20) / 65535).all()
    change = np.frombuffer(base64.b64decode(found["generated"]["f_change"]), dtype=np.int8).reshape(20, -1)
    total = change.sum(axis=1) * np.array(found["generated"]["f_change_step"])
    rise = np.subtract(found["generated"]["f_to"], found["generated"]["f_from"])
    np.testing.assert_allclose(total, rise, atol=0.51 * 18 * np.max(found["generated"]["f_change_step"]))
    graph = found["graph"]
    assert len(graph["edges"]) == len(graph["nats"]) == 17
    assert graph["names"]["0"] == f"{HOSTILE}, time 1"


def test_the_same_bytes_again(tmp_path, sampler, divergence, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    steps = []
    for name in ("a", "b"):
        write_report(
            tmp_path / f"{name}.html", sampler=sampler, divergence=divergence, progress=lambda *step: steps.append(step)
        )
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]
    assert "1970-01-02" in read(tmp_path / "a.html").text
    assert all(0 <= done < total for done, total, _ in steps)


def test_a_page_is_small(tmp_path, sampler, divergence):
    write_report(tmp_path / "r.html", sampler=sampler, divergence=divergence)
    assert (tmp_path / "r.html").stat().st_size < 400_000


def test_it_says_who_comes_near_to_whom_and_warns(tmp_path, divergence):
    subjects = [f"patient {k // 4}" for k in range(56)]
    grouped = DualSampler("local", n_neighbors=8, random_state=0).fit(data(), groups=subjects)
    made = grouped.sample(60)
    made[17] = data()[9]  # a copy of a real sample of patient 2
    write_report(tmp_path / "r.html", sampler=grouped, divergence=divergence, generated=made)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Generated sample 18 comes nearest: to 0.00 of that distance from real sample 10 of subject patient 2." in text
    assert "Too near to real samples: of the generated samples, 1 of 60 equal a training row in every value" in text
    assert "subject of that real sample" in text
    kept = json.loads(re.search(r'id="dualwalk-data">(.*?)</script>', text, re.DOTALL)[1])
    assert kept["generated"]["nearest_novelty"] == 0.0
    assert "1 of 60" in kept["generated"]["too_near"]
    assert kept["pictures"]["real"]["subject"][0].startswith("patient")


def test_without_groups_nobody_is_named(page):
    assert "of subject" not in page.text
    assert "Too near" not in page.text
    assert "membership_inference" in page.text


def test_strongest_edges(story, divergence):
    graph = divergence.dependence_graph_
    child = int(graph.nats.argmax())
    parent = int(graph.parents[child])
    expected = (
        f"channel {child // 6 + 1}, time {child % 6 + 1}",
        f"channel {parent // 6 + 1}, time {parent % 6 + 1}",
        f"{graph.nats.max():.2f}",
    )
    assert strongest_edges(graph, (3, 6))[0] == sentences.strongest_edges(story)[0] == expected


@pytest.mark.parametrize(("shape", "name"), [((30,), "feature 12"), ((1, 30), "time 12"), ((5, 6), "channel 2, time 6")])
def test_columns_are_named_by_their_place(shape, name):
    assert column(11, shape) == View(np.zeros((2, *shape))).column(11) == name


ODD = {
    "features": data(30, (7,)),
    "one channel": data(30, (1, 8)),
    "one time": data(30, (4, 1)),
    "hundreds of channels": data(30, (130, 2)),
    "copies": np.repeat(data(14, (4,)), 4, axis=0),
    "constant": np.ones((56, 3)),
    "one column": data(56, (1,)),
    "heavy tails": np.random.default_rng(0).standard_cauchy((56, 2, 4)),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore::dualwalk._estimator.SmallSampleWarning")
@pytest.mark.filterwarnings("ignore:.* samples are copies of others:dualwalk._copies.CopiedRowsWarning")
@pytest.mark.filterwarnings("ignore:the data look grouped:dualwalk._sampler.grouped.GroupedDataWarning")
def test_odd_data(tmp_path, name):
    X = ODD[name]
    model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    y = np.array(["a", "β"])[np.arange(len(X)) % 2] if name == "features" else None
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(X, y)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=model)
    page = read(tmp_path / "r.html")
    shown = [page.text] + [
        str(value) for tag, found in page.tags if tag != "img" for name, value in found.items() if name != "href"
    ]
    assert not re.search(r"\b(nan|inf|NaN|Infinity)\b", " ".join(shown))
    assert page.content["data"]["feature_shape"] == list(X.shape[1:])
    assert ("2 labels" in page.text) == (y is not None)


def test_an_infinite_divergence_is_named(tmp_path):
    X = data(56, (4,))
    X[:, 3] = X[:, 1]
    with pytest.warns(UserWarning, match="determine each other"):
        model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(X)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=model)
    page = read(tmp_path / "r.html")
    assert "feature 2 and feature 4" in page.text
    assert "infinite ±" not in page.text
    assert page.content["divergence"]["estimate"] is None
    assert page.content["divergence"]["determined"] == [[1, 3]]


def test_columns_of_a_data_frame_keep_their_names(tmp_path):
    class Frame(np.ndarray):
        columns = ("a", "b", "c", "d")

    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(data(56, (4,)).view(Frame))
    sampler.report(tmp_path / "r.html")
    assert read(tmp_path / "r.html").content["data"]["channel_names"] == ["a", "b", "c", "d"]


def test_facts_are_counted():
    X = data(40, (2, 3)).astype(np.float32)
    X[:, 0, 0], X[:, 1, 2] = 7, np.arange(40) % 2
    X[39] = X[3]
    found = facts(X, np.array(["b", "a"] * 20), np.arange(40) // 4)
    assert (found.n_constant, found.n_tied, found.n_copies, found.n_groups) == (1, 1, 1, 10)
    assert (found.low, found.high) == (X.min(), X.max())
    assert found.labels == (("a", 20), ("b", 20))
    assert found.sha256 == hashlib.sha256(X.tobytes()).hexdigest()


def test_what_is_kept_is_bounded(sampler, divergence):
    made = sampler.sample(2 * N_KEPT)
    kept = tell(sampler, divergence, sampler.X_, made).kept
    assert N_KEPT <= len(kept.generated) <= N_KEPT + 5
    index, _, _ = sampler.nearest(made[kept.generated])
    np.testing.assert_array_equal(kept.real[kept.nearest], index)
    wide = View(np.zeros((2, 999, 2000)))
    assert wide.grid.size * FEWEST_KEPT < 2 * MOST_VALUES
    assert wide.row_numbers[:3] == [1, 9, 17]
    assert wide.place_numbers[:3] == [1, 9, 17]
    assert wide.grid[2, 1] == 16 * 2000 + 8


def test_paths_are_what_the_sampler_says(story, sampler, divergence):
    low, high = divergence.end_points_
    kinds = {path.kind: path for path in story.paths}
    first = story.paths[0]
    np.testing.assert_array_equal(first.frames[0], sampler.X_[first.start])
    np.testing.assert_allclose(first.frames[-1], sampler.X_[first.end])
    for path in story.paths:
        np.testing.assert_allclose(path.f, divergence.score_samples(path.frames))
        np.testing.assert_allclose(path.novelty, sampler.nearest(path.frames)[2], atol=1e-9)
    if "upward" in kinds:
        f = kinds["upward"].f[1:]
        assert ((f >= low) & (f <= high)).all()
    assert 0 <= story.share_inside <= 1


def test_labels_have_a_walk_of_their_own(divergence):
    labelled = DualSampler("local", n_neighbors=8, random_state=0).fit(data(), np.repeat(["x", "y"], 28))
    story = tell(labelled, divergence, labelled.X_, labelled.sample(20))
    (path,) = [path for path in story.paths if path.kind == "labels"]
    assert (labelled.y_[path.start], labelled.y_[path.end]) == path.names == ("x", "y")
    np.testing.assert_array_equal(story.labels, labelled.y_[story.near.index])


@pytest.mark.parametrize("walk", ["mixture", "langevin"])
def test_other_walks_are_told(divergence, walk):
    other = DualSampler(walk, n_neighbors=8, random_state=0).fit(data())
    story = tell(other, divergence, other.X_, other.sample(20))
    assert words.generator(other) in sentences.choice(story)
    assert "fixed by hand" in sentences.choice(story)
    assert sentences.tried(story) == ([], None)


def test_a_divergence_is_fitted_if_there_is_none_and_no_matplotlib_is_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(data(56, (4,)))
    sampler.report(tmp_path / "r.html")
    read(tmp_path / "r.html")


def test_refused_before_any_work(tmp_path, sampler, divergence, monkeypatch):
    monkeypatch.setattr("dualwalk.report.tell", lambda *_, **__: pytest.fail("work was done"))
    good = {"sampler": sampler, "divergence": divergence}
    path = tmp_path / "r.html"
    other = DualDivergence(cv=2, n_fits=1, random_state=0).fit(data(56, (3, 2)))
    one_shot = DualDivergence(cv=2, method="single", random_state=0).fit(data())
    for match, target, options in (
        ("folder that exists", tmp_path / "none" / "r.html", good),
        (r"end in \.html", tmp_path / "r.pdf", good),
        ("not fitted", path, {"sampler": DualSampler()}),
        ("not fitted", path, {"sampler": sampler, "divergence": DualDivergence()}),
        ("fitted on the sampler's samples", path, {"sampler": sampler, "divergence": other}),
        ("a term of f for every value", path, {"sampler": sampler, "divergence": one_shot}),
        ("shape seen in fit", path, {**good, "generated": np.zeros((5, 2, 6))}),
        ("one label for each of 5 samples|5", path, {**good, "generated": data(5), "generated_labels": [1, 2]}),
        ("must come with generated", path, {**good, "generated_labels": [1, 2]}),
        ("3 names.*got 2", path, {**good, "channel_names": ["a", "b"]}),
        ("3 names.*got 'abc'", path, {**good, "channel_names": "abc"}),
    ):
        with pytest.raises(ValueError, match=match):
            write_report(target, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (515.307, 5.185, ("515.3", "5.2")),
        (0.0123, 0.00456, ("0.0123", "0.0046")),
        (7.0, 0.0, ("7.00", "0.00")),
        (5e3, 120, ("5000", "120")),
    ],
)
def test_a_number_has_the_digits_that_its_error_leaves(value, error, words):
    assert with_error(value, error) == words
