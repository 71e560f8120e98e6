# mypy: disable-error-code="no-untyped-def"
"""Walks on an MLP dual in Numba: a tile of walks lies side by side, features down, and no arithmetic crosses lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numba_scalar import jit, read_only, silu_and_slope
from ._numba_walk import n_normals, run_walks
from ._numba_walk_tile import TILE, gather, multiply, scatter, take_step
from .reference import WalkPlan, WalkState


def walk_mlp(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    layers = [np.ascontiguousarray(weight, x.dtype) for weight in dual.weights]
    widths = read_only(np.array([x.shape[1], *(len(weight) for weight in layers)], np.int64))
    forward = read_only(np.concatenate([weight.ravel() for weight in layers]))
    backward = read_only(np.concatenate([weight.T.ravel() for weight in layers]))
    biases = read_only(np.concatenate([np.asarray(bias, x.dtype) for bias in dual.biases]))
    return run_walks(_walk_tiles, x, plan, 2 * forward.size + 20 * len(biases), TILE, widths, forward, backward, biases)


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
        multiply(forward[at : at + n_in * n_out].reshape(n_out, n_in), given, z)
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
        multiply(backward[at : at + n_in * n_out].reshape(n_in, n_out), back, below)
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
    shapes,
    diagonals,
    widths,
    forward,
    backward,
    biases,
):
    """Tiles start .. stop - 1 of these walks take steps begin .. end - 1."""
    n_steps, n_features = numbers[0], x.shape[1]
    tile, gradient = np.empty((n_features, TILE), x.dtype), np.empty((n_features, TILE), x.dtype)
    activation, slope = np.empty((len(biases), TILE), x.dtype), np.empty((len(biases), TILE), x.dtype)
    normals = np.empty((n_normals(n_features, shapes, diagonals) + 3) // 4 * 4)
    factor, rows = np.empty(TILE, x.dtype), np.empty((3, max(TILE, n_features)), x.dtype)
    for t in range(start, stop):
        members = walks[t * TILE : (t + 1) * TILE]
        gather(x, members, tile)
        moves = np.arange(TILE) < len(members)
        for step in range(begin, end):
            needed = len(target) > 0 or step < n_steps
            _evaluate(tile, widths, forward, backward, biases, activation, slope, gradient, needed)
            more = take_step(
                *(step, numbers, members, activation[-1], gradient, tile, moves, factor, rows, normals),
                *(f, taken, reached, trajectory, target, low, high, shapes, diagonals),
            )
            if not more:
                break
        scatter(tile, members, x)
        for i in range(len(members)):
            going[members[i]] = moves[i]
