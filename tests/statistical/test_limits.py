"""Lower limits hold as often as they say, and estimates are as near as they say, in two hundred fits to each known law."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import dualwalk as dw

from . import fits

pytestmark = pytest.mark.statistical
Accept = Callable[[dict[str, float]], None]

WITHIN = 0.1  # nats that `divergence_` may be off on average, at n = 100 to 150


@pytest.mark.parametrize("name", fits.FAMILIES)
def test_lower_limits_of_the_divergence(name: str, accept: Accept) -> None:
    found = fits.fitted(name)
    accept(fits.limit(found.lower, found.family.truth, 0.95))


@pytest.mark.parametrize("name", fits.FAMILIES)
def test_estimates_are_near_and_say_how_near(name: str, accept: Accept) -> None:
    found = fits.fitted(name)
    accept(fits.estimate(found.estimate, found.se, found.held_out, found.family.truth, within=WITHIN))


def test_lower_limits_of_the_other_direction(accept: Accept) -> None:
    found = fits.fitted("chain")
    assert found.family.reverse is not None
    accept(fits.limit(found.reverse_lower, found.family.reverse, 0.95))


def test_lower_limits_of_mutual_information(accept: Accept) -> None:
    """At 80 % by the same fits: of a normal law, the limits' distances from the held-out mean are as the quantiles."""
    found, law = [], fits.gaussian(fits.chain(2, 0.7))
    for k in range(fits.N_FITS):
        x, y = law.draw(100, np.random.default_rng([k, 3])).T
        found.append(dw.mutual_information(x, y, cv=3, confidence_level=0.95, random_state=k))
    estimate, se, held_out, lower = (
        np.array([getattr(one, name) for one in found]) for name in ("estimate", "se", "held_out", "lower")
    )
    accept(fits.limit(lower, law.truth, 0.95))
    accept({f"at 80 %: {text}": p for text, p in fits.limit(held_out - 0.84162 * se, law.truth, 0.8).items()})
    accept(fits.estimate(estimate, se, held_out, law.truth, within=0.05))
