"""Writes sbom.cdx.json (CycloneDX 1.6): what dualwalk contains, what it needs and from which version on, under which licence.

python .ci/sbom.py            writes the file; a test fails while it is not what this prints
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTAINED = "contained"  # the scope of what is in our files, beside the names of the extras

# The licence of everything that pyproject.toml asks for, as its own metadata says it, by SPDX's names.
LICENCES = {
    "array-api-strict": "BSD-3-Clause",
    "cupy-cuda12x": "MIT",
    "cupy-cuda13x": "MIT",
    "dask": "BSD-3-Clause",
    "furo": "MIT",
    "hypothesis": "MPL-2.0",
    "jax": "Apache-2.0",
    "matplotlib": "PSF-2.0",
    "mypy": "MIT",
    "myst-parser": "MIT",
    "numba": "BSD-2-Clause",
    "numpy": "BSD-3-Clause",
    "pandas": "BSD-3-Clause",
    "pybind11": "BSD-3-Clause",
    "pytest": "MIT",
    "pytest-benchmark": "BSD-2-Clause",
    "rich": "MIT",
    "ruff": "MIT",
    "scikit-build-core": "Apache-2.0",
    "scikit-learn": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "sphinx": "BSD-2-Clause",
    "threadpoolctl": "BSD-3-Clause",
    "torch": "BSD-3-Clause",
    "zarr": "MIT",
}


def requirements() -> dict[str, tuple[str, list[str]]]:
    """Every requirement of pyproject.toml: its lower bound, and who needs it ("run", "build" or extras)."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = data["project"]
    groups = {"run": project["dependencies"], "build": data["build-system"]["requires"], **project["optional-dependencies"]}
    found: dict[str, tuple[str, list[str]]] = {}
    for group, lines in groups.items():
        for line in lines:
            name, bound = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?(?:>=([\d.]+))?", line).groups()
            if name != "dualwalk":
                found.setdefault(name, (bound, []))[1].append(group)
    return found


def document() -> dict[str, object]:
    """The whole file. It has no date and no random serial number, so that the same tree gives the same bytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    itself = f"pkg:pypi/dualwalk@{project['version']}"
    contained = [
        {
            "type": "data",
            "bom-ref": "japanese_vowels",
            "name": "Japanese Vowels",
            "description": "dualwalk/data/japanese_vowels.npz; what was changed stands in dualwalk/data/NOTICE.md",
            "licenses": [{"license": {"id": "CC-BY-4.0"}}],
            "externalReferences": [{"type": "website", "url": "https://archive.ics.uci.edu/dataset/128/japanese+vowels"}],
            "properties": [{"name": "dualwalk:scope", "value": CONTAINED}],
        }
    ]
    needed = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}",
            "name": name,
            "purl": f"pkg:pypi/{name}",
            "scope": "required" if groups == ["run"] else "optional",
            "licenses": [{"license": {"id": LICENCES[name]}}],
            "properties": [
                {"name": "dualwalk:lowest", "value": bound},
                *({"name": "dualwalk:scope", "value": group} for group in groups),
                # Headers alone, compiled into _core and _cuda: no file of it is in a wheel.
                *([{"name": "dualwalk:scope", "value": CONTAINED}] if name == "pybind11" else []),
            ],
        }
        for name, (bound, groups) in sorted(requirements().items())
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": itself,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": itself,
            }
        },
        "components": [*contained, *needed],
        "dependencies": [{"ref": itself, "dependsOn": [str(part["bom-ref"]) for part in [*contained, *needed]]}],
    }


def text() -> str:
    return json.dumps(document(), indent=1) + "\n"


if __name__ == "__main__":
    (ROOT / "sbom.cdx.json").write_text(text())
