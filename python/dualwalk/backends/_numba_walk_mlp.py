# mypy: disable-error-code="no-untyped-def"
"""Walks on an MLP dual in Numba: a tile of walks lies side by side, features down, and no arithmetic crosses lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numba_scalar import jit, read_only, silu_and_slope
from ._numba_walk import GOES, REACHED, normals_of, run_walks, step_factor
from .reference import WalkPlan, WalkState, walk

TILE = 32  # walks side by side


def walk_mlp(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    if plan.preconditioner is not None:
        return walk(dual, x, plan)
    layers = [np.ascontiguousarray(weight, x.dtype) for weight in dual.weights]
    widths = read_only(np.array([x.shape[1], *(len(weight) for weight in layers)], np.int64))
    forward = read_only(np.concatenate([weight.ravel() for weight in layers]))
    backward = read_only(np.concatenate([weight.T.ravel() for weight in layers]))
    biases = read_only(np.concatenate([np.asarray(bias, x.dtype) for bias in dual.biases]))
    return run_walks(_walk_tiles, x, plan, 2 * forward.size + 20 * len(biases), TILE, widths, forward, backward, biases)


@jit()
def _multiply(matrix, given, out):
    """out += matrix @ given, every entry of given and out a tile of lanes; eight columns at once, to load out less often."""
    n_rows, n_columns = matrix.shape
    whole = n_columns // 8 * 8
    for c in range(0, whole, 8):
        g = given[c : c + 8]
        for r in range(n_rows):
            w, o = matrix[r, c : c + 8], out[r]
            for i in range(TILE):
                near = o[i] + w[0] * g[0, i] + w[1] * g[1, i] + w[2] * g[2, i] + w[3] * g[3, i]
                o[i] = near + w[4] * g[4, i] + w[5] * g[5, i] + w[6] * g[6, i] + w[7] * g[7, i]
    for c in range(whole, n_columns):
        for r in range(n_rows):
            w, o = matrix[r, c], out[r]
            for i in range(TILE):
                o[i] += w * given[c, i]


@jit()
def _evaluate(x, widths, forward, backward, biases, activation, slope, gradient, needed):
    """f at every lane of x into the last row of activation; with `needed` its gradient too."""
    n_layers = len(widths) - 1
    given, row, at = x, 0, 0
    for layer in range(n_layers):
        n_in, n_out = widths[layer], widths[layer + 1]
        z, s = activation[row : row + n_out], slope[row : row + n_out]
        for r in range(n_out):
            for i in range(TILE):
                z[r, i] = biases[row + r]
        _multiply(forward[at : at + n_in * n_out].reshape(n_out, n_in), given, z)
        if layer < n_layers - 1:
            for r in range(n_out):
                for i in range(TILE):
                    z[r, i], s[r, i] = silu_and_slope(np.float64(z[r, i]))
        given, row, at = z, row + n_out, at + n_in * n_out
    if not needed:
        return
    back = slope[row - 1 : row]
    for i in range(TILE):
        back[0, i] = 1
    for layer in range(n_layers - 1, -1, -1):
        n_in, n_out = widths[layer], widths[layer + 1]
        at, row = at - n_in * n_out, row - n_out
        below = activation[row - n_in : row] if layer > 0 else gradient
        for r in range(n_in):
            for i in range(TILE):
                below[r, i] = 0
        _multiply(backward[at : at + n_in * n_out].reshape(n_in, n_out), back, below)
        if layer > 0:
            s = slope[row - n_in : row]
            for r in range(n_in):
                for i in range(TILE):
                    below[r, i] *= s[r, i]
        back = below


@jit()
def _walk_tiles(
    walks,
    start,
    stop,
    begin,
    end,
    numbers,
    x,
    f,
    taken,
    reached,
    going,
    trajectory,
    target,
    low,
    high,
    widths,
    forward,
    backward,
    biases,
):
    """Tiles start .. stop - 1 of these walks take steps begin .. end - 1."""
    n_steps, step_size, noise, tolerance, seed = numbers
    n_features = x.shape[1]
    kind = x.dtype.type
    tile, gradient = np.empty((n_features, TILE), x.dtype), np.empty((n_features, TILE), x.dtype)
    activation, slope = np.empty((len(biases), TILE), x.dtype), np.empty((len(biases), TILE), x.dtype)
    normals = np.empty((n_features + 3) // 4 * 4)
    factor, squares, moves = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype), np.empty(TILE, np.bool_)
    for t in range(start, stop):
        members = walks[t * TILE : (t + 1) * TILE]
        n = len(members)
        for i in range(TILE):
            number = members[min(i, n - 1)]
            for j in range(n_features):
                tile[j, i] = x[number, j]
            moves[i] = i < n
        for step in range(begin, end):
            last = step == n_steps
            _evaluate(tile, widths, forward, backward, biases, activation, slope, gradient, len(target) > 0 or not last)
            for i in range(TILE):
                squares[i] = 0
            for j in range(n_features):
                for i in range(TILE):
                    squares[i] += gradient[j, i] * gradient[j, i]
            left = 0
            for i in range(n):
                if moves[i]:
                    number, value = members[i], np.float64(activation[-1, i])
                    f[number] = value
                    if last and len(target) == 0:
                        continue
                    size, outcome = step_factor(value, np.float64(squares[i]), number, step_size, tolerance, target)
                    factor[i], moves[i] = size, outcome == GOES
                    reached[number] = outcome == REACHED
                    left += moves[i]
            if last or left == 0:
                break
            for j in range(n_features):
                for i in range(TILE):
                    tile[j, i] = tile[j, i] + factor[i] * gradient[j, i] if moves[i] else tile[j, i]
            if noise != 0:
                for i in range(n):
                    if moves[i]:
                        normals_of(seed, members[i], step, normals)
                        for j in range(n_features):
                            tile[j, i] += kind(noise * normals[j])
            if len(low) > 0:
                for j in range(n_features):
                    for i in range(TILE):
                        tile[j, i] = min(max(tile[j, i], low[j]), high[j])
            for i in range(n):
                if moves[i]:
                    taken[members[i]] += 1
                    if len(trajectory) > 0:
                        for j in range(n_features):
                            trajectory[members[i], step + 1, j] = tile[j, i]
        for i in range(n):
            for j in range(n_features):
                x[members[i], j] = tile[j, i]
            going[members[i]] = moves[i]
