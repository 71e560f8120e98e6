"""False alarms come as often as stated: end points, conformal p-values, valleys, and tests of independence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import dualwalk as dw
from dualwalk import dualspace
from dualwalk._ladder.apart import SMALLEST_P, channels_are_apart
from dualwalk.metrics import energy_distance, mmd
from dualwalk.metrics.roc import Subjects, attack_of

from . import alarms, fits, laws

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]

N_TESTS = 2_000


@pytest.mark.parametrize("shape", alarms.SHAPES)
@pytest.mark.parametrize(("n", "share"), [(39, 0.95), (100, 0.8)])
def test_end_points(shape: str, n: int, share: float, accept: Accept) -> None:
    stated = dualspace.false_alarm_rate(n, share)
    accept(alarms.end_points(lambda f: dualspace.end_points(f, share), stated, shape, n))


@pytest.mark.parametrize("shape", alarms.SHAPES)
def test_conformal_p_values(shape: str, accept: Accept) -> None:
    accept(alarms.conformal(dualspace.conformal_p_values, shape, 59))


@pytest.mark.parametrize("name", fits.FAMILIES)
def test_new_rows_of_the_same_source(name: str, accept: Accept) -> None:
    """By the average over folds, which scores new rows a little higher than the fold that held a row out. End points of rows
    that were trained on would raise more alarms."""
    found = fits.fitted(name)
    stated = dualspace.false_alarm_rate(found.family.n)
    accept(fits.false_alarms(found.alarms, stated, within=0.01))
    accept({"p <= 0.2: " + text: p for text, p in fits.false_alarms(found.small, 0.2, within=0.02).items()})
    assert found.trained_alarms.mean() > found.alarms.mean()


@pytest.mark.parametrize("null", alarms.NULLS)
@pytest.mark.parametrize("n_permutations", [19, 59])
def test_independence(null: str, n_permutations: int, accept: Accept) -> None:
    def p_value(x: alarms.Floats, blocks: list[int] | None, seed: int) -> float:
        return dw.independence_test(x, blocks=blocks, n_permutations=n_permutations, random_state=seed, n_threads=1).p_value

    accept(laws.of_permutation_p_values(alarms.permutation_test(p_value, null, N_TESTS), n_permutations))


@pytest.mark.parametrize("distance", [mmd, energy_distance])
def test_two_samples_of_one_source(distance: Callable[..., object], accept: Accept) -> None:
    rng, p = np.random.default_rng(53), []
    for k in range(N_TESTS):
        both = rng.standard_normal((30, 3))
        p.append(distance(both[:14], both[14:], n_permutations=19, random_state=k).p_value)  # type: ignore[attr-defined]
    accept(laws.of_permutation_p_values(p, 19))


def test_channels_that_do_not_depend_on_each_other(accept: Accept) -> None:
    """The sampler finds dependence between independent channels at most once in a hundred data sets; so too where each subject
    has four rows, which without `groups` would look like dependence."""
    rng, n_sets, found, untold = np.random.default_rng(59), 150, {True: 0, False: 0}, []
    for k in range(n_sets):
        rows = rng.standard_normal((60, 2, 3)).cumsum(axis=2).reshape(60, -1)
        copies = np.repeat(rows, 4, axis=0) + 0.01 * rng.standard_normal((240, 6))
        found[False] += not channels_are_apart(rows, (2, 3), seed=k)
        found[True] += not channels_are_apart(copies, (2, 3), seed=k, groups=np.repeat(np.arange(60), 4))
        if k < 10:
            untold.append(not channels_are_apart(copies, (2, 3), seed=k))
    assert sum(untold) >= 8
    names = {False: "rows", True: "rows in groups"}
    accept({names[g]: laws.of_rate(hits, n_sets, SMALLEST_P, "greater") for g, hits in found.items()})


@pytest.mark.parametrize("shape", ["normal", "uniform", "skewed", "heavy-tailed"])
def test_one_hump_has_no_valleys(shape: str, accept: Accept) -> None:
    """In at most 5 % of samples of one hump is a cut called a valley."""
    rng, n_samples = np.random.default_rng(61), 400
    draw = {"normal": rng.standard_normal, "uniform": rng.random, "skewed": lambda n: rng.gamma(2.0, size=n)}
    law = draw.get(shape, lambda n: rng.standard_t(4, n))
    seen = sum(bool(dualspace.find_clusters(law(n)).valleys.any()) for n in [300] * n_samples)
    accept({shape: laws.of_rate(seen, n_samples, 0.05, "greater")})


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_areas_of_membership_attacks(shift: float, accept: Accept) -> None:
    """Intervals of the AUC, and its p-values where members are like non-members, with three rows a subject."""

    def attack(members: alarms.Floats, others: alarms.Floats, subject: NDArray[np.intp]) -> tuple[float, float, float]:
        found = attack_of(members, others, Subjects(subject, subject), 0.95)
        return found.lower, found.upper, found.p_value

    accept(alarms.areas(attack, shift, N_TESTS // 2))
