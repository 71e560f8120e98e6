"""dualwalk: new multivariate time series from a few hundred real ones, by walks in the dual space of their divergence.

    import dualwalk as dw

    divergence = dw.DualDivergence(random_state=0).fit(X)      # X: (n_samples, n_channels, n_times)
    new = dw.DualSampler(random_state=0).fit(X).sample(300)

After "Deep Generative Sampling in the Dual Divergence Space" (Garg et al., arXiv 2404.07377, 2024).

A name is loaded from its module at its first use, so that importing the package costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

from ._forks import load as _load

__version__ = "0.1.0"

_MODULE_OF = {
    "Attribution": "_surroundings",
    "CopiedRowsWarning": "_copies",
    "CopiedSamplesWarning": "_sampler.novelty",
    "DependenceGraph": "_nodepath.graph",
    "DependenceOrder": "_dependence.order",
    "DualDivergence": "estimator",
    "DualSampler": "sampler",
    "GroupedDataWarning": "_sampler.grouped",
    "IndependenceTest": "independence",
    "InfiniteDivergenceWarning": "_infinite",
    "Interpolation": "_sampler.interpolation",
    "JointClusters": "joint",
    "LocalCovariance": "duals.local_covariance",
    "LocalDual": "duals.local",
    "MLPDual": "duals.mlp",
    "MissingModelFileError": "_model_file.errors",
    "MissingPackageError": "_requirements",
    "MixtureDual": "duals.mixture",
    "ModelFileError": "_model_file.errors",
    "MutualInformation": "information",
    "NodeDual": "duals.node",
    "NormalScores": "normal_scores",
    "NotFittedError": "_estimator",
    "Objective": "objective",
    "SampleInfo": "_sampler.novelty",
    "SmallSampleWarning": "_estimator",
    "UnsupportedEstimateWarning": "_single.calibration",
    "WalkResult": "walks",
    "anneal": "annealing",
    "dependence_matrix": "dependence",
    "dependence_order": "dependence",
    "donsker_varadhan": "objective",
    "independence_test": "independence",
    "joint_clusters": "joint",
    "load": "_model_file.codec",
    "load_japanese_vowels": "datasets",
    "log_mean_exp": "objective",
    "logistic": "objective",
    "mutual_information": "information",
    "permute_marginals": "marginals",
    "show_config": "_config",
    "walk": "walks",
}

__all__ = list(_MODULE_OF)

if TYPE_CHECKING:  # each name twice: else mypy --strict takes it for private
    from . import metrics as metrics
    from ._config import show_config as show_config
    from ._copies import CopiedRowsWarning as CopiedRowsWarning
    from ._dependence.order import DependenceOrder as DependenceOrder
    from ._estimator import NotFittedError as NotFittedError
    from ._estimator import SmallSampleWarning as SmallSampleWarning
    from ._infinite import InfiniteDivergenceWarning as InfiniteDivergenceWarning
    from ._model_file.codec import load as load
    from ._model_file.errors import MissingModelFileError as MissingModelFileError
    from ._model_file.errors import ModelFileError as ModelFileError
    from ._nodepath.graph import DependenceGraph as DependenceGraph
    from ._requirements import MissingPackageError as MissingPackageError
    from ._sampler.grouped import GroupedDataWarning as GroupedDataWarning
    from ._sampler.interpolation import Interpolation as Interpolation
    from ._sampler.novelty import CopiedSamplesWarning as CopiedSamplesWarning
    from ._sampler.novelty import SampleInfo as SampleInfo
    from ._single.calibration import UnsupportedEstimateWarning as UnsupportedEstimateWarning
    from ._surroundings import Attribution as Attribution
    from .annealing import anneal as anneal
    from .datasets import load_japanese_vowels as load_japanese_vowels
    from .dependence import dependence_matrix as dependence_matrix
    from .dependence import dependence_order as dependence_order
    from .duals.local import LocalDual as LocalDual
    from .duals.local_covariance import LocalCovariance as LocalCovariance
    from .duals.mixture import MixtureDual as MixtureDual
    from .duals.mlp import MLPDual as MLPDual
    from .duals.node import NodeDual as NodeDual
    from .estimator import DualDivergence as DualDivergence
    from .independence import IndependenceTest as IndependenceTest
    from .independence import independence_test as independence_test
    from .information import MutualInformation as MutualInformation
    from .information import mutual_information as mutual_information
    from .joint import JointClusters as JointClusters
    from .joint import joint_clusters as joint_clusters
    from .marginals import permute_marginals as permute_marginals
    from .normal_scores import NormalScores as NormalScores
    from .objective import Objective as Objective
    from .objective import donsker_varadhan as donsker_varadhan
    from .objective import log_mean_exp as log_mean_exp
    from .objective import logistic as logistic
    from .sampler import DualSampler as DualSampler
    from .walks import WalkResult as WalkResult
    from .walks import walk as walk


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return _load(f".{name}", __name__)
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dualwalk' has no attribute {name!r}")
    value = getattr(_load(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "metrics"})
