"""Variational autoencoders: a plain one, and one in the style of TimeVAE.

VAE      MLP encoder and decoder; the decoder's noise is learned for every feature (Rybkin et al. 2021, sigma-VAE).
TimeVAE  Desai et al. (2021): convolution encoder; the decoder adds a level, a polynomial trend and a convolution residual.

Both stop by the held-out evidence bound of the averaged weights. Whether the decoder's noise is added to the samples is decided
by the energy distance to the held-out rows: smooth means and full samples are both in use.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ._training import Scale, Training, energy_distance, split


class PlainDecoder(nn.Module):
    def __init__(self, n_latent: int, n_features: int, width: int = 256):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, n_features)
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class TimeDecoder(nn.Module):
    """Level, trend and a residual from transposed convolutions, (rows, channels * times)."""

    def __init__(
        self, n_latent: int, n_channels: int, n_times: int, n_powers: int = 2, widths: tuple[int, ...] = (200, 100, 50)
    ):
        super().__init__()
        self.n_channels, self.n_times = n_channels, n_times
        self.level = nn.Sequential(nn.Linear(n_latent, n_channels), nn.ReLU(), nn.Linear(n_channels, n_channels))
        self.trend = nn.Sequential(
            nn.Linear(n_latent, n_channels * n_powers), nn.ReLU(), nn.Linear(n_channels * n_powers, n_channels * n_powers)
        )
        at = torch.arange(n_times) / n_times
        self.register_buffer("powers", torch.stack([at ** (p + 1) for p in range(n_powers)]))
        self.width, self.n_short = widths[0], math.ceil(n_times / 8)
        self.enter = nn.Linear(n_latent, self.width * self.n_short)
        layers: list[nn.Module] = []
        for a, b in zip(widths, [*widths[1:], n_channels], strict=True):
            layers += [nn.ReLU(), nn.ConvTranspose1d(a, b, 4, stride=2, padding=1)]
        self.convolutions = nn.Sequential(*layers)
        self.leave = nn.Linear(n_channels * n_times, n_channels * n_times)

    def forward(self, z: Tensor) -> Tensor:
        n = len(z)
        level = self.level(z)[:, :, None]
        trend = self.trend(z).reshape(n, self.n_channels, -1) @ self.powers
        residual = self.convolutions(self.enter(z).reshape(n, self.width, self.n_short))[:, :, : self.n_times]
        return (level + trend).reshape(n, -1) + self.leave(residual.reshape(n, -1).relu())


class Autoencoder(nn.Module):
    """Encoder, decoder and the decoder's log deviations."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, n_features: int):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.log_deviation = nn.Parameter(torch.zeros(n_features))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(-12, 8)


def bound(network: nn.Module, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """Negative evidence bound per row and feature, the decoder's noise Gaussian."""
    mean, log_variance = network.encode(x)
    z = mean + (0.5 * log_variance).exp() * (torch.randn_like(mean) if noise is None else noise)
    spread = network.log_deviation.clamp(min=-4)
    reconstruction = (0.5 * ((x - network.decoder(z)) / spread.exp()) ** 2 + spread).sum(1)
    divergence = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(1)
    return (reconstruction + divergence).mean() / x.shape[1]


class VAE:
    """A variational autoencoder with an MLP on both sides."""

    n_latent = 16

    def __init__(self, seed: int = 0, seconds: float = 30.0, n_steps: int = 20000):
        self.seed, self.seconds, self.n_steps = seed, seconds, n_steps

    def networks(self) -> tuple[nn.Module, nn.Module]:
        n_features, width = math.prod(self.shape), 256
        encoder = nn.Sequential(
            nn.Linear(n_features, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * self.n_latent)
        )
        return encoder, PlainDecoder(self.n_latent, n_features)

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> VAE:
        if y is not None:
            raise ValueError("this autoencoder knows no classes; fit one a class")
        torch.manual_seed(self.seed)
        self.shape = X.shape[1:]
        flat = X.reshape(len(X), -1)
        self.scale = Scale.of(flat)
        rows = self.scale.forward(flat)
        train, held = split(len(X), self.seed)
        network = Autoencoder(*self.networks(), rows.shape[1])
        held_rows = rows[held].repeat(8, 1)
        noise = torch.randn((len(held_rows), self.n_latent), generator=torch.Generator().manual_seed(1))

        @torch.no_grad()
        def held_loss(averaged: nn.Module) -> float:
            return float(bound(averaged, held_rows, noise))

        training = Training(network, (rows[train],), bound, held_loss, seed=self.seed)
        training.run(self.n_steps, seconds=self.seconds, patience=10)
        self.network = training.best_network
        candidates = {with_noise: self._draw(400, with_noise, self.seed + 1) for with_noise in (False, True)}
        self.with_noise = min(candidates, key=lambda with_noise: energy_distance(candidates[with_noise], rows[held]))
        self.choice = (
            f"{training.best_step} of {training.step} steps, held-out bound {training.best:.3f}, "
            f"{'with' if self.with_noise else 'without'} decoder noise"
        )
        return self

    @torch.no_grad()
    def _draw(self, n: int, with_noise: bool, seed: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        x = self.network.decoder(torch.randn((n, self.n_latent), generator=random))
        return x + with_noise * self.network.log_deviation.exp() * torch.randn(x.shape, generator=random)

    def sample(self, n: int, y: np.ndarray | None = None) -> np.ndarray:
        return self.scale.back(self._draw(n, self.with_noise, self.seed + 2)).reshape(n, *self.shape)


class TimeVAE(VAE):
    """TimeVAE's blocks: convolutions in, level, trend and residual out."""

    n_latent = 8

    def networks(self) -> tuple[nn.Module, nn.Module]:
        if len(self.shape) != 2:
            raise ValueError("TimeVAE wants series, (samples, channels, times)")
        channels, times = self.shape
        layers: list[nn.Module] = [nn.Unflatten(1, (channels, times))]
        for a, b in zip((channels, 50, 100), (50, 100, 200), strict=True):
            layers += [nn.Conv1d(a, b, 3, stride=2, padding=1), nn.ReLU()]
        n_short = math.ceil(math.ceil(math.ceil(times / 2) / 2) / 2)
        encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(200 * n_short, 2 * self.n_latent))
        return encoder, TimeDecoder(self.n_latent, channels, times)
