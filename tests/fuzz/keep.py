"""Keep of a campaign what the corpus lacks: `python tests/fuzz/keep.py TARGET build/fuzz/TARGET`; atheris is not needed.

An input is copied to `corpus/TARGET` if it goes from a line of dualwalk to another as no kept one does. Small ones go first.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import dualwalk
import fuzz

WATCHED = str(Path(dualwalk.__file__).parent)


def steps(target: ModuleType, data: bytes) -> set[tuple[str, int, int]]:
    """The steps from line to line in dualwalk's functions that an input causes."""
    seen: set[tuple[str, int, int]] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        name, line = frame.f_code.co_filename, 0

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal line
            seen.add((name, line, frame.f_lineno))
            line = frame.f_lineno
            return step

        return step if name.startswith(WATCHED) else None

    sys.settrace(enter)
    try:
        target.one_input(data)
    finally:
        sys.settrace(None)
    return seen


def main(name: str, folder: Path) -> None:
    target = fuzz.target(name)
    known = {step for path in fuzz.inputs(target) for step in steps(target, path.read_bytes())}
    found = sorted(folder.iterdir(), key=lambda path: path.stat().st_size)
    n_kept = 0
    for path in found:
        new = steps(target, path.read_bytes()) - known
        if new:
            known |= new
            n_kept += 1
            (fuzz.CORPUS / name / path.name[:12]).write_bytes(path.read_bytes())
    print(f"{name}: {n_kept} of {len(found)} inputs kept, {len(known)} steps")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
