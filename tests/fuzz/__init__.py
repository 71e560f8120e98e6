"""Coverage-guided fuzzing: what a stranger's bytes or arguments may do to us, tried millions of times.

A target is a module in `targets` with

- `one_input(data: bytes)`: does with the bytes what the library would do, and raises where the outcome is not allowed; what is
  allowed, such as a ValueError for a damaged file, it catches itself;
- optionally `mutate(data, max_size, seed)`: changes the bytes in a way that keeps their form, such as the checksums of an archive;
- optionally `SEEDS`: folders of files to begin with beside `corpus/<target>`;
- optionally `GUIDES`: beginnings of the names of modules whose branches guide the search; all of dualwalk where there is none.

`python tests/fuzz TARGET -runs=1000000` fuzzes one (needs `pip install atheris`); `test_corpus.py` puts every file of the corpus
through its target in the plain suite. An input that has found a fault is kept in the corpus.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from . import targets

CORPUS = Path(__file__).parent / "corpus"


def names() -> list[str]:
    """The names of all targets."""
    return [module.name for module in pkgutil.iter_modules(targets.__path__) if not module.name.startswith("_")]


def target(name: str) -> ModuleType:
    """The target `name`, imported."""
    return import_module(f"{targets.__name__}.{name}")


def folders(found: ModuleType) -> list[Path]:
    """Where inputs of a target lie."""
    own = CORPUS / found.__name__.rpartition(".")[2]
    return [own, *getattr(found, "SEEDS", ())]


def inputs(found: ModuleType) -> Iterator[Path]:
    """The files that a target is tried with."""
    for folder in folders(found):
        yield from sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".py")
