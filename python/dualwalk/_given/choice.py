"""Choose how a pattern of known columns is completed, by errors at training rows left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .._neighbors import column_scale
from ..duals.local import weighted_rows
from .conditional import Conditional, Frame, Settings, diffuse
from .neighborhood import local_weights
from .regression import Regression
from .target import Mask

Float = NDArray[np.float64]
Index = NDArray[np.intp]

SHRINKAGES = (1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)  # rho = s / (1 - s)
SIZES = (10, 20, 40, 80)
SHARES = (1.0, 0.9, 0.5, 0.1)
N_ERRORS = (80, 20)
# Fewer near errors must win by this much: their intervals are narrower than they look.
NEAR_ERRORS_MARGIN = 0.02
LARGEST_SPREAD = 1.6
MOST_JUDGED = 512  # rows left out for the squared error
MOST_DRAWN, N_DRAWS = 128, 16  # rows and draws for the score of draws


@dataclass(frozen=True)
class Chosen:
    """The settings for one pattern, and how well they complete training rows left out.

    n_known : known columns in the pattern that was judged
    error : root mean squared error of the conditional mean in the chosen space's units (1 is the spread of a column)
    crps : continuous ranked probability score of draws, a mean over unknown columns in units of their deviation (0 is perfect,
        .56 is a Gaussian that knows nothing)
    """

    settings: Settings
    n_known: int
    error: float
    crps: float


def choose(frames: Iterable[Frame], rows: Float, known: Mask, stream: np.random.SeedSequence) -> Chosen:
    """The best settings over the frames (one a space); `rows` are the training rows in their own units.

    The regression's target and shrinkage and the local Gaussian are those with the least squared error; the space and the number
    of errors, those whose draws score best in the units of the columns.
    """
    judged = _evenly(len(rows), MOST_JUDGED)
    drawn = _evenly(len(judged), MOST_DRAWN)  # places in `judged`
    unknown = np.flatnonzero(~known)
    scale = column_scale(rows)[unknown]
    truth = rows[np.ix_(judged[drawn], unknown)] / scale
    best: Chosen | None = None
    for frame in frames:
        conditional, error = _look_near(frame, known, judged, *_regress(frame, known, judged))
        missed = conditional.errors(judged)
        mean = frame.points[np.ix_(judged[drawn], unknown)] - missed[drawn]
        for place, n_errors in enumerate(N_ERRORS):
            near = conditional.nearest_others(judged[drawn], n_errors, judged)
            spread = _spread_of(missed, drawn, near)
            z = mean + diffuse(missed * spread, near, N_DRAWS, np.random.Generator(np.random.Philox(stream)))
            values = frame.space.values(z, unknown)
            crps = float(ranked_probability_score(values / scale, truth).mean())
            settings = replace(conditional.settings, n_errors=n_errors, spread=spread)
            if best is None or crps < best.crps * (1.0 - NEAR_ERRORS_MARGIN * (place > 0)):
                best = Chosen(settings, int(known.sum()), error**0.5, crps)
    assert best is not None
    return best


def ranked_probability_score(draws: Float, truth: Float) -> Float:
    """mean |x - truth| - mean |x - x'| / 2 over draws x and pairs x, x' of different draws (axis 0): unbiased, 0 is perfect."""
    m = len(draws)
    place = (2.0 * np.arange(1, m + 1) - m - 1.0) / (m * (m - 1.0))
    spread = np.tensordot(place, np.sort(draws, axis=0), axes=1)
    score: Float = np.abs(draws - truth).mean(axis=0) - spread
    return score


def _regress(frame: Frame, known: Mask, judged: Index) -> tuple[Conditional, float]:
    """The shared regression with the least mean squared error at rows left out."""
    best: tuple[float, Settings, Regression] | None = None
    for name in frame.target.names(int(known.sum())):
        regression = Regression(frame.points, known, frame.target, name, frame.extra, frame.groups)
        for rho in SHRINKAGES:
            error = float((regression.left_out_errors(rho, judged) ** 2).mean())
            if best is None or error < best[0]:
                best = error, Settings(frame.space.name, name, rho), regression
    assert best is not None
    return Conditional(frame, known, best[1], best[2]), best[0]


def _look_near(frame: Frame, known: Mask, judged: Index, shared: Conditional, error: float) -> tuple[Conditional, float]:
    """The same with what the nearest rows add, where that is better; their gain by least squares."""
    neighbors = shared.nearest_others(judged, max(SIZES))
    sizes = tuple(k for k in SIZES if k <= neighbors.shape[1])
    if not sizes:
        return shared, error
    regression, rho = shared.regression, shared.settings.rho
    missed = regression.left_out_errors(rho, judged)
    best = shared.settings
    for (k, share), weights in local_weights(regression, rho, regression.axes[judged], neighbors, sizes, SHARES).items():
        moved = shared.corrections(judged, weights, neighbors[:, :k])
        gain = float(np.clip((missed * moved).sum() / max(float((moved**2).sum()), 1e-300), 0.0, 1.0))
        left = float(((missed - gain * moved) ** 2).mean())
        if left < error:
            best, error = replace(shared.settings, n_neighbors=k, shared=share, gain=gain), left
    return Conditional(frame, known, best, regression), error


def _spread_of(missed: Float, rows: Index, near: Index) -> float:
    """What the deviations of near errors must be multiplied by, so that nine of ten errors lie inside a Gaussian's 90 %."""
    even = np.full(near.shape, 1.0 / near.shape[1])
    mean = weighted_rows(even, near, missed)
    variance = weighted_rows(even, near, missed**2) - mean**2
    alive = variance > 1e-12 * max(float(variance.max()), 1e-300)
    if not alive.any():
        return 1.0
    ratio = np.abs(missed[rows][alive]) / np.sqrt(variance[alive])
    return float(np.clip(np.quantile(ratio, 0.9) / NormalDist().inv_cdf(0.95), 1.0, LARGEST_SPREAD))


def _evenly(n: int, most: int) -> Index:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.intp))
