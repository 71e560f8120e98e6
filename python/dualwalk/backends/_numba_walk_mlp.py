# mypy: disable-error-code="no-untyped-def"
"""Walks on an MLP dual in Numba, a tile of walks or one walk at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numba_scalar import jit, read_only, silu_and_slope
from ._numba_walk import n_normals, run_walks
from ._numba_walk_tile import gather, lanes_for, multiply, scatter, take_step
from .reference import WalkPlan, WalkState


def walk_mlp(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    layers = [np.ascontiguousarray(weight, x.dtype) for weight in dual.weights]
    widths = read_only(np.array([x.shape[1], *(len(weight) for weight in layers)], np.int64))
    forward = read_only(np.concatenate([weight.ravel() for weight in layers]))
    backward = read_only(np.concatenate([weight.T.ravel() for weight in layers]))
    biases = read_only(np.concatenate([np.asarray(bias, x.dtype) for bias in dual.biases]))
    lanes = lanes_for(len(x))
    work = 2 * forward.size + 20 * len(biases)
    return run_walks(_walk_tiles, x, plan, work, len(lanes), lanes, widths, forward, backward, biases)


@jit(inline=True)
def _evaluate(lanes, x, widths, forward, backward, biases, activation, slope, gradient, needed):
    """f at every lane of x into the last row of activation; with `needed` its gradient too."""
    n_layers = len(widths) - 1
    given, row, at = x, 0, 0
    for layer in range(n_layers):
        n_in, n_out = widths[layer], widths[layer + 1]
        z, s = activation[row : row + n_out], slope[row : row + n_out]
        there, back_again = forward[at : at + n_in * n_out], backward[at : at + n_in * n_out]
        for r in range(n_out):
            for i in range(len(lanes)):
                z[r, i] = biases[row + r]
        multiply(lanes, there.reshape(n_out, n_in), back_again.reshape(n_in, n_out), given, z)
        if layer < n_layers - 1:
            flat_z, flat_s = z.reshape(-1), s.reshape(-1)
            for i in range(n_out * len(lanes)):
                flat_z[i], flat_s[i] = silu_and_slope(np.float64(flat_z[i]))
        given, row, at = z, row + n_out, at + n_in * n_out
    if not needed:
        return
    back = slope[row - 1 : row]
    for i in range(len(lanes)):
        back[0, i] = 1
    for layer in range(n_layers - 1, -1, -1):
        n_in, n_out = widths[layer], widths[layer + 1]
        at, row = at - n_in * n_out, row - n_out
        below = activation[row - n_in : row] if layer > 0 else gradient
        there, back_again = forward[at : at + n_in * n_out], backward[at : at + n_in * n_out]
        below[:] = 0
        multiply(lanes, back_again.reshape(n_in, n_out), there.reshape(n_out, n_in), back, below)
        if layer > 0:
            flat_below, flat_s = below.reshape(-1), slope[row - n_in : row].reshape(-1)
            for i in range(n_in * len(lanes)):
                flat_below[i] *= flat_s[i]
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
    lanes,
    widths,
    forward,
    backward,
    biases,
):
    """Tiles start .. stop - 1 of these walks take steps begin .. end - 1."""
    n_steps, n_features = numbers[0], x.shape[1]
    width = len(lanes)
    tile, gradient = np.empty((n_features, width), x.dtype), np.empty((n_features, width), x.dtype)
    activation, slope = np.empty((len(biases), width), x.dtype), np.empty((len(biases), width), x.dtype)
    normals = np.empty((n_normals(n_features, shapes, diagonals) + 3) // 4 * 4)
    factor, rows = np.empty(width, x.dtype), np.empty((3, max(width, n_features)), x.dtype)
    for t in range(start, stop):
        members = walks[t * width : (t + 1) * width]
        gather(x, members, tile)
        moves = np.arange(width) < len(members)
        for step in range(begin, end):
            needed = len(target) > 0 or step < n_steps
            _evaluate(lanes, tile, widths, forward, backward, biases, activation, slope, gradient, needed)
            more = take_step(
                *(lanes, step, numbers, members, activation[-1], gradient, tile, moves, factor, rows, normals),
                *(f, taken, reached, trajectory, target, low, high, shapes, diagonals),
            )
            if not more:
                break
        scatter(tile, members, x)
        for i in range(len(members)):
            going[members[i]] = moves[i]
