"""Kernels with threads of their own in Dask's workers: threads of one process, and processes of several threads each."""

from __future__ import annotations

from typing import Any

from extras import needs

dask = needs("dask")
distributed = needs("distributed")

from .kit import kernels, small_fits, uses


def work(k: int) -> list[bytes]:
    return kernels(None, 1 + k % 3) + uses(*small_fits())


def test_threads_of_this_process() -> None:
    tasks = [dask.delayed(work)(k) for k in range(8)]
    assert list(dask.compute(*tasks, scheduler="threads", num_workers=4)) == [work(0)] * 8


def test_workers_of_two_threads() -> None:
    settings: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": "1GiB"}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, processes=True, **settings) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert client.gather(client.map(work, range(8), pure=False)) == [work(0)] * 8
