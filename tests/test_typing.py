"""A user's module under mypy --strict, against the dualwalk that is imported here: its types arrive, and none is Any by mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dualwalk as dw

EXAMPLE = Path(__file__).with_name("typing") / "users_example.py"


def mypy(file: Path, folder: Path) -> str:
    """What mypy --strict says of a file, from a folder that holds no settings."""
    pytest.importorskip("mypy")
    environment = dict(os.environ)
    package = Path(dw.__file__).parents[1]
    if package.name != "site-packages":  # a source tree on PYTHONPATH, where mypy does not look by itself
        environment["MYPYPATH"] = str(package)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={folder}"]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, cwd=folder, env=environment, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("typing")


def test_a_users_example(folder: Path) -> None:
    assert mypy(EXAMPLE, folder).startswith("Success")


def test_a_users_mistakes_are_seen(folder: Path) -> None:
    wrong = folder / "wrong.py"
    wrong.write_text(
        "import numpy as np, dualwalk as dw\n"
        "X = np.zeros((60, 4))\n"
        "new: str = dw.DualSampler().fit(X).sample(3)\n"
        "dw.DualDivergence(folds=3)\n"
        "limit: str = dw.DualDivergence().fit(X).divergence_lower_\n"
        "dw.walk(X, X)\n"
    )
    said = mypy(wrong, folder)
    for line in (3, 4, 5, 6):
        assert f"wrong.py:{line}: error:" in said, said
