# mypy: disable-error-code="no-untyped-def"
"""Walks on a mixture dual and annealing along its path in Numba: products with all axes there and back, a tile at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._threads import parallel_ranges
from ._numba_precision import quick_log, small_exp
from ._numba_scalar import jit, read_only
from ._numba_walk import WORK_A_CALL, n_normals, normals_of, run_walks
from ._numba_walk_tile import TILE, gather, lanes_for, multiply, scatter, take_step
from .reference import RENOISE, AnnealPlan, WalkPlan, WalkState

_RENOISE = np.uint64(RENOISE)


def _parts(dual: Any, times: NDArray[np.float64], dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Axes as (K d, d) and (d, K d), then the tables of these times, and what is added: pull and constant."""
    forward = dual.axes.transpose(0, 2, 1).reshape(-1, dual.n_features)
    tables = dual.tables(times)
    parts = (forward, forward.T, *tables, np.array([dual.pull, dual.constant]))
    return tuple(read_only(np.ascontiguousarray(part, dtype)) for part in parts)


def walk_mixture(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    parts = _parts(dual, np.array([dual.time]), x.dtype)
    lanes = lanes_for(len(x))
    return run_walks(_walk_tiles, x, plan, 2 * parts[0].size, len(lanes), lanes, *parts)


def anneal_mixture(dual: Any, x: NDArray[Any], plan: AnnealPlan) -> WalkState:
    parts = _parts(dual, plan.times, x.dtype)
    n_walks, n_features = x.shape
    moves = read_only(plan.moves.astype(x.dtype))
    f, taken, going = np.full(n_walks, np.nan), np.zeros(n_walks, np.int64), np.ones(n_walks, np.bool_)
    trajectory = np.empty((0, 0, 0), x.dtype) if plan.trajectory is None else plan.trajectory
    keep, add = x.dtype.type(np.cos(plan.start_angle)), x.dtype.type(np.sin(plan.start_angle))
    lanes = lanes_for(n_walks)
    steps_a_call = max(1, WORK_A_CALL // (2 * parts[0].size * len(lanes)))
    tiles_a_call = max(1, steps_a_call // (len(moves) + 1)) * plan.n_threads
    numbers = (np.uint64(plan.seed), bool(plan.renoise), keep, add)
    for first in range(0, n_walks, tiles_a_call * len(lanes)):
        walks = np.arange(first, min(first + tiles_a_call * len(lanes), n_walks))
        foreseen = np.zeros((len(walks), n_features), x.dtype)
        for begin in range(0, len(moves) + 1, steps_a_call):
            end = min(begin + steps_a_call, len(moves) + 1)

            def take_steps(
                start: int,
                stop: int,
                walks: NDArray[Any] = walks,
                begin: int = begin,
                end: int = end,
                foreseen: NDArray[Any] = foreseen,
            ) -> None:
                _anneal_tiles(
                    walks, start, stop, begin, end, numbers, x, foreseen, f, taken, going, trajectory, moves, lanes, *parts
                )

            parallel_ranges(take_steps, -(-len(walks) // len(lanes)), plan.n_threads)
    return WalkState(f, taken, np.zeros(n_walks, bool))


@jit(inline=True)
def _evaluate(lanes, time, x, forward, backward, centres, precisions, scales, added, z, logs, spare, value, gradient, needed):
    """f at every lane of x into value; with `needed` its gradient too."""
    n_features, n_components = len(x), len(logs)
    half, one = x.dtype.type(0.5), x.dtype.type(1)
    pull, constant = added
    for k in range(n_components):
        for i in range(n_features):
            start = -centres[time, k, i]
            for lane in range(len(lanes)):
                z[k * n_features + i, lane] = start
        own = slice(k * n_features, (k + 1) * n_features)  # one component at a time: its part of z stays in the cache
        if len(lanes) == TILE:
            multiply(lanes, forward[own], backward, x, z[own])
    if len(lanes) < TILE:
        multiply(lanes, forward, backward, x, z)
    for k in range(n_components):
        log = logs[k]
        for lane in range(len(lanes)):
            log[lane] = 0
        for i in range(n_features):
            row, precision = z[k * n_features + i], precisions[time, k, i]
            for lane in range(len(lanes)):
                scaled = precision * row[lane]
                log[lane] += scaled * row[lane]
                row[lane] = scaled
        for lane in range(len(lanes)):
            log[lane] = scales[time, k] - half * log[lane]
    for lane in range(len(lanes)):
        value[lane] = 0
    for j in range(n_features):
        for lane in range(len(lanes)):
            value[lane] += x[j, lane] * x[j, lane]
    top, total = spare[0], spare[1]
    top[:] = logs[0]
    for k in range(1, n_components):
        for lane in range(len(lanes)):
            top[lane] = max(top[lane], logs[k, lane])
    total[:] = 0
    for k in range(n_components):
        for lane in range(len(lanes)):
            logs[k, lane] = small_exp(logs[k, lane] - top[lane])
            total[lane] += logs[k, lane]
    for lane in range(len(lanes)):
        value[lane] = (top[lane] + quick_log(total[lane])) + (half * pull * value[lane] + constant)
        total[lane] = -one / total[lane]
    for k in range(n_components):
        for lane in range(len(lanes)):
            logs[k, lane] *= total[lane]
    if not needed:
        return
    for k in range(n_components):
        for i in range(n_features):
            row, share = z[k * n_features + i], logs[k]
            for lane in range(len(lanes)):
                row[lane] *= share[lane]
    for j in range(n_features):
        for lane in range(len(lanes)):
            gradient[j, lane] = pull * x[j, lane]
    multiply(lanes, backward, forward, z, gradient)


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
    forward,
    backward,
    centres,
    precisions,
    scales,
    added,
):
    """Tiles start .. stop - 1 of these walks take steps begin .. end - 1."""
    n_steps, n_features = numbers[0], x.shape[1]
    width = len(lanes)
    tile, gradient = np.empty((n_features, width), x.dtype), np.empty((n_features, width), x.dtype)
    z, logs = np.empty((len(forward), width), x.dtype), np.empty((scales.shape[1], width), x.dtype)
    spare, value = np.empty((2, width), x.dtype), np.empty(width, x.dtype)
    dual, room = (forward, backward, centres, precisions, scales, added), (z, logs, spare, value, gradient)
    normals = np.empty((n_normals(n_features, shapes, diagonals) + 3) // 4 * 4)
    factor, rows = np.empty(width, x.dtype), np.empty((3, max(width, n_features)), x.dtype)
    for t in range(start, stop):
        members = walks[t * width : (t + 1) * width]
        gather(x, members, tile)
        moves = np.arange(width) < len(members)
        for step in range(begin, end):
            needed = len(target) > 0 or step < n_steps
            _evaluate(*(lanes, 0, tile), *dual, *room, needed)
            more = take_step(
                *(lanes, step, numbers, members, value, gradient, tile, moves, factor, rows, normals),
                *(f, taken, reached, trajectory, target, low, high, shapes, diagonals),
            )
            if not more:
                break
        scatter(tile, members, x)
        for i in range(len(members)):
            going[members[i]] = moves[i]


@jit()
def _turn(lanes, move, moving, gradient, foreseen, tile):
    """One step of every lane that moves, and the velocity foreseen after it."""
    speed, cosine, sine, correction = move
    for j in range(len(tile)):
        for i in range(len(lanes)):
            at, velocity = tile[j, i], speed * gradient[j, i]
            moved = cosine * at + sine * velocity + correction * (velocity - foreseen[j, i])
            foreseen[j, i] = cosine * velocity - sine * at
            tile[j, i] = moved if moving[i] else at


@jit()
def _anneal_tiles(
    walks,
    start,
    stop,
    begin,
    end,
    numbers,
    x,
    foreseen,
    f,
    taken,
    going,
    trajectory,
    moves,
    lanes,
    forward,
    backward,
    centres,
    precisions,
    scales,
    added,
):
    """Tiles start .. stop - 1 of these walks take steps begin .. end - 1; foreseen has a row for each of these walks."""
    seed, renoise, keep, add = numbers
    n_features, width = x.shape[1], len(lanes)
    tile, gradient = np.empty((n_features, width), x.dtype), np.empty((n_features, width), x.dtype)
    before, squares, moving = np.empty((n_features, width), x.dtype), np.empty(width, x.dtype), np.empty(width, np.bool_)
    z, logs = np.empty((len(forward), width), x.dtype), np.empty((scales.shape[1], width), x.dtype)
    spare, value = np.empty((2, width), x.dtype), np.empty(width, x.dtype)
    dual, room = (forward, backward, centres, precisions, scales, added), (z, logs, spare, value, gradient)
    normals = np.empty((n_features + 3) // 4 * 4)
    for t in range(start, stop):
        places = np.arange(t * width, min((t + 1) * width, len(walks)))
        members = walks[t * width : (t + 1) * width]
        gather(x, members, tile)
        gather(foreseen, places, before)
        for step in range(begin, end):
            if step == 0:
                for i in range(len(members)):
                    if renoise:
                        normals_of(seed, members[i], _RENOISE, normals)
                        for j in range(n_features):
                            tile[j, i] = keep * tile[j, i] + add * x.dtype.type(normals[j])
                    if len(trajectory) > 0:
                        for j in range(n_features):
                            trajectory[members[i], 0, j] = tile[j, i]
            needed = step < len(moves)
            _evaluate(*(lanes, step, tile), *dual, *room, needed)
            for i in range(len(members)):
                if going[members[i]]:
                    f[members[i]] = value[i]
            if not needed:
                break
            for i in range(len(lanes)):
                squares[i] = 0
            for j in range(n_features):
                for i in range(len(lanes)):
                    squares[i] += gradient[j, i] * gradient[j, i]
            moving[:] = False
            for i in range(len(members)):
                number = members[i]
                going[number] = going[number] and np.isfinite(value[i]) and np.isfinite(squares[i])
                moving[i] = going[number]
                taken[number] += moving[i]
            _turn(lanes, moves[step], moving, gradient, before, tile)
            if len(trajectory) > 0:
                for i in range(len(members)):
                    for j in range(n_features):
                        trajectory[members[i], step + 1, j] = tile[j, i]
        scatter(tile, members, x)
        scatter(before, places, foreseen)
