"""dualwalk on Dask: many fits at once, columns by the hundred thousand, and arrays larger than memory.

    import dualwalk.adapters.dask as dwd

    x = dwd.open_array("long.zarr")                                     # a dask array; .npy files too
    dwd.store(dwd.score_samples(model, x), "f.npy")                     # chunk by chunk, the file whole or not there
    dwd.store(dwd.sample(sampler, 10_000_000, seed=1), "new.zarr")
    order = dwd.dependence_order(x)
    models = dwd.bootstrap(dw.DualDivergence(), X, 200, seed=1)

Everything runs on the scheduler that Dask has: threads, or the workers of the `distributed.Client` that was made last. What comes
out has the bits of the same call without Dask, for any chunks and workers (of one kind of processor and NumPy build), and also
where workers die: a task is a pure function of its data and seed, so that it can be done again. A task works on one thread; give
workers as many threads, or processes, as there are processors.

Needs `pip install "dualwalk[dask]"`. Arrays on a device are not taken.
"""

from ._dependence import dependence_matrix, dependence_order
from ._files import ExistingFileError, MissingFileError, open_array, store
from ._many import bootstrap, bootstrap_rows, fit_many, sample_many
from ._rows import node_terms, predict, score_samples, transform
from ._samples import sample

__all__ = [
    "ExistingFileError",
    "MissingFileError",
    "bootstrap",
    "bootstrap_rows",
    "dependence_matrix",
    "dependence_order",
    "fit_many",
    "node_terms",
    "open_array",
    "predict",
    "sample",
    "sample_many",
    "score_samples",
    "store",
    "transform",
]
