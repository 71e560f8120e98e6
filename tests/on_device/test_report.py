"""The report of models that were fitted on a device: read from copies in the host's memory."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dualwalk.estimator import DualDivergence
from dualwalk.report import write_report
from dualwalk.sampler import DualSampler
from on_device.kit import Device


@pytest.mark.large
def test_models_of_a_device_are_reported(device: Device, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(50, 2, 3)).cumsum(axis=2)
    there = device.xp.asarray(X)
    divergence = DualDivergence(cv=2, n_fits=1, random_state=0).fit(there)
    sampler = DualSampler("local", n_neighbors=8, random_state=0).fit(there)
    made = sampler.sample(20)
    write_report(tmp_path / "r.html", sampler=sampler, divergence=divergence, generated=made)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    content = json.loads(re.findall(r'id="dualwalk-data">(.*?)</script>', text)[0])
    assert content["divergence"]["estimate"] == pytest.approx(divergence.divergence_)
    assert content["data"]["n_samples"] == 50
    assert content["generated"]["n_samples"] == 20
