"""Random words and normal noise of the reference: Philox4x32-10, addressed by what a draw is for.

(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHUFFLE, RESAMPLE, SHIFT, NOISE, DEAL = 1, 2, 3, 4, 5  # the last word of a counter: the operation
RENOISE = 2**32 - 1  # the step of the noise that is added before the first step
LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)


def philox(counter: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]:
    """Philox4x32-10 of counters `(..., 4)` under a 64-bit key: four random words each, uint32 `(..., 4)`."""
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> WORD) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> WORD) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1).astype(np.uint32)


def normals(seed: int, walks: NDArray[np.int64], step: int, n_features: int) -> NDArray[np.float64]:
    """Standard normal noise `(len(walks), n_features)` of one step, by Box and Muller on Philox words.

    Counter (feature // 4, step, walk, NOISE); words 0 and 1 make features 0 and 1 of the four, words 2 and 3 the others.
    """
    groups = -(-n_features // 4)
    counter = np.empty((len(walks), groups, 4), np.uint32)
    counter[:] = (0, step, 0, NOISE)
    counter[..., 0] = np.arange(groups)
    counter[..., 2] = walks[:, None]
    uniform = (philox(counter, seed).astype(np.float64) + 0.5) * 2.0**-32
    radius, angle = np.sqrt(-2 * np.log(uniform[..., 0::2])), 2 * np.pi * uniform[..., 1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    return pairs.reshape(len(walks), 4 * groups)[:, :n_features]
