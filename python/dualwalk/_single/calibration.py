"""The scale and the constant that make a bound of a critic, and whether the samples of q behind them can support it.

A log-mean-exp over n samples of q cannot see a part of q of probability below 1 / n. Such a part adds up to exp(f) / n to the mean:
little while f on the data stays below log n. And the samples that are seen must not be a handful. (McAllester and Stratos 2020:
no distribution-free lower limit with high confidence exceeds log n.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..objective import log_mean_exp

Floats = NDArray[np.float64]

_SCALES = np.concatenate([[0.0], np.geomspace(0.01, 1.2, 24)])
_SHRINK = np.geomspace(1.0, 1e-4, 81)
_FEWEST_EFFECTIVE = 30.0
_UNSEEN = 0.1  # what a part of q that no sample saw may add to the mean of exp f


class UnsupportedEstimateWarning(UserWarning):
    """A log-mean-exp over too few samples of the product of marginals for its size: the divergence may be anything."""


@dataclass(frozen=True)
class Calibration:
    """f becomes scale * f - constant.

    scale : what f is multiplied by. constant : log mean exp (scale f_q), nats.
    estimate : mean calibrated f on validation rows, nats. n_effective : (sum exp f_q)^2 / sum exp 2 f_q, how many samples
    of q the log-mean-exp really rests on, of `n_negatives`.
    shrunk : by how much the scale was taken down to what the samples support; 1: not at all.
    """

    scale: float
    constant: float
    estimate: float
    n_effective: float
    n_negatives: int
    shrunk: float = 1.0

    @classmethod
    def at(cls, scale: float, joint: Floats, marginal: Floats, shrunk: float = 1.0) -> Calibration:
        """With f on validation rows and on samples of q."""
        constant = float(log_mean_exp(scale * marginal, n_threads=1))
        weight = np.exp(scale * marginal - scale * marginal.max())
        effective = float(weight.sum() ** 2 / (weight * weight).sum())
        return cls(scale, constant, scale * float(joint.mean()) - constant, effective, len(marginal), shrunk)

    @property
    def supported(self) -> bool:
        """Are there enough samples of q for this log-mean-exp?"""
        return self.n_effective >= _FEWEST_EFFECTIVE and self.estimate <= np.log(_UNSEEN * self.n_negatives)


def best_scale(joint: Floats, marginal: Floats) -> tuple[float, float]:
    """The factor of f in [0, 1.2] with the largest Donsker-Varadhan value, and that value; 0 where nothing holds up."""
    found = [float(scale * joint.mean() - log_mean_exp(scale * marginal, n_threads=1)) for scale in _SCALES]
    best = int(np.argmax(found))
    return float(_SCALES[best]), found[best]


def calibrate(scale: float, joint: Floats, marginal: Floats, *, shrink: bool) -> Calibration:
    """The calibration at `scale`; with `shrink`, at the largest scale below it that the samples `marginal` support."""
    for shrunk in _SHRINK if shrink else _SHRINK[:1]:
        found = Calibration.at(scale * shrunk, joint, marginal, float(shrunk))
        if found.supported:
            break
    return found


def why_unsupported(estimate: float, calibrations: list[Calibration]) -> str | None:
    """What to tell about an estimate (nats) that rests on `calibrations`, one a fold; None if all is well."""
    n = min(c.n_negatives for c in calibrations)
    remedy = "use method='path', whose log-mean-exps are a few nats each"
    shrunk = float(np.median([c.shrunk for c in calibrations]))
    bad = [c for c in calibrations if not c.supported]
    if bad:
        effective = min(c.n_effective for c in bad)
        return (
            f"{estimate:.1f} nats rest on a log-mean-exp over {n} samples of the product of marginals, which carry at most "
            f"about {np.log(n):.1f} nats, and of which {effective:.0f} decide: the value may be off by any amount, and its "
            f"standard error does not show it; {remedy}"
        )
    if shrunk < 1:
        return (
            f"the critic claims more than {n} samples of the product of marginals can support (about {np.log(n):.1f} nats at "
            f"most), so f was multiplied by {shrunk:.2g}: {estimate:.1f} nats reads low; {remedy}"
        )
    return None
