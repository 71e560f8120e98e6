"""dualwalk: new multivariate time series from a few hundred real ones, by walks in the dual space of their divergence.

    import dualwalk as dw

    divergence = dw.DualDivergence(random_state=0).fit(X)      # X: (n_samples, n_channels, n_times)
    new = dw.DualSampler(random_state=0).fit(X).sample(300)

After "Deep Generative Sampling in the Dual Divergence Space" (Garg et al., arXiv 2404.07377, 2024).

A name is loaded from its module at its first use, so that importing the package costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from . import metrics as metrics
    from ._config import show_config
    from ._copies import CopiedRowsWarning
    from ._dependence.order import DependenceOrder
    from ._estimator import NotFittedError, SmallSampleWarning
    from ._infinite import InfiniteDivergenceWarning
    from ._model_file.codec import load
    from ._model_file.errors import ModelFileError
    from ._nodepath.graph import DependenceGraph
    from ._sampler.grouped import GroupedDataWarning
    from ._sampler.interpolation import Interpolation
    from ._sampler.novelty import CopiedSamplesWarning, SampleInfo
    from ._single.calibration import UnsupportedEstimateWarning
    from ._surroundings import Attribution
    from .annealing import anneal
    from .datasets import load_japanese_vowels
    from .dependence import dependence_matrix, dependence_order
    from .duals.local import LocalDual
    from .duals.local_covariance import LocalCovariance
    from .duals.mixture import MixtureDual
    from .duals.mlp import MLPDual
    from .duals.node import NodeDual
    from .estimator import DualDivergence
    from .independence import IndependenceTest, independence_test
    from .information import MutualInformation, mutual_information
    from .joint import JointClusters, joint_clusters
    from .marginals import permute_marginals
    from .normal_scores import NormalScores
    from .objective import Objective, donsker_varadhan, log_mean_exp, logistic
    from .sampler import DualSampler
    from .walks import WalkResult, walk


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module(f".{name}", __name__)
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dualwalk' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "metrics"})
