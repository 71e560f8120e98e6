"""The dependence of all pairs of very many columns, and their order, by blocks of columns."""

from __future__ import annotations

import secrets
from typing import Any

import dask
import dask.array as da
import numpy as np

from ... import _checks
from ..._dependence.order import DependenceOrder, prim_order, strongest, together
from ..._dependence.tiles import TILE, panels, tile
from ..._dependence.tiles import pairs as pairs_of
from ._files import numbers

_AT_ONCE = 16  # forests that are put together by one task


def dependence_matrix(X: Any, *, block: int = 4096) -> Any:
    """`dualwalk.dependence_matrix(X)` as a dask array (d, d), float32, in blocks of `block` columns, with the same bits.

    Write it with `store`, or reduce it block by block. Half of the blocks are computed, the others are their transposes.

    X : a dask array (n, d) or (n, n_channels, n_times), or a path that `open_array` takes, or an array; at least 8 samples. Chunks are
        joined to all samples of `block` columns.
    block : columns of a block, a multiple of 1024. A task holds two panels (8 n block bytes each) and its block (4 block^2 bytes).
    """
    units, starts, d = _panels(X, block)
    sizes = [min(block, d - start) for start in starts]
    blocks: list[list[Any]] = [[None] * len(starts) for _ in starts]
    for i, j in pairs_of(len(starts)):
        strength = dask.delayed(_strengths)(units[i], units[j], i == j)
        blocks[i][j] = da.from_delayed(strength, (sizes[i], sizes[j]), dtype=np.float32)
        blocks[j][i] = blocks[i][j] if i == j else blocks[i][j].T
    return da.block(blocks)


def dependence_order(X: Any, *, block: int = 4096) -> DependenceOrder:
    """`dualwalk.dependence_order(X)`, computed in blocks of columns; the d x d matrix is never held.

    X, block : as in `dependence_matrix`. Every pair of blocks leaves the at most 2 `block` - 1 edges of its maximum spanning forest (20
    bytes each), and these are put together by 16. Work: 2 d^2 n multiply-adds. The order itself is computed here.
    """
    units, starts, _ = _panels(X, block)
    parts = [dask.delayed(_strongest)(units[i], units[j], starts[i], starts[j]) for i, j in pairs_of(len(starts))]
    while len(parts) > 1:
        parts = [dask.delayed(together)(parts[k : k + _AT_ONCE]) for k in range(0, len(parts), _AT_ONCE)]
    return prim_order(dask.compute(parts[0])[0])


def _panels(X: Any, block: int) -> tuple[list[Any], list[int], int]:
    """The delayed panels of every block of columns, where they start, and the number of columns."""
    block = _checks.count(block, "block", minimum=1)
    if block % TILE:
        raise ValueError(f"block must be a multiple of {TILE}; got {block} (pass {-(-block // TILE) * TILE})")
    x = numbers(X, "X")
    if x.ndim not in (2, 3) or len(x) < _checks.MIN_SAMPLES or 0 in x.shape:
        raise ValueError(
            f"X must have shape (n_samples, n_features) or (n_samples, n_channels, n_times), at least {_checks.MIN_SAMPLES} samples; "
            f"got shape {x.shape} (reshape it, or collect more rows)"
        )
    if x.ndim == 3:
        x = x.rechunk({0: -1, 2: -1}).reshape(len(x), -1)
    # a name that no other call has: Dask would meet the caller's keys again with other tasks behind them, and warn
    x = x.rechunk((-1, block)).map_blocks(
        _checked, name=f"columns-{secrets.token_hex(8)}", dtype=np.float64, meta=np.empty((0, 0))
    )
    units = [dask.delayed(panels)(part) for part in x.to_delayed().ravel()]
    return units, list(range(0, x.shape[1], block)), x.shape[1]


def _checked(columns: Any) -> Any:
    return _checks.samples(columns)[0]


def _strengths(left: list[Any], right: list[Any], alone: bool) -> Any:
    right = left if alone else right  # the same arrays, whatever way they came
    rows, columns = (sum(panel.shape[1] for panel in side) for side in (left, right))
    block = np.empty((rows, columns), dtype=np.float32)
    for i, j in pairs_of(len(left), None if alone else len(right)):
        here, there = (slice(p * TILE, (p + 1) * TILE) for p in (i, j))
        block[here, there] = tile(left[i], right[j])
        if alone:
            block[there, here] = block[here, there].T
    return block


def _strongest(left: list[Any], right: list[Any], first_left: int, first_right: int) -> Any:
    return strongest(left, left if first_left == first_right else right, first_left, first_right)
