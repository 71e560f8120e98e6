"""`predict` raises as many false alarms on new rows of the same source as are stated, and sees rows of another."""

from __future__ import annotations

import numpy as np

from dualwalk import dualspace
from dualwalk.estimator import DualDivergence


def chain(n: int, rng: np.random.Generator, r: float = 0.6, d: int = 8) -> np.ndarray:
    x = rng.standard_normal((n, d))
    for k in range(1, d):
        x[:, k] = r * x[:, k - 1] + np.sqrt(1 - r * r) * x[:, k]
    return x


def test_predict_and_p_values_on_new_rows() -> None:
    alarms, small = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        model = DualDivergence(cv=3, n_fits=1, random_state=0).fit(chain(150, rng))
        new = chain(1000, rng)
        alarms.append((model.predict(new) == -1).mean())
        small.append((dualspace.conformal_p_values(model.score_samples(new), model.dual_values_) <= 0.2).mean())
        broken = chain(300, rng) * np.tile([1.0, -1.0], 4)  # every correlation with a neighbour turned around
        assert (model.predict(broken) == -1).mean() > 8 * dualspace.false_alarm_rate(150)
    stated = dualspace.false_alarm_rate(150)
    scatter = np.sqrt(stated * (1 - stated) / 152 / 4)
    assert abs(np.mean(alarms) - stated) < 3 * scatter + 0.01, "the average over folds scores new rows a little differently"
    assert abs(np.mean(small) - 0.2) < 3 * np.sqrt(0.2 * 0.8 / 152 / 4) + 0.02
