"""Whether a mixture of clusters refines f, which one, and how much it counts: decided on held-out rows.

The refined dual is a mixture of two densities with the same marginals, the node path's and the clusters':

    f(z) = log((1 - w) exp f_path(z) + w exp f_clusters(z)),      w chosen on held-out rows, 0 where there is no gain

so E_q exp f = 1 still holds, and a wrong w costs at most log 1 / (1 - w). Its terms follow by the chain rule of both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .mixture import GaussianMixture, Recipe, fit_mixture

Floats = NDArray[np.float64]
Parts = list[tuple[Floats, Floats, Floats]]

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.98)
MOST_COLUMNS = 256  # covariances cost the cube of the columns, and clusters of so wide rows were never worth it
_FEWEST_ROWS = 60
_FIRST_STEPS, _STEPS = 4, 20
_LEAST = 0.01  # nats a row that a refinement must be worth
_SIGNIFICANCE = 1.5  # standard errors of the gain over held-out rows


@dataclass(frozen=True)
class Refinement:
    """A mixture blended with the node path: `weight` in (0, 1); `gain` in nats a row over the path's f, on held-out rows."""

    recipe: Recipe
    mixture: GaussianMixture
    weight: float
    gain: float

    def value(self, z: Floats, f_path: Floats) -> Floats:
        """The refined f of rows `z` (n, d) with the path's `f_path` (n,): (n,)."""
        return blend(f_path, self.mixture.value(z), self.weight)

    def value_and_gradient(self, z: Floats, f_path: Floats, gradient_path: Floats) -> tuple[Floats, Floats]:
        """The refined f (n,) and its gradient (n, d), from the path's."""
        f, gradient = self.mixture.value_and_gradient(z)
        value = blend(f_path, f, self.weight)
        share = self.weight * np.exp(f - value)[:, None]
        return value, (1 - share) * gradient_path + share * gradient

    def terms(self, z: Floats, order: NDArray[np.intp], terms_path: Floats) -> Floats:
        """Terms of the refined f, (n, d) by column number, summing to it; `order` (d,) is the chain's, `terms_path` its terms."""
        blended = blend(np.cumsum(terms_path[:, order], axis=1), self.mixture.cumulative(z, order), self.weight)
        terms = np.empty_like(blended)
        terms[:, order] = np.diff(blended, axis=1, prepend=0.0)
        return terms


def blend(f_path: Floats, f_clusters: Floats, weight: float) -> Floats:
    """log((1 - w) exp f_path + w exp f_clusters)."""
    blended: Floats = np.logaddexp(np.log1p(-weight) + f_path, np.log(weight) + f_clusters)
    return blended


def choose_refinement(parts: Parts, rows: Floats, *, seed: int = 0) -> Refinement | None:
    """The refinement that held-out rows ask for, refitted on `rows` (n, d); None where they ask for none.

    `parts` holds one or more (train (m, d), held (h, d), f_path (h,)): normal scores to fit on, others to judge by, and the
    dual values there of a path that never saw them, f_path always in the host's memory. Clusters are first tried at small cost, and only where two of them beat
    one on held-out rows are more tried. Columns of levels or ties are not for a mixture of densities: leave them out.
    """
    d = rows.shape[1]
    if d < 2 or d > MOST_COLUMNS or min(len(train) for train, _, _ in parts) < _FEWEST_ROWS:
        return None

    def held_out(recipe: Recipe, n_steps: int, some: Parts) -> Floats:
        values = [fit_mixture(train, recipe, n_steps=n_steps, seed=seed).value(held) for train, held, _ in some]
        return np.concatenate(list(map(_device.to_host, values)))

    first = [Recipe(2, "means", "none", 0.5), Recipe(2, "means", "common", 0.9), Recipe(2, "shells", "common", 0.9)]
    tried = {recipe: held_out(recipe, _FIRST_STEPS, parts[:1]) for recipe in first}
    single = max(held_out(Recipe(1, "means", "none", s), 1, parts[:1]).mean() for s in (0.2, 0.5))
    scores = {recipe: _gain(parts[0][2], f) for recipe, f in tried.items()}
    best = max(scores, key=lambda recipe: scores[recipe][0])
    if max(f.mean() for f in tried.values()) <= single and scores[best][0] <= _LEAST:
        return None
    f_path = np.concatenate([f for _, _, f in parts])
    scores = {best: _gain(f_path, held_out(best, _STEPS, parts))}
    if scores[best][0] <= _LEAST / 2:
        return None
    for changes in (
        [{"n_clusters": k} for k in (3, 5)],
        [{"shrinkage": s} for s in (0.3, 0.5, 0.7, 0.9)],
        [{"target": t} for t in ("none", "common")],
    ):
        for change in changes:
            recipe = replace(best, **change)
            if recipe in scores:
                continue
            scores[recipe] = _gain(f_path, held_out(recipe, _STEPS, parts))
        best = max(scores, key=lambda recipe: scores[recipe][0])
    gain, weight, error = scores[best]
    if gain <= max(_LEAST, _SIGNIFICANCE * error):
        return None
    return Refinement(best, fit_mixture(rows, best, seed=seed), weight, gain)


def _gain(f_path: Floats, f_clusters: Floats) -> tuple[float, float, float]:
    """(gain in nats a row, weight, standard error) of the best weight for these held-out rows."""
    gains = np.stack([blend(f_path, f_clusters, weight) - f_path for weight in WEIGHTS])
    best = int(gains.mean(axis=1).argmax())
    error = float(gains[best].std() / np.sqrt(gains.shape[1]))
    return float(gains[best].mean()), WEIGHTS[best], error
