# mypy: disable-error-code="no-untyped-def"
"""Normalized terms of contrastive nodes in Numba: the network runs at the child and at every value of the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numba_network import (
    TILE,
    affine,
    back_to_sums,
    gather,
    gather_child,
    multiply,
    pairs_of_tiles,
    tiles,
    upper_layers,
)
from ._numba_node_terms import grid_level, run_tiles, write_terms
from ._numba_precision import small_exp
from ._numba_scalar import jit


def contrastive_terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], base: bool, n_threads: int
) -> NDArray[np.floating]:
    return run_tiles(weights, data, grid, alphas, n_threads, _contrastive_tiles, 1, base, False)[0]


def contrastive_slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, base: bool, n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    terms, slopes = run_tiles(weights, data, grid, np.array([alpha]), n_threads, _contrastive_tiles, 1, base, True)
    return terms[0], slopes[:, 0].copy(), slopes[:, 1:].copy()


@jit()
def _contrastive_tiles(
    child, context, statistics, codes, grid, alphas, base, slopes_too, first, second, last, terms, slopes, begin, end
):
    n_rows, n_members, n_grid = child.shape[1], len(first), grid.shape[1]
    rows = np.arange(n_rows).astype(np.int32)
    per_node = (n_rows + TILE - 1) // TILE
    kind = child.dtype.type
    n_inputs, width = first.shape[2] - 1, first.shape[1]
    inputs, outputs, kept = tiles(child, n_inputs), tiles(child, 1), tiles(child, width)
    hidden, gates = pairs_of_tiles(child, width), pairs_of_tiles(child, width)
    points, ratio = tiles(child, n_grid + 1), tiles(child, n_grid + 1)  # the child is the last
    below = tiles(child, 1)[0]
    cap, half = kind(np.log(n_grid)), kind(0.5)
    for t in range(begin, end):
        node, start = t // per_node, t % per_node * TILE
        n, log_scale = min(TILE, n_rows - start), statistics[node, 0]
        gather(context, statistics, codes, node, rows, start, n, 0, inputs)
        gather_child(child, node, rows, start, n, 0, n_rows, 0, points[n_grid])
        for g in range(n_grid):
            points[g] = grid[node, g]
        ratio[:] = 0
        for e in range(n_members):
            inputs[n_inputs - 1] = 0
            affine(first[e], inputs, kept)
            for g in range(n_grid + 1):
                _critic(first[e], second[e], last[e], kept, points[g : g + 1], hidden, gates, outputs)
                for i in range(TILE):
                    ratio[g, i] += outputs[0, i] / kind(n_members)
        if base:
            narrow = small_exp(-log_scale)
            for g in range(n_grid + 1):
                for i in range(TILE):
                    x = points[g, i]
                    z = (x - inputs[1, i]) * narrow
                    ratio[g, i] += half * (x * x - z * z) - log_scale
        write_terms(ratio[n_grid], ratio[:n_grid], alphas, cap, n, terms, node, start, below)
        if slopes_too:
            _weigh_points(ratio, alphas[0], below)
            into = slopes[node, :, start : start + n]
            into[:] = 0
            _add_slopes(first, second, last, inputs, points, ratio, hidden, gates, outputs, kept, into)
            if base:
                _add_base_slopes(inputs[1], log_scale, points, ratio, into)


@jit()
def _critic(first, second, last, kept, point, hidden, gates, outputs):
    """The network's output at one point of every pair; `kept` is the first layer without it."""
    for r in range(len(kept)):
        for i in range(TILE):
            hidden[0, r, i] = kept[r, i]
    multiply(first[:, first.shape[1] - 2 :], point, hidden[0])
    upper_layers(second, last, hidden, gates, outputs)


@jit()
def _weigh_points(ratio, alpha, below):
    """f at every point becomes the slope of the term by it."""
    kind, n_grid = ratio.dtype.type, len(ratio) - 1
    level = np.empty(TILE, ratio.dtype)
    grid_level(ratio[:n_grid], alpha, level)
    for g in range(n_grid):
        for i in range(TILE):
            ratio[g, i] = -alpha * below[i] * small_exp(alpha * ratio[g, i] - level[i]) / kind(n_grid)
    for i in range(TILE):
        ratio[n_grid, i] = alpha * below[i]


@jit()
def _add_slopes(first, second, last, inputs, points, weight, hidden, gates, outputs, kept, into):
    """Slopes by child and context (1 + R, n) through every member."""
    kind, n_members, n_points = weight.dtype.type, len(first), len(points)
    width, n_inputs, n_context, n = len(kept), len(inputs), len(into) - 1, into.shape[1]
    back, summed, found = pairs_of_tiles(kept, width), tiles(kept, width), tiles(kept, n_context)
    for e in range(n_members):
        second_turned = np.ascontiguousarray(second[e][:, :width].T)
        last_turned = np.ascontiguousarray(last[e][:, :width].T)
        inputs[n_inputs - 1] = 0
        affine(first[e], inputs, kept)
        summed[:] = 0
        for g in range(n_points):
            _critic(first[e], second[e], last[e], kept, points[g : g + 1], hidden, gates, outputs)
            for i in range(TILE):
                outputs[0, i] = weight[g, i] / kind(n_members)
            back_to_sums(second_turned, last_turned, gates, outputs, back)
            for r in range(width):
                for i in range(TILE):
                    summed[r, i] += back[0, r, i]
        for r in range(width):  # the child is the last point: its slopes are still there
            w = first[e, r, n_inputs - 1]
            for i in range(n):
                into[0, i] += w * back[0, r, i]
        found[:] = 0
        multiply(np.ascontiguousarray(first[e][:, :n_context].T), summed, found)
        for r in range(n_context):
            for i in range(n):
                into[1 + r, i] += found[r, i]


@jit()
def _add_base_slopes(mean, log_scale, points, weight, into):
    kind, last = weight.dtype.type, len(points) - 1
    narrow = small_exp(kind(-2) * log_scale)
    for g in range(len(points)):
        for i in range(into.shape[1]):
            residual = (points[g, i] - mean[i]) * narrow
            into[2, i] += weight[g, i] * residual
            if g == last:
                into[0, i] += weight[g, i] * (points[g, i] - residual)
