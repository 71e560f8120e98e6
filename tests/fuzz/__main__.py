"""Fuzz one target with atheris (libFuzzer): `python tests/fuzz TARGET [FOLDER] [-runs=1000000] [-max_total_time=60] ...`.

New inputs that reach new code go to FOLDER (default build/fuzz/TARGET); an input that fails is written there as crash-*.
"""

from __future__ import annotations

import ast
import os
import resource
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import atheris

import fuzz

# Readers of the standard library: what they do with damaged bytes guides the search too.
READERS = ["csv", "zipfile"]
MOST_BYTES = 1 << 28


def main(arguments: list[str]) -> None:
    name, *rest = arguments or [""]
    if name not in fuzz.names():
        raise SystemExit(f"the target must be one of {', '.join(fuzz.names())}; got {name!r} (python tests/fuzz TARGET)")
    options = [word for word in rest if word.startswith("-")]
    found_here = [word for word in rest if not word.startswith("-")] or [str(HERE.parents[1] / "build" / "fuzz" / name)]
    Path(found_here[0]).mkdir(parents=True, exist_ok=True)
    sys.modules.pop("zipfile", None)
    with atheris.instrument_imports(include=["dualwalk", *READERS], exclude=unwatched(name)):
        target = fuzz.target(name)
    if "ASAN_OPTIONS" not in os.environ:  # AddressSanitizer has limits of its own, and needs room itself
        limit_memory()
    warnings.simplefilter("error")  # as in the suite: no input may get a warning of NumPy's out of us
    begin = [str(folder) for folder in fuzz.folders(target) if folder.is_dir()]
    command = ["fuzz", *found_here, *begin, f"-artifact_prefix={found_here[0]}/", "-print_final_stats=1", *options]
    atheris.Setup(command, target.one_input, custom_mutator=getattr(target, "mutate", None))
    atheris.Fuzz()


def limit_memory() -> None:
    """What an input may take beyond what is taken now: a bomb ends in a MemoryError, which no target allows."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, taken + MOST_BYTES))


def unwatched(name: str) -> list[str]:
    """Modules that do not guide the search: those outside of the target's `GUIDES`, and functions that Numba compiles.

    Numba cannot read what is added to watch a function.
    """
    guides = guides_of(name)
    package = find_spec("dualwalk")
    assert package is not None
    assert package.submodule_search_locations is not None
    root = Path(package.submodule_search_locations[0])
    modules = [".".join(("dualwalk", *path.relative_to(root).with_suffix("").parts)) for path in root.rglob("*.py")]
    modules = [module.removesuffix(".__init__") for module in modules]
    return [module for module in modules if "._numba_" in module or not module.startswith(guides)]


def guides_of(name: str) -> tuple[str, ...]:
    """`GUIDES` of a target, by its source: importing it would import what is to be watched."""
    for statement in ast.parse((HERE / "targets" / f"{name}.py").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "GUIDES":
            return tuple(ast.literal_eval(statement.value))
    return ("dualwalk",)


if __name__ == "__main__":
    main(sys.argv[1:])
