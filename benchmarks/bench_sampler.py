"""How well DualSampler's samples replace held-out ones, and how long it takes.

    python benchmarks/bench_sampler.py DATA_FOLDER [--seeds 3] [--labels] [--sets ering wind]

DATA_FOLDER (or the variable DUALWALK_BENCH_DATA) holds .npz files with X_train and X_test, (samples, channels, times), and
perhaps y_train. For every set and seed: DualSampler(random_state=seed).fit(X_train).sample(300), judged against X_test by

    cost = |rf - .5| + |nnc - .5| + (1 - coverage) / 2 + |auth - 1| / 2        (0 is perfect; lower is better)

rf    accuracy of a random forest (5 folds) that tells generated from held-out samples
nnc   the same forest on log distances to the 1st, 2nd and 5th nearest training sample: near 1 for copies and for noise
cov   share of held-out samples with a generated one nearer than their 5th nearest held-out neighbour
auth  median distance of generated samples to the nearest training sample over that of held-out samples

Distances are in units of the training columns' deviations, none below a tenth of the median one. A second real sample of the
same source costs about .1. Times are processor times; NumPy's products run on one thread inside fit and sample.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import StratifiedKFold, cross_val_score

from dualwalk.sampler import DualSampler

N_SAMPLES = 300


def forest_accuracy(real: np.ndarray, made: np.ndarray) -> float:
    """Share of rows that a forest, trained on four fifths of them, puts on the right side."""
    rows = np.vstack([real, made])
    is_made = np.repeat([0, 1], [len(real), len(made)])
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0)
    return float(cross_val_score(forest, rows, is_made, cv=StratifiedKFold(5, shuffle=True, random_state=0)).mean())


def judge(train: np.ndarray, held: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """rf, nnc, cov, auth and cost of generated rows; as many held-out and generated rows as the smaller side has."""
    deviation = train.std(axis=0)
    deviation = np.maximum(deviation, 0.1 * np.median(deviation[deviation > 0]))
    n = min(len(held), len(made))
    train, held, made = (rows / deviation for rows in (train, np.random.default_rng(0).permutation(held)[:n], made[:n]))
    held_near, made_near = (np.sort(pairwise_distances(rows, train), axis=1)[:, [0, 1, 4]] for rows in (held, made))
    radius = np.sort(pairwise_distances(held), axis=1)[:, 5]  # the 0th is the row itself
    scores = {
        "rf": forest_accuracy(held, made),
        "nnc": forest_accuracy(np.log(held_near + 1e-3), np.log(made_near + 1e-3)),
        "cov": float((pairwise_distances(held, made).min(axis=1) < radius).mean()),
        "auth": float(np.median(made_near[:, 0]) / np.median(held_near[:, 0])),
    }
    distance = abs(scores["rf"] - 0.5) + abs(scores["nnc"] - 0.5)
    return {**scores, "cost": distance + (1 - scores["cov"]) / 2 + abs(scores["auth"] - 1) / 2}


def flat(X: np.ndarray) -> np.ndarray:
    return np.asarray(X, dtype=np.float64).reshape(len(X), -1)


def bench(path: Path, n_seeds: int, with_labels: bool) -> None:
    data = np.load(path, allow_pickle=False)
    X, y = data["X_train"], data["y_train"] if with_labels and "y_train" in data else None
    if with_labels and y is None:
        return
    results = []
    for seed in range(n_seeds):
        begin = time.process_time()
        sampler = DualSampler(random_state=seed).fit(X, y)
        fit_seconds = time.process_time() - begin
        made = sampler.sample(N_SAMPLES)
        begin = time.process_time()
        sampler.sample(N_SAMPLES)
        each = (time.process_time() - begin) / N_SAMPLES * 1e6
        scores = judge(flat(X), flat(data["X_test"]), flat(made))
        results.append([*scores.values(), fit_seconds, each])
        row(path.stem, "x".join(map(str, X.shape)), str(seed), results[-1], str(sampler.choice_))
    row(path.stem, "", "mean", list(np.mean(results, axis=0)), "")


def row(name: str, shape: str, seed: str, values: list[float], choice: str) -> None:
    numbers = " | ".join(f"{v:.2f}" for v in values[:4])
    print(
        f"| {name} | {shape} | {seed} | {numbers} | {values[4]:.3f} | {values[5]:.2f} | {values[6]:.0f} | {choice} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=os.environ.get("DUALWALK_BENCH_DATA"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", action="store_true", help="fit with y_train, on the sets that have it")
    parser.add_argument("--sets", nargs="*", help="names of sets (default: all)")
    settings = parser.parse_args()
    if settings.folder is None:
        sys.exit("name a folder of .npz files, or set DUALWALK_BENCH_DATA")
    paths = sorted(p for p in Path(settings.folder).glob("*.npz") if not settings.sets or p.stem in settings.sets)
    if not paths:
        sys.exit(f"no .npz file of that name in {settings.folder}")
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{versions}, OPENBLAS_NUM_THREADS={os.environ.get('OPENBLAS_NUM_THREADS', 'unset')}\n")
    print("| set | X_train | seed | rf | nnc | cov | auth | cost | fit CPU s | CPU us a sample | choice |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for path in paths:
        bench(path, settings.seeds, settings.labels)


if __name__ == "__main__":
    main()
