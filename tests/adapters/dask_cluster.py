"""A cluster of processes on this machine, and the killing of one of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import distributed


@contextmanager
def local_cluster() -> Iterator[distributed.Client]:
    """Two worker processes of one thread, reached over the loopback alone; Dask's scheduler while the block lasts."""
    # A LocalCluster looks 15 s after each death whether the worker is back, and gives it up for good where it has just died again.
    patience = dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"})
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit="1GiB",
    )
    with patience, cluster, distributed.Client(cluster) as client:
        yield client


@contextmanager
def a_worker_dies(folder: Path) -> Iterator[None]:
    """SIGKILL for the worker whose task `deadly` waits in `folder`, as soon as it does; fails if none did."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            if (folder / "pid").exists():
                pid = int((folder / "pid").read_text())
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert killed, "no task waited to be killed"


def runs(folder: Path) -> Counter[str]:
    """How often each named task of `deadly` ran."""
    return Counter(path.name.rsplit("-", 1)[0] for path in folder.glob("*.run"))
