# mypy: disable-error-code="no-untyped-def"
"""Tiles in Numba: walks side by side, features down, so that no arithmetic crosses lanes; one step of a tile for any dual."""

from __future__ import annotations

import numpy as np

from ._numba_scalar import jit
from ._numba_walk import GOES, REACHED, noise_of, precondition, step_factor

TILE = 32  # walks side by side


@jit()
def multiply(matrix, given, out):
    """out += matrix @ given, every entry of given and out a tile of lanes; eight or four columns at once, to load out less often."""
    n_rows, n_columns = matrix.shape
    whole = n_columns // 8 * 8
    for c in range(0, whole, 8):
        g = given[c : c + 8]
        for r in range(n_rows):
            w, o = matrix[r, c : c + 8], out[r]
            for i in range(TILE):
                near = o[i] + w[0] * g[0, i] + w[1] * g[1, i] + w[2] * g[2, i] + w[3] * g[3, i]
                o[i] = near + w[4] * g[4, i] + w[5] * g[5, i] + w[6] * g[6, i] + w[7] * g[7, i]
    if n_columns - whole >= 4:
        g = given[whole : whole + 4]
        for r in range(n_rows):
            w, o = matrix[r, whole : whole + 4], out[r]
            for i in range(TILE):
                o[i] += w[0] * g[0, i] + w[1] * g[1, i] + w[2] * g[2, i] + w[3] * g[3, i]
        whole += 4
    for c in range(whole, n_columns):
        for r in range(n_rows):
            w, o = matrix[r, c], out[r]
            for i in range(TILE):
                o[i] += w * given[c, i]


@jit()
def gather(x, members, tile):
    """Rows of x into lanes; lanes behind the last walk repeat it."""
    for i in range(TILE):
        number = members[min(i, len(members) - 1)]
        for j in range(x.shape[1]):
            tile[j, i] = x[number, j]


@jit()
def scatter(tile, members, rows):
    for i in range(len(members)):
        for j in range(rows.shape[1]):
            rows[members[i], j] = tile[j, i]


@jit()
def take_step(
    step,
    numbers,
    members,
    values,
    gradient,
    tile,
    moves,
    factor,
    rows,
    normals,
    f,
    taken,
    reached,
    trajectory,
    target,
    low,
    high,
    shapes,
    diagonals,
):
    """One step of every walk of a tile that goes on, from f (`values`) and its gradient; False when none is left."""
    n_steps, step_size, noise, tolerance, seed = numbers
    n_features, n = len(tile), len(members)
    kind = tile.dtype.type
    last = step == n_steps
    squares, row, shaped = rows[0], rows[1, :n_features], rows[2, :n_features]
    if not (last and len(target) == 0):
        for i in range(TILE):
            squares[i] = 0
        for j in range(n_features):
            for i in range(TILE):
                squares[i] += gradient[j, i] * gradient[j, i]
    left = 0
    for i in range(n):
        if moves[i]:
            number, value = members[i], np.float64(values[i])
            f[number] = value
            if last and len(target) == 0:
                continue
            squared = np.float64(squares[i])
            if len(shapes) > 0:
                for j in range(n_features):
                    row[j] = gradient[j, i]
                squared = precondition(number, shapes, diagonals, row, shaped)
                for j in range(n_features):
                    gradient[j, i] = shaped[j]
            size, outcome = step_factor(value, squared, number, step_size, tolerance, target)
            factor[i], moves[i] = size, outcome == GOES
            reached[number] = outcome == REACHED
            left += moves[i]
    if last or left == 0:
        return False
    for j in range(n_features):
        for i in range(TILE):
            tile[j, i] = tile[j, i] + factor[i] * gradient[j, i] if moves[i] else tile[j, i]
    if noise != 0:
        for i in range(n):
            if moves[i]:
                noise_of(seed, members[i], step, shapes, diagonals, normals, row)
                for j in range(n_features):
                    tile[j, i] += kind(noise) * row[j]
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
    return True
