"""How good are generated samples? Scores against held-out real ones, each with a check of the judge itself.

    from dualwalk import metrics
    print(metrics.evaluate(generated, train, held_out))

Arrays are (n, n_features) or (n, n_channels, n_times). Classifiers need scikit-learn (`pip install "dualwalk[metrics]"`),
networks need PyTorch; everything else needs NumPy alone.
"""

from .evaluation import Evaluation, evaluate
from .judging import JudgeWarning, TwoSample
from .nearness import Authenticity, ManifoldScores, authenticity, manifold_scores
from .two_sample import classifier_two_sample, memorization_two_sample, nearest_neighbor_two_sample

__all__ = [
    "Authenticity",
    "Evaluation",
    "JudgeWarning",
    "ManifoldScores",
    "TwoSample",
    "authenticity",
    "classifier_two_sample",
    "evaluate",
    "manifold_scores",
    "memorization_two_sample",
    "nearest_neighbor_two_sample",
]
