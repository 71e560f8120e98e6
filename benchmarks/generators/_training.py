"""What the network peers share: scaling, a held-out part, Adam with an averaged copy, early stopping."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class Scale:
    """Columns in units of their deviation, none below a tenth of the median one (constant pixels stay small)."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Scale:
        deviation = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.maximum(deviation, 0.1 * np.median(deviation[deviation > 0])))

    def forward(self, rows: np.ndarray) -> Tensor:
        return torch.as_tensor((rows - self.mean) / self.deviation, dtype=torch.float32)

    def back(self, rows: Tensor) -> np.ndarray:
        return rows.double().numpy() * self.deviation + self.mean


def split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to stop by: 15 %, of few rows up to a third."""
    order = np.random.default_rng(seed).permutation(n)
    n_held = max(2, round(0.15 * n), min(n // 3, 20))
    return order[n_held:], order[:n_held]


class Average:
    """Exponential average of a network's weights; young averages forget faster."""

    def __init__(self, network: nn.Module, decay: float = 0.998):
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay, self.n_updates = decay, 0

    def update(self, network: nn.Module) -> None:
        self.n_updates += 1
        decay = min(self.decay, self.n_updates / (self.n_updates + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)


class Training:
    """Adam on `loss(network, rows)`, with `held_loss(network)` of the averaged network deciding when to stop."""

    def __init__(
        self,
        network: nn.Module,
        rows: tuple[Tensor, ...],
        loss: Callable[..., Tensor],
        held_loss: Callable[[nn.Module], float],
        *,
        batch: int = 64,
        rate: float = 1e-3,
        seed: int = 0,
    ):
        self.network, self.rows, self.loss, self.held_loss = network, rows, loss, held_loss
        self.batch, self.rate = min(batch, len(rows[0])), rate
        self.average = Average(network)
        self.adam = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4, fused=True)
        self.random = torch.Generator().manual_seed(seed)
        self.step, self.seconds = 0, 0.0
        self.best, self.best_step, self.best_network = np.inf, 0, copy.deepcopy(self.average.network)

    def run(self, n_steps: int, *, seconds: float, every: int = 100, patience: int = 8, beyond: float = 0) -> None:
        """Steps until `n_steps` in all, `seconds` of processor time, or `patience` checks without a better held-out loss;
        or, given `beyond`, so many times the steps of the best check, but never less than `patience` checks more."""
        begin, n_rows = time.process_time() - self.seconds, len(self.rows[0])
        while self.step < n_steps and time.process_time() - begin < seconds:
            self.step += 1
            for group in self.adam.param_groups:
                group["lr"] = self.rate * min(1, self.step / 100)
            pick = torch.randint(n_rows, (self.batch,), generator=self.random)
            value = self.loss(self.network, *(part[pick] for part in self.rows))
            self.adam.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.adam.step()
            self.average.update(self.network)
            if self.step % every == 0:
                held = self.held_loss(self.average.network)
                if held < self.best:
                    self.best, self.best_step = held, self.step
                    self.best_network.load_state_dict(self.average.network.state_dict())
                elif self.step >= max(self.best_step + patience * every, beyond * self.best_step):
                    break
        self.seconds = time.process_time() - begin


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|A - B| - E|A - A'| - E|B - B'|."""

    def within(x: Tensor) -> Tensor:
        return torch.cdist(x, x).sum() / (len(x) * (len(x) - 1))

    return float(2 * torch.cdist(a, b).mean() - within(a) - within(b))
