"""Mutation testing: changes one thing at a time in what [tool.mutmut] names, and shows the changes that no test notices.

pip install ".[test]" mutmut && python .ci/mutate.py [names or patterns of mutants to run again]

Ends with the changes that survived and are not explained in docs/trust/mutation.md; there must be none. An hour of one processor;
begun again, it goes on where it was.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "trust" / "mutation.md"
FOLDER = ROOT / "build" / "mutation"


def lay_out(folder: Path) -> None:
    """A copy that mutmut understands: the package under src/, its compiled module beside it, every function without decorator."""
    package = folder / "src" / "dualwalk"
    for source, target in ((ROOT / "python" / "dualwalk", package), (ROOT / "tests", folder / "tests")):
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    core = importlib.util.find_spec("dualwalk._core")
    if core is None or core.origin is None:
        raise SystemExit(
            "dualwalk._core was not built; it is what the reference is compared with (pip install . with a compiler)"
        )
    shutil.copy(core.origin, package)
    # mutmut copies what is no Python file only where it is missing, so a run that goes on would keep the module of the run before
    for stale in (folder / "mutants" / "src" / "dualwalk").glob("_core*"):
        stale.unlink()
    # mutmut leaves decorated functions as they are, `fit` too. Here BLAS has one thread anyway, and no fit is interrupted.
    estimator = package / "estimator.py"
    estimator.write_text(re.sub(r"^    @(one_blas_thread\(\)|whole)\n", "", estimator.read_text(), flags=re.MULTILINE))


def mutmut(*arguments: str) -> str:
    """The output of a mutmut command."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.PIPE, text=True).stdout


def states() -> dict[str, str]:
    """Of every mutant that was not killed, by name: "survived", "no tests", "timeout", "not checked" and others."""
    lines = (line.strip().partition(": ") for line in mutmut("results").splitlines())
    return {name: state for name, _, state in lines}


def change(name: str) -> str:
    """ "function: the line as it was changed"."""
    changed = [text[1:].strip() for text in mutmut("show", name).splitlines() if re.match(r"\+(?!\+\+)", text)]
    function = re.sub(r"__mutmut_\d+$", "", name).replace("xǁ", "").replace("ǁ", ".").replace(".x_", ".")
    return f"{function.removeprefix('dualwalk.')}: {' '.join(changed)}"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    lay_out(FOLDER)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", "1", *sys.argv[1:]], cwd=FOLDER, check=True)
    found = states()
    explained = set(PAGE.read_text().splitlines())
    survived = {name: change(name) for name, state in found.items() if state in ("survived", "no tests")}
    new = [f"{name}\n    {text}" for name, text in survived.items() if text not in explained]
    unfinished = sum(state in ("not checked", "check was interrupted by user") for state in found.values())
    print("\n".join(new) or "every survivor is explained in docs/trust/mutation.md")
    if unfinished:
        print(f"{unfinished} changes were not run yet; begun again, this goes on with them")
    sys.exit(bool(new or unfinished))
