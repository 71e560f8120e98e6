"""Where a mixture dual comes from: given numbers, checked, or samples, with the recipe chosen by cross-validated likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, _device, _random
from .._neighbors import at_least_of_median
from .._refine.mixture import GaussianMixture, Recipe, fit_mixture

Float = NDArray[np.float64]

COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16)
SHRINKAGES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0)
COARSE_SHRINKAGES = (0.2, 0.5, 0.9)
_ROWS_A_COMPONENT = 12
_FOLDS, _FOLDS_USED = 5, 2
_STEPS = 12  # of expectation-maximization in a fold; memberships are settled by then
_FINAL_STEPS = 25
_LONG = 2e8  # multiply-adds of one step from which on fewer are taken: so many columns settle memberships at once


def mixture_data(
    weights: ArrayLike, means: ArrayLike, covariances: ArrayLike | None, factors: ArrayLike | None
) -> tuple[Float, Float, Float]:
    """Checked float64 weights (K,), means (K, d) and covariances (K, d, d)."""
    shares, centres = _numbers(weights, "weights", 1), _numbers(means, "means", 2)
    n_components, d = centres.shape
    if shares.shape != (n_components,) or centres.size == 0:
        raise ValueError(
            f"weights and means must have shapes (n_components,) and (n_components, d); got {shares.shape} and {centres.shape} "
            "(one weight and one mean for each component)"
        )
    if not (shares > 0).all():
        raise ValueError(f"weights must be positive; got {float(shares.min()):g} (leave that component out)")
    if (covariances is None) == (factors is None):
        raise ValueError("covariances or factors must be given, and not both (factors are F_k with S_k = F_k F_k^T)")
    if factors is not None:
        roots = _numbers(factors, "factors", 3)
        if roots.shape[:2] != (n_components, d):
            raise ValueError(f"factors must have shape ({n_components}, {d}, r); got {roots.shape} (one for each component)")
        if roots.shape[2] == 0:
            raise ValueError(f"factors must have at least one column; got shape {roots.shape} (pass F_k with S_k = F_k F_k^T)")
        return shares, centres, roots @ roots.transpose(0, 2, 1)
    squares = _numbers(covariances, "covariances", 3)  # type: ignore[arg-type]
    if squares.shape != (n_components, d, d):
        raise ValueError(f"covariances must have shape ({n_components}, {d}, {d}); got {squares.shape} (one a component)")
    if not np.allclose(squares, squares.transpose(0, 2, 1), rtol=1e-6, atol=1e-9 * float(np.abs(squares).max())):
        raise ValueError(
            f"covariances must be symmetric; got shape {squares.shape} with one that is not (average it with its transpose)"
        )
    return shares, centres, 0.5 * (squares + squares.transpose(0, 2, 1))


def _numbers(value: ArrayLike, name: str, ndim: int) -> Float:
    array: Float = _checks.real_array(value, name).astype(np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s); got shape {array.shape} (components come first)")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity (drop that component)")
    return _checks.scale(array, name)


def _deviations(rows: Float) -> Float:
    """Standard deviations; a constant column gets a thousandth of the median one, so that it stays where it is."""
    return at_least_of_median(rows.std(axis=0), 1e-3)


def _steps(rows: Float, n_components: int, most: int) -> int:
    work = n_components * rows.shape[1] ** 2 * (2 * len(rows) + rows.shape[1])
    return most if work < _LONG else 4


def fit_in_deviations(rows: Float, recipe: Recipe, seed: int, *, n_steps: int = _FINAL_STEPS) -> GaussianMixture:
    """The mixture of rows (n, d), fitted where every column has mean 0 and variance 1: what its priors are for."""
    centre, deviation = rows.mean(axis=0), _deviations(rows)
    made = fit_mixture((rows - centre) / deviation, recipe, n_steps=_steps(rows, recipe.n_clusters, n_steps), seed=seed)
    return GaussianMixture(made.log_share, centre + made.mean * deviation, made.factor * deviation[:, None])


def choose_recipe(
    rows: Float, n_components: int | None, shrinkage: float | None, seed: int, candidates: dict[Recipe, float]
) -> Recipe:
    """The recipe with the best mean log-likelihood of held-out rows; what was tried goes into `candidates` with its score.

    First a coarse grid, then finer shrinkages and the other target. Of the numbers of components that are within a standard
    error of the best, the largest: likelihoods tell them poorly apart, and more components stay nearer to the samples.
    """
    most = max(1, len(rows) // _ROWS_A_COMPONENT)
    numbers = [k for k in COMPONENTS if k <= most] if n_components is None else [n_components]
    shrinkages = SHRINKAGES if shrinkage is None else (shrinkage,)
    coarse = COARSE_SHRINKAGES if shrinkage is None else (shrinkage,)
    if len(numbers) == len(shrinkages) == 1:
        return Recipe(numbers[0], "means", "none", shrinkages[0])
    fold = _random.generator(seed, "mixture-folds").permutation(len(rows)) % _FOLDS
    held_out: dict[Recipe, Float] = {}

    def score(recipe: Recipe) -> float:
        if recipe not in candidates:
            values = []
            for k in range(_FOLDS_USED):
                held = _device.beside(np.flatnonzero(fold == k), rows)
                others = _device.beside(np.flatnonzero(fold != k), rows)
                mixture = fit_in_deviations(rows[others], recipe, seed, n_steps=_STEPS)
                values.append(mixture.value(rows[held]))  # f and log p differ by what no recipe changes
            held_out[recipe] = np.concatenate(values)
            candidates[recipe] = float(held_out[recipe].mean())
        return candidates[recipe]

    best = max((Recipe(k, "means", "none", s) for k in numbers for s in coarse), key=score)
    best = max((best, *(replace(best, shrinkage=s) for s in shrinkages)), key=score)
    if shrinkage is None:
        best = max((best, *(replace(best, target="common", shrinkage=s) for s in coarse)), key=score)

    def no_worse(recipe: Recipe) -> bool:
        loss = score(best) - score(recipe)
        difference = held_out[best] - held_out[recipe]
        return bool(loss <= float(difference.std()) / len(difference) ** 0.5)

    return max(filter(no_worse, (replace(best, n_clusters=k) for k in numbers)), key=lambda recipe: recipe.n_clusters)
