"""Fuzz one target with atheris (libFuzzer): `python tests/fuzz TARGET [FOLDER] [-runs=1000000] [-max_total_time=60] ...`.

New inputs that reach new code go to FOLDER (default build/fuzz/TARGET); an input that fails is written there as crash-*.
"""

from __future__ import annotations

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
GUIDES = ["dualwalk", "csv", "zipfile"]
MOST_BYTES = 1 << 28


def main(arguments: list[str]) -> None:
    name, *rest = arguments or [""]
    if name not in fuzz.names():
        raise SystemExit(f"the target must be one of {', '.join(fuzz.names())}; got {name!r} (python tests/fuzz TARGET)")
    options = [word for word in rest if word.startswith("-")]
    found_here = [word for word in rest if not word.startswith("-")] or [str(HERE.parents[1] / "build" / "fuzz" / name)]
    Path(found_here[0]).mkdir(parents=True, exist_ok=True)
    sys.modules.pop("zipfile", None)
    with atheris.instrument_imports(include=GUIDES, exclude=compiled_by_numba()):
        target = fuzz.target(name)
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


def compiled_by_numba() -> list[str]:
    """Modules whose functions Numba compiles: it cannot read what the instruments add."""
    package = find_spec("dualwalk")
    assert package is not None
    assert package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0], "backends")
    return [f"dualwalk.backends.{path.stem}" for path in folder.glob("_numba_*.py")]


if __name__ == "__main__":
    main(sys.argv[1:])
