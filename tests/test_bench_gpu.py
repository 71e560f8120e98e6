"""The GPU benchmarks, as far as they run without a GPU: every room's cases at their smallest, and the tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

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
