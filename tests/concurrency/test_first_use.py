"""The first use of everything by 32 threads at once: names that load their modules, backends, what Numba compiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualwalk import backends

from .kit import expect_output


@pytest.mark.parametrize("turn", range(3))
def test_names_and_modules(turn: int) -> None:
    """Every thread asks for all public names, from another place on; for the backends; and computes."""
    expect_output(
        "True",
        """
import sys, threading
sys.setswitchinterval(1e-6)
import dualwalk as dw
names, turn = sorted([*dw.__all__, "metrics"]), int(sys.argv[1])
start, found = threading.Barrier(32), []
def work(k):
    start.wait(60)
    first = 7 * k + turn
    got = {name: getattr(dw, name) for name in names[first % len(names) :] + names[: first % len(names)]}
    from dualwalk import backends, report
    backends.job("permute_marginals")
    found.append((sorted(got), dw.permute_marginals([[1.0]], seed=k).shape, float(dw.log_mean_exp([0.0, 0.0]))))
threads = [threading.Thread(target=work, args=(k,)) for k in range(32)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(found == [(names, (1, 1), 0.0)] * 32)
""",
        turn,
    )


@pytest.mark.skipif(backends.why_not("numba") is not None, reason="needs Numba")
def test_what_numba_compiles(tmp_path: Path) -> None:
    """No machine code on the disk: 32 threads want the same function, and one compiles it."""
    expect_output(
        "True",
        """
import numpy as np
from concurrency.kit import together
from dualwalk.backends import job
def words(backend):
    return job("philox", backend)(np.arange(4, dtype=np.uint32), 1).tobytes()
print(set(together(lambda _: words("numba"))) == {words("reference")})
""",
        NUMBA_CACHE_DIR=str(tmp_path),
    )
