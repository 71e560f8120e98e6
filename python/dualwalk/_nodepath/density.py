"""From members' outputs to one normalized dual function per node: averaged densities, divided by their mean over a marginal.

    term(x, c) = alpha f(x, c) - log mean_g exp(alpha f(g, c)),   f(x, c) = log mean_e p_e(x | c) - log N(x; 0, 1)

with g running over quantiles of the node's own marginal: a proper conditional log-ratio for any alpha and any marginal,
ties included. A mean over G points cannot support more than log G nats (about 4.6), so a term never exceeds that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .network import LOG_SD_RANGE, N_COMPONENTS, N_TIED, NodeNetwork, Pairs

N_QUANTILES = 96


def marginal_quantiles(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up to 96 equally likely values of every column of `z` (n_rows, n_columns): (n_columns, n_quantiles)."""
    n = len(z)
    count = min(N_QUANTILES, n)
    place = ((np.arange(count) + 0.5) / count * n).astype(np.intp)
    return np.ascontiguousarray(np.sort(z, axis=0)[place].T)


@dataclass(frozen=True)
class Mixture:
    """Densities of n pairs, all members' components in one mixture: (n_components, n) each.

    `log_share` sums to one in exp over the components; `share` is a member's own softmax (for gradients).
    """

    log_share: NDArray
    mean: NDArray
    log_sd: NDArray
    precision: NDArray
    share: NDArray
    free: NDArray[np.bool_]  # log sd inside its range

    @classmethod
    def of(cls, network: NodeNetwork, pairs: Pairs) -> Mixture:
        """The mixture that `network` gives for `pairs`."""
        outputs = network.outputs(pairs)
        members, _, n = outputs.shape
        logits = outputs[:, :N_COMPONENTS]
        logits -= logits.max(axis=1, keepdims=True)
        log_share = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        share = np.exp(log_share)
        log_share -= np.log(members)
        mean = outputs[:, N_COMPONENTS : 2 * N_COMPONENTS].copy()
        raw = outputs[:, 2 * N_COMPONENTS :]
        log_sd = np.clip(raw, *LOG_SD_RANGE)
        free = raw == log_sd
        mean[:, :N_TIED] *= np.exp(pairs.log_scale)
        mean[:, :N_TIED] += pairs.inputs[1]
        log_sd[:, :N_TIED] += pairs.log_scale
        flat = (members * N_COMPONENTS, n)
        return cls(
            log_share.reshape(flat),
            mean.reshape(flat),
            log_sd.reshape(flat),
            np.exp(-log_sd).reshape(flat),
            share.reshape(flat),
            free.reshape(flat),
        )

    def log_ratio(self, x: NDArray) -> NDArray:
        """f at `x` (n,): (n,)."""
        score, _ = self._scores(x)
        largest = score.max(axis=0)
        return np.asarray(largest + np.log(np.exp(score - largest).sum(axis=0)) + 0.5 * x * x)

    def log_ratio_on(self, grid: NDArray) -> NDArray:
        """f at every point of `grid` (n_nodes, n_quantiles), the pairs being node by node: (n, n_quantiles)."""
        density = self._components_on(grid).sum(axis=0)
        with np.errstate(divide="ignore"):  # no component within reach: -inf, and exp of it is 0
            log_density = np.log(density)
        log_density += 0.5 * (grid * grid)[:, None, :]
        return np.asarray(log_density.reshape(-1, grid.shape[1]))

    def _scores(self, x: NDArray) -> tuple[NDArray, NDArray]:
        z = (x - self.mean) * self.precision
        return self.log_share - self.log_sd - 0.5 * z * z, z

    def _components_on(self, grid: NDArray) -> NDArray:
        """exp(log share - log sd - z^2 / 2) of every component on the grid, (n_components, n_nodes, n_rows, n_quantiles)."""
        shape = (len(self.mean), len(grid), -1, 1)
        work = grid[:, None, :] - self.mean.reshape(shape)
        work *= self.precision.reshape(shape)
        work *= work
        work *= -0.5
        work += (self.log_share - self.log_sd).reshape(shape)
        return np.asarray(np.exp(work, out=work))

    def slopes(self, x: NDArray, grid: NDArray, alpha: float) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
        """`terms` with its gradients: value (n,), by x (n,), and by log share, mean and log sd (n_components, n) each."""
        score, z = self._scores(x)
        largest = score.max(axis=0)
        near = np.exp(score - largest)
        total = near.sum(axis=0)
        near /= total  # posterior of the components at x
        value_at_x = alpha * (largest + np.log(total) + 0.5 * x * x)

        n_nodes, count = grid.shape
        components = self._components_on(grid)
        density = components.sum(axis=0)
        with np.errstate(divide="ignore"):
            log_ratio = np.log(density)
        log_ratio += 0.5 * (grid * grid)[:, None, :]
        level, weight = _log_mean_exp(alpha * log_ratio)
        weight /= np.maximum(density, np.finfo(density.dtype).tiny)
        components *= weight
        # moments of the grid under each component: sums of weight, weight z and weight z^2
        shape = (len(self.mean), n_nodes, -1, 1)
        moment0 = components.sum(axis=-1).reshape(self.mean.shape)
        distance = grid[:, None, :] - self.mean.reshape(shape)
        components *= distance
        moment1 = components.sum(axis=-1).reshape(self.mean.shape) * self.precision
        components *= distance
        moment2 = components.sum(axis=-1).reshape(self.mean.shape) * self.precision**2

        value = value_at_x - level.reshape(-1)
        capped = value > np.log(count)
        near *= alpha
        moment0 *= alpha
        by_share = near - moment0
        by_mean = (near * z - alpha * moment1) * self.precision
        by_log_sd = near * (z * z - 1.0) - (alpha * moment2 - moment0)
        by_x = alpha * x - (near * z * self.precision).sum(axis=0)
        for part in (by_share, by_mean, by_log_sd, by_x):
            part[..., capped] = 0.0
        return np.minimum(value, np.log(count)), by_x, by_share, by_mean, by_log_sd

    def terms(self, x: NDArray, grid: NDArray, alpha: float) -> NDArray:
        """The normalized dual function of every pair, (n,), nats."""
        if alpha == 0.0:
            return np.zeros_like(x)
        return normalized(alpha, self.log_ratio(x), self.log_ratio_on(grid))


def normalized(alpha: float, at_x: NDArray, on_grid: NDArray) -> NDArray:
    """alpha f(x) - log mean_g exp(alpha f(g)), at most log G: `at_x` (n,), `on_grid` (n, G)."""
    level, _ = _log_mean_exp(alpha * on_grid)
    return np.asarray(np.minimum(alpha * at_x - level, np.log(on_grid.shape[-1])))


def _log_mean_exp(values: NDArray) -> tuple[NDArray, NDArray]:
    """log mean exp over the last axis and its gradient (the softmax); `values` is overwritten. All -inf gives -inf."""
    largest = values.max(axis=-1, keepdims=True)
    largest[~np.isfinite(largest)] = 0.0
    values -= largest
    np.exp(values, out=values)
    total = values.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        level = largest + np.log(total / values.shape[-1])
    values /= np.maximum(total, np.finfo(values.dtype).tiny)
    return level[..., 0], values
