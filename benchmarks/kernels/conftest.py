"""Options of the kernel benchmarks, and the list of runs: cases, threads, laps and, within a lap, candidates in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from .case import Case
from .machine import Limits, description
from .measure import Bench
from .suite import all_cases


@dataclass(frozen=True)
class Run:
    """One candidate of one case, once in every lap."""

    case: Case
    n_threads: int
    lap: int
    candidate: str

    @property
    def id(self) -> str:
        return f"{self.case.name}, {self.candidate}, {self.n_threads} thread(s), lap {self.lap}"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernel benchmarks")
    group.addoption("--bench-quick", action="store_true", help="the small cases alone, with few repeats")
    group.addoption("--bench-threads", default="1", help="numbers of threads, 1,2")
    group.addoption("--bench-laps", type=int, default=1, help="how often the candidates of a case take turns")
    group.addoption("--bench-seconds", type=float, default=None, help="for one candidate in one lap")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "run" not in metafunc.fixturenames:
        return
    threads = [int(part) for part in metafunc.config.getoption("--bench-threads").split(",")]
    laps = range(metafunc.config.getoption("--bench-laps"))
    runs = [
        Run(case, n_threads, lap, name)
        for case in all_cases(metafunc.config.getoption("--bench-quick"))
        for n_threads in threads
        for lap in laps
        for name, candidate in case.candidates.items()
        if n_threads == 1 or candidate.threaded
    ]
    metafunc.parametrize("run", runs, ids=[run.id for run in runs])


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Bench:
    quick = pytestconfig.getoption("--bench-quick")
    seconds = pytestconfig.getoption("--bench-seconds") or (0.02 if quick else 0.08)
    made = Bench(Limits(min(seconds, 0.03)), seconds)
    pytestconfig.stash[KEY] = made
    return made


KEY = pytest.StashKey[Bench]()


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    made = config.stash.get(KEY, None)
    if made is None:
        return
    rates = [[*key, rate] for key, rate in made.limits.rates.items()]
    output_json["dualwalk"] = {**description(), "rates": rates, "skipped": made.skipped}
