"""What a critic is trained with: objectives of f on the data and on the product of marginals, to be MAXIMIZED, with gradients.

Every loss is called with f_joint (n_p,) and f_marginal (n_q,), values of f on samples of p and of q, and returns an
`Objective`: the value in nats and the derivatives by both arrays. They differ in what f becomes at the maximum:

    Logistic         f = log p/q, calibrated: E_q[exp f] = 1
    DonskerVaradhan  f = log p/q + any constant; subtract log E_q[exp f]
    Largest          f ranks p above q; mean f_p - max f_q + log n_q is always at or above DV's value: no bound, but stable
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..objective import Objective, donsker_varadhan, log_mean_exp, logistic


class Loss(Protocol):
    """An objective to maximize; it may remember earlier batches, so make one for each training run."""

    def __call__(self, f_joint: NDArray[Any], f_marginal: NDArray[Any]) -> Objective: ...


class Logistic:
    """mean log sigmoid(f_joint - log k) + k mean log sigmoid(log k - f_marginal), with k = `negatives_a_positive`.

    The weights make a class of every row, as often as it occurs: f is the plain log-ratio for any k. k = 1 is the usual
    balanced cross-entropy, however many rows the arrays hold. (Gutmann and Hyvarinen 2010.)
    """

    def __init__(self, negatives_a_positive: float = 1.0) -> None:
        self._share = negatives_a_positive

    def __call__(self, f_joint: NDArray[Any], f_marginal: NDArray[Any]) -> Objective:
        if self._share == 1.0:
            return logistic(f_joint, f_marginal, n_threads=1)
        shift = f_joint.dtype.type(np.log(self._share))
        value_joint, slope_joint = _log_sigmoid(f_joint - shift)
        value_marginal, slope_marginal = _log_sigmoid(shift - f_marginal)
        slope_joint /= f_joint.size
        slope_marginal *= -self._share / f_marginal.size
        return Objective(value_joint + self._share * value_marginal, slope_joint, slope_marginal)


class DonskerVaradhan:
    """mean f_joint - log mean exp f_marginal, its gradient divided by a moving average of mean exp f_marginal.

    A batch's own mean exp would make the gradient a ratio of two noisy numbers, which is biased in small batches; the moving
    average over batches (weight `memory` on the past) takes most of that bias away. (Belghazi et al. 2018, MINE.)
    `memory=0` is the batch's own gradient.
    """

    def __init__(self, memory: float = 0.99) -> None:
        self._memory = memory
        self._log_mean: float | None = None

    def __call__(self, f_joint: NDArray[Any], f_marginal: NDArray[Any]) -> Objective:
        value, grad_joint, grad_marginal = donsker_varadhan(f_joint, f_marginal, n_threads=1)
        fresh = float(log_mean_exp(f_marginal, n_threads=1))
        past = fresh if self._log_mean is None or self._memory == 0 else self._log_mean
        mean = past if past == fresh else np.logaddexp(past + np.log(self._memory), fresh + np.log1p(-self._memory))
        self._log_mean = float(mean)
        # Never a longer step than four times the batch's own: an average of old, smaller values must not throw f away.
        return Objective(value, grad_joint, grad_marginal * grad_marginal.dtype.type(min(np.exp(fresh - mean), 4.0)))


class Largest:
    """mean f_joint - max f_marginal + log n_q: the max form of the dual (Garg et al., UAI 2023), at or above DV's value."""

    def __call__(self, f_joint: NDArray[Any], f_marginal: NDArray[Any]) -> Objective:
        top = int(f_marginal.argmax())
        value = float(f_joint.mean(dtype=np.float64)) - float(f_marginal.flat[top]) + float(np.log(f_marginal.size))
        grad_marginal = np.zeros_like(f_marginal)
        grad_marginal.flat[top] = -1.0
        return Objective(value, np.full_like(f_joint, 1 / f_joint.size), grad_marginal)


def _log_sigmoid(a: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """Mean of log sigmoid(a) (float64 sum), and its derivative sigmoid(-a) by every entry."""
    small = np.exp(-np.abs(a))
    value = np.minimum(a, 0) - np.log1p(small)
    slope = np.where(a >= 0, small, 1) / (1 + small)
    return float(value.mean(dtype=np.float64)), slope
