"""Random streams for the Python layer, addressed like the kernels': by a seed and a path of names, never by call order."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, *path: int | str) -> np.random.Generator:
    """An independent Philox stream for `path` under `seed`: the same bits for the same path, whatever was drawn elsewhere.

    >>> bool(generator(0, "fold", 3).random() == generator(0, "fold", 3).random())
    True
    """
    words = [zlib.crc32(step.encode()) if isinstance(step, str) else step for step in path]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, len(words), *words])))
