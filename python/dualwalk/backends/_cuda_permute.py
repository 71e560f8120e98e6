"""permute_marginals on CuPy arrays (`csrc/cuda/permute`)."""

from __future__ import annotations

from typing import Any

from .. import _device
from ._reference_permute import LONGEST_CHAIN, OPERATIONS


def permute_marginals(
    x: Any, block_of_column: Any, method: str, seed: int, out: Any, n_threads: int, longest: int = LONGEST_CHAIN
) -> None:
    """Write into `out` `(n_copies, *x.shape)` copies of x, 2-D or 3-D with any strides; `block_of_column` is int32."""
    _device.kernels().permute_marginals(x, block_of_column, OPERATIONS[method], seed, out, longest, _device.here())
