"""How well a score tells members from non-members: the area under its ROC curve, with an interval that counts subjects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.intp]

NORMAL = NormalDist()


@dataclass(frozen=True)
class MembershipAttack:
    """What one attack found; `float(result)` is the AUC.

    Attributes
    ----------
    auc : how often a member has a higher score than a non-member, ties count half. .5 is a coin, 1 tells every member.
    lower, upper : two-sided confidence interval of the AUC. Subjects are its units, not rows.
    p_value : chance of such an AUC or a greater one, were members and non-members alike (one-sided, same approximation).
    advantage : the largest difference, over all thresholds, of the shares of members and of non-members above it. Chosen after
        the fact, so it is above 0 by chance alone: see `MembershipInference.chance_advantage`.
    tpr_at_1_percent, tpr_at_5_percent : share of the members above a threshold that at most 1 % (5 %) of the non-members are
        above. With fewer than 100 (20) non-members that is none of them.
    """

    auc: float
    lower: float
    upper: float
    p_value: float
    advantage: float
    tpr_at_1_percent: float
    tpr_at_5_percent: float

    def __float__(self) -> float:
        return self.auc


@dataclass(frozen=True)
class Subjects:
    """The subject of every member and of every non-member, as numbers from 0; no subject is on both sides."""

    members: Index
    non_members: Index

    @property
    def n_members(self) -> int:
        return int(self.members.max()) + 1

    @property
    def n_non_members(self) -> int:
        return int(self.non_members.max()) + 1


def attack_of(members: Float, non_members: Float, subjects: Subjects, confidence_level: float) -> MembershipAttack:
    """The result of an attack from its scores: higher ones are taken for members."""
    auc, se = area(members, non_members, subjects)
    lower, upper = interval(auc, se, subjects, NORMAL.inv_cdf(0.5 + confidence_level / 2))
    return MembershipAttack(
        auc=auc,
        lower=lower,
        upper=upper,
        p_value=p_value(auc, se, subjects),
        advantage=advantage(members, non_members),
        tpr_at_1_percent=true_positive_rate(members, non_members, 0.01),
        tpr_at_5_percent=true_positive_rate(members, non_members, 0.05),
    )


def area(members: Float, non_members: Float, subjects: Subjects) -> tuple[float, float]:
    """AUC and its standard error: DeLong et al. 1988 for rows, Obuchowski 1997 for several rows a subject.

    A row's placement is the share of the other side's rows that it lies above (a member) or below (a non-member); the AUC is
    their mean, and its variance that of the mean over subjects of each side.
    """
    above, below = _placements(members, non_members), 1.0 - _placements(non_members, members)
    auc = float(above.mean())
    variance = _variance(above, auc, subjects.members) + _variance(below, auc, subjects.non_members)
    return auc, math.sqrt(variance)


def _placements(rows: Float, others: Float) -> Float:
    ordered = np.sort(others)
    placed: Float = (np.searchsorted(ordered, rows, "left") + np.searchsorted(ordered, rows, "right")) / (2 * len(others))
    return placed


def _variance(placed: Float, mean: float, subjects: Index) -> float:
    sums = np.bincount(subjects, placed - mean)
    n = len(sums)
    return float(n / (n - 1) * (sums**2).sum() / len(placed) ** 2)


def interval(auc: float, se: float, subjects: Subjects, z: float) -> tuple[float, float]:
    """The normal interval of log(auc / (1 - auc)), turned back; where all placements are equal, `_perfect_lower`."""
    if auc in (0.0, 1.0):
        lower = _perfect_lower(subjects, z)
        return (lower, 1.0) if auc == 1.0 else (0.0, 1.0 - lower)
    if se == 0.0:  # every score is tied with all others
        return auc, auc
    centre, half = math.log(auc / (1.0 - auc)), z * se / (auc * (1.0 - auc))
    return _logistic(centre - half), _logistic(centre + half)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0


def _perfect_lower(subjects: Subjects, z: float) -> float:
    """The least AUC that agrees with one of 1: 1 - auc = z se(auc), se of Hanley and McNeil 1982 (Newcombe 2006, method 5)."""
    n, m = subjects.n_members, subjects.n_non_members
    more = (n + m) / 2 - 1
    low, high = 0.0, 1.0
    for _ in range(60):
        auc = (low + high) / 2
        variance = auc * (1 - auc) * (1 + more * (1 - auc) / (2 - auc) + more * auc / (1 + auc)) / (n * m)
        low, high = (low, auc) if (1 - auc) ** 2 < z * z * variance else (auc, high)
    return low


def p_value(auc: float, se: float, subjects: Subjects) -> float:
    """One-sided, from the interval's own approximation; that of a perfect order is exact: one of all orders of subjects."""
    if auc == 1.0:
        n, m = subjects.n_members, subjects.n_non_members
        return math.exp(math.lgamma(n + 1) + math.lgamma(m + 1) - math.lgamma(n + m + 1))
    if auc == 0.0 or se == 0.0:
        return 1.0
    return NORMAL.cdf(-math.log(auc / (1.0 - auc)) * auc * (1.0 - auc) / se)


def advantage(members: Float, non_members: Float) -> float:
    """The largest TPR - FPR over all thresholds (Yeom et al. 2018), 0 where no threshold helps."""
    at = np.concatenate([members, non_members])
    above = 1.0 - np.searchsorted(np.sort(members), at) / len(members)
    false = 1.0 - np.searchsorted(np.sort(non_members), at) / len(non_members)
    return max(0.0, float((above - false).max()))


def chance_advantage(subjects: Subjects) -> float:
    """What the advantage stays below in 95 % of all cases where members and non-members are alike (Smirnov's limit, one-sided)."""
    n, m = subjects.n_members, subjects.n_non_members
    return min(1.0, math.sqrt(-math.log(0.05) / 2 * (n + m) / (n * m)))


def true_positive_rate(members: Float, non_members: Float, false_positive_rate: float) -> float:
    """Share of the members above a threshold that at most this share of the non-members are above (Carlini et al. 2022)."""
    allowed = int(false_positive_rate * len(non_members) + 1e-9)
    threshold = np.sort(non_members)[len(non_members) - 1 - allowed]
    return float((members > threshold).mean())
