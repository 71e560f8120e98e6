"""The specification of node terms: members' networks averaged, normalized over a node's marginal, with their gradients.

    term(x, c) = alpha f(x, c) - log mean_g exp(alpha f(g, c)),   at most log G,

with g running over the G grid values of the node's own marginal: a proper conditional log-ratio for any alpha and any
marginal, ties included. A mean over G points cannot support more than log G nats (about 4.6 for 96). Members' densities are
averaged: f = log mean_e p_e(x | c) - log N(x; 0, 1); contrastive members are averaged as log-ratios: f = mean_e f_e.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._blas import one_blas_thread
from ._reference_nodes import (
    LOG_SD_RANGE,
    N_COMPONENTS,
    N_OUTPUTS,
    N_TIED,
    Pass,
    backward,
    base_log_ratio,
    forward,
    gather,
    layers,
)

_PAIRS = 512  # pairs at once: their components on a grid of 96 stay in the cache


def _blocks(data: Any) -> Iterator[tuple[slice, slice, NDArray, NDArray]]:
    """(nodes, rows, inputs (I, b, r), children (b, r)) of blocks that cover all pairs."""
    width = max(1, min(data.n_rows, _PAIRS))
    n_nodes = max(1, _PAIRS // width)
    with one_blas_thread():
        for start in range(0, data.n_rows, width):
            for node in range(0, data.n_nodes, n_nodes):
                nodes, rows = slice(node, node + n_nodes), slice(start, start + width)
                yield nodes, rows, *gather(data, nodes, rows)


@dataclass(frozen=True)
class _Mixture:
    """Mixtures of b x r pairs, all members' components in one: (n_components, b, r) each.

    `log_share` sums to one in exp over the components; `share` is a member's own softmax (for gradients).
    """

    log_share: NDArray
    mean: NDArray
    log_sd: NDArray
    share: NDArray
    free: NDArray[np.bool_]  # log sd inside its range

    @classmethod
    def of(cls, outputs: list[NDArray], base_mean: NDArray, log_scale: NDArray) -> _Mixture:
        """The mixture of the members' raw `outputs` (N_OUTPUTS, b * r) on the base's mean and log scale, (b, r) each."""
        stacked = np.stack(outputs).reshape(len(outputs), 3, N_COMPONENTS, *base_mean.shape)
        logits, mean, raw = stacked[:, 0], stacked[:, 1].copy(), stacked[:, 2]
        logits = logits - logits.max(axis=1, keepdims=True)
        log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        log_sd = np.clip(raw, *LOG_SD_RANGE)
        free = raw == log_sd
        mean[:, :N_TIED] = base_mean + np.exp(log_scale) * mean[:, :N_TIED]
        log_sd[:, :N_TIED] += log_scale
        flat = (len(outputs) * N_COMPONENTS, *base_mean.shape)
        parts = (log_share - np.log(len(outputs)).astype(log_share.dtype), mean, log_sd, np.exp(log_share), free)
        return cls(*(part.reshape(flat) for part in parts))

    def log_ratio(self, x: NDArray) -> NDArray:
        """f at `x` (b, r)."""
        score, _ = self._scores(x)
        largest = score.max(axis=0)
        return np.asarray(largest + np.log(np.exp(score - largest).sum(axis=0)) + 0.5 * x * x)

    def log_ratio_on(self, grid: NDArray) -> NDArray:
        """f at every point of `grid` (b, G): (b, r, G)."""
        return _grid_log_ratio(self.components_on(grid).sum(axis=0), grid)

    def _scores(self, x: NDArray) -> tuple[NDArray, NDArray]:
        z = (x - self.mean) * np.exp(-self.log_sd)
        return self.log_share - self.log_sd - 0.5 * z * z, z

    def components_on(self, grid: NDArray) -> NDArray:
        """Density of every component times its share on the grid (but for the constant), (n_components, b, r, G)."""
        work = grid[:, None, :] - self.mean[..., None]
        work *= np.exp(-self.log_sd)[..., None]
        work *= work
        work *= -0.5
        work += (self.log_share - self.log_sd)[..., None]
        return np.asarray(np.exp(work, out=work))

    def slopes(self, x: NDArray, grid: NDArray, alpha: float) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
        """Terms (b, r) with their gradients: by x (b, r), and by log share, mean and log sd (n_components, b, r) each."""
        score, z = self._scores(x)
        precision = np.exp(-self.log_sd)
        largest = score.max(axis=0)
        near = np.exp(score - largest)
        total = near.sum(axis=0)
        near /= total  # posterior of the components at x
        value_at_x = alpha * (largest + np.log(total) + 0.5 * x * x)

        components = self.components_on(grid)
        density = components.sum(axis=0)
        level, weight = _log_mean_exp(alpha * _grid_log_ratio(density, grid))
        weight /= np.maximum(density, np.finfo(density.dtype).tiny)
        components *= weight
        # moments of the grid under each component: sums of weight, weight z and weight z^2
        distance = grid[:, None, :] - self.mean[..., None]
        moment0 = components.sum(axis=-1)
        components *= distance
        moment1 = components.sum(axis=-1) * precision
        components *= distance
        moment2 = components.sum(axis=-1) * precision**2

        near *= alpha
        moment0 *= alpha
        by_share = near - moment0
        by_mean = (near * z - alpha * moment1) * precision
        by_log_sd = near * (z * z - 1.0) - (alpha * moment2 - moment0)
        by_x = alpha * x - (near * z * precision).sum(axis=0)
        value = value_at_x - level
        capped = value > np.log(grid.shape[1])
        for part in (by_share, by_mean, by_log_sd, by_x):
            part[..., capped] = 0.0
        return np.minimum(value, np.log(grid.shape[1])), by_x, by_share, by_mean, by_log_sd


def _grid_log_ratio(density: NDArray, grid: NDArray) -> NDArray:
    with np.errstate(divide="ignore"):  # no component within reach: -inf, and exp of it is 0
        return np.asarray(np.log(density) + (0.5 * grid * grid)[:, None, :])


def _log_mean_exp(values: NDArray) -> tuple[NDArray, NDArray]:
    """log mean exp over the last axis and its gradient (the softmax). All -inf gives -inf and a gradient of 0."""
    largest = values.max(axis=-1, keepdims=True)
    largest[~np.isfinite(largest)] = 0.0
    near = np.exp(values - largest)
    total = near.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        level = largest + np.log(total / values.shape[-1])
    return level[..., 0], near / np.maximum(total, np.finfo(values.dtype).tiny)


def _normalized(alphas: NDArray[np.float64], at_x: NDArray, on_grid: NDArray) -> NDArray:
    """Terms (A, b, r) from f at the children (b, r) and on the grid (b, r, G)."""
    result = np.zeros((len(alphas), *at_x.shape), at_x.dtype)
    for k, alpha in enumerate(alphas.tolist()):
        if alpha:
            level, _ = _log_mean_exp(alpha * on_grid)
            result[k] = np.minimum(alpha * at_x - level, np.log(on_grid.shape[-1]))
    return result


def density_terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], n_threads: int
) -> NDArray[np.floating]:
    """Normalized terms (A, N, n) of density members `weights` (E, W) at every temperature `alphas` (A,); `grid` (N, G)."""
    terms = np.empty((len(alphas), *data.child.shape), data.child.dtype)
    matrices = [layers(member, data.n_inputs, N_OUTPUTS) for member in weights]
    n_context = data.context.shape[1]
    for nodes, rows, inputs, child in _blocks(data):
        flat = inputs.reshape(len(inputs), -1)
        mixture = _Mixture.of([forward(member, flat).outputs for member in matrices], inputs[1], inputs[n_context])
        terms[:, nodes, rows] = _normalized(alphas, mixture.log_ratio(child), mixture.log_ratio_on(grid[nodes]))
    return terms


def density_slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Terms (N, n) at one temperature, their gradients by the child (N, n) and by the context (N, R, n)."""
    n_context = data.context.shape[1]
    terms, by_child, by_context = (np.empty_like(part) for part in (data.child, data.child, data.context))
    matrices = [layers(member, data.n_inputs, N_OUTPUTS) for member in weights]
    for nodes, rows, inputs, child in _blocks(data):
        flat = inputs.reshape(len(inputs), -1)
        passes = [forward(member, flat) for member in matrices]
        mixture = _Mixture.of([passed.outputs for passed in passes], inputs[1], inputs[n_context])
        terms[nodes, rows], by_child[nodes, rows], *slopes = mixture.slopes(child, grid[nodes], alpha)
        members = (len(weights), N_COMPONENTS, *child.shape)
        by_share, by_mean, by_log_sd = (slope.reshape(members) for slope in slopes)
        by_logit = by_share - mixture.share.reshape(members) * by_share.sum(axis=1, keepdims=True)
        tied = by_mean[:, :N_TIED].sum(axis=(0, 1))
        by_mean = by_mean.copy()
        by_mean[:, :N_TIED] *= np.exp(inputs[n_context])
        raw = np.concatenate([by_logit, by_mean, by_log_sd * mixture.free.reshape(members)], axis=1)
        below = _through_networks(matrices, passes, raw.reshape(len(weights), N_OUTPUTS, -1))[:n_context]
        below = below.reshape(n_context, *child.shape)
        below[1] += tied
        by_context[nodes, :, rows] = below.transpose(1, 0, 2)
    return terms, by_child, by_context


def _through_networks(matrices: list[list[NDArray]], passes: list[Pass], slope: NDArray) -> NDArray:
    parts = zip(matrices, passes, slope, strict=True)
    return np.asarray(sum(backward(member, passed, by_output)[1] for member, passed, by_output in parts))


def _contrastive_ratio(
    matrices: list[list[NDArray]], inputs: NDArray, x: NDArray, base: bool, n_context: int
) -> tuple[NDArray, list[Pass]]:
    """f (b, r) = mean over members of their outputs, on the base's log-ratio where that is on; and the passes."""
    flat = np.concatenate([inputs, x[None]]).reshape(len(inputs) + 1, -1)
    passes = [forward(member, flat) for member in matrices]
    value = np.mean([passed.outputs[0] for passed in passes], axis=0, dtype=x.dtype).reshape(x.shape)
    if base:
        value = value + base_log_ratio(x, inputs[1], inputs[n_context])
    return np.asarray(value), passes


def contrastive_terms(
    weights: NDArray, data: Any, grid: NDArray, alphas: NDArray[np.float64], base: bool, n_threads: int
) -> NDArray[np.floating]:
    """The same as `density_terms` for contrastive members `weights` (E, W)."""
    terms = np.empty((len(alphas), *data.child.shape), data.child.dtype)
    matrices = [layers(member, data.n_inputs + 1, 1) for member in weights]
    n_context = data.context.shape[1]
    for nodes, rows, inputs, child in _blocks(data):
        at_child, _ = _contrastive_ratio(matrices, inputs, child, base, n_context)
        on_grid = np.empty((*child.shape, grid.shape[1]), child.dtype)
        for g in range(grid.shape[1]):
            x = np.broadcast_to(grid[nodes, g, None], child.shape)
            on_grid[..., g], _ = _contrastive_ratio(matrices, inputs, x, base, n_context)
        terms[:, nodes, rows] = _normalized(alphas, at_child, on_grid)
    return terms


def contrastive_slopes(
    weights: NDArray, data: Any, grid: NDArray, alpha: float, base: bool, n_threads: int
) -> tuple[NDArray, NDArray, NDArray]:
    """The same as `density_slopes` for contrastive members `weights` (E, W)."""
    n_context, count = data.context.shape[1], grid.shape[1]
    terms, by_child, by_context = (np.empty_like(part) for part in (data.child, data.child, data.context))
    matrices = [layers(member, data.n_inputs + 1, 1) for member in weights]
    for nodes, rows, inputs, child in _blocks(data):
        points = [child, *(np.broadcast_to(grid[nodes, g, None], child.shape) for g in range(count))]
        ratios = [_contrastive_ratio(matrices, inputs, x, base, n_context)[0] for x in points]
        level, weight = _log_mean_exp(alpha * np.stack(ratios[1:], axis=-1))
        value = alpha * ratios[0] - level
        inside = value <= np.log(count)
        terms[nodes, rows] = np.minimum(value, np.log(count))
        below = np.zeros((n_context, *child.shape), child.dtype)
        for k, x in enumerate(points):
            share = alpha * inside * (-weight[..., k - 1] if k else 1.0)
            _, passes = _contrastive_ratio(matrices, inputs, x, base, n_context)
            slope = np.broadcast_to((share / len(weights)).reshape(1, 1, -1), (len(weights), 1, child.size))
            through = _through_networks(matrices, passes, slope.astype(child.dtype)).reshape(-1, *child.shape)
            below += through[:n_context]
            residual = (x - inputs[1]) * np.exp(-2 * inputs[n_context]) if base else np.zeros_like(child)
            below[1] += share * residual
            if k == 0:
                by_child[nodes, rows] = through[-1] + share * (x - residual if base else 0)
        by_context[nodes, :, rows] = below.transpose(1, 0, 2)
    return terms, by_child, by_context
