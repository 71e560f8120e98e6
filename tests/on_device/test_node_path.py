"""The parts of a node path on a device against the CPU's, each by itself: those too that few fits come to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dualwalk import dualspace
from dualwalk._copies import distinct_rows
from dualwalk._hashes import row_hashes
from dualwalk._nodepath import gaussian_base, screen
from dualwalk._nodepath.conditionals import Conditionals, LowRank, Sparse
from dualwalk._nodepath.greedy_net import GreedyNet
from dualwalk._nodepath.path import dependence, fit_path, spanning_tree
from dualwalk._nodepath.rank_noise import resampled_scores
from dualwalk._nodepath.screen import screen_triples
from dualwalk._nodepath.tables import TableRecipe, count_tables
from dualwalk._nodepath.ties import tie_blur, tie_share
from dualwalk._refine.choice import Refinement, choose_refinement
from dualwalk._refine.mixture import Recipe, fit_mixture
from dualwalk._reverse import reverse_divergence
from on_device.kit import Device


def some_scores(n: int, d: int, *, levels: bool = False) -> np.ndarray:
    rng = np.random.default_rng(n + d)
    z = rng.standard_normal((n, 2)) @ rng.standard_normal((2, d)) + rng.standard_normal((n, d))
    return np.asarray(np.round(z) if levels else z)


def same(device: Device, found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(device.get(a), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("n", "d"), [(60, 9), (30, 40)])
def test_every_base(device: Device, n: int, d: int) -> None:
    z, new = some_scores(n, d), some_scores(7, d)
    here, there = gaussian_base.Rows(z), gaussian_base.Rows(device.put(z))
    for name in gaussian_base.names(n, d):
        expected, found = gaussian_base.fit_candidate(name, here), gaussian_base.fit_candidate(name, there)
        parts: list[tuple[Any, Any]] = [(found.scale, expected.scale)]
        parts += [(getattr(found, job)(device.put(new)), getattr(expected, job)(new)) for job in ("mean", "pull")]
        same(device, *zip(*parts, strict=True), tolerance=1e-6)
    assert gaussian_base.choose_base([(device.put(z), device.put(new))])[0] == gaussian_base.choose_base([(z, new)])[0]


def test_a_matrix_that_cannot_be_factored_is_independent_columns(device: Device) -> None:
    z = np.repeat(some_scores(30, 3), 2, axis=1)
    z[:, 1] *= -1.0
    base: Conditionals = gaussian_base.fit_base("shrinkage -1e-9", device.put(z))
    assert isinstance(base, Sparse)
    np.testing.assert_array_equal(device.get(base.scale), np.ones(6))


def test_a_net_without_parents(device: Device) -> None:
    z = np.random.default_rng(0).standard_normal((50, 6))
    net = GreedyNet.grow(device.put(np.corrcoef(z.T)), 50, 3)
    np.testing.assert_array_equal(device.get(net.significant(99.0).scale), np.ones(6))


def test_low_rank_slopes_are_the_transpose_of_means(device: Device) -> None:
    rng = np.random.default_rng(1)
    base = LowRank.of(device.put(rng.standard_normal((12, 2))), device.put(rng.random(12) + 0.5))
    z, slope = device.put(rng.standard_normal((5, 12))), device.put(rng.standard_normal((5, 12)))
    assert float((base.mean(z) * slope).sum()) == pytest.approx(float((z * base.pull(slope)).sum()))


@pytest.mark.parametrize("at_once", [1 << 27, 2000])
def test_pairs_of_columns(device: Device, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_NUMBERS_AT_ONCE", at_once)
    z = np.random.default_rng(2).standard_normal((150, 12))
    z[:, 7] = z[:, 2] * np.sign(z[:, 5]) + 0.3 * z[:, 7]
    z[:, 11] = z[:, 1] * z[:, 0]
    expected, found = screen_triples(z), screen_triples(device.put(z))
    assert len(expected.child) >= 2
    same(device, *zip(*((getattr(found, k), getattr(expected, k)) for k in expected.__dict__), strict=True), tolerance=1e-5)
    assert len(screen_triples(device.put(z[:, :2])).child) == 0


def test_a_path_its_data_and_slopes(device: Device) -> None:
    z = some_scores(80, 8)
    z[:, 7] = z[:, 2] * np.sign(z[:, 5]) + 0.3 * z[:, 7]
    where, paths = (z, device.put(z)), []
    for rows in where:
        order, parent = spanning_tree(dependence(rows))
        base = gaussian_base.fit_base("2 parents", rows[:, order])
        sizes = gaussian_base.fit_base("1 factors", rows[:, order])
        paths.append(fit_path(rows, order, parent, base, sizes, screen_triples(rows[:, order])))
    expected, found = (path.data(rows) for path, rows in zip(paths, where, strict=True))
    names = ("child", "context", "statistics", "codes")
    same(device, *zip(*((getattr(found, k), getattr(expected, k)) for k in names), strict=True), tolerance=1e-4)
    rng = np.random.default_rng(3)
    by_child, by_context = rng.standard_normal((7, 80)), rng.standard_normal((7, 6, 80))
    slope = paths[1].pull(where[1], device.put(by_child), device.put(by_context))
    np.testing.assert_allclose(device.get(slope), paths[0].pull(z, by_child, by_context), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("levels", [False, True])
def test_ties_and_ranks(device: Device, levels: bool) -> None:
    z = some_scores(50, 4, levels=levels)
    for job in (tie_share, tie_blur):
        np.testing.assert_allclose(device.get(job(device.put(z))), job(z), atol=1e-15)
    expected = resampled_scores(z, np.random.default_rng(4))
    weight, scores = resampled_scores(device.put(z), np.random.default_rng(4))
    np.testing.assert_array_equal(weight, expected[0])
    np.testing.assert_array_equal(device.get(scores), expected[1])


def test_tables_of_levels(device: Device) -> None:
    z = some_scores(200, 6, levels=True)
    z[:, 4] = np.random.default_rng(5).standard_normal(200)
    parent, terms = np.array([0, 1, 0, 3, 2]), np.random.default_rng(6).standard_normal((5, 200))
    tables = TableRecipe(3.0, 0.75).counted(z, z, parent)
    assert tables is not None
    assert count_tables(z, z, parent, 3.0) is not None
    new = np.vstack([z, z[:20] + 0.25])
    np.testing.assert_array_equal(device.get(tables.terms(device.put(new))), tables.terms(new))
    same(device, tables.blend(device.put(z), device.put(terms)), tables.blend(z, terms))


@pytest.mark.parametrize("recipe", [Recipe(2, "means", "common", 0.5), Recipe(3, "shells", "none", 0.3)])
def test_mixtures(device: Device, recipe: Recipe) -> None:
    z = some_scores(120, 5)
    z[:60] *= 0.3
    expected, found = fit_mixture(z, recipe), fit_mixture(device.put(z), recipe)
    same(device, [found.value(device.put(z))], [expected.value(z)], 1e-7)
    order = np.array([3, 1, 4, 0, 2])
    f, terms, gradient = expected.value(z), np.random.default_rng(7).standard_normal((120, 5)), np.ones((120, 5))
    here, there = Refinement(recipe, expected, 0.3, 0.1), Refinement(recipe, found, 0.3, 0.1)
    put = device.put
    same(device, [there.value(put(z), put(f))], [here.value(z, f)], 1e-7)
    same(device, [there.terms(put(z), put(order), put(terms))], [here.terms(z, order, terms)], 1e-7)
    same(device, there.value_and_gradient(put(z), put(f), put(gradient)), here.value_and_gradient(z, f, gradient), 1e-7)


def test_a_mixture_is_chosen(device: Device) -> None:
    rng = np.random.default_rng(8)
    z = rng.standard_normal((300, 4)) * np.where(rng.random((300, 1)) < 0.5, 0.3, 1.4)
    f = np.zeros(100)
    expected = choose_refinement([(z[:200], z[200:], f)], z)
    found = choose_refinement([(device.put(z[:200]), device.put(z[200:]), f)], device.put(z))
    assert expected is not None
    assert found is not None
    assert found.recipe == expected.recipe
    assert found.gain == pytest.approx(expected.gain, abs=1e-9)
    same(device, [found.value(device.put(z[200:]), device.put(f))], [expected.value(z[200:], f)], 1e-7)


def test_rows_that_are_copies(device: Device) -> None:
    z = some_scores(40, 3)
    twice, levels = np.vstack([z, z[:5], z[3]]), np.round(z)
    twice[0, 0], twice[40, 0] = 0.0, -0.0
    for rows in (z, twice, levels, np.repeat(z, 9, axis=0)):
        for found, expected in zip(distinct_rows(device.put(rows)), distinct_rows(rows), strict=True):
            np.testing.assert_array_equal(found, expected)
    whole = np.random.default_rng(9).integers(0, 1000, (5000, 2)).astype(float)  # their bits differ at one end only
    hashes = device.get(row_hashes(device.put(whole)))
    assert len(np.unique(hashes)) == len(np.unique(whole, axis=0))


def test_the_dual_space_of_values_on_a_device(device: Device) -> None:
    f = np.concatenate([np.random.default_rng(k).standard_normal(60) + 6 * k for k in range(2)])
    there, expected = device.put(f), dualspace.find_clusters(f)
    space = dualspace.find_clusters(there)
    np.testing.assert_array_equal(space.cuts, expected.cuts)
    np.testing.assert_array_equal(device.get(space.labels), expected.labels)
    np.testing.assert_array_equal(dualspace.end_points(there), dualspace.end_points(f))
    np.testing.assert_array_equal(device.get(dualspace.assign(there, space.cuts)), expected.labels)
    np.testing.assert_array_equal(device.get(dualspace.inside(there, [0.0, 1.0])), dualspace.inside(f, [0.0, 1.0]))
    np.testing.assert_array_equal(device.get(dualspace.conformal_p_values(there, f)), dualspace.conformal_p_values(f, there))
    assert dualspace.is_valley(there, 3.0)


def test_the_other_direction(device: Device) -> None:
    class Squares:
        def value(self, x: Any) -> Any:
            return (x**2).sum(axis=1)

    z = some_scores(50, 3)
    found = reverse_divergence(Squares(), device.put(z), 0, held_out=np.zeros(50))
    expected = reverse_divergence(Squares(), z, 0, held_out=np.zeros(50))
    assert found.value == pytest.approx(expected.value)
    assert found.lower == pytest.approx(expected.lower)
