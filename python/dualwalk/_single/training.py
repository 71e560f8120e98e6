"""Train one critic on rows of p against fresh shuffles of their columns; keep the weights that did best on other rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _random
from .._critic.losses import DonskerVaradhan, Largest, Logistic, Loss
from .._critic.network import AdamW
from ..marginals import permute_marginals
from .calibration import best_scale

LOSSES: dict[str, Callable[[], Loss]] = {"dv": DonskerVaradhan, "logistic": Logistic, "max": Largest}
_BLOCK = 4096  # rows evaluated at once


class Critic(Protocol):
    """What is trained: `_critic.network.Network` or `ConvNetwork`."""

    weights: NDArray[Any]

    def outputs(self, x: NDArray[Any]) -> NDArray[Any]: ...
    def backward(self, slope: NDArray[Any], gradient: NDArray[Any] | None = None) -> NDArray[Any] | None: ...


@dataclass(frozen=True)
class SinglePlan:
    """How a critic is trained."""

    n_steps: int = 1500
    n_rows: int = 96
    n_negatives: int = 8  # shuffled rows a row
    check_every: int = 25
    patience: int = 10  # checks without a better one
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    validation_negatives: int = 4096
    shrink: bool = True  # scale f down to what the log-mean-exp's samples support


def values(critic: Critic, rows: NDArray[Any]) -> NDArray[np.float64]:
    """f of all `rows`, a block at a time: (n,) float64."""
    parts = [critic.outputs(rows[start : start + _BLOCK])[:, 0].astype(np.float64) for start in range(0, len(rows), _BLOCK)]
    return np.concatenate(parts)


def negatives(z: NDArray[Any], count: int, seed: int) -> NDArray[Any]:
    """At least `count` rows of the product of the marginals of `z`, in whole shuffles: (n, n_columns)."""
    copies = -(-count // len(z))
    return permute_marginals(z, n_copies=copies, seed=seed, n_threads=1).reshape(-1, z.shape[1])


def train_critic(
    critic: Critic,
    train: NDArray[Any],
    validation: NDArray[Any],
    loss: str,
    *,
    seed: int,
    path: tuple[int | str, ...],
    plan: SinglePlan,
    report: Callable[[float], None] | None = None,
) -> None:
    """Maximize `loss` over the critic's weights, in place; `validation` rows decide when to stop and what to keep."""
    rng = _random.generator(seed, *path, "batches")
    objective = LOSSES[loss]()
    against = negatives(validation, plan.validation_negatives, int(rng.integers(0, 2**63)))
    optimizer = AdamW(critic.weights, learning_rate=plan.learning_rate, weight_decay=plan.weight_decay)
    gradient = np.empty_like(critic.weights)
    size = min(plan.n_rows, len(train))
    best, kept, without = -np.inf, critic.weights.copy(), 0
    order, pool, at = np.empty(0, np.intp), train[:0], 0
    for step in range(plan.n_steps + 1):
        if step % plan.check_every == 0:
            joint, marginal = values(critic, validation), values(critic, against)
            # The max form is largest at f = 0 unless p and q are apart: it cannot say when to stop.
            score = best_scale(joint, marginal)[1] if loss == "max" else LOSSES[loss]()(joint, marginal).value
            without += 1
            if score > best:
                best, without = score, 0
                kept[:] = critic.weights
            if report is not None:
                report(step / plan.n_steps)
            if without > plan.patience:
                break
        if at + size > len(order):
            order, at = rng.permutation(len(train)), 0
            pool = negatives(train, plan.n_negatives * len(train), int(rng.integers(0, 2**63)))
        batch = np.concatenate([train[order[at : at + size]], pool[plan.n_negatives * at : plan.n_negatives * (at + size)]])
        at += size
        f = critic.outputs(batch)[:, 0]
        found = objective(f[:size].copy(), f[size:].copy())
        gradient[:] = 0
        critic.backward(-np.concatenate([found.grad_joint, found.grad_marginal])[:, None], gradient)
        optimizer.step(gradient)
    critic.weights[:] = kept
