"""The book of p-values that a session keeps, and what it says of it in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from .ledger import FALSE_ALARM_RATE, LEVEL, Ledger

LEDGER = Ledger()


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> Callable[[Mapping[str, float]], None]:
    """Enter p-values by name; those below the suite's level fail the test."""
    return lambda found: LEDGER.accept(request.node.name, found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LEDGER.p_values:
        least = min(LEDGER.p_values, key=lambda name: LEDGER.p_values[name])
        terminalreporter.write_line(
            f"statistical: {len(LEDGER.p_values)} p-values, refused below {LEVEL:.2g} (a false alarm in at most "
            f"{FALSE_ALARM_RATE:.0%} of all choices of seeds); the least {LEDGER.p_values[least]:.2g}, {least}"
        )
