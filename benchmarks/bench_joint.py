"""`joint_clusters` on hidden groups of series: adjusted Rand index and seconds, beside k-means and spectral clustering.

    python benchmarks/bench_joint.py [--seeds 10] [--quick]

The first case is the synthetic one of Garg et al. 2023 (UAI): 80 binary series of 1000 steps in 8 groups of 10; inside a
group every series' bit is drawn with a probability that depends on the bit pattern of the group's earlier series. k-means
sees the series, spectral clustering their squared correlations, with the number of groups given; `joint_clusters` is run with
the number given and without. Seconds are processor time of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score

from dualwalk.joint import joint_clusters

Groups = Callable[[np.random.Generator], tuple[NDArray, int]]


def patterns(rng: np.random.Generator, low: float = 0.0) -> tuple[NDArray, int]:
    series = []
    for _ in range(8):
        pattern = np.zeros(1000, dtype=np.intp)
        for k in range(10):
            bit = (rng.random(1000) < rng.uniform(low, 1 - low, 2**k)[pattern]).astype(int)
            series.append(bit)
            pattern = 2 * pattern + bit
    return np.array(series), 8


def exclusive_or(rng: np.random.Generator) -> tuple[NDArray, int]:
    bits = rng.integers(0, 2, (8, 3, 600))
    bits[:, 2] = bits[:, 0] ^ bits[:, 1]
    return bits.reshape(24, 600), 8


def factors(rng: np.random.Generator) -> tuple[NDArray, int]:
    signs = rng.choice([-1, 1], (6, 8, 1))
    return (signs * rng.standard_normal((6, 1, 400)) + rng.standard_normal((6, 8, 400))).reshape(48, 400), 6


def shared_scale(rng: np.random.Generator) -> tuple[NDArray, int]:
    scale = np.exp(0.7 * rng.standard_normal((6, 1, 500)))
    return (scale * rng.standard_normal((6, 8, 500))).reshape(48, 500), 6


def slow(rng: np.random.Generator) -> tuple[NDArray, int]:
    def autoregressive(*shape: int) -> NDArray:
        x = rng.standard_normal((*shape, 1000))
        for t in range(1, 1000):
            x[..., t] = 0.9 * x[..., t - 1] + 0.19**0.5 * x[..., t]
        return x

    return (autoregressive(6, 1) + autoregressive(6, 8)).reshape(48, 1000), 6


CASES: dict[str, Groups] = {
    "bit patterns, 8 x 10 (UAI 2023)": patterns,
    "the same, probabilities in .1 to .9": lambda rng: patterns(rng, 0.1),
    "exclusive or, 8 x 3": exclusive_or,
    "factor with signs, 6 x 8": factors,
    "shared scale, uncorrelated, 6 x 8": shared_scale,
    "slow, autocorrelation .9, 6 x 8": slow,
}


def spectral(X: NDArray, n_groups: int) -> NDArray:
    """Spectral clustering of squared correlations."""
    with np.errstate(invalid="ignore"):
        affinity = np.nan_to_num(np.corrcoef(X)) ** 2
    return SpectralClustering(n_groups, affinity="precomputed", random_state=0).fit_predict(affinity)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="seeds a case (default 10)")
    parser.add_argument("--quick", action="store_true", help="two seeds")
    options = parser.parse_args()
    n_seeds = 2 if options.quick else options.seeds
    print("| case | k-means | spectral | joint, number given | exact | joint, number free | exact | seconds, median (most) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, draw in CASES.items():
        scores = np.empty((n_seeds, 4))
        seconds = []
        for seed in range(n_seeds):
            rng = np.random.default_rng(seed)
            X, n_groups = draw(rng)
            order = rng.permutation(len(X))
            X, truth = X[order], np.repeat(np.arange(n_groups), len(X) // n_groups)[order]
            start = time.process_time()
            given = joint_clusters(X, n_groups).labels
            seconds.append(time.process_time() - start)
            free = joint_clusters(X).labels
            by_shape = KMeans(n_groups, n_init=10, random_state=0).fit_predict(X)
            found = (by_shape, spectral(X, n_groups), given, free)
            scores[seed] = [adjusted_rand_score(truth, labels) for labels in found]
        mean, exact = scores.mean(axis=0), (scores == 1).sum(axis=0)
        print(
            f"| {name} | {mean[0]:.2f} | {mean[1]:.2f} | {mean[2]:.3f} | {exact[2]} of {n_seeds} | {mean[3]:.3f} | "
            f"{exact[3]} of {n_seeds} | {np.median(seconds):.2f} ({max(seconds):.2f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
