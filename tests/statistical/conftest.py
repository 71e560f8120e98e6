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
    """How many p-values there were, and the least; with -v all of them, whose names say what was seen."""
    if not LEDGER.p_values:
        return
    in_order = sorted(LEDGER.p_values.items(), key=lambda entry: entry[1])
    if terminalreporter.verbosity > 0:
        terminalreporter.section("p-values")
        for name, p in in_order:
            terminalreporter.write_line(f"{p:<8.2g} {name}")
    name, least = in_order[0]
    terminalreporter.write_line(
        f"statistical: {len(in_order)} p-values, refused below {LEVEL:.2g} (a false alarm in at most {FALSE_ALARM_RATE:.0%} of all "
        f"choices of seeds); the least {least:.2g}, {name}"
    )
