"""Normalized node terms: every backend against the reference, gradients against finite differences, and what must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from _nodes import some_data, some_weights

from dualwalk._nodepath.network import NodeData
from dualwalk.backends import job
from dualwalk.backends._reference_nodes import N_COMPONENTS, N_OUTPUTS, N_TIED, layers

ALPHAS = np.array([0.0, 0.3, 1.0, 1.2])


def grid_of(rng: np.random.Generator, data: NodeData, count: int) -> np.ndarray:
    return np.sort(rng.standard_normal((data.n_nodes, count)), axis=1).astype(data.child.dtype)


def terms_of(
    kind: str, backend: str, weights: np.ndarray, data: NodeData, grid: np.ndarray, alphas: np.ndarray, n_threads: int = 1
) -> np.ndarray:
    extra = () if kind == "density" else (kind.endswith("base"),)
    return np.asarray(job(f"{kind.split()[0]}_terms", backend)(weights, data, grid, alphas, *extra, n_threads))


def slopes_of(kind: str, backend: str, weights: np.ndarray, data: NodeData, grid: np.ndarray, alpha: float) -> tuple:
    extra = () if kind == "density" else (kind.endswith("base"),)
    return job(f"{kind.split()[0]}_slopes", backend)(weights, data, grid, alpha, *extra, 1)  # type: ignore[no-any-return]


kinds = pytest.mark.parametrize("kind", ["density", "contrastive", "contrastive with base"])


@kinds
def test_terms_are_those_of_the_reference(backend: str, rng: np.random.Generator, kind: str) -> None:
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 2e-4)):
        for n_members, n_rows, count in ((1, 1, 1), (2, 100, 96), (3, 17, 10), (1, 0, 5)):
            data = some_data(rng, 4, n_rows, dtype)
            weights = some_weights(rng, kind.split()[0], n_members, n_hidden=16 * n_members).astype(dtype)
            grid = grid_of(rng, data, count)
            expected = terms_of(kind, "reference", weights, data, grid, ALPHAS)
            found = terms_of(kind, backend, weights, data, grid, ALPHAS)
            assert found.shape == (4, 4, n_rows)
            assert found.dtype == dtype
            assert (found[0] == 0).all()
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
            np.testing.assert_array_equal(found, terms_of(kind, backend, weights, data, grid, ALPHAS, n_threads=3))


@kinds
def test_slopes_are_those_of_the_reference(backend: str, rng: np.random.Generator, kind: str) -> None:
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 2e-3)):
        data = some_data(rng, 3, 70, dtype)
        weights = some_weights(rng, kind.split()[0], 2).astype(dtype)
        grid = grid_of(rng, data, 24)
        expected = slopes_of(kind, "reference", weights, data, grid, 0.8)
        for part, found in zip(expected, slopes_of(kind, backend, weights, data, grid, 0.8), strict=True):
            assert part.dtype == found.dtype == dtype
            np.testing.assert_allclose(found, part, rtol=tolerance, atol=tolerance * np.abs(part).max())


@kinds
def test_slopes_are_those_of_the_terms(rng: np.random.Generator, kind: str) -> None:
    data = some_data(rng, 3, 6)
    weights = some_weights(rng, kind.split()[0], 2, n_hidden=16)
    grid = grid_of(rng, data, 24)
    alpha, step = 0.8, 1e-6
    terms, by_child, by_context = slopes_of(kind, "reference", weights, data, grid, alpha)
    np.testing.assert_allclose(terms, terms_of(kind, "reference", weights, data, grid, np.array([alpha]))[0], atol=1e-12)
    assert np.abs(by_child).min() > 0

    def difference(moved: list[NodeData]) -> np.ndarray:
        ahead, behind = (terms_of(kind, "reference", weights, part, grid, np.array([alpha]))[0] for part in moved)
        return np.asarray((ahead - behind) / (2 * step))

    found = difference([replace(data, child=data.child + sign * step) for sign in (1, -1)])
    np.testing.assert_allclose(by_child, found, atol=1e-7, rtol=1e-6)
    for i in range(data.context.shape[1]):
        turns = np.zeros_like(data.context)
        turns[:, i] = step
        found = difference([replace(data, context=data.context + sign * turns) for sign in (1, -1)])
        np.testing.assert_allclose(by_context[:, i], found, atol=1e-7, rtol=1e-6)


@kinds
def test_exp_of_a_term_averages_to_one_over_the_grid(backend: str, rng: np.random.Generator, kind: str) -> None:
    one = some_data(rng, 3, 1)
    grid = grid_of(rng, one, 50)
    data = replace(one, child=grid, context=np.repeat(one.context, 50, axis=2))
    weights = some_weights(rng, kind.split()[0], 2, spread=0.1)
    terms = terms_of(kind, backend, weights, data, grid, np.array([0.7, 1.0]))
    assert terms.max() < np.log(50)
    np.testing.assert_allclose(np.exp(terms).mean(axis=2), 1.0, rtol=1e-10)


def test_a_child_out_of_reach_of_the_grid_is_capped(backend: str, rng: np.random.Generator) -> None:
    data = some_data(rng, 2, 5, np.float32)
    data.context[:, 1] = 200.0  # every component that is tied sits far away
    data.statistics[:, 0] = -3.0
    data.child[...] = 200.0
    weights = some_weights(rng, "density", 1, spread=0.0).astype(np.float32)
    grid = grid_of(rng, data, 30)
    terms = terms_of("density", backend, weights, data, grid, np.array([1.0]))
    np.testing.assert_allclose(terms, np.log(30), rtol=1e-6)
    assert all(np.isfinite(part).all() for part in slopes_of("density", backend, weights, data, grid, 1.0))


@pytest.mark.parametrize("kind", ["density", "contrastive with base"])
def test_a_capped_term_has_no_slopes(backend: str, rng: np.random.Generator, kind: str) -> None:
    """A term at its cap, log G, stays there whatever moves; rows of the same block keep their own slopes."""
    data = some_data(rng, 2, 6)
    data.child[:, :2] = data.context[:, 1, :2] = 40.0  # what the base expects, far from every point of the grid
    weights = some_weights(rng, kind.split()[0], 2, spread=0.1)
    grid = grid_of(rng, data, 30)
    terms, by_child, by_context = slopes_of(kind, backend, weights, data, grid, 0.8)
    np.testing.assert_allclose(terms[:, :2], np.log(30), rtol=1e-14)
    assert (by_child[:, :2] == 0).all()
    assert (by_context[:, :, :2] == 0).all()
    others = replace(data, child=data.child[:, 2:].copy(), context=data.context[:, :, 2:].copy())
    for part, alone in zip((terms, by_child, by_context), slopes_of(kind, backend, weights, others, grid, 0.8), strict=True):
        np.testing.assert_allclose(part[..., 2:], alone, rtol=1e-9, atol=1e-12)


def test_a_grid_that_no_component_reaches_caps_the_term(backend: str, rng: np.random.Generator) -> None:
    data = some_data(rng, 2, 5)
    data.child[...] = data.context[:, 1] = 300.0
    weights = some_weights(rng, "density", 2, n_hidden=16, spread=0.05)
    for member in weights:
        layers(member, data.n_inputs, N_OUTPUTS)[2][N_COMPONENTS + N_TIED : 2 * N_COMPONENTS, -1] += 300.0
    terms, by_child, by_context = slopes_of("density", backend, weights, data, grid_of(rng, data, 30), 0.8)
    np.testing.assert_allclose(terms, np.log(30), rtol=1e-14)
    assert (by_child == 0).all()
    assert (by_context == 0).all()


def test_a_constant_on_all_logits_changes_nothing(backend: str, rng: np.random.Generator) -> None:
    """Shares are a softmax for each member, also where exp of a logit is infinite or zero."""
    data = some_data(rng, 2, 5)
    weights = some_weights(rng, "density", 3, n_hidden=16)
    grid = grid_of(rng, data, 24)
    shifted = weights.copy()
    for member, shift in zip(shifted, (1000.0, -1000.0, 0.0), strict=True):
        layers(member, data.n_inputs, N_OUTPUTS)[2][:N_COMPONENTS, -1] += shift
    expected, found = (terms_of("density", backend, of, data, grid, ALPHAS) for of in (weights, shifted))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    for part, moved in zip(*(slopes_of("density", backend, of, data, grid, 0.8) for of in (weights, shifted)), strict=True):
        np.testing.assert_allclose(moved, part, atol=1e-9)


@kinds
def test_what_is_far_off_harms_no_other_row(backend: str, rng: np.random.Generator, kind: str) -> None:
    data = some_data(rng, 2, 5)
    data.child[:, 3] = 100.0
    data.context[:, 1, 1] = 60.0  # the base expects this child far from it, and far from the whole grid
    weights = some_weights(rng, kind.split()[0], 2, n_hidden=16, spread=0.1)
    grid = grid_of(rng, data, 24)
    grid[:, -1] = 1000.0  # where no component of a density has any mass left
    terms = terms_of(kind, backend, weights, data, grid, np.array([0.8]))[0]
    together = slopes_of(kind, backend, weights, data, grid, 0.8)
    assert all(np.isfinite(part).all() for part in (terms, *together))
    for row in range(5):
        own = replace(data, child=data.child[:, [row]].copy(), context=data.context[:, :, [row]].copy())
        alone = terms_of(kind, backend, weights, own, grid, np.array([0.8]))[0]
        np.testing.assert_allclose(terms[:, [row]], alone, rtol=1e-9)
        for part, own_part in zip(together, slopes_of(kind, backend, weights, own, grid, 0.8), strict=True):
            np.testing.assert_allclose(part[..., [row]], own_part, rtol=1e-7, atol=1e-9)


def test_a_wrong_call_does_not_touch_memory(rng: np.random.Generator) -> None:
    core = pytest.importorskip("dualwalk._core")
    data = some_data(rng, 2, 5)
    parts = (data.child, data.context, data.statistics, data.codes)
    weights = some_weights(rng, "density", 1)
    state = (weights[0], weights[0].copy(), weights[0].copy(), 0)
    batch = (np.array([[0, 1]], np.int32), np.array([[0, 4]], np.int32), np.zeros((1, 2), np.uint8))
    settings = (np.ones(1), 0.0, 1.0, 0, False, 1)
    for wrong in (np.array([[0, 2]], np.int32), np.array([[-1, 0]], np.int32)):
        with pytest.raises(ValueError, match="nodes must be nodes of the data"):
            core.train_nodes(*state, *parts, wrong, *batch[1:], *settings)
    with pytest.raises(ValueError, match="rows must be rows of the data"):
        core.train_nodes(*state, *parts, batch[0], np.array([[0, 5]], np.int32), batch[2], *settings)
    with pytest.raises(ValueError, match="hidden width is a multiple of 16"):
        core.train_nodes(weights[0, 1:], *state[1:], *parts, *batch, *settings)
    with pytest.raises(ValueError, match="context must be"):
        core.score_nodes(weights[0], data.child, data.context[:, :, :4].copy(), *parts[2:], 5, 0, False, 1)
    with pytest.raises(ValueError, match="n_rows must be rows of the data"):
        core.score_nodes(weights[0], *parts, 6, 0, False, 1)
    with pytest.raises(ValueError, match="terms must be"):
        core.node_terms(weights, *parts, np.zeros((2, 3)), np.ones(1), np.zeros(3), None, None, False, False, 1)
