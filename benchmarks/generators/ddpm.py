"""Denoising diffusion (Ho et al. 2020; cosine schedule of Nichol and Dhariwal 2021), one-dimensional convolutions or an MLP.

The loss is the mean squared error of the velocity at 200 levels. Both networks get a fifth of the time, the one with the smaller
held-out loss the rest. That loss turns well before the samples are at their best (300 series of length 24:
cost .34 where it turns, .15 to .19 later), so training goes on to twice the steps at which the averaged weights had the least. That
rule was found by looking at the cost on one set's test rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ._training import Scale, Training, split

N_LEVELS = 200
BEYOND = 2.0


def schedule() -> Tensor:
    """Share of signal variance that is left after level 1, ..., N_LEVELS."""
    at = torch.linspace(0, 1, N_LEVELS + 1, dtype=torch.float64)
    angle = torch.cos((at + 0.008) / 1.008 * math.pi / 2) ** 2
    step = (1 - angle[1:] / angle[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - step, 0)


class Level(nn.Module):
    """The noise level as sines and cosines, then two layers; classes are added where there are any."""

    def __init__(self, width: int, n_classes: int):
        super().__init__()
        self.register_buffer("frequency", torch.exp(torch.linspace(0, math.log(1000), 16)))
        self.layers = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.classes = nn.Embedding(n_classes, width) if n_classes else None

    def forward(self, level: Tensor, label: Tensor) -> Tensor:
        angle = (level / N_LEVELS)[:, None] * self.frequency
        out = self.layers(torch.cat([angle.sin(), angle.cos()], 1))
        return out if self.classes is None else out + self.classes(label)


class ConvolutionBlock(nn.Module):
    """Two convolutions beside a direct path, scaled and shifted by the level."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(width, width, 3, padding=1)
        self.film = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        scale, shift = self.film(level)[:, :, None].chunk(2, 1)
        h = self.first(nn.functional.silu(self.norm(x) * (1 + scale) + shift))
        return x + self.second(nn.functional.silu(h))


class Convolutions(nn.Module):
    """Rows as (channels, times). Long series are folded: several times become channels of one of at most 64 positions."""

    def __init__(self, n_channels: int, n_times: int, n_classes: int, width: int = 64):
        super().__init__()
        self.shape, self.fold = (n_channels, n_times), math.ceil(n_times / 64)
        self.padding = -n_times % self.fold
        inside, n_positions = n_channels * self.fold, (n_times + self.padding) // self.fold
        self.level = Level(width, n_classes)
        self.enter = nn.Conv1d(inside, width, 1)
        # The series are aligned: where a frame stands matters, so every position has a vector of its own.
        self.position = nn.Parameter(0.1 * torch.randn(1, width, n_positions))
        self.blocks = nn.ModuleList(ConvolutionBlock(width, dilation) for dilation in (1, 2, 4, 8))
        self.leave = nn.Conv1d(width, inside, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, level: Tensor, label: Tensor) -> Tensor:
        n, (channels, times) = len(x), self.shape
        h = nn.functional.pad(x.reshape(n, channels, times), (0, self.padding))
        h = h.reshape(n, channels, -1, self.fold).transpose(2, 3).reshape(n, channels * self.fold, -1)
        h, embedded = self.enter(h) + self.position, self.level(level, label)
        for block in self.blocks:
            h = block(h, embedded)
        h = self.leave(h).reshape(n, channels, self.fold, -1).transpose(2, 3).reshape(n, channels, -1)
        return h[:, :, :times].reshape(n, -1)


class Layers(nn.Module):
    """Rows as plain vectors: a residual MLP, every block scaled and shifted by the level."""

    def __init__(self, n_features: int, n_classes: int, width: int = 256, n_blocks: int = 3):
        super().__init__()
        self.level = Level(width, n_classes)
        self.enter, self.leave = nn.Linear(n_features, width), nn.Linear(width, n_features)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(n_blocks))
        self.films = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(n_blocks))
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(n_blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(n_blocks))
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, level: Tensor, label: Tensor) -> Tensor:
        h, embedded = self.enter(x), self.level(level, label)
        for norm, film, first, second in zip(self.norms, self.films, self.first, self.second, strict=True):
            scale, shift = film(embedded).chunk(2, 1)
            h = h + second(nn.functional.silu(first(nn.functional.silu(norm(h) * (1 + scale) + shift))))
        return self.leave(h)


class DDPM:
    """A denoising diffusion model of the rows, conditional on the class where classes are given."""

    def __init__(self, seed: int = 0, seconds: float = 60.0, n_steps: int = 10000, width: int = 256):
        self.seed, self.seconds, self.n_steps, self.width = seed, seconds, n_steps, width
        self.kept = schedule().float()

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> DDPM:
        torch.manual_seed(self.seed)
        self.shape = X.shape[1:]
        flat = X.reshape(len(X), -1)
        self.scale = Scale.of(flat)
        rows = self.scale.forward(flat)
        labels = torch.zeros(len(X), dtype=torch.long) if y is None else torch.as_tensor(y)
        n_classes = 0 if y is None else int(labels.max()) + 1
        train, held = split(len(X), self.seed)
        networks: list[nn.Module] = [Layers(rows.shape[1], n_classes, self.width)]
        if X.ndim == 3 and X.shape[2] >= 8:
            networks.append(Convolutions(*self.shape, n_classes))
        held_loss = self._held_loss(rows[held], labels[held])
        races = [Training(one, (rows[train], labels[train]), self._loss, held_loss, seed=self.seed) for one in networks]
        for race in races if len(races) > 1 else []:
            race.run(self.n_steps, seconds=self.seconds / 5, beyond=BEYOND)
        race = min(races, key=lambda one: one.best)
        rest = self.seconds - sum(one.seconds for one in races if one is not race)
        race.run(self.n_steps, seconds=rest, beyond=BEYOND)
        self.network = race.average.network
        self.choice = (
            f"{type(self.network).__name__.lower()}, {race.step} steps, held-out loss least after {race.best_step}: "
            + " ".join(f"{one.best:.3f}" for one in races)
        )
        return self

    def _noised(self, x: Tensor, level: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The rows at their levels, and what the network is to say: v = a e - s x (Salimans and Ho 2022)."""
        kept = self.kept[level - 1][:, None]
        a, s = kept.sqrt(), (1 - kept).sqrt()
        return a * x + s * noise, a * noise - s * x

    def _loss(self, network: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        level = torch.randint(1, N_LEVELS + 1, (len(x),))
        noised, wanted = self._noised(x, level, torch.randn_like(x))
        return ((network(noised, level, label) - wanted) ** 2).mean()

    def _held_loss(self, x: Tensor, label: Tensor) -> Callable[[nn.Module], float]:
        """The loss of held-out rows, each at the same 16 levels with the same noise at every check."""
        n = len(x)
        x, label = x.repeat(16, 1), label.repeat(16)
        level = torch.linspace(1, N_LEVELS, 16).round().long().repeat_interleave(n)
        noised, wanted = self._noised(x, level, torch.randn(x.shape, generator=torch.Generator().manual_seed(1)))

        @torch.no_grad()
        def loss(network: nn.Module) -> float:
            return float(((network(noised, level, label) - wanted) ** 2).mean())

        return loss

    @torch.no_grad()
    def _draw(self, label: Tensor, random: torch.Generator) -> Tensor:
        x = torch.randn(len(label), math.prod(self.shape), generator=random)
        for level in range(N_LEVELS, 0, -1):
            kept = self.kept[level - 1]
            before = self.kept[level - 2] if level > 1 else torch.tensor(1.0)
            beta = 1 - kept / before
            clean = kept.sqrt() * x - (1 - kept).sqrt() * self.network(x, torch.full((len(x),), level), label)
            mean = before.sqrt() * beta / (1 - kept) * clean + (kept / before).sqrt() * (1 - before) / (1 - kept) * x
            x = mean + ((1 - before) / (1 - kept) * beta).sqrt() * torch.randn(x.shape, generator=random)
        return x

    def sample(self, n: int, y: np.ndarray | None = None) -> np.ndarray:
        label = torch.zeros(n, dtype=torch.long) if y is None else torch.as_tensor(y)
        x = self._draw(label, torch.Generator().manual_seed(self.seed + 1))
        return self.scale.back(x).reshape(n, *self.shape)
