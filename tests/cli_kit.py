"""Running the command line in a test: its status, what it prints, and small samples in a file."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from dualwalk.cli import main


def series(n=56, shape=(2, 4), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).cumsum(axis=-1).astype(np.float32)


def run(capsys, *argv):
    """Exit status, stdout, stderr lines."""
    status = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


def found(capsys, *argv):
    """The JSON object that a job prints, and nothing else."""
    status, out, err = run(capsys, *argv, "--json", "--quiet")
    assert (status, err) == (0, []), err
    return json.loads(out, parse_constant=pytest.fail)


def refused(capsys, *argv, match):
    """One line on stderr, nothing on stdout, nothing written."""
    before = sorted(os.listdir())
    status, out, err = run(capsys, *argv)
    assert status == 2
    assert out == ""
    assert len(err) == 1, err
    assert err[0].startswith("dualwalk: error: ")
    assert match in err[0]
    assert sorted(os.listdir()) == before
