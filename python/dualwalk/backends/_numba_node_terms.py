# mypy: disable-error-code="no-untyped-def"
"""Normalized terms of density nodes in Numba, tile by tile, and what contrastive nodes share with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_network import (
    COMPONENTS,
    HIGHEST_LOG_SD,
    LOWEST_LOG_SD,
    TIED,
    TILE,
    affine,
    back_to_sums,
    gather,
    gather_child,
    multiply,
    pairs_of_tiles,
    softmax,
    tiles,
    upper_layers,
)
from ._numba_nodes import parts_of
from ._numba_precision import quick_log, small_exp
from ._numba_scalar import jit
from ._reference_nodes import N_OUTPUTS, layers


def density_terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], n_threads: int
) -> NDArray[np.floating]:
    terms, _ = run_tiles(weights, data, grid, alphas, n_threads, _density_tiles, N_OUTPUTS, False)
    return terms


def density_slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    terms, slopes = run_tiles(weights, data, grid, np.array([alpha]), n_threads, _density_tiles, N_OUTPUTS, True)
    return terms[0], slopes[:, 0].copy(), slopes[:, 1:].copy()


def run_tiles(
    weights: NDArray,
    data: Any,
    grid: NDArray,
    alphas: NDArray[np.float64],
    n_threads: int,
    evaluate: Any,
    n_outputs: int,
    *options: bool,
) -> tuple[NDArray, NDArray]:
    """Terms, and slopes by child and context (N, 1 + R, n) where they are asked for."""
    parts = parts_of(data)
    child, context = parts[:2]
    terms = np.empty((len(alphas), *child.shape), child.dtype)
    slopes = np.empty((len(child), 1 + context.shape[1], child.shape[1]), child.dtype)
    n_inputs = len(data.codes) + (n_outputs == 1)
    matrices = [np.ascontiguousarray(matrix) for matrix in layers(np.ascontiguousarray(weights), n_inputs, n_outputs)]
    given = (np.ascontiguousarray(grid), np.asarray(alphas, child.dtype), *options, *matrices, terms, slopes)

    def work(start: int, stop: int) -> None:
        evaluate(*parts, *given, start, stop)

    n_tiles = len(child) * -(-child.shape[1] // TILE)
    if n_tiles:
        parallel_ranges(work, n_tiles, n_threads)
    return terms, slopes


@jit()
def _add_components(outputs, mean, log_scale, log_n_members, log_weight, centre, precision):
    """A member's five components: exp(log_weight - z^2 / 2) with z = (x - centre) precision."""
    kind = outputs.dtype.type
    share, total = outputs[:COMPONENTS].copy(), np.empty(TILE, outputs.dtype)
    softmax(share, total)
    scale = small_exp(log_scale)
    for j in range(COMPONENTS):
        tied, spread = (kind(1), scale) if j < TIED else (kind(0), kind(1))
        for i in range(TILE):
            log_sd = min(max(outputs[2 * COMPONENTS + j, i], kind(LOWEST_LOG_SD)), kind(HIGHEST_LOG_SD)) + tied * log_scale
            log_weight[j, i] = outputs[j, i] - total[i] - log_n_members - log_sd
            centre[j, i] = tied * mean[i] + spread * outputs[COMPONENTS + j, i]
            precision[j, i] = small_exp(-log_sd)


@jit()
def _scores(x, log_weight, centre, precision, out):
    half = out.dtype.type(0.5)
    for c in range(len(out)):
        for i in range(TILE):
            z = (x[i] - centre[c, i]) * precision[c, i]
            out[c, i] = log_weight[c, i] - half * z * z


@jit()
def _posterior(scores, total):
    """Softmax over all components, in place; `total` takes their log-sum-exp."""
    largest = scores[0].copy()
    for c in range(1, len(scores)):
        for i in range(TILE):
            largest[i] = max(largest[i], scores[c, i])
    total[:] = 0
    for c in range(len(scores)):
        for i in range(TILE):
            scores[c, i] = small_exp(scores[c, i] - largest[i])
            total[i] += scores[c, i]
    for c in range(len(scores)):
        for i in range(TILE):
            scores[c, i] /= total[i]
    for i in range(TILE):
        total[i] = largest[i] + quick_log(total[i])


@jit()
def _ratio_on_grid(grid, log_weight, centre, precision, ratio):
    """f on the grid, (n_grid, TILE); -inf where no component is within reach."""
    kind = ratio.dtype.type
    half, zero = kind(0.5), kind(0)
    for g in range(len(grid)):
        x, density = grid[g], ratio[g]
        for i in range(TILE):
            density[i] = 0
        for c in range(len(centre)):
            w, m, s = log_weight[c], centre[c], precision[c]
            for i in range(TILE):
                z = (x - m[i]) * s[i]
                density[i] += small_exp(w[i] - half * z * z)
        for i in range(TILE):
            density[i] = quick_log(density[i]) + half * x * x if density[i] > zero else kind(-np.inf)


@jit()
def grid_level(ratio, alpha, level):
    """log mean exp of alpha f over the grid."""
    kind = ratio.dtype.type
    largest = np.full(TILE, kind(-np.inf), ratio.dtype)
    for g in range(len(ratio)):
        for i in range(TILE):
            largest[i] = max(largest[i], alpha * ratio[g, i])
    level[:] = 0
    for i in range(TILE):
        largest[i] = largest[i] if largest[i] > kind(-np.inf) else kind(0)
    for g in range(len(ratio)):
        for i in range(TILE):
            level[i] += small_exp(alpha * ratio[g, i] - largest[i])
    for i in range(TILE):
        mean = level[i] / kind(len(ratio))
        level[i] = largest[i] + quick_log(mean) if mean > kind(0) else kind(-np.inf)


@jit()
def write_terms(at_child, ratio, alphas, cap, n, terms, node, start, below):
    """Terms of every alpha; `below` is left as 1 where the last of them is below its cap."""
    kind = ratio.dtype.type
    level = np.empty(TILE, ratio.dtype)
    for a in range(len(alphas)):
        if alphas[a] == 0:
            terms[a, node, start : start + n] = 0
            below[:] = 0
            continue
        grid_level(ratio, alphas[a], level)
        for i in range(TILE):
            value = alphas[a] * at_child[i] - level[i]
            below[i] = kind(0) if value > cap else kind(1)
            level[i] = min(value, cap)
        for i in range(n):
            terms[a, node, start + i] = level[i]


@jit()
def _density_tiles(child, context, statistics, codes, grid, alphas, slopes_too, first, second, last, terms, slopes, begin, end):
    n_rows, n_members = child.shape[1], len(first)
    rows = np.arange(n_rows).astype(np.int32)
    per_node = (n_rows + TILE - 1) // TILE
    kind = child.dtype.type
    n_inputs, width = first.shape[2] - 1, first.shape[1]
    inputs, outputs = tiles(child, n_inputs), tiles(child, last.shape[1])
    hidden, gates, back = pairs_of_tiles(child, width), pairs_of_tiles(child, width), pairs_of_tiles(child, width)
    most = n_members * COMPONENTS
    log_weight, centre, precision, scores = tiles(child, most), tiles(child, most), tiles(child, most), tiles(child, most)
    ratio = tiles(child, grid.shape[1])
    own, at_child, below = tiles(child, 1)[0], tiles(child, 1)[0], tiles(child, 1)[0]
    cap, log_n_members = kind(np.log(grid.shape[1])), kind(np.log(n_members))
    for t in range(begin, end):
        node, start = t // per_node, t % per_node * TILE
        n, log_scale = min(TILE, n_rows - start), statistics[node, 0]
        gather(context, statistics, codes, node, rows, start, n, 0, inputs)
        gather_child(child, node, rows, start, n, 0, n_rows, 0, own)
        for e in range(n_members):
            affine(first[e], inputs, hidden[0])
            upper_layers(second[e], last[e], hidden, gates, outputs)
            part = slice(e * COMPONENTS, (e + 1) * COMPONENTS)
            _add_components(outputs, inputs[1], log_scale, log_n_members, log_weight[part], centre[part], precision[part])
        _scores(own, log_weight, centre, precision, scores)
        _posterior(scores, at_child)
        for i in range(TILE):
            at_child[i] += kind(0.5) * own[i] * own[i]
        _ratio_on_grid(grid[node], log_weight, centre, precision, ratio)
        write_terms(at_child, ratio, alphas, cap, n, terms, node, start, below)
        if not slopes_too:
            continue
        by = _mixture_slopes(own, grid[node], alphas[0], below, log_weight, centre, precision, scores, ratio)
        by_share, by_mean, by_log_sd, by_x = by
        into = slopes[node]
        into[0, start : start + n] = by_x[:n]
        into[1:, start : start + n] = 0
        for e in range(n_members):
            part = slice(e * COMPONENTS, (e + 1) * COMPONENTS)
            affine(first[e], inputs, hidden[0])
            upper_layers(second[e], last[e], hidden, gates, outputs)
            _by_outputs(
                outputs, by_share[part], by_mean[part], by_log_sd[part], small_exp(log_scale), into[2, start : start + n]
            )
            back_to_sums(
                np.ascontiguousarray(second[e][:, :width].T), np.ascontiguousarray(last[e][:, :width].T), gates, outputs, back
            )
            turned = np.ascontiguousarray(first[e][:, : len(into) - 1].T)
            found = np.zeros((len(turned), TILE), child.dtype)
            multiply(turned, back[0], found)
            for r in range(len(turned)):
                for i in range(n):
                    into[1 + r, start + i] += found[r, i]


@jit()
def _mixture_slopes(x, grid, alpha, below, log_weight, centre, precision, near, ratio):
    """Slopes of the terms by every component's log share, mean and log sd, and by x; `ratio` is used up."""
    kind = ratio.dtype.type
    half, one = kind(0.5), kind(1)
    level = np.empty(TILE, ratio.dtype)
    grid_level(ratio, alpha, level)
    log_count = kind(np.log(len(grid)))
    for g in range(len(grid)):  # becomes the log of what a grid value weighs, less that of its density
        bend = half * grid[g] * grid[g]
        for i in range(TILE):
            f = ratio[g, i]
            ratio[g, i] = (alpha - one) * f - (level[i] + log_count) + bend if f > kind(-np.inf) else f
    by_share, by_mean, by_log_sd = np.empty_like(centre), np.empty_like(centre), np.empty_like(centre)
    by_x = np.empty(TILE, ratio.dtype)
    moment0, moment1, moment2 = np.empty_like(by_x), np.empty_like(by_x), np.empty_like(by_x)
    for i in range(TILE):
        by_x[i] = alpha * x[i] * below[i]
    for c in range(len(centre)):
        w, m, s = log_weight[c], centre[c], precision[c]
        for i in range(TILE):
            moment0[i] = moment1[i] = moment2[i] = 0
        for g in range(len(grid)):
            point, shift = grid[g], ratio[g]
            for i in range(TILE):
                z = (point - m[i]) * s[i]
                weight = small_exp(w[i] - half * z * z + shift[i])
                moment0[i] += weight
                moment1[i] += weight * z
                moment2[i] += weight * z * z
        for i in range(TILE):
            z, posterior, share = (x[i] - m[i]) * s[i], near[c, i], alpha * below[i]
            on = below[i] > 0
            by_x[i] -= share * posterior * z * s[i] if on else kind(0)
            by_share[c, i] = share * (posterior - moment0[i]) if on else kind(0)
            by_mean[c, i] = share * (posterior * z - moment1[i]) * s[i] if on else kind(0)
            by_log_sd[c, i] = share * (posterior * (z * z - one) - (moment2[i] - moment0[i])) if on else kind(0)
    return by_share, by_mean, by_log_sd, by_x


@jit()
def _by_outputs(outputs, by_share, by_mean, by_log_sd, scale, by_base_mean):
    """`outputs` becomes the gradient by it; `by_base_mean` takes what the tied components give directly."""
    kind = outputs.dtype.type
    share, total = outputs[:COMPONENTS].copy(), np.empty(TILE, outputs.dtype)
    softmax(share, total)
    total[:] = 0
    for j in range(COMPONENTS):
        for i in range(TILE):
            total[i] += by_share[j, i]
    for j in range(COMPONENTS):
        spread = scale if j < TIED else kind(1)
        for i in range(TILE):
            raw = outputs[2 * COMPONENTS + j, i]
            inside = kind(LOWEST_LOG_SD) <= raw <= kind(HIGHEST_LOG_SD)
            outputs[j, i] = by_share[j, i] - share[j, i] * total[i]
            outputs[COMPONENTS + j, i] = by_mean[j, i] * spread
            outputs[2 * COMPONENTS + j, i] = by_log_sd[j, i] if inside else kind(0)
        if j < TIED:
            for i in range(len(by_base_mean)):
                by_base_mean[i] += by_mean[j, i]
