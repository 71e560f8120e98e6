"""A separable critic g(x) . h(y): two small networks, trained on every pair of rows in a batch at once.

A batch of b rows holds b pairs of the data and b (b - 1) of the product of the blocks' marginals, for the price of 2 b
network passes. The loss is the two-way contrast of every row's own partner with all partners in the batch,

    1/2 mean_i [ f_ii - log mean_j exp f_ij ] + 1/2 mean_i [ f_ii - log mean_j exp f_ji ],      f = base + g . h

each half a lower bound of the mutual information (van den Oord et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .._critic.network import AdamW, Network, initial_weights, n_weights
from .base import EllipticalBase, Side
from .features import Features

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

N_HIDDEN, N_PRODUCTS = 32, 16
_SOMETHING = 0.01  # nats


@dataclass(frozen=True)
class CriticPlan:
    """How to train a critic."""

    n_steps: int = 500
    n_rows: int = 128
    learning_rate: float = 1e-2
    weight_decay: float = 3e-1
    warm_up: int = 20  # steps of growing rate
    check_every: int = 12
    patience: int = 5  # checks without improvement that end the training ...
    longer: int = 4  # ... and as many once a check has shown that there is something to learn
    validation_rows: int = 400


NARROW = CriticPlan(
    n_steps=1500, weight_decay=1e-2, check_every=16, patience=4, longer=7
)  # few columns: edges are sharp and overfitting is slow


@dataclass(frozen=True)
class Critic:
    """Trained networks of both blocks, flat `weights` of x then y, and the features they take."""

    features: tuple[Features, Features]
    weights: Singles

    def networks(self) -> tuple[Network, Network]:
        widths = [(part.n_inputs, N_HIDDEN, N_HIDDEN, N_PRODUCTS) for part in self.features]
        split = n_weights(widths[0])
        return Network(widths[0], self.weights[:split]), Network(widths[1], self.weights[split:])

    def products(self, z: Floats, block: int) -> Floats:
        """g of rows of x (block 0) or h of rows of y (block 1): (n, N_PRODUCTS), float64."""
        return self.networks()[block].outputs(self.features[block].of(z).astype(np.float32)).astype(np.float64)

    def pull(self, z: Floats, block: int, slope: Floats) -> Floats:
        """Derivatives by rows z from derivatives by their products (n, N_PRODUCTS)."""
        network = self.networks()[block]
        network.outputs(self.features[block].of(z).astype(np.float32))
        by_inputs = network.backward(slope.astype(np.float32), by_inputs=True)
        assert by_inputs is not None
        return self.features[block].pull(z, by_inputs.astype(np.float64))


def contrast(f: NDArray) -> float:
    """Mean over rows of f_ii - log mean_j exp f_ij: a lower bound of the mutual information, at most log of the rows."""
    top = f.max(axis=1)
    spread = np.log(np.exp(f - top[:, None]).mean(axis=1)) + top
    return float((np.diag(f) - spread).mean(dtype=np.float64))


def train_critic(
    base: EllipticalBase,
    features: tuple[Features, Features],
    train: tuple[Floats, Floats],
    validation: tuple[Floats, Floats],
    rng: np.random.Generator,
    *,
    plan: CriticPlan,
    report: Callable[[float], None] | None = None,
) -> tuple[Critic, float, float]:
    """A critic on top of `base`, and the contrast on `validation` rows of the base alone and with the critic, nats.

    It keeps the weights of its best check, averaged over the steps before it. Where no check was better than the base alone,
    both numbers are equal. Rows are (x, y) normal scores.
    """
    widths = [(part.n_inputs, N_HIDDEN, N_HIDDEN, N_PRODUCTS) for part in features]
    critic = Critic(features, np.concatenate([initial_weights(rng, width, last=0.3) for width in widths]))
    nets = critic.networks()
    inputs = [part.of(z).astype(np.float32) for part, z in zip(features, train, strict=True)]
    sides = [_single(base.side(z, block)) for block, z in enumerate(train)]
    shown = [z[: plan.validation_rows] for z in validation]
    checked = [part.of(z).astype(np.float32) for part, z in zip(features, shown, strict=True)]
    offset = base.pairs(*(_single(base.side(z, block)) for block, z in enumerate(shown)))
    start = contrast(offset)

    gradient = np.zeros_like(critic.weights)
    optimizer = AdamW(critic.weights, learning_rate=plan.learning_rate, weight_decay=plan.weight_decay)
    average, best_weights, best = critic.weights.copy(), critic.weights.copy(), start
    n_rows, without = min(plan.n_rows, len(inputs[0])), 0
    order = np.empty(0, dtype=np.intp)
    for step in range(1, plan.n_steps + 1):
        if len(order) < n_rows:
            order = rng.permutation(len(inputs[0]))
        rows, order = order[:n_rows], order[n_rows:]
        first, second = nets[0].outputs(inputs[0][rows]), nets[1].outputs(inputs[1][rows])
        f = base.pairs(sides[0].take(rows), sides[1].take(rows))
        f += first @ second.T
        slope = _contrast_slope(f)
        gradient[:] = 0
        split = len(nets[0].weights)
        by_first, by_second = slope @ second, slope.T @ first
        nets[0].backward(by_first, gradient[:split])
        nets[1].backward(by_second, gradient[split:])
        optimizer.step(gradient, rate=min(1.0, step / plan.warm_up))
        average += max(0.02, 9 / (step + 9)) * (critic.weights - average)
        if step % plan.check_every:
            continue
        averaged = replace(critic, weights=average).networks()
        score = contrast(offset + averaged[0].outputs(checked[0]) @ averaged[1].outputs(checked[1]).T)
        without += 1
        if score > best + 1e-4:
            best, without = score, 0
            best_weights[:] = average
        if report is not None:
            report(step / plan.n_steps)
        if without >= (plan.longer if best > start + _SOMETHING else plan.patience):
            break
    return replace(critic, weights=best_weights), start, best


def _single(side: Side) -> Side:
    """A side in float32: batches of pairs are quicker."""
    return Side(side.size.astype(np.float32), side.own.astype(np.float32), side.lead.astype(np.float32))


def _contrast_slope(f: NDArray) -> NDArray:
    """Minus the derivative of the two-way contrast by f (b, b), in place of f."""
    f -= f.max()
    np.maximum(f, -80.0, out=f)  # exp of less is no float32, and a row of zeros has no softmax
    np.exp(f, out=f)
    slope = f / f.sum(axis=1, keepdims=True)
    f /= f.sum(axis=0)
    slope += f
    slope[np.diag_indices(len(f))] -= 2.0
    slope *= 0.5 / len(f)
    return np.asarray(slope)
