"""dualwalk's kernels as functions of JAX: under jit, vmap and grad, in forward and reverse mode and to any order.

    from dualwalk.adapters import jax as dwj

    value, slope = jax.jit(jax.value_and_grad(dwj.log_mean_exp))(f)

The kernels are called back on the host (`jax.pure_callback`); what that costs is measured in docs/howto/jax.md.
"""

from ._log_mean_exp import log_mean_exp as log_mean_exp
from ._objectives import donsker_varadhan as donsker_varadhan
from ._objectives import logistic as logistic
from ._permute import permute_marginals as permute_marginals
from ._walk import walk as walk

__all__ = ["donsker_varadhan", "log_mean_exp", "logistic", "permute_marginals", "walk"]
