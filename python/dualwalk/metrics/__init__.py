"""How good are generated samples? Scores against held-out real ones, each with a check of the judge itself.

    from dualwalk import metrics
    print(metrics.evaluate(generated, train, held_out))

| question | score |
|---|---|
| all quick ones in a table, and the cost that sums them up | `evaluate` |
| can a classifier tell them from real ones? | `classifier_two_sample`, `nearest_neighbor_two_sample`, `discriminative_score` |
| are they copies, or far from everything? | `authenticity`, `memorization_two_sample` |
| do they tell whose rows they were made from? | `membership_inference` |
| do they fill the room that real ones fill? | `manifold_scores` |
| is the distribution the same? | `mmd`, `energy_distance`, with permutation tests |
| are correlations, marginals, spikes right? | `correlation_error`, `marginal_error`, `difference_kurtosis` |
| can one learn from them? | `train_synthetic_test_real`, `predictive_score` |

Every judge is judged: it must tell real rows from the same rows with every column shuffled, else `JudgeWarning`, and the result
is not `.trusted`. On few long series the convolution sees most, and the forest may be blind.

Arrays are (n, n_features) or (n, n_channels, n_times). Compare with real rows that the generator never saw. Classifiers need
scikit-learn (`pip install "dualwalk[metrics]"`), networks need PyTorch; everything else needs NumPy alone.
"""

from .downstream import DownstreamAccuracy, train_synthetic_test_real
from .evaluation import Evaluation, Similarity, evaluate
from .judging import JudgeWarning, TwoSample
from .kernels import SampleDistance, energy_distance, mmd
from .membership import MembershipInference, membership_inference
from .nearness import Authenticity, ManifoldScores, authenticity, manifold_scores
from .roc import MembershipAttack
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
    "MembershipAttack",
    "MembershipInference",
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
    "membership_inference",
    "memorization_two_sample",
    "mmd",
    "nearest_neighbor_two_sample",
    "predictive_score",
    "train_synthetic_test_real",
]
