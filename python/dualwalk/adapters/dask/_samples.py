"""New samples as a dask array: each block made alone, all of them the rows of one call."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np

from ... import _checks
from ..._threads import threads_limit
from ...sampler import DualSampler
from ._files import row_chunks


def sample(sampler: DualSampler, n: int, y: Any = None, *, seed: Any = None, chunks: Any = None) -> Any:
    """`sampler.sample(n, y, seed=seed)` as a dask array (n, *feature_shape_), with the same bits.

    chunks : rows a block, a number or a tuple of them; None: about 64 MiB. Blocks that begin at any row are right; those of many
        thousand rows are fast, as rows are made up to 1024 at a time (for each class or cluster), and the random numbers of
        all rows before a block are drawn again for it.
    y, seed : as in `sample`. An array y goes to every worker once, and takes 8 bytes a row of the memory of each task.

    The sampler is sent once, not with each task. Raises what `DualSampler.sample_rows` raises (walks other than "auto" and "local"
    are not made in blocks), at once.
    """
    _checks.instance(sampler, "sampler", DualSampler, remedy="pass DualSampler().fit(X)")
    sampler._check_fitted("sampler")
    sampler._need_host("dask's sample")
    seed = sampler._stream_seed(seed)
    nothing = sampler.sample_rows(n, 0, 0, y, seed=seed)
    shape = (n, *nothing.shape[1:])
    sizes = row_chunks(shape, nothing.dtype)[0] if chunks is None else chunks
    return da.map_blocks(
        _stretch,
        sampler=dask.delayed(sampler, traverse=False),
        n=n,
        y=None if y is None else dask.delayed(np.asarray(y), traverse=False),
        seed=seed,
        chunks=da.core.normalize_chunks((sizes, *shape[1:]), shape),
        meta=nothing,
        dtype=nothing.dtype,
    )


def _stretch(*, sampler: DualSampler, n: int, y: Any, seed: int, block_info: Any = None) -> Any:
    start, stop = block_info[None]["array-location"][0]
    with threads_limit(1):
        return sampler.sample_rows(n, start, stop, y, seed=seed)
