"""dualwalk in PyTorch: our kernels as differentiable operators on tensors, walks along any nn.Module, duals as modules.

    import dualwalk.adapters.torch as dwt

    f_joint, f_marginal = critic(x), critic(dwt.permute_marginals(x))
    (-dwt.donsker_varadhan(f_joint, f_marginal).value).backward()

The operators are registered as dualwalk::permute_marginals, ::log_mean_exp, ::donsker_varadhan and ::logistic. Needs
torch >= 2.5 (`pip install "dualwalk[torch]"`); nothing of ours is linked against it, so any build of torch will do.
"""

from ...objective import Objective
from ...walks import WalkResult
from ._log_mean_exp import log_mean_exp
from ._modules import MLPModule, to_dual, to_module
from ._node_module import NodeModule
from ._objectives import donsker_varadhan, logistic
from ._permute import permute_marginals
from ._walk import walk

__all__ = [
    "MLPModule",
    "NodeModule",
    "Objective",
    "WalkResult",
    "donsker_varadhan",
    "log_mean_exp",
    "logistic",
    "permute_marginals",
    "to_dual",
    "to_module",
    "walk",
]
