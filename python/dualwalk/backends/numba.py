"""The jobs in Numba: the same as reference.py, compiled at their first call, for installations without `_core`.

No Numba threading layer is used: compiled functions release the GIL and threads come from `_threads.parallel_ranges`, so that
forks and concurrent callers are safe. Work is cut up the same way for every n_threads, hence the same bits.
"""

from numba.core.compiler_lock import global_compiler_lock

from .._forks import wait_at_fork
from ._numba_balance import balance_columns
from ._numba_contrastive import contrastive_slopes, contrastive_terms
from ._numba_draws import draw_integers, philox
from ._numba_log_sigmoid import mean_log_sigmoid
from ._numba_node_terms import density_slopes, density_terms
from ._numba_nodes import score_contrastive, score_density, train_contrastive, train_density
from ._numba_objective import log_mean_exp, log_mean_exp_segments
from ._numba_permute import permute_marginals
from ._numba_sampling import draw_normals, relax_local
from ._numba_walk_local import walk_local
from ._numba_walk_mixture import anneal_mixture, walk_mixture
from ._numba_walk_mlp import walk_mlp

wait_at_fork(global_compiler_lock)  # or a child could never compile what another thread was compiling

__all__ = [
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
    "train_contrastive",
    "train_density",
    "walk_local",
    "walk_mixture",
    "walk_mlp",
]
