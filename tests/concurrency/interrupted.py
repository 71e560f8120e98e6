"""Ctrl-C at random instants of every kind of work, in one process that must be as good as new after each.

    python tests/concurrency/interrupted.py BACKEND N_INSTANTS [SEED]

sends SIGINT that often to a program that runs the jobs below in turn, and prints how often the signal met each of them (or came
when it was just done). After every signal: kernels and the fitted estimators give the bits of before, a fit that was interrupted has
left its estimator unchanged, a file is the old one or the new one and no other is left in its folder, and BLAS has its threads
back. In the end every job gives its first bits.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dualwalk as dw
from concurrency.kit import kernels, network, series, small_fits, uses
from dualwalk import _blas
from dualwalk.report import write_report

HERE = Path(__file__).resolve()


class Work:
    """The jobs, and what must hold after each, interrupted or not."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.folder = folder
        self.divergence, self.sampler = small_fits()
        self.changing = dw.DualDivergence(cv=2, n_fits=1, random_state=0), dw.DualSampler(random_state=0)
        self.data = series(1), series(2)
        self.other = dw.DualDivergence(cv=2, n_fits=1, random_state=0).fit(self.data[0])
        slow = backend == "reference"
        tall = np.random.default_rng(2).standard_normal((100 if slow else 3000, 24))
        steps = 60 if slow else 2000
        how = {"n_threads": 2}
        self.jobs: dict[str, Callable[[], object]] = {
            "walk": lambda: dw.walk(network(), tall[:80], n_steps=steps, step_size=1e-3, noise=0.1, seed=1, **how).x.tobytes(),
            "permute_marginals": lambda: dw.permute_marginals(tall, n_copies=1 if slow else 100, seed=1, **how).tobytes(),
            "log_mean_exp": lambda: [np.asarray(dw.log_mean_exp(tall, axis=0, **how)).tobytes() for _ in range(100)],
            "sample": lambda: [self.sampler.sample(300, seed=k).tobytes() for k in range(10)],
            "fit DualDivergence": lambda: self.fit(0),
            "fit DualSampler": lambda: self.fit(1),
            "save": self.save,
            "write_report": self.report,
        }
        if slow:  # a report fits and searches: seconds there
            del self.jobs["write_report"]
        self.turn = 0
        self.fitted = {(which, seed): self.refit(which, seed) for which in (0, 1) for seed in (0, 1)}
        self.good = uses(self.divergence, self.sampler), kernels(n_rows=40)
        self.files: dict[str, set[bytes]] = {}
        for self.turn in (0, 1):  # the two contents that files may have
            for name in {"save", "write_report"} & set(self.jobs):
                self.jobs[name]()
            for path in folder.iterdir():
                self.files.setdefault(path.name, set()).add(path.read_bytes())

    def both_turns(self, job: Callable[[], object]) -> list[object]:
        found = []
        for self.turn in (0, 1):
            found.append(job())
        return found

    def refit(self, which: int, seed: int) -> bytes:
        self.changing[which].fit(self.data[seed])
        return self.said(which)

    def said(self, which: int) -> bytes:
        if which == 0:
            return (
                self.changing[0].score_samples(self.data[0]).tobytes() + np.float64(self.changing[0].divergence_se_).tobytes()
            )
        return self.changing[1].sample(5, seed=1).tobytes() + self.changing[1].X_.tobytes()

    def fit(self, which: int) -> bytes:
        """Fit to the other of two data sets; an interrupted one must leave no mixture of both."""
        return self.refit(which, self.turn % 2)

    def save(self) -> None:
        for name, estimator in (("divergence", (self.divergence, self.other)[self.turn % 2]), ("sampler", self.sampler)):
            estimator.save(self.folder / f"{name}.npz")

    def report(self) -> None:
        write_report(self.folder / "report.html", sampler=self.sampler, divergence=self.divergence, title=f"of {self.turn % 2}")

    def check(self) -> None:
        """Raises AssertionError for what a signal has left broken."""
        assert (uses(self.divergence, self.sampler), kernels(n_rows=40)) == self.good
        for which in (0, 1):
            assert self.said(which) in (self.fitted[which, 0], self.fitted[which, 1]), "an estimator that is neither"
        names = {path.name for path in self.folder.iterdir()}
        assert names == set(self.files), f"files that should not be there: {names ^ set(self.files)}"
        for name, contents in self.files.items():
            assert (self.folder / name).read_bytes() in contents, f"{name} is neither the old file nor the new one"
        assert not _blas._blocks, "BLAS stays on one thread"


def interrupted_program(backend: str, n_instants: int, seed: int) -> None:
    """Says when it begins a job and how long that takes, and gets a signal at some instant of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stream = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(backend, Path(folder))
        duration = {}
        for name, job in work.jobs.items():
            begin = time.perf_counter()
            job()
            duration[name] = time.perf_counter() - begin
        first = {name: work.both_turns(job) for name, job in work.jobs.items()}
        met: Counter[str] = Counter()
        for k in range(n_instants):
            name = list(work.jobs)[k % len(work.jobs)]
            work.turn += 1
            done = False
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                print(json.dumps(stream.random() * duration[name]), flush=True)
                work.jobs[name]()
                done = True
                time.sleep(60)
                raise SystemExit("no signal came")
            except KeyboardInterrupt:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            met["just done" if done else name] += 1
            work.check()
        for name, job in work.jobs.items():
            assert work.both_turns(job) == first[name], f"{name} gives other bits than before"
        work.check()
        end = time.monotonic() + 5
        while threading.active_count() > 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert threading.active_count() == 1, "threads that were left behind"
    print(json.dumps(dict(met)))


def interrupt(backend: str, n_instants: int, seed: int = 0) -> dict[str, int]:
    """How often SIGINT met each job of a program that had to survive it."""
    paths = os.pathsep.join([str(HERE.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "DUALWALK_BACKEND": backend}
    command = [sys.executable, str(HERE), "--program", backend, str(n_instants), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        for _ in range(n_instants):
            line = child.stdout.readline()
            if not line:
                break
            time.sleep(json.loads(line))
            child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    found: dict[str, int] = json.loads(output)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "--program":
        interrupted_program(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        print(interrupt(sys.argv[1], int(sys.argv[2]), *map(int, sys.argv[3:4])))
