"""What a fit takes at most beside its input, asked for before it begins.

Not all that a fit calls survives where memory ends in the middle: NumPy crashes in some versions where an iterator's buffer of
64 KiB cannot be had, and OpenBLAS ends the process where its own 32 MiB a thread cannot. So a long job looks first whether there
is as much as it will need, which takes microseconds. The formulas were fitted from above to measured peaks, which
`tests/test_peak_memory.py` measures again (docs/trust/memory.md).
"""

from __future__ import annotations

import numpy as np

KIB, MIB = 2**10, 2**20
BLAS_BUFFER = 32 * MIB


def demand(job: str, n_bytes: int, n_threads: int = 1) -> None:
    """Raise MemoryError now if `n_bytes`, and what BLAS takes on so many threads, cannot be had: addresses only, nothing is touched."""
    n_bytes += BLAS_BUFFER * n_threads
    try:
        np.empty(n_bytes, np.uint8)
    except MemoryError:
        raise MemoryError(
            f"{job} needs up to {n_bytes / MIB:.0f} MiB of address space beside X for this shape, and there is not as much (raise "
            "the limit of the process, or pass fewer samples, fewer columns or a smaller n_threads)"
        ) from None


def of_path(shape: tuple[int, ...], cv: int, n_threads: int) -> int:
    """Bytes of a `DualDivergence` by the path of nodes."""
    n, d = shape
    return (20 + 2 * cv) * 8 * n * d + 32 * KIB * d * min(n_threads, cv) + MIB


def of_single(shape: tuple[int, ...], n_threads: int) -> int:
    """Bytes of a `DualDivergence` by one critic."""
    n, d = shape
    return 10 * 8 * n * d + 96 * KIB * d * n_threads + 10 * MIB


def of_independence(shape: tuple[int, ...], n_threads: int) -> int:
    """Bytes of an `independence_test`."""
    n, d = shape
    return (13 + 6 * n_threads) * 8 * n * d + 16 * n_threads * min(n, 1024) ** 2 + MIB


def of_sampler(shape: tuple[int, ...], walk: str) -> int:
    """Bytes of a `DualSampler`'s fit: the ladder keeps what its rungs made to compare them, all others only distances."""
    n, d = shape
    if walk == "auto":
        size = 8 * n * d
        return min(25 * size + 20 * MIB, 200 * size + MIB) + 72 * min(n, 1000) ** 2
    return 8 * 8 * n * d + 8 * min(n * n, 2**24) + MIB
