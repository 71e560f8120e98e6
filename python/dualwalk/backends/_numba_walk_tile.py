# mypy: disable-error-code="no-untyped-def"
"""Tiles in Numba: walks side by side, features down, so that no arithmetic crosses lanes; one step of a tile for any dual.

A tile has TILE lanes, or one or GROUP where few walks would leave most of it empty: then vectors run along a product's entries.
Sums are in the same order either way, so a walk's bits do not depend on the batch it is in. Compiled code knows the number of
lanes as the length of a tuple, which is part of its type.
"""

from __future__ import annotations

import numpy as np

from ._numba_scalar import jit
from ._numba_walk import GOES, REACHED, noise_of, precondition, step_factor

TILE = 32  # walks side by side
GROUP = 4
FEW = 12  # walks: so many in groups take as long as a tile
_ENTRIES = 64  # of a product for a group at a time


def lanes_for(n_walks: int) -> tuple[int, ...]:
    """A tuple as long as a tile for so many walks should be wide."""
    return (0,) * (TILE if n_walks > FEW else GROUP if n_walks > 1 else 1)


@jit(inline=True)
def multiply(lanes, matrix, turned, given, out):
    """out += matrix @ given, every entry of given and out a tile of lanes; `turned` is the transposed matrix."""
    if len(lanes) == 1:
        _multiply_row(turned, given.reshape(-1), out.reshape(-1))
    elif len(lanes) == GROUP:
        _multiply_group(turned, given, out)
    else:
        _multiply_tile(matrix, given, out)


@jit(inline=True)
def _multiply_row(turned, given, out):
    """out += given @ turned: the sums of multiply_tile for one walk, each in the same order."""
    n_columns, n_entries = turned.shape
    whole = n_columns // 8 * 8
    for c in range(0, whole, 8):
        g, t = given[c : c + 8], turned[c : c + 8]
        for r in range(n_entries):
            near = out[r] + t[0, r] * g[0] + t[1, r] * g[1] + t[2, r] * g[2] + t[3, r] * g[3]
            out[r] = near + t[4, r] * g[4] + t[5, r] * g[5] + t[6, r] * g[6] + t[7, r] * g[7]
    if n_columns - whole >= 4:
        g, t = given[whole : whole + 4], turned[whole : whole + 4]
        for r in range(n_entries):
            out[r] = out[r] + t[0, r] * g[0] + t[1, r] * g[1] + t[2, r] * g[2] + t[3, r] * g[3]
        whole += 4
    for c in range(whole, n_columns):
        for r in range(n_entries):
            out[r] += turned[c, r] * given[c]


@jit(inline=True)
def _multiply_group(turned, given, out):
    """The same for GROUP walks, which share what they read of the matrix."""
    n_columns, n_entries = turned.shape
    sums = np.empty(GROUP * _ENTRIES, out.dtype)
    for first in range(0, n_entries, _ENTRIES):
        n = min(_ENTRIES, n_entries - first)
        for i in range(n):
            for k in range(GROUP):
                sums[k * _ENTRIES + i] = out[first + i, k]
        whole = n_columns // 4 * 4
        for c in range(0, whole, 4):
            a, b, c_, d = given[c], given[c + 1], given[c + 2], given[c + 3]
            p, q = turned[c, first : first + n], turned[c + 1, first : first + n]
            u, v = turned[c + 2, first : first + n], turned[c + 3, first : first + n]
            for i in range(n):
                sums[i] = sums[i] + p[i] * a[0] + q[i] * b[0] + u[i] * c_[0] + v[i] * d[0]
                at = _ENTRIES + i
                sums[at] = sums[at] + p[i] * a[1] + q[i] * b[1] + u[i] * c_[1] + v[i] * d[1]
                at = 2 * _ENTRIES + i
                sums[at] = sums[at] + p[i] * a[2] + q[i] * b[2] + u[i] * c_[2] + v[i] * d[2]
                at = 3 * _ENTRIES + i
                sums[at] = sums[at] + p[i] * a[3] + q[i] * b[3] + u[i] * c_[3] + v[i] * d[3]
        for c in range(whole, n_columns):
            p = turned[c, first : first + n]
            for k in range(GROUP):
                for i in range(n):
                    sums[k * _ENTRIES + i] += p[i] * given[c, k]
        for i in range(n):
            for k in range(GROUP):
                out[first + i, k] = sums[k * _ENTRIES + i]


@jit(inline=True)
def _multiply_tile(matrix, given, out):
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
                o[i] = o[i] + w[0] * g[0, i] + w[1] * g[1, i] + w[2] * g[2, i] + w[3] * g[3, i]
        whole += 4
    for c in range(whole, n_columns):
        for r in range(n_rows):
            w, o = matrix[r, c], out[r]
            for i in range(TILE):
                o[i] += w * given[c, i]


@jit()
def gather(x, members, tile):
    """Rows of x into lanes; lanes behind the last walk repeat it."""
    for i in range(tile.shape[1]):
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
    lanes,
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
        for i in range(len(lanes)):
            squares[i] = 0
        for j in range(n_features):
            for i in range(len(lanes)):
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
        for i in range(len(lanes)):
            tile[j, i] = tile[j, i] + factor[i] * gradient[j, i] if moves[i] else tile[j, i]
    if noise != 0:
        for i in range(n):
            if moves[i]:
                noise_of(seed, members[i], step, shapes, diagonals, normals, row)
                for j in range(n_features):
                    tile[j, i] += kind(noise) * row[j]
    if len(low) > 0:
        for j in range(n_features):
            for i in range(len(lanes)):
                tile[j, i] = min(max(tile[j, i], low[j]), high[j])
    for i in range(n):
        if moves[i]:
            taken[members[i]] += 1
            if len(trajectory) > 0:
                for j in range(n_features):
                    trajectory[members[i], step + 1, j] = tile[j, i]
    return True
