"""Prints pip constraints that pin everything pyproject.toml asks for to the lowest version it allows.

python .ci/lowest.py > lowest.txt && PIP_CONSTRAINT=lowest.txt pip install ".[test]"
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def lowest_versions() -> dict[str, str]:
    """The lower bound of every requirement, those of the build and of all extras; where two differ, the one that suits both."""
    data = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    project = data["project"]
    extras = project["optional-dependencies"].values()
    lines = [*data["build-system"]["requires"], *project["dependencies"], *(line for extra in extras for line in extra)]
    lowest: dict[str, str] = {}
    for line in lines:
        found = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?>=([\d.]+)", line)
        if found is None:
            if line.startswith("dualwalk["):
                continue
            raise ValueError(f"a requirement must be NAME>=VERSION, so that the lowest can be tested; got {line!r}")
        name, version = found.groups()
        lowest[name] = max(version, lowest.get(name, "0"), key=lambda text: [int(part) for part in text.split(".")])
    return lowest


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in sorted(lowest_versions().items())))
