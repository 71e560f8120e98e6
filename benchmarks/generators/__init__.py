"""The generators that the benchmark compares, by name.

A generator has `fit(X, y=None)` and `sample(n, y=None)`, arrays as in `series.Series`, and may say in `choice` what it chose.
Its module is imported only when it is asked for: a method whose package is missing is left out with its reason.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Method:
    """How a generator is made, and on which sets it can be run."""

    title: str
    module: str
    kind: str
    needs: tuple[str, ...] = ()
    with_classes: bool = False  # fitted on the labels as well, and asked for labelled samples
    per_class: bool = False  # the generator knows no labels: one a class
    snap: bool = True  # columns with few values: the samples are moved to the nearest one
    series_only: bool = False
    most_features: int | None = None
    slow: bool = False

    def missing(self) -> str:
        """Why the method cannot run here; empty if it can."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"pip install {' '.join(absent)}" if absent else ""

    def make(self, seed: int) -> Any:
        make: Callable[[], Any] = partial(
            getattr(importlib.import_module(f".{self.module}", __package__), self.kind), seed=seed
        )
        if self.per_class:
            from .classical import PerClass

            return PerClass(make)
        return make()


LEARN, TORCH = ("sklearn",), ("torch",)

METHODS: dict[str, Method] = {
    "copies": Method("train copies", "classical", "Copies", LEARN, snap=False),
    "smote": Method("SMOTE", "classical", "SMOTE", LEARN),
    "kde": Method("KDE", "classical", "KDE", LEARN),
    "copula": Method("Gaussian copula", "classical", "GaussianCopula", LEARN),
    "pca": Method("PCA Gaussian", "classical", "PCAGaussian", LEARN),
    "vae": Method("VAE", "vae", "VAE", TORCH, slow=True),
    "timevae": Method("TimeVAE", "vae", "TimeVAE", TORCH, series_only=True, slow=True),
    "ddpm": Method("DDPM", "ddpm", "DDPM", TORCH, slow=True),
    "arf": Method("ARF", "published", "ARF", ("arfpy", "pandas")),
    "dualwalk": Method("dualwalk", "ours", "Ours", snap=False),
    "dualwalk-independent": Method("dualwalk, independent rows", "ours", "Independent", snap=False),
    "smote-y": Method("SMOTE, per class", "classical", "SMOTE", LEARN, with_classes=True, per_class=True),
    "kde-y": Method("KDE, per class", "classical", "KDE", LEARN, with_classes=True, per_class=True),
    "copula-y": Method("Gaussian copula, per class", "classical", "GaussianCopula", LEARN, with_classes=True, per_class=True),
    "ddpm-y": Method("DDPM with classes", "ddpm", "DDPM", TORCH, with_classes=True, slow=True),
    "dualwalk-y": Method("dualwalk with classes", "ours", "Ours", with_classes=True, snap=False),
}
