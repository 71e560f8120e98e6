"""The report: well-formed, self-contained, the same bytes twice, and refused before any work where it cannot be written."""

from __future__ import annotations

import base64
import copy
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from dualwalk._nodepath.graph import DependenceGraph
from dualwalk.estimator import DualDivergence
from dualwalk.report import require_matplotlib, words, write_report
from dualwalk.report.captions import PICTURES
from dualwalk.report.story import graph_of, tell
from dualwalk.report.words import column, strongest_edges, with_error
from dualwalk.sampler import DualSampler

VOID = {"meta", "img", "source", "br", "link"}


def data(n=56, shape=(3, 6), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).cumsum(axis=-1)


@pytest.fixture(scope="module")
def sampler():
    return DualSampler("local", n_neighbors=8, random_state=0).fit(data())


@pytest.fixture(scope="module")
def divergence():
    return DualDivergence(cv=2, n_fits=1, random_state=0).fit(data())


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch, request):
    """A report's time is its pictures', their layout and their dark versions: one test has it all."""
    monkeypatch.setattr("dualwalk.report.figures.DOTS", 50)
    if request.node.name == "test_page":
        return
    try:
        from matplotlib.colors import to_hex
    except ImportError:
        return
    from dualwalk.plots import DARK
    from dualwalk.report import figures

    to_png = figures.to_png

    def drawn_as_it_is(figure):
        if to_hex(figure.get_facecolor()) == DARK.paper:
            return b"\x89PNG"
        figure.set_layout_engine("none")
        return to_png(figure)

    monkeypatch.setattr(figures, "to_png", drawn_as_it_is)


class Page(HTMLParser):
    """Collects what a browser would load, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "href", "data", "action", "poster"):
                self.loads.append(value)
            if name == "alt":
                self.alts.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def test_page(tmp_path, sampler, divergence):
    pytest.importorskip("matplotlib")
    steps = []
    path = tmp_path / "r.html"
    options = {"sampler": sampler, "divergence": divergence, "generated": sampler.sample(20)}
    write_report(path, **options, title="A <b>& co", credit="me & you", progress=lambda *step: steps.append(step))
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    n_pictures = len(PICTURES) - (graph_of(divergence) is None)
    assert page.tags.count("img") == page.tags.count("source") == len(page.alts) == n_pictures
    assert all(page.alts)
    assert len(page.loads) == 2 * n_pictures
    for address in page.loads:
        kind, content = address.split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content, validate=True).startswith(b"\x89PNG")
    assert "script" not in page.tags
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    words = " ".join(page.words)
    assert "A <b>& co" in words
    assert "me & you" in words
    for number in (divergence.divergence_, divergence.divergence_lower_):
        assert with_error(number, divergence.divergence_se_)[0] in words
    assert "nan" not in words.lower().split()
    assert all(0 <= done <= total for done, total, _ in steps)
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    write_report(tmp_path / "again.html", **options, title="A <b>& co", credit="me & you")
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def with_graph(divergence):
    """The model with everything that the report can show, whatever its estimator tells of itself."""
    model = copy.copy(divergence)
    d = model.n_features_in_
    order = np.random.default_rng(0).permutation(d)
    parents = np.full(d, -1)
    parents[order[1:]] = order[:-1]
    model.dependence_graph_ = DependenceGraph(order, parents, np.where(parents >= 0, 0.25 + np.arange(d) / d, 0.0))
    model.divergence_held_out_, model.divergence_training_ = model.divergence_ - 1.25, model.divergence_ + 1.25
    return model


def test_the_divergence_is_told_with_its_parts_and_its_graph(tmp_path, sampler, divergence):
    pytest.importorskip("matplotlib")
    model = with_graph(divergence)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=model, generated=sampler.sample(20))
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    words = " ".join(page.words)
    assert page.tags.count("img") == len(PICTURES)
    for part in (model.divergence_held_out_, model.divergence_training_):
        assert with_error(part, model.divergence_se_)[0] in words
    assert "p = 0.005" in words, "random walks in time are not independent"
    graph = model.dependence_graph_
    strongest = strongest_edges(graph, (3, 6))
    child = int(graph.nats.argmax())
    parent = int(graph.parents[child])
    assert strongest[0] == (
        f"channel {child // 6 + 1}, time {child % 6 + 1}",
        f"channel {parent // 6 + 1}, time {parent % 6 + 1}",
        f"{graph.nats.max():.2f}",
    )
    for cells in strongest:
        assert all(cell in words for cell in cells)


@pytest.mark.parametrize(("shape", "name"), [((30,), "feature 12"), ((1, 30), "time 12"), ((5, 6), "channel 2, time 6")])
def test_columns_are_named_by_their_place(shape, name):
    assert column(11, shape) == name


@pytest.mark.parametrize("shape", [(7,), (1, 8), (2, 3)])
def test_other_shapes_and_labels(tmp_path, shape):
    pytest.importorskip("matplotlib")
    X = data(30, shape).astype(np.float32)
    X[..., 0] = 1  # constant columns carry nothing
    y = np.repeat(["a", "b"], 15)
    model = DualDivergence(cv=2, n_fits=1, random_state=0)
    with pytest.warns(UserWarning, match="samples"):
        model.fit(X)
    sampler = DualSampler(random_state=0).fit(X, y)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=model, generated=sampler.sample(12))
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "2 labels" in " ".join(page.words)


@pytest.mark.parametrize(
    "X",
    [
        np.repeat(data(14, (4,)), 4, axis=0),
        np.ones((56, 3)),
        data(56, (1,)),
        np.random.default_rng(0).standard_cauchy((56, 2, 4)),
    ],
    ids=["copies", "constant", "one column", "heavy tails"],
)
@pytest.mark.filterwarnings("ignore::dualwalk._estimator.SmallSampleWarning")
@pytest.mark.filterwarnings("ignore:.* samples are copies of others:dualwalk._copies.CopiedRowsWarning")
@pytest.mark.filterwarnings("ignore:the data look grouped:dualwalk._sampler.grouped.GroupedDataWarning")
def test_odd_data(tmp_path, X):
    pytest.importorskip("matplotlib")
    model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(X)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=model)
    words = " ".join(Page((tmp_path / "r.html").read_text(encoding="utf-8")).words).lower().split()
    assert not {"nan", "inf"} & set(words)


def test_an_infinite_divergence_is_named(tmp_path):
    pytest.importorskip("matplotlib")
    X = data(56, (4,))
    X[:, 3] = X[:, 1]
    with pytest.warns(UserWarning, match="determine each other"):
        model = DualDivergence(cv=2, n_fits=1, random_state=0).fit(X)
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(X)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=model)
    words = " ".join(Page((tmp_path / "r.html").read_text(encoding="utf-8")).words)
    assert "feature 2 and feature 4" in words
    assert "infinite ±" not in words
    assert not {"nan", "inf"} & set(words.lower().split())


def test_walks_stay_between_the_end_points(sampler, divergence):
    story = tell(sampler, divergence, sampler.X_, sampler.sample(20))
    low, high = divergence.end_points_
    later = story.walks.f[:, 1:]
    later = later[np.isfinite(later)]
    assert len(later)
    assert ((later >= low) & (later <= high)).all()
    np.testing.assert_allclose(story.walks.end - story.walks.start, story.walks.movement, atol=1e-6)
    assert 0 <= story.share_inside <= 1


def test_origins_and_the_path_are_what_the_sampler_says(sampler, divergence):
    made = sampler.sample(20)
    story = tell(sampler, divergence, sampler.X_, made)
    found = story.origins
    np.testing.assert_array_equal(found.samples, made[found.shown])
    assert (np.diff(story.near.ratio[found.shown]) >= 0).all()
    np.testing.assert_allclose(found.neighbors[:, 0] + found.movement, found.samples)
    np.testing.assert_allclose(found.f_change.sum(axis=(1, 2)), found.f_to - found.f_from)
    path = story.path
    assert (path.frames[0, 0] == sampler.X_).all(axis=(1, 2)).any()
    if len(divergence.cuts_):
        assert path.clusters[0, -1] > path.clusters[0, 0]
    np.testing.assert_allclose(path.f[0], divergence.score_samples(path.frames[0]))


@pytest.mark.parametrize("walk", ["mixture", "langevin"])
def test_other_walks_are_told(divergence, walk):
    other = DualSampler(walk, n_neighbors=8, random_state=0).fit(data())
    story = tell(other, divergence, other.X_, other.sample(20))
    assert words.generator(other) in words.choice(story)
    assert "fixed by hand" in words.choice(story)
    assert words.tried(story) == ([], None)


def test_a_divergence_is_fitted_if_there_is_none(tmp_path):
    pytest.importorskip("matplotlib")
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(data(56, (4,)))
    sampler.report(tmp_path / "r.html")
    Page((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_refused_before_any_work(tmp_path, sampler, divergence, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("dualwalk.report.tell", lambda *_: pytest.fail("work was done"))
    with pytest.raises(ValueError, match="folder that exists"):
        write_report(tmp_path / "none" / "r.html", sampler=sampler, divergence=divergence)
    with pytest.raises(ValueError, match=r"end in \.html"):
        write_report(tmp_path / "r.pdf", sampler=sampler, divergence=divergence)
    with pytest.raises(ValueError, match="not fitted"):
        write_report(tmp_path / "r.html", sampler=DualSampler())
    with pytest.raises(ValueError, match="not fitted"):
        write_report(tmp_path / "r.html", sampler=sampler, divergence=DualDivergence())
    other = DualDivergence(cv=2, n_fits=1, random_state=0).fit(data(56, (3, 2)))
    with pytest.raises(ValueError, match="fitted on the sampler's samples"):
        write_report(tmp_path / "r.html", sampler=sampler, divergence=other)
    with pytest.raises(ValueError, match="shape seen in fit"):
        write_report(tmp_path / "r.html", sampler=sampler, divergence=divergence, generated=np.zeros((5, 2, 6)))
    assert not list(tmp_path.iterdir())


def test_without_matplotlib(tmp_path, sampler, divergence, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "dualwalk\[report\]"'):
        require_matplotlib()
    with pytest.raises(ImportError, match="matplotlib"):
        write_report(tmp_path / "r.html", sampler=sampler, divergence=divergence)
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
