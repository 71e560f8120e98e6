"""Choose how a pattern of known columns is completed, by errors at training rows left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .._neighbors import column_scale
from .._random import generator
from ..duals.local import weighted_rows
from .conditional import Conditional, diffuse, evenly
from .neighborhood import local_weights
from .regression import Regression
from .settings import Frame, Part, Settings
from .target import Mask

Float = NDArray[np.float64]
Index = NDArray[np.intp]

SHRINKAGES = (1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)  # rho = s / (1 - s)
SIZES = (10, 20, 40, 80)
SHARES = (1.0, 0.9, 0.5, 0.1)
N_ERRORS = (80, 20)
# Fewer near errors must win by this much: their intervals are narrower than they look.
NEAR_ERRORS_MARGIN = 0.03
LARGEST_SPREAD = 1.6
# Settings of the shared regression, by channel; another one must make the errors smaller by this.
MOST_PARTS, PART_MARGIN = 3, 0.01
MOST_JUDGED = 512  # rows left out for the squared error
MOST_DRAWN, N_DRAWS = 128, 16  # rows and draws for the score of draws
# Share of true values between the least and the largest of 16 draws, 15/17 if the draws are right, less what chance explains.
LEAST_INSIDE = 0.84


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


def choose(frames: Iterable[Frame], rows: Float, known: Mask, seed: int) -> Chosen:
    """The best settings over the frames (one a space); `rows` are the training rows in their own units.

    The regression's target and shrinkage and the local Gaussian are those with the least squared error; the space and the number
    of errors, those whose draws score best in the units of the columns.
    """
    judged = evenly(len(rows), MOST_JUDGED)
    drawn = evenly(len(judged), MOST_DRAWN)  # places in `judged`
    unknown = np.flatnonzero(~known)
    scale = column_scale(rows)[unknown]
    truth = rows[np.ix_(judged[drawn], unknown)] / scale
    best: tuple[float, Chosen] | None = None
    for frame in frames:
        conditional = _look_near(frame, known, judged, _regress(frame, known, judged))
        missed = conditional.errors(judged)
        mean = frame.points[np.ix_(judged[drawn], unknown)] - missed[drawn]
        for place, n_errors in enumerate(N_ERRORS):
            near = conditional.nearest_others(judged, n_errors, judged)
            spread = _spread_of(missed, near)
            z = mean + diffuse(missed * spread, near[drawn], N_DRAWS, generator(seed, "given", "choice"))
            values = frame.space.values(z, unknown) / scale
            crps = float(ranked_probability_score(values, truth).mean())
            inside = float(((truth >= values.min(axis=0)) & (truth <= values.max(axis=0))).mean())
            score = crps * (1.0 + max(0.0, LEAST_INSIDE - inside))  # intervals must hold what they say
            if best is None or score < best[0] * (1.0 - NEAR_ERRORS_MARGIN * (place > 0)):
                settings = replace(conditional.settings, n_errors=n_errors, spread=spread)
                best = score, Chosen(settings, int(known.sum()), float(np.sqrt((missed**2).mean())), crps)
    assert best is not None
    return best[1]


def ranked_probability_score(draws: Float, truth: Float) -> Float:
    """mean |x - truth| - mean |x - x'| / 2 over draws x and pairs x, x' of different draws (axis 0): unbiased, 0 is perfect."""
    m = len(draws)
    place = (2.0 * np.arange(1, m + 1) - m - 1.0) / (m * (m - 1.0))
    spread = np.tensordot(place, np.sort(draws, axis=0), axes=1)
    score: Float = np.abs(draws - truth).mean(axis=0) - spread
    return score


def _regress(frame: Frame, known: Mask, judged: Index) -> Conditional:
    """The shared regressions with the least errors at rows left out: the best for all channels, and up to two more for some.

    Errors are root mean squares of every column, so that columns which nothing foretells do not decide for the others.
    """
    every = np.arange(int((~known).sum()))
    channels, channel = np.unique(frame.channels[~known], return_inverse=True)
    regressions = {
        name: Regression(frame.points, known, frame.target, name, frame.extra, frame.groups)
        for name in frame.target.names(int(known.sum()))
    }
    parts = [Part(name, rho) for name in regressions for rho in SHRINKAGES]
    errors = np.empty((len(parts), len(channels)))
    for p, part in enumerate(parts):
        missed = regressions[part.target].left_out_errors(part.rho, judged, every)
        errors[p] = np.bincount(channel, np.sqrt((missed**2).mean(axis=0)))
    chosen = [int(errors.sum(axis=1).argmin())]
    while len(chosen) < MOST_PARTS and len(channels) > 1:
        together = np.minimum(errors, errors[chosen].min(axis=0)).sum(axis=1)
        added = int(together.argmin())
        if together[added] > (1.0 - PART_MARGIN) * errors[chosen].min(axis=0).sum():
            break
        chosen.append(added)
    owner = errors[chosen].argmin(axis=0)
    own = [None, *(tuple(channels[owner == i].tolist()) for i in range(1, len(chosen)))]
    settings = Settings(frame.space.name, tuple(replace(parts[p], channels=c) for p, c in zip(chosen, own, strict=True)))
    return Conditional(frame, known, settings, lambda part: regressions[part.target])


def _look_near(frame: Frame, known: Mask, judged: Index, shared: Conditional) -> Conditional:
    """The same with what the nearest rows add, where that is better; their gain by least squares."""
    better: dict[Part, Part] = {}
    neighbors = shared.nearest_others(judged, max(SIZES))
    sizes = tuple(k for k in SIZES if k <= neighbors.shape[1])
    for model in shared.parts if sizes else []:
        regression, rho = model.regression, model.part.rho
        missed = regression.left_out_errors(rho, judged, model.columns)
        best, error = model.part, float((missed**2).mean())
        for (k, share), weights in local_weights(regression, rho, regression.left[judged], neighbors, sizes, SHARES).items():
            moved = model.corrections(judged, weights, neighbors[:, :k])
            gain = float(np.clip((missed * moved).sum() / max(float((moved**2).sum()), 1e-300), 0.0, 1.0))
            left = float(((missed - gain * moved) ** 2).mean())
            if left < error:
                best, error = replace(model.part, n_neighbors=k, shared=share, gain=gain), left
        better[model.part] = best
    parts = tuple(better.get(part, part) for part in shared.settings.parts)
    return Conditional(frame, known, replace(shared.settings, parts=parts), shared.regress)


def _spread_of(missed: Float, near: Index) -> float:
    """What the deviations of near errors must be multiplied by, so that nine of ten errors lie inside a Gaussian's 90 %."""
    even = np.full(near.shape, 1.0 / near.shape[1])
    mean = weighted_rows(even, near, missed)
    variance = weighted_rows(even, near, missed**2) - mean**2
    alive = variance > 1e-12 * max(float(variance.max()), 1e-300)
    if not alive.any():
        return 1.0
    ratio = np.abs(missed[alive]) / np.sqrt(variance[alive])
    return float(np.clip(np.quantile(ratio, 0.9) / NormalDist().inv_cdf(0.95), 1.0, LARGEST_SPREAD))
