"""The GPU benchmarks, as far as they run without a GPU: every room's cases at their smallest, and the tables."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dualwalk import _device

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="needs the source tree")


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)


def test_every_case_is_named_once_and_sized() -> None:
    from benchmarks.gpu.case import all_cases

    cases = all_cases()
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    for case in cases:
        assert set(case.goals) <= {"limit", *case.peers}, case.name
        assert all(goal > 0 for goal in case.goals.values()), case.name
        assert "limit" not in case.goals or case.needs, case.name


class HostClock:
    """Takes the place of the events: every call takes as long as it says."""

    def __call__(self, calls: list[Any], n_calls: int) -> float:
        spent.clear()
        for k in range(n_calls):
            calls[k % len(calls)]()
        return sum(spent) / n_calls

    def warmed(self, calls: list[Any], seconds: float) -> tuple[float, int]:
        return self(calls, 1), 2


class KnownLimits:
    def of(self, case: Any) -> dict[str, Any] | None:
        return {"seconds": 0.5, "binds": "read", "rates": {"read": 4e12}} if case.needs else None


spent: list[float] = []
xp = SimpleNamespace(get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: None))


def takes(seconds: float, result: Any = 0.0) -> Any:
    def prepare(inputs: Any) -> Any:
        def call() -> Any:
            spent.append(seconds)
            return inputs + (result() if callable(result) else result)

        return call

    return prepare


def some_case(**changes: Any) -> Any:
    from benchmarks.gpu.case import Case, Need, Peer

    settings = {
        "job": "some_job",
        "size": "3 numbers",
        "setup": lambda xp, seed: np.arange(3.0),
        "ours": takes(1.0),
        "peers": {
            "torch": Peer(takes(10.0), "numpy"),
            "slow": Peer(takes(50.0), "numpy"),
            "absent": Peer(takes(1.0), "no_such_package"),
            "broken": Peer(lambda inputs: 1 / 0, "numpy"),
        },
        "error": lambda inputs, result: float(np.abs(inputs - result).max()),
        "needs": (Need("read", 1.0),),
        "goals": {"limit": 0.5, "torch": 11.0},
    }
    return Case(**settings | changes)


def test_a_case_is_checked_timed_and_compared() -> None:
    from benchmarks.gpu.measure import measure

    row = measure(some_case(), xp, HostClock(), KnownLimits(), seconds=1.0)
    assert json.loads(json.dumps(row)) == row
    assert row["ratios"] == {"torch": 10.0, "slow": 50.0}
    assert row["times"]["slow"]["rounds"] == 1
    assert row["limit"]["share"] == 0.5
    assert {name: goal["met"] for name, goal in row["goals"].items()} == {"limit": True, "torch": False}
    assert row["failed"] == {
        "absent": "no_such_package is not installed",
        "broken": "ZeroDivisionError: division by zero",
    }
    assert (row["right"], row["same_bits"], row["errors"]) == (True, True, {"dualwalk": 0.0})


def test_a_wrong_result_meets_no_goal() -> None:
    from benchmarks.gpu.measure import measure
    from benchmarks.gpu.page import met

    wrong = measure(some_case(ours=takes(0.01, 1.0)), xp, HostClock(), KnownLimits(), seconds=0.1)
    assert not wrong["right"]
    assert not any(goal["met"] for goal in wrong["goals"].values())
    assert met(wrong) == "WRONG"
    rng = np.random.default_rng(0)
    restless = some_case(ours=takes(0.1, lambda: 1e-9 * rng.random()), tolerance=1e-6)
    row = measure(restless, xp, HostClock(), KnownLimits(), seconds=0.1)
    assert (row["same_bits"], row["right"]) == (False, False)


def test_the_page_tells_what_failed_and_what_was_left() -> None:
    from benchmarks.gpu.measure import failed, measure
    from benchmarks.gpu.page import markdown

    rows = [
        measure(some_case(), xp, HostClock(), KnownLimits(), seconds=1.0),
        failed(some_case(size="too many"), "MemoryError"),
    ]
    page = markdown({"about": {"device": "none"}, "rows": rows, "left": ["some_job: later"]})
    assert (
        "| some_job: 3 numbers | 1 s | 50 % of read | torch 10x, slow 50x | 0.0e+00 | same | 50 % of the limit, torch 11x | yes, no |"
        in page
    )
    assert "| some_job: too many | failed |" in page
    assert "- some_job: too many: dualwalk: MemoryError" in page
    assert "- some_job: 3 numbers: broken: ZeroDivisionError: division by zero" in page
    assert "| read | 4000 GB/s | 4000 GB/s |" in page
    assert "- some_job: later" in page


def test_bits_are_compared_wherever_a_result_holds_them() -> None:
    from benchmarks.gpu.measure import same_bits

    @dataclasses.dataclass
    class Result:
        x: np.ndarray
        more: tuple[Any, ...]

    first = Result(np.array([0.0, np.nan], np.float32), ({"n": np.arange(3)}, 1.5, None))
    assert same_bits(first, Result(first.x.copy(), ({"n": np.arange(3)}, 1.5, None)))
    assert not same_bits(first, Result(np.array([-0.0, np.nan], np.float32), first.more))
    assert not same_bits(first, Result(first.x, ({"n": np.arange(3)}, 1.25, None)))


def test_without_a_gpu_the_command_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.gpu.__main__ import chosen, main

    monkeypatch.setattr(_device, "why_not", lambda: "no CUDA driver is installed")
    assert main(["--quick"]) == 2
    assert "no CUDA driver is installed" in capsys.readouterr().err
    assert main(["--list"]) == 0
    cases = [some_case(goals={}), some_case(size="4 numbers", quick=True)]
    assert chosen(cases, "", False) == cases[::-1]
    assert chosen(cases, "", True) == cases[1:]
    assert chosen(cases, "3 Numbers, absent", False) == cases[:1]
