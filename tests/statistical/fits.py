"""Two hundred fits to rows of a known law: estimates, limits and end points beside the truth. All in nats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dualwalk as dw
from dualwalk import dualspace

from . import laws

Floats = NDArray[np.float64]
Rng = np.random.Generator

N_FITS = 200
N_NEW = 200  # rows of the same law that a fit has not seen


@dataclass(frozen=True)
class Family:
    """`draw(n, rng)` gives rows (n, d); `truth` is their divergence, `reverse` that of the product of their marginals from them."""

    truth: float
    draw: Callable[[int, Rng], Floats]
    n: int = 100
    reverse: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def gaussian(correlation: Floats, groups: list[int] | None = None, **options: Any) -> Family:
    """Columns of this correlation; with `groups`, the divergence from independent groups of columns."""
    matrix = np.asarray(correlation, float)
    alone = matrix if groups is None else matrix * np.equal.outer(groups, groups)
    _, volume = np.linalg.slogdet(matrix)
    _, apart = np.linalg.slogdet(np.eye(len(matrix)) if groups is None else alone)
    reverse = None if groups else 0.5 * (np.trace(np.linalg.inv(matrix)) - len(matrix) + volume)
    root = np.linalg.cholesky(matrix)
    return Family(
        0.5 * (apart - volume), lambda n, rng: rng.standard_normal((n, len(matrix))) @ root.T, reverse=reverse, **options
    )


def chain(d: int, r: float) -> Floats:
    return np.asarray(r ** np.abs(np.subtract.outer(range(d), range(d))), float)


def fair_signs(d: int, r: float, **options: Any) -> Family:
    """x_k = +-r x_(k-1) + noise, either sign as likely: no correlation anywhere. The truth by Gauss-Hermite quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(120)
    x, e = node[:, None], node[None, :]
    s2 = 1 - r * r
    y = r * x + math.sqrt(s2) * e
    log_density = (
        np.logaddexp(-((y - r * x) ** 2) / (2 * s2), -((y + r * x) ** 2) / (2 * s2)) - math.log(2) - 0.5 * math.log(s2)
    )
    edge = float(weight @ (log_density + y * y / 2) @ weight) / (2 * math.pi)

    def draw(n: int, rng: Rng) -> Floats:
        z = rng.standard_normal((n, d))
        for k in range(1, d):
            z[:, k] = r * z[:, k - 1] * rng.choice([-1.0, 1.0], n) + math.sqrt(s2) * z[:, k]
        return z

    return Family((d - 1) * edge, draw, **options)


def bits(d: int, keep: float, **options: Any) -> Family:
    """Fair bits, each like the one before with probability `keep`."""
    edge = math.log(2) + keep * math.log(keep) + (1 - keep) * math.log(1 - keep)
    truth = (d - 1) * edge

    def draw(n: int, rng: Rng) -> Floats:
        turned = np.hstack([rng.integers(0, 2, (n, 1)), rng.random((n, d - 1)) > keep])
        return np.asarray(turned.cumsum(axis=1) % 2, float)

    return Family(truth, draw, **options)


FAMILIES = {
    "chain": gaussian(chain(3, 0.7), settings={"reverse": True}),
    "strong pair": gaussian(chain(2, 0.98)),
    "fair signs": fair_signs(3, 0.8, n=150),
    "bits": bits(3, 0.8),
    "nothing": gaussian(np.eye(3)),
    "two blocks": gaussian(chain(4, 0.6), groups=[0, 0, 1, 1], settings={"blocks": [0, 0, 1, 1]}),
}


@dataclass(frozen=True)
class Fits:
    """One entry a fit. `alarms`: the share of new rows outside the end points, `trained_alarms` outside those of trained rows,
    `small`: the share with a conformal p-value of at most 0.2."""

    family: Family
    estimate: Floats
    held_out: Floats
    se: Floats
    lower: Floats
    reverse_lower: Floats
    alarms: Floats
    trained_alarms: Floats
    small: Floats


@cache
def fitted(name: str) -> Fits:
    """The fits of a family; every one on rows of its own."""
    family = FAMILIES[name]
    found = []
    for k in range(N_FITS):
        rng = np.random.default_rng([k, len(name)])
        model = dw.DualDivergence(random_state=k, n_threads=1, **family.settings).fit(family.draw(family.n, rng))
        f = model.score_samples(family.draw(N_NEW, rng))
        outside = [np.mean(dualspace.inside(f, ends) == -1) for ends in (model.end_points_, model.training_end_points_)]
        small = np.mean(dualspace.conformal_p_values(f, model.dual_values_) <= 0.2)
        reverse = model.reverse_divergence_lower_ if model.reverse else np.nan
        numbers = model.divergence_, model.divergence_held_out_, model.divergence_se_, model.divergence_lower_
        found.append((*numbers, reverse, *outside, small))
    return Fits(family, *np.array(found, float).T)


def limit(lower: Floats, truth: float, level: float) -> dict[str, float]:
    """Lower limits that hold, each with probability `level` or more."""
    held = int((lower <= truth + 1e-9).sum())
    return {f"held {held} of {len(lower)} times": laws.of_rate(held, len(lower), level, "less")}


def estimate(values: Floats, errors: Floats, held_out: Floats, truth: float, *, within: float) -> dict[str, float]:
    """Estimates that are right on average, give or take `within` nats, with standard errors right to a factor of 1.5."""
    return {
        f"off by {values.mean() - truth:+.3f} nats": laws.of_mean(values, truth, within=within),
        **laws.of_scatter(held_out, errors, at_least=1 / 1.5, at_most=1.5),
    }


def false_alarms(shares: Floats, stated: float, *, within: float) -> dict[str, float]:
    """Shares of new rows that were called odd, fit by fit: at most `stated` on average, give or take `within`."""
    return {f"{shares.mean():.3f} of the rows, where {stated:.3f} are stated": laws.of_most(shares, stated + within)}
