"""Killed at any instant, a process leaves the old file or the new one, whole: models, samples in each format, and reports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

N_KILLS = 200

# A warm process forks a writer that replaces one file again and again, kills it at a random instant, and looks at the file.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
import dualwalk as dw
from dualwalk._cli.output import columns, write
from dualwalk._files import write_text

folder = Path(sys.argv[1])
arrays = [np.random.default_rng(k).normal(size=(200, 40)) for k in (0, 1)]
models = [dw.NormalScores().fit(X) for X in arrays]
writers = {
    "model.npz": lambda path, k: models[k].save(path),
    "samples.npz": lambda path, k: write(path, {"X": arrays[k]}, {}),
    "samples.npy": lambda path, k: write(path, {"X": arrays[k]}, {}),
    "samples.csv": lambda path, k: write(path, {}, columns(arrays[k])),
    "report.html": lambda path, k: write_text(path, f"<p>{k}</p>" * 50_000, suffix=".html"),
}
whole, longest = {}, {}
for name, writer in writers.items():
    path = str(folder / name)
    whole[name] = []
    for k in (0, 1):
        began = time.perf_counter()
        writer(path, k)
        longest[name] = time.perf_counter() - began
        whole[name].append((folder / name).read_bytes())

chance = random.Random(0)
for kill in range(int(sys.argv[2])):
    name = list(writers)[kill % len(writers)]
    child = os.fork()
    if child == 0:
        while True:
            for k in (0, 1):
                writers[name](str(folder / name), k)
    time.sleep(chance.uniform(0.0, 2 * longest[name]))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    content = (folder / name).read_bytes()
    assert content in whole[name], f"{name} is neither the old nor the new file"
    parts = list(folder.glob(".dualwalk-*.part"))
    print(name, whole[name].index(content), len(parts))
    for part in parts:
        part.unlink()
dw.load(folder / "model.npz")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is POSIX's")
def test_killed_at_any_instant_a_write_leaves_the_old_file_or_the_new_one(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(N_KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == N_KILLS
    half_written = Counter(name for name, _, parts in lines if int(parts))
    assert set(half_written) == {"model.npz", "samples.npz", "samples.npy", "samples.csv", "report.html"}, half_written
    assert {index for _, index, _ in lines} == {"0", "1"}, "both files should have been found"
