"""Today's draws of every random job: `python tests/golden/draws.py` writes them anew (from the folder tests/ or above).

Integers, labels and flags are kept exactly: they are the same on every backend, SIMD level and processor. Floats are kept to 12
digits, to be compared within what is promised of them. Long arrays are kept as their beginning, and integers also as a hash.

Whoever runs this changes what a seed means to users: the changelog must say so, by the new fingerprint (see
`test_golden_draws.py`), and only a MINOR version may do it (docs/versions.md).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

EXPECTED = Path(__file__).parent / "expected" / "draws.json"
MOST = 16  # numbers kept of an array


def kept(array: np.ndarray) -> dict[str, Any]:
    """What is kept of an array: under "exact" what must be equal, under "near" what must agree."""
    found: dict[str, Any] = {"shape": list(array.shape)}
    if array.dtype.kind == "f":
        return {"exact": found, "near": [float(f"{value:.12g}") for value in array.ravel()[:MOST]]}
    found["first"] = array.ravel()[:MOST].tolist()
    if array.size > MOST:
        found["sha256"] = hashlib.sha256(array.astype("<i8").tobytes()).hexdigest()[:16]
    return {"exact": found}


def of_job(results: dict[str, np.ndarray]) -> dict[str, Any]:
    return {key: kept(array) for key, array in results.items()}


def fingerprint(draws: dict[str, Any]) -> str:
    """Eight digits for all that is exact."""
    exact = {job: {key: value["exact"] for key, value in arrays.items()} for job, arrays in draws.items()}
    return hashlib.sha256(json.dumps(exact, sort_keys=True).encode()).hexdigest()[:8]


if __name__ == "__main__":
    sys.path.insert(0, str(EXPECTED.parents[2]))
    import random_jobs

    draws = {name: of_job(random_jobs.results(name)) for name in random_jobs.JOBS}
    lines = [
        f"{json.dumps(name)}: {{\n  " + ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in job.items()) + "\n}"
        for name, job in draws.items()
    ]
    EXPECTED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print("fingerprint of the draws, for CHANGELOG.md:", fingerprint(draws))
