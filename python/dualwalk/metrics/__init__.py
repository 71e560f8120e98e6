"""How good are generated samples? Scores against held-out real ones, each with a check of the judge itself.

    from dualwalk import metrics
    print(metrics.evaluate(generated, train, held_out))

Arrays are (n, n_features) or (n, n_channels, n_times). Classifiers need scikit-learn (`pip install "dualwalk[metrics]"`),
networks need PyTorch; everything else needs NumPy alone.
"""

from .downstream import DownstreamAccuracy, train_synthetic_test_real
from .evaluation import Evaluation, Similarity, evaluate
from .judging import JudgeWarning, TwoSample
from .kernels import SampleDistance, energy_distance, mmd
from .nearness import Authenticity, ManifoldScores, authenticity, manifold_scores
from .series_scores import SeriesScore, discriminative_score, predictive_score
from .statistics import CorrelationError, correlation_error, difference_kurtosis, marginal_error
from .two_sample import classifier_two_sample, memorization_two_sample, nearest_neighbor_two_sample

__all__ = [
    "Authenticity",
    "CorrelationError",
    "DownstreamAccuracy",
    "Evaluation",
    "JudgeWarning",
    "ManifoldScores",
    "SampleDistance",
    "SeriesScore",
    "Similarity",
    "TwoSample",
    "authenticity",
    "classifier_two_sample",
    "correlation_error",
    "difference_kurtosis",
    "discriminative_score",
    "energy_distance",
    "evaluate",
    "manifold_scores",
    "marginal_error",
    "memorization_two_sample",
    "mmd",
    "nearest_neighbor_two_sample",
    "predictive_score",
    "train_synthetic_test_real",
]
