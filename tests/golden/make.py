"""Model files of every class as format 1 has them, with what the models gave: `python tests/golden/make.py`, once a format.

Files that were made once stay as they are: they are what later versions must read.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

import dualwalk as dw

EXPECTED = Path(__file__).parent / "expected" / "format1.npz"


def models() -> dict[str, Any]:
    """A small model of every class."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(24, 1, 3)).cumsum(axis=2)
    points = X[:, 0]
    labels = np.repeat(["calm", "wild"], 12)
    found = {
        "divergence": dw.DualDivergence(cv=2, n_fits=1, reverse=True, n_permutations=19, random_state=0).fit(X),
        "sampler": dw.DualSampler(random_state=0).fit(X.astype(np.float32), labels),
        "walk": dw.DualSampler("mixture", random_state=0).fit(X),
        "normal_scores": dw.NormalScores().fit(X),
        "mlp_dual": dw.MLPDual([rng.normal(size=(4, 3)), rng.normal(size=(1, 4))], [rng.normal(size=4), np.zeros(1)]),
        "mixture_dual": dw.MixtureDual.fit(points, n_components=2, shrinkage=0.5),
        "local_dual": dw.LocalDual(points, np.arange(6), shrinkage=0.2),
        "local_covariance": dw.LocalCovariance(points, np.arange(6), shrinkage=0.2),
        "blocks_dual": dw.DualDivergence(cv=2, blocks=[0, 0, 1], random_state=0).fit(X).dual_,
        "conv_dual": dw.DualDivergence(cv=2, method="single", critic="conv", random_state=0).fit(X).dual_,
    }
    return {**found, "node_dual": found["divergence"].dual_}


def outputs(model: Any) -> dict[str, Any]:
    """What a model must still give when a later version has loaded it."""
    x = np.linspace(-1.2, 1.3, 12).reshape(4, 3)
    if isinstance(model, dw.DualDivergence):
        numbers = [model.divergence_, model.divergence_lower_, model.reverse_divergence_, model.p_value_]
        return {"numbers": numbers, "f": model.score_samples(x[:, None]), "held_out": model.dual_values_}
    if isinstance(model, dw.DualSampler):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {"rows": model.sample(5, balanced=False), "f": model.walk(x[:, None], n_steps=2).f}
    if isinstance(model, dw.NormalScores):
        return {"scores": model.transform(x[:, None])}
    if isinstance(model, dw.LocalCovariance):
        return {"product": model.apply(x)}
    value, gradient = model.value_and_gradient(x)
    return {"value": value, "gradient": gradient}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    kept = {}
    for stem, model in models().items():
        model.save(EXPECTED.parents[1] / f"{stem}.npz")
        kept |= {f"{stem}.{name}": np.asarray(value) for name, value in outputs(model).items()}
    EXPECTED.parent.mkdir(exist_ok=True)
    np.savez_compressed(EXPECTED, **kept)
