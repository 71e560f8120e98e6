"""How small a p-value must be before it counts: Bonferroni over all p-values of the suite, and a book that keeps to it.

With `MOST_P_VALUES` p-values, each refused below `LEVEL`, a library without fault is refused at all with probability
`FALSE_ALARM_RATE` or less over the choice of the seeds, however the p-values depend on each other. Seeds are fixed: on one
machine a run gives the same verdict again, so what is refused is never luck of the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FALSE_ALARM_RATE = 0.01
MOST_P_VALUES = 1000
LEVEL = FALSE_ALARM_RATE / MOST_P_VALUES


@dataclass
class Ledger:
    """All p-values of a session by name."""

    p_values: dict[str, float] = field(default_factory=dict)

    def accept(self, what: str, found: Mapping[str, float]) -> None:
        """Enter p-values; fail where one is below the level, or where they become more than the level is made for."""
        for name, p in found.items():
            self.p_values[f"{what}: {name}"] = p
        refused = {name: f"{p:.2g}" for name, p in found.items() if not p >= LEVEL}  # NaN is refused
        assert not refused, f"{what} is not as stated: p-values {refused}, where {LEVEL:.2g} is the least that chance explains"
        assert len(self.p_values) <= MOST_P_VALUES, f"more than {MOST_P_VALUES} p-values: raise MOST_P_VALUES"
