"""The README is true: its example runs, its commands are the ones that CI and the command line know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.exists(), reason="needs the source tree")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_runs_and_is_eight_lines(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 8
    scope: dict[str, object] = {}
    exec(compile(example, str(README), "exec"), scope)  # noqa: S102
    assert scope["new"].shape == (300, 12, 25)  # type: ignore[attr-defined]
    first, second = capsys.readouterr().out.splitlines()
    estimate, lower = map(float, first.split())
    assert lower < estimate
    assert 0.7 < float(second.split()[-1]) < 1.3


def test_the_gpu_example_names_what_exists() -> None:
    """It runs where a GPU is; here its words are looked up."""
    import dualwalk

    (example,) = blocks("py")
    compile(example, str(README), "exec")
    names = re.findall(r"\bdw\.(\w+)", example)
    assert names
    assert all(hasattr(dualwalk, name) for name in names)


def test_commands_and_links_are_right() -> None:
    demo, test = blocks("sh")
    assert demo.strip().endswith("dualwalk demo")
    assert test.strip().endswith('install ".[test]" && .venv-test/bin/python -m pytest')
    assert '-m pip install --quiet ".[test]"' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target
