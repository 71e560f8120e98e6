# mypy: disable-error-code="no-untyped-def"
"""Walks on local Gaussian duals in Numba, one walk at a time: y = x - mean, then two products with its thin factor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._numba_scalar import jit, read_only
from ._numba_walk import GOES, REACHED, dot, n_normals, noise_of, precondition, run_walks, step_factor
from .reference import WalkPlan, WalkState


def walk_local(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    parts = [read_only(np.ascontiguousarray(part, x.dtype)) for part in (dual.mean, dual.curvature, dual.factor, dual.constant)]
    return run_walks(_walk_local, x, plan, 2 * x.shape[1] * (parts[2].shape[1] + 2), 1, *parts)


@jit()
def _evaluate_local(y, curvature, factor, constant, gradient):
    """f at mean + y, and its gradient."""
    n_factors = len(factor)
    for j in range(len(y)):
        gradient[j] = curvature[j] * y[j]
    twice = dot(gradient, y)
    whole = n_factors // 4 * 4
    for k in range(0, whole, 4):
        r0, r1, r2, r3 = factor[k], factor[k + 1], factor[k + 2], factor[k + 3]
        p0, p1, p2, p3 = dot(r0, y), dot(r1, y), dot(r2, y), dot(r3, y)
        twice += p0 * p0 + p1 * p1 + p2 * p2 + p3 * p3
        for j in range(len(y)):
            gradient[j] += p0 * r0[j] + p1 * r1[j] + p2 * r2[j] + p3 * r3[j]
    for k in range(whole, n_factors):
        row = factor[k]
        projection = dot(row, y)
        twice += projection * projection
        for j in range(len(y)):
            gradient[j] += projection * row[j]
    return constant + 0.5 * np.float64(twice)


@jit()
def _walk_local(
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
    means,
    curvatures,
    factors,
    constants,
):
    """Walks start .. stop - 1 of these take steps begin .. end - 1."""
    n_steps, step_size, noise, tolerance, seed = numbers
    n_features = x.shape[1]
    kind = x.dtype.type
    y, gradient, row = np.empty(n_features, x.dtype), np.empty(n_features, x.dtype), np.empty(n_features, x.dtype)
    normals = np.empty((n_normals(n_features, shapes, diagonals) + 3) // 4 * 4)
    for number in walks[start:stop]:
        place = 0 if len(means) == 1 else number
        mean, curvature, factor, at = means[place], curvatures[place], factors[place], x[number]
        for step in range(begin, end):
            for j in range(n_features):
                y[j] = at[j] - mean[j]
            f[number] = value = _evaluate_local(y, curvature, factor, np.float64(constants[place]), gradient)
            if step == n_steps and len(target) == 0:
                break
            if len(shapes) > 0:
                squared = precondition(number, shapes, diagonals, gradient, row)
                gradient[:] = row
            else:
                squared = np.float64(dot(gradient, gradient))
            size, outcome = step_factor(value, squared, number, step_size, tolerance, target)
            reached[number], going[number] = outcome == REACHED, outcome == GOES
            if step == n_steps or outcome != GOES:
                break
            size = kind(size)
            for j in range(n_features):
                at[j] += size * gradient[j]
            if noise != 0:
                noise_of(seed, number, step, shapes, diagonals, normals, row)
                for j in range(n_features):
                    at[j] += kind(noise) * row[j]
            if len(low) > 0:
                for j in range(n_features):
                    at[j] = min(max(at[j], low[j]), high[j])
            taken[number] += 1
            if len(trajectory) > 0:
                for j in range(n_features):
                    trajectory[number, step + 1, j] = at[j]
