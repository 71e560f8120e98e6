"""Membership inference: can an attacker who holds the generated samples tell whose rows the generator was fitted on?"""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._arrays import distinct
from .._blas import one_blas_thread
from .._estimator import Estimator
from ._rows import Float, Index, read, thin, thinned
from .attacks import attack_scores, model_scores
from .roc import MembershipAttack, Subjects, attack_of, chance_advantage

LEAST = 6  # subjects on a side, and rows in every array: from there on the interval was seen to hold its level
SIGNIFICANCE = 0.05  # of the verdict, over all attacks together (Bonferroni)


@dataclass(frozen=True)
class MembershipInference:
    """What every attack found; `str()` gives a table and the verdict, `float()` the AUC of the strongest.

    Attributes
    ----------
    attacks : dict from the attack's name to its MembershipAttack.
    n_generated : generated rows that the attacker held. More of them make attacks stronger.
    n_members, n_non_members : candidates of each kind.
    n_member_subjects, n_non_member_subjects : subjects among them.
    n_shared_rows : non-members whose row equals a member's in every value. They hide what leaks.
    confidence_level : of the intervals, each by itself.
    chance_advantage : what the advantage stays below in 95 % of all cases where members and non-members are alike.
    """

    attacks: dict[str, MembershipAttack]
    n_generated: int
    n_members: int
    n_non_members: int
    n_member_subjects: int
    n_non_member_subjects: int
    n_shared_rows: int
    confidence_level: float
    chance_advantage: float

    def __float__(self) -> float:
        return self.auc

    @property
    def strongest(self) -> str:
        """The name of the attack whose AUC has the largest lower limit."""
        return max(self.attacks, key=lambda name: self.attacks[name].lower)

    @property
    def auc(self) -> float:
        """That of the strongest attack. It is chosen after the fact: `leaks` takes that into account."""
        return self.attacks[self.strongest].auc

    @property
    def p_value(self) -> float:
        """The smallest p-value times the number of attacks, at most 1."""
        return min(1.0, len(self.attacks) * min(attack.p_value for attack in self.attacks.values()))

    @property
    def leaks(self) -> bool:
        """Whether some attack tells members from others: p_value below .05, all attacks taken together."""
        return self.p_value < SIGNIFICANCE

    @property
    def unlike(self) -> str | None:
        """The name of an attack that takes non-members for members, if one does: the two sides are then not of one source.

        By chance in less than 5 % of all cases, all attacks taken together.
        """
        name = min(self.attacks, key=lambda name: self.attacks[name].upper)
        return name if len(self.attacks) * (1.0 - self.attacks[name].p_value) < SIGNIFICANCE else None

    @property
    def verdict(self) -> str:
        """What was found, in plain words."""
        best = self.attacks[self.strongest]
        seen = (
            f"the {_words(self.strongest)} attack puts a member before a non-member in {100 * best.auc:.0f} of 100 pairs "
            f"({100 * self.confidence_level:g} % interval {100 * best.lower:.0f} to {100 * best.upper:.0f}; 50 is a coin)"
        )
        if self.leaks:
            said = (
                f"Members can be told: {seen}, and finds {100 * best.tpr_at_1_percent:.0f} % of them with at most 1 % false "
                "alarms. Treat these samples as data on the persons behind the training rows."
            )
        else:
            said = (
                f"No attack told members from others: at best, {seen}. That speaks of these attacks and these rows; it is no "
                "proof that none can."
            )
        if self.unlike is not None:
            said += (
                f" But the {_words(self.unlike)} attack takes non-members for members (AUC {self.attacks[self.unlike].auc:.2f}): "
                "the two sides, or the reference, are not of one source, so neither finding is safe. Split subjects at random."
            )
        if self.n_shared_rows:
            said += f" {self.n_shared_rows} non-members equal a member in every value, which hides leaks: leave them out."
        return said

    def as_dict(self) -> dict[str, Any]:
        """All numbers by name, attacks as dicts, with the verdict."""
        return {
            **asdict(self),
            "strongest": self.strongest,
            "p_value": self.p_value,
            "leaks": self.leaks,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        head = (
            f"{self.n_members} members ({self.n_member_subjects} subjects), {self.n_non_members} non-members "
            f"({self.n_non_member_subjects}), {self.n_generated} generated rows"
        )
        level = f"{100 * self.confidence_level:g} % interval"
        lines = [head, f"{'attack':29s}{'AUC':>6s}{level:>16s}{'advantage':>11s}{'TPR at 1 %':>12s}{'at 5 %':>8s}"]
        for name, found in self.attacks.items():
            limits = f"{found.lower:.2f} to {found.upper:.2f}"
            lines.append(
                f"{_words(name):29s}{found.auc:6.2f}{limits:>16s}{found.advantage:11.2f}{found.tpr_at_1_percent:12.2f}"
                f"{found.tpr_at_5_percent:8.2f}"
            )
        chance = f"{self.chance_advantage:.2f}"
        lines.append(f"{'chance alone':29s}{'.50':>6s}{'':16s}{'below ' + chance:>11s}{'.01':>12s}{'.05':>8s}")
        return "\n".join([*lines, *textwrap.wrap(self.verdict, 100)])


@one_blas_thread()
def membership_inference(
    generated: ArrayLike,
    train: ArrayLike,
    held_out: ArrayLike,
    *,
    reference: ArrayLike | None = None,
    model: Any = None,
    groups_train: ArrayLike | None = None,
    groups_held_out: ArrayLike | None = None,
    groups_reference: ArrayLike | None = None,
    confidence_level: float = 0.95,
    n_max: int = 2000,
    random_state: int = 0,
) -> MembershipInference:
    """Attack generated samples: tell the rows that the generator was fitted on (members) from others of the same source.

    The attacker holds the generated rows and one candidate row, x, and gives it a score; high ones are taken for members:

        nearest_neighbor    - log distance from x to the nearest generated row
        local_dual          f(x), the dual function of the 20 generated rows nearest to x (`LocalDual`, its row itself not left out)
        global_dual         f(x), the same of all generated rows at once

    f is log N(x; m, S) against the product of its marginals, in the normal scores of the generated rows, so it is blind to how
    common the single values of x are. With `reference`, rows of the source that the attacker also has, each attack is there
    once more, calibrated by them:

        nearest_neighbor_calibrated                     log distance to the nearest reference row - log distance as above
        local_dual_calibrated, global_dual_calibrated   log p(x) of the generated rows - log p(x) of the reference rows,
                                                        the dual function of KL(generated || reference)

    With `model`, an attacker who holds the fitted model itself (white box) takes that model's score of x: attack `model`. A
    DualSampler keeps its training rows, so `model` is then the distance to the nearest of them and tells every member, and
    `model_local_dual` is f of its local dual at x.

    Parameters
    ----------
    generated : array (n, n_features) or (n, n_channels, n_times), finite, any real dtype, at least 6 rows; not changed. All that
        is given away belongs here: more rows make attacks stronger.
    train : members, all the rows (or some) that the generator was fitted on. At least 6 subjects.
    held_out : non-members of the SAME source, of subjects that the generator never saw: split at random, by subject. At least 6.
    reference : at least 6 rows of further subjects. None: no calibrated attacks.
    model : a fitted DualDivergence or any object whose score_samples(X) -> (n,) is high for rows it likes; or a fitted
        DualSampler.
    groups_train, groups_held_out, groups_reference : the subject of every row (integers or strings), for all arrays or none.
        Subjects are then the units of the interval, and no subject may be in two of the arrays. None: every row is a subject.
    confidence_level : of every attack's interval of the AUC, in (0, 1).
    n_max : of more rows in an array, as many are drawn.
    random_state : of that draw; nothing else is random, and the same arguments give the same bits.

    Returns
    -------
    MembershipInference with `.attacks`, `.auc`, `.leaks` and `.verdict`.

    The interval covers the choice of candidates, for the generated rows at hand; another fit and other draws would move the AUC
    further. An AUC of .5 is not differential privacy and promises nothing about other attacks or about single persons.

    Raises TypeError or ValueError for arguments that cannot be used, before any work.

    Source: Chen et al. 2020 (GAN-Leaks: nearest generated row, calibration); Hayes et al. 2019 (LOGAN: the critic as attacker);
    van Breugel et al. 2023 (DOMIAS: density ratio to reference rows); the dual function in their place is dualwalk's own.
    Interval: DeLong et al. 1988 and, for subjects with several rows, Obuchowski 1997, on the log-odds scale.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((400, 6)).cumsum(axis=1)
    >>> train, held_out, fresh = x[:100], x[100:200], x[200:]
    >>> membership_inference(train, train, held_out).auc  # a generator that copies
    1.0
    >>> membership_inference(fresh, train, held_out).leaks  # one that draws from the source itself
    False
    """
    seed = _checks.seed(random_state, "random_state")
    n_max = _checks.count(n_max, "n_max", minimum=LEAST)
    level = _checks.real(confidence_level, "confidence_level", above=0.0, below=1.0)
    real = {"train": train, "held_out": held_out} | ({} if reference is None else {"reference": reference})
    (made, *known), shape = read({"generated": generated} | real, min_samples=LEAST)
    _check_model(model, shape)
    groups = {"groups_train": groups_train, "groups_held_out": groups_held_out, "groups_reference": groups_reference}
    subjects = _subjects(groups, [len(rows) for rows in known])
    made = thin(made, n_max, seed, "generated")
    kept = [thinned(len(rows), n_max, seed, name) for rows, name in zip(known, real, strict=True)]
    members, others, *further = (rows[places] for rows, places in zip(known, kept, strict=True))
    sides = Subjects(*(_numbers(of[places]) for of, places in zip(subjects[:2], kept[:2], strict=True)))
    for name, n in (("train", sides.n_members), ("held_out", sides.n_non_members)):
        if n < LEAST:
            raise ValueError(
                f"{name} must hold at least {LEAST} subjects; got {n} (with fewer, no interval says anything: pass rows "
                "of more subjects)"
            )

    candidates = np.concatenate([members, others])
    scores = attack_scores(made, further[0] if further else None, candidates)
    if model is not None:
        scores |= model_scores(model, candidates, shape)
    n = len(members)
    return MembershipInference(
        attacks={name: attack_of(score[:n], score[n:], sides, level) for name, score in scores.items()},
        n_generated=len(made),
        n_members=n,
        n_non_members=len(others),
        n_member_subjects=sides.n_members,
        n_non_member_subjects=sides.n_non_members,
        n_shared_rows=_n_shared(members, others),
        confidence_level=level,
        chance_advantage=chance_advantage(sides),
    )


def _check_model(model: Any, shape: tuple[int, ...]) -> None:
    from ..sampler import DualSampler

    if isinstance(model, Estimator):
        model._check_fitted("model")
    if model is None or (callable(getattr(model, "score_samples", None)) and not isinstance(model, type)):
        return
    if not isinstance(model, DualSampler):
        raise TypeError(
            f"model must be a fitted DualDivergence or DualSampler, or have score_samples(X); got {type(model).__name__} (wrap it "
            "in an object that has)"
        )
    model._check_fitted("model")
    if model.feature_shape_ != shape:
        raise ValueError(
            f"model must be fitted on samples of the shape of generated, {shape}; got one fitted on {model.feature_shape_} (pass "
            "the model that made them)"
        )


def _subjects(groups: dict[str, ArrayLike | None], sizes: list[int]) -> list[NDArray[Any]]:
    """The subject of every row of every array; ValueError where one is in two arrays."""
    wanted = dict(list(groups.items())[: len(sizes)])
    if len(groups) > len(sizes) and groups["groups_reference"] is not None:
        raise ValueError("groups_reference needs reference; got reference=None (pass both, or neither)")
    missing = [name for name, value in wanted.items() if value is None]
    if len(missing) == len(wanted):
        return [np.arange(size) for size in sizes]
    if missing:
        raise ValueError(f"{', '.join(wanted)} go together; got no {' and no '.join(missing)} (pass all, or none)")
    found = {name: _checks.labels(value, n, name) for (name, value), n in zip(wanted.items(), sizes, strict=True)}
    seen: dict[Any, str] = {}
    for name, labels in found.items():
        assert labels is not None
        for subject in distinct(labels).tolist():
            if other := seen.get(subject):
                raise ValueError(
                    f"{name} must not name subjects of {other}; got {subject!r} in both (a subject is a member or not: leave its "
                    "rows out of one of the arrays)"
                )
            seen[subject] = name
    return [labels for labels in found.values() if labels is not None]


def _numbers(labels: NDArray[Any]) -> Index:
    numbers: Index = np.unique(labels, return_inverse=True)[1].astype(np.intp)
    return numbers


def _n_shared(members: Float, others: Float) -> int:
    """How many rows of `others` equal one of `members`, value for value."""
    known = {row.tobytes() for row in members + 0.0}  # -0.0 becomes 0.0
    return sum(row.tobytes() in known for row in others + 0.0)


def _words(name: str) -> str:
    return name.replace("neighbor", "neighbour").replace("_calibrated", ", calibrated").replace("_", " ")
