"""The specification of walks and of annealing: loops in NumPy for any dual, and the definition for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _device
from ._reference_draws import RENOISE, normals


@dataclass
class WalkPlan:
    """The settings of one batch of walks, checked and in the dtype of x."""

    n_steps: int
    step_size: float
    noise: float
    tolerance: float
    target: NDArray[Any] | None  # (n_walks,)
    low: NDArray[Any] | None  # (n_features,), together with high
    high: NDArray[Any] | None
    seed: int
    trajectory: NDArray[Any] | None  # (n_walks, n_steps + 1, n_features), filled by the walk
    n_threads: int
    preconditioner: Any = None  # a LocalCovariance C: steps go along C g, and the noise has covariance C
    precision: str | None = None  # "tf32" or "bf16": a leave for tensor cores


@dataclass
class AnnealPlan:
    """The settings of one batch of annealed walks: from times[0] to times[-1] in equal steps, times falling."""

    times: NDArray[np.float64]  # (n_steps + 1,), below 1
    renoise: bool
    seed: int
    trajectory: NDArray[Any] | None  # (n_walks, n_steps + 1, n_features), filled by the walk
    n_threads: int

    @property
    def angles(self) -> NDArray[np.float64]:
        """pi t / 2 of every time."""
        return 0.5 * np.pi * self.times

    @property
    def start_angle(self) -> float:
        """pi t / 2 of the first time."""
        return float(self.angles[0])

    @property
    def moves(self) -> NDArray[np.float64]:
        """Of every step (n_steps, 4): the factor from gradient to velocity, cosine and sine of the turn, the correction's."""
        angles = self.angles
        turns = np.diff(angles)
        moves = np.stack([-np.tan(angles[:-1]), np.cos(turns), np.sin(turns), np.tan(turns / 2)], axis=1)
        moves[0, 3] = 0.0  # nothing was foreseen before the first step
        return moves


class WalkState(NamedTuple):
    """Where a batch of walks ended: f (float64), steps taken (int64), target reached (bool), each (n_walks,)."""

    f: NDArray[np.float64]
    n_steps: NDArray[np.int64]
    reached: NDArray[np.bool_]


def walk(dual: Any, x: NDArray[Any], plan: WalkPlan) -> WalkState:
    """Walk every row of x in place along the dual's gradient; the definition for every backend, and the loop for any dual.

    A step is x += alpha g + noise sqrt(2 step_size) normal, clipped to the bounds. Without a target alpha = step_size; with
    one, alpha = sign(target - f) min(step_size, |target - f| / |g|^2), and a walk stops once |target - f| <= tolerance.
    With a preconditioner C the gradient is C g, |g|^2 is g . C g, and the normal noise has covariance C. A walk whose f or
    gradient is not finite stops where it is.
    """
    n_walks, n_features = x.shape
    f, taken = np.full(n_walks, np.nan), np.zeros(n_walks, np.int64)
    reached, going = np.zeros(n_walks, bool), np.arange(n_walks)
    if plan.trajectory is not None:
        plan.trajectory[:] = x[:, None]
    for step in range(plan.n_steps + 1):
        value, gradient = dual_at(dual, x[going], going, n_walks)
        f[going] = value
        shape = _of_walks(plan.preconditioner, going, n_walks)
        slope = gradient
        if shape is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                gradient = shape.apply(slope)
        squared = np.einsum("ij,ij->i", slope, gradient)
        size = np.full(len(going), plan.step_size)
        keep = np.isfinite(value) & np.isfinite(squared)
        if plan.target is not None:
            gap = plan.target[going].astype(np.float64) - value
            reached[going] = keep & (np.abs(gap) <= plan.tolerance)
            keep &= ~reached[going]
            with np.errstate(divide="ignore", invalid="ignore"):
                size = np.copysign(np.fmin(plan.step_size, np.abs(gap) / squared), gap)
        going, gradient, size = going[keep], gradient[keep], size[keep]
        if step == plan.n_steps or len(going) == 0:
            break
        moved = x[going] + size[:, None] * gradient
        if plan.noise:
            shape = _of_walks(plan.preconditioner, going, n_walks)
            white = normals(plan.seed, going, step, n_features if shape is None else shape.n_normals)
            moved += plan.noise * np.sqrt(2 * plan.step_size) * (white if shape is None else shape.color(white))
        if plan.low is not None:
            moved = np.clip(moved, plan.low, plan.high)
        x[going] = moved
        taken[going] += 1
        if plan.trajectory is not None:
            plan.trajectory[going, step + 1 :] = x[going][:, None]
    return WalkState(f, taken, reached)


def _of_walks(preconditioner: Any, walks: NDArray[np.int64], n_walks: int) -> Any:
    return preconditioner if preconditioner is None or len(walks) == n_walks else preconditioner.select(walks)


def anneal(dual: Any, x: NDArray[Any], plan: AnnealPlan) -> WalkState:
    """Renoise every row of x in place, then follow the probability flow of dual.at(t) from times[0] to times[-1].

    With phi = pi t / 2 the flow is dx / dphi = v = -tan(phi) grad f_t(x). Had x = cos(phi) a + sin(phi) b with fixed a and b,
    a step by delta would be the turn x cos(delta) + v sin(delta), v becoming v cos(delta) - x sin(delta). By how much v missed
    that at the step before gives the second order: + tan(delta / 2) (v - v foreseen).
    """
    n_walks, n_features = x.shape
    angle, moves = plan.start_angle, plan.moves
    f, taken, going = np.full(n_walks, np.nan), np.zeros(n_walks, np.int64), np.arange(n_walks)
    if plan.renoise:
        x[:] = np.cos(angle) * x + np.sin(angle) * normals(plan.seed, going, RENOISE, n_features)
    if plan.trajectory is not None:
        plan.trajectory[:] = x[:, None]
    foreseen = np.zeros(x.shape)
    for step, time in enumerate(plan.times):
        value, gradient = dual_at(dual.at(float(time)), x[going], going, n_walks)
        f[going] = value
        if step == len(moves):
            break
        keep = np.isfinite(value) & np.isfinite(gradient).all(axis=1)
        going, gradient, foreseen = going[keep], gradient[keep], foreseen[keep]
        if len(going) == 0:
            break
        speed, cosine, sine, correction = moves[step]
        at, velocity = x[going], speed * gradient
        x[going] = cosine * at + sine * velocity + correction * (velocity - foreseen)
        foreseen = cosine * velocity - sine * at
        taken[going] += 1
        if plan.trajectory is not None:
            plan.trajectory[going, step + 1 :] = x[going][:, None]
    return WalkState(f, taken, np.zeros(n_walks, bool))


def dual_at(dual: Any, x: NDArray[Any], walks: NDArray[np.int64], n_walks: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """f and its gradient at rows that belong to these walks; a dual with a state for each walk is told which."""
    at = dual.select(walks) if len(walks) < n_walks and hasattr(dual, "select") else dual
    value, gradient = at.value_and_gradient(x)
    if not _device.is_on_device(x):
        value, gradient = np.asarray(value), np.asarray(gradient)
    elif not (_device.is_on_device(value) and _device.is_on_device(gradient)):
        raise TypeError(
            f"dual.value_and_gradient(x) must return CuPy arrays for a CuPy array; got {type(value).__name__} and "
            f"{type(gradient).__name__} (nothing is copied from one memory to the other)"
        )
    if value.shape != (len(x),) or gradient.shape != x.shape:
        raise ValueError(
            f"dual.value_and_gradient(x) must return f of shape {(len(x),)} and a gradient of shape {x.shape}; "
            f"got {value.shape} and {gradient.shape} (return one number and one gradient row for each row of x)"
        )
    return value, gradient
