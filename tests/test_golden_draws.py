"""Today's draws of every random job, pinned: `golden/expected/draws.json`.

Integers, labels and flags must be equal, on every backend, SIMD level and processor, and with every NumPy that is supported.
Floats of kernels and of samplers must agree to 1e-9, since every backend rounds a little differently. What training gives is
only looked at roughly (.5 nats): another linear algebra or SIMD level may let it stop one check earlier (docs/trust/determinism.md
has what was measured); what it draws ("batches", "splits") is exact. The same bits on one machine: `test_determinism.py`.

A change here changes what a seed means to users. If it is meant: `python tests/golden/draws.py`, and the changelog names the
new fingerprint and why (docs/versions.md says when that may be).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_jobs
from golden.draws import EXPECTED, fingerprint, of_job

REMEDY = "the draws changed: if that is meant, run `python tests/golden/draws.py` and say so in CHANGELOG.md"
PINNED: dict[str, Any] = json.loads(EXPECTED.read_text(encoding="utf-8"))
TRAINED = ("DualDivergence", "mutual_information")


def tolerance(name: str) -> float:
    return 0.5 if name.startswith(TRAINED) else 1e-9


def check(name: str, results: dict[str, np.ndarray], pinned: dict[str, Any]) -> None:
    found = of_job(results)
    assert found.keys() == pinned.keys()
    for key, wanted in pinned.items():
        assert found[key]["exact"] == wanted["exact"], f"{name}, {key}: {REMEDY}"
        limit = tolerance(name)
        np.testing.assert_allclose(
            found[key].get("near", []), wanted.get("near", []), limit, limit, err_msg=f"{name}, {key}: {REMEDY}"
        )


@pytest.mark.parametrize("name", random_jobs.FITS)
def test_fits(name: str) -> None:
    check(name, random_jobs.results_once(name), PINNED[name])


@pytest.mark.parametrize("name", random_jobs.KERNELS)
def test_kernels(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALWALK_BACKEND", backend)
    check(name, random_jobs.results(name), PINNED[name])


def test_every_job_is_pinned() -> None:
    assert list(PINNED) == list(random_jobs.JOBS)


def test_the_changelog_names_the_draws() -> None:
    changelog = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert fingerprint(PINNED) in changelog, f"{REMEDY}: fingerprint {fingerprint(PINNED)}"


def test_a_changed_draw_is_seen() -> None:
    name = "permute_marginals, shuffle"
    other = json.loads(json.dumps(PINNED[name]))
    other["rows"]["exact"]["sha256"] = "0" * 16
    with pytest.raises(AssertionError, match="the draws changed"):
        check(name, random_jobs.results(name), other)
    name = "walk, MLP"
    other = json.loads(json.dumps(PINNED[name]))
    other["x"]["near"][3] += 1e-6
    with pytest.raises(AssertionError, match="the draws changed"):
        check(name, random_jobs.results(name), other)
