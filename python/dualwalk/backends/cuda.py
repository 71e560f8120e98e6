"""The CUDA kernels behind the table: the same jobs as reference.py, on CuPy arrays (`csrc/cuda`).

Every job runs on the caller's current stream and returns without waiting for it; integers are the CPU's, bit for bit.
`n_threads` is taken and ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _device
from ._cuda_nodes import (
    contrastive_slopes,
    contrastive_terms,
    density_slopes,
    density_terms,
    score_contrastive,
    score_density,
    train_contrastive,
    train_density,
)
from ._cuda_objective import log_mean_exp, log_mean_exp_segments, mean_log_sigmoid
from ._cuda_permute import permute_marginals
from ._cuda_sampling import balance_columns, relax_local
from ._cuda_tree import spanning_tree
from ._cuda_walk import walk_any
from ._cuda_walk_local import walk_local
from ._cuda_walk_mixture import anneal_any, anneal_mixture, walk_mixture
from ._cuda_walk_mlp import walk_mlp

__all__ = [
    "anneal_any",
    "anneal_mixture",
    "balance_columns",
    "contrastive_slopes",
    "contrastive_terms",
    "density_slopes",
    "density_terms",
    "draw_integers",
    "draw_normals",
    "log_mean_exp",
    "log_mean_exp_segments",
    "mean_log_sigmoid",
    "permute_marginals",
    "philox",
    "relax_local",
    "score_contrastive",
    "score_density",
    "spanning_tree",
    "train_contrastive",
    "train_density",
    "walk_any",
    "walk_local",
    "walk_mixture",
    "walk_mlp",
]

Array = Any  # CuPy's ndarray, which has no types


def philox(counter: Array, seed: int) -> Array:
    xp = _device.cupy()
    words = xp.ascontiguousarray(counter, np.uint32)
    out = xp.empty_like(words)
    _device.kernels().philox(words, seed, out, _device.here())
    return out


def draw_integers(seed: int, operation: int, copy: int, block: int, bounds: Array) -> Array:
    xp = _device.cupy()
    limits = xp.ascontiguousarray(bounds, np.uint32)
    out = xp.empty_like(limits)
    _device.kernels().draw_integers(seed, operation, copy, block, limits, out, _device.here())
    return out


def draw_normals(seed: int, first: int, n_rows: int, n_columns: int) -> Array:
    out = _device.cupy().empty((n_rows, n_columns), np.float64)
    _device.kernels().draw_normals(seed, first, out, _device.here())
    return out
