"""Pictures: they draw on the axes they are given, whatever the shape of the data, and touch nothing global."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dualwalk import plots
from dualwalk._nodepath.graph import DependenceGraph
from dualwalk.plots import DARK, LIGHT

RNG = np.random.default_rng(0)
F = RNG.normal(10, 2, 80)
LABELS = np.searchsorted([9, 11], F)
ENDS = np.quantile(F, [0.03, 0.97])


@pytest.fixture(params=[LIGHT, DARK], ids=["light", "dark"])
def theme(request):
    return request.param


@pytest.fixture
def axes():
    figure = Figure(figsize=(6, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    yield axis
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba()).std() > 0, "something was drawn"


def test_no_pyplot():
    code = (
        "import sys; from dualwalk import plots; from matplotlib.figure import Figure; "
        "plots.distances(Figure().subplots(), [1, 2, 3], [1, 2, 3]); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (2, 3), (12, 25), (300, 7)])
@pytest.mark.parametrize("signed", [True, False])
def test_image(axes, theme, shape, signed):
    values = RNG.normal(size=shape) if signed else RNG.gamma(2, size=shape)
    low, high = plots.image(axes, values, signed=signed, title="a", theme=theme).get_clim()
    assert low == (-high if signed else 0)
    assert high == np.abs(values).max()
    assert axes.get_title(loc="left") == "a"
    for ticks, n in ((axes.get_yticks(), shape[0]), (axes.get_xticks(), shape[1])):
        assert all(0 <= tick < n for tick in ticks)
        assert 1 <= len(ticks) <= 8


def test_image_of_zeros_and_of_features(axes):
    assert plots.image(axes, np.zeros(7)).get_clim() == (-1, 1)


@pytest.mark.parametrize("n", [1, 9, 100])
def test_bands(axes, theme, n):
    plots.bands(axes, RNG.normal(size=(n, 20)), RNG.normal(size=(n, 20)), theme=theme)
    assert axes.get_xlim() == (1, 20)


def test_bands_of_one_time(axes):
    plots.bands(axes, RNG.normal(size=(9, 1)), RNG.normal(size=(9, 1)))


@pytest.mark.parametrize("values", [np.zeros(5), np.array([1.0]), F, np.r_[np.zeros(90), 1.0]])
def test_density_is_one_in_all(values):
    grid = np.linspace(values.min() - 20, values.max() + 20, 20001)
    assert plots.smooth_density(values, grid).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=0.02)


def test_dual_space(axes, theme):
    marks = {"end_points": ENDS, "cuts": [9, 11], "valleys": [True, False], "training_end_points": ENDS + 1}
    plots.density(axes, F, LABELS, generated=F[:30] - 1, theme=theme, **marks)
    assert axes.get_xlabel() == "dual value f (nats)"
    assert sorted(text.get_text() for text in axes.texts) == [
        f"cluster {k + 1}\n{n}" for k, n in enumerate(np.bincount(LABELS))
    ]


@pytest.mark.parametrize("f", [F, np.full(8, 3.0)])
def test_dual_space_without_cuts(axes, f):
    plots.density(axes, f, np.zeros(len(f), dtype=int), end_points=[f.min(), f.max()])


def test_paths(axes, theme):
    f = F[:5, None] + np.arange(9) / 3
    f[1, 4:] = np.nan
    f[2, 1:] = np.nan
    plots.paths(axes, f, end_points=ENDS, theme=theme)
    assert sorted(arrow.xy[1] for arrow in axes.texts) == [3, 8, 8, 8], "an arrow for every walk that moved, at its end"


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6), st.floats(0.01, 5))
def test_names_are_moved_apart(places, gap):
    places = np.sort(places)
    moved = plots._apart(places, gap)
    assert (np.diff(moved) >= gap - 1e-9).all()
    assert moved.mean() == pytest.approx(places.mean(), abs=1e-9), "and no farther than that takes"
    if (np.diff(places) >= gap).all():
        np.testing.assert_allclose(moved, places, atol=1e-9)


@pytest.mark.parametrize("horizontal", [True, False])
def test_totals(axes, theme, horizontal):
    plots.totals(axes, [1, 2, 3], horizontal=horizontal, theme=theme)


@pytest.mark.parametrize("generated", [np.full(9, 1.0), np.zeros(9), RNG.gamma(9, 1 / 9, 200)])
def test_distances(axes, theme, generated):
    plots.distances(axes, generated, RNG.gamma(9, 1 / 9, 100), theme=theme)
    assert len(axes.get_legend().get_texts()) == 2


def chain(d, nats=0.3):
    parents = np.arange(d) - 1
    return DependenceGraph(np.arange(d), parents, np.where(parents >= 0, nats, 0.0))


@pytest.mark.parametrize("shape", [(1,), (5,), (60,), (3, 4), (1, 30), (12, 25)])
def test_dependence_graph(axes, theme, shape):
    d = int(np.prod(shape))
    graph = chain(d)
    lines = plots.dependence_graph(axes, graph, feature_shape=shape, title="g", theme=theme)
    assert len(lines.get_segments()) == d - 1
    assert lines.get_clim() == (0, 0.3 if d > 1 else 1)
    assert len(axes.texts) == (d if d <= 40 else 0)
    for segment, (parent, child) in zip(lines.get_segments(), graph.edges(), strict=True):
        assert not np.array_equal(segment[0], segment[-1])
        if len(shape) == 2 and shape[1] > 1:
            np.testing.assert_allclose(segment[[0, -1]], [[k % shape[1], k // shape[1]] for k in (parent, child)])


def test_dependence_graph_leaves_weak_edges_out(axes):
    graph = DependenceGraph(np.arange(4), np.array([-1, 0, 0, 1]), np.array([0.0, 0.5, -0.01, 0.1]))
    assert len(plots.dependence_graph(axes, graph, names=["a", "b", "c", "d"]).get_segments()) == 2
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c", "d"]
    assert len(plots.dependence_graph(axes, graph, min_nats=0.2).get_segments()) == 1
    with pytest.raises(ValueError, match="feature_shape must hold the graph's 4 columns"):
        plots.dependence_graph(axes, graph, feature_shape=(3, 2))


def test_between_channels(axes, theme):
    picture = plots.between_channels(axes, chain(12), (3, 4), theme=theme)
    np.testing.assert_allclose(picture.get_array(), [[0.9, 0.3, 0], [0, 0.9, 0.3], [0, 0, 0.9]])


def test_node_terms_show_signs_only_where_there_are_some(axes, theme):
    assert plots.node_terms(axes, np.array([[0.0, 2.0], [1.0, -0.05]]), theme=theme).get_clim() == (-0.05, 2)
    assert plots.node_terms(axes, np.array([[0.0, 2.0], [1.0, -1.0]]), theme=theme).get_clim() == (-2, 2)


@pytest.mark.parametrize("shape", [(4, 6), (1, 9), (1, 1), (7,)])
def test_a_sample_among_its_neighbors(axes, theme, shape):
    sample, neighbors = RNG.normal(size=shape), RNG.normal(size=(5, *shape))
    channel = 2 if shape == (4, 6) else 0
    plots.among_neighbors(axes, sample, neighbors, channel=channel, title="a", theme=theme)
    assert len(axes.lines) == 6
    flat = lambda values: np.atleast_2d(values)[channel]
    np.testing.assert_array_equal(axes.lines[-1].get_ydata(), flat(sample))  # the new one on top, then the nearest
    np.testing.assert_array_equal(axes.lines[-2].get_ydata(), flat(neighbors[0]))
    assert len(axes.get_legend_handles_labels()[1]) == 3


@pytest.mark.parametrize("shape", [(4, 6), (1, 9), (1, 1), (7,)])
def test_changes_have_one_scale_for_both_signs(axes, theme, shape):
    values = RNG.normal(size=shape)
    picture = plots.changes(axes, values, theme=theme)
    if shape == (4, 6):
        assert picture.get_clim() == (-np.abs(values).max(), np.abs(values).max())
    else:
        assert picture is None
        np.testing.assert_allclose([bar.get_height() for bar in axes.patches], values.ravel())
        low, high = axes.get_ylim()
        assert low == -high
    plots.changes(axes, np.zeros(shape), limit=2.0, theme=theme)


@pytest.mark.parametrize("shape", [(3, 5), (1, 8), (6,)])
@pytest.mark.parametrize("cuts", [(), (1.0, 3.0)])
def test_interpolation(theme, shape, cuts):
    figure = Figure(figsize=(8, 3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    top = figure.subplots(2, 4)
    f = np.array([0.5, 1.5, 2.5, 4.0])
    picture = plots.interpolation(top[0], top[1, 0], RNG.normal(size=(4, *shape)), f, cuts=cuts, theme=theme)
    canvas.draw()
    assert (picture is None) == (shape != (3, 5))
    dots = top[1, 0].collections[-1].get_offsets()
    np.testing.assert_array_equal(dots, np.stack([np.arange(1, 5), f], axis=1))
    assert [text.get_text() for text in top[1, 0].texts] == [f"cluster {k + 1}" for k in range(3 if cuts else 0)]
