"""How well unknown values are completed from the known ones, beside the usual ways of doing so.

    python benchmarks/bench_imputation.py [DATA ...] [--sets vowels digits] [--seeds 3] [--rows 100] [--out results.md]

DATA are .npz files, or folders of them, with X_train and X_test (default: the variable DUALWALK_BENCH_DATA); the sets that
packages carry come with them (`series.py`; --sets picks some). Every method sees X_train in full, and test rows of which it is
shown a part:

forecast   the last quarter of the times is unknown
gap        the middle third of the times is unknown
channels   a quarter of the channels is unknown (of a table: a quarter of the columns)
scattered  30 % of the values are unknown, every row's its own; as many sets of 30 % as there are seeds

rmse   root mean squared error of the best guess (the mean of 100 draws where a method draws)
crps   continuous ranked probability score of 100 draws, of a method without draws the mean absolute error: an error of which
       a method that knows its own uncertainty gets part back
in 90  share of unknown values between the 5 % and the 95 % quantile of the draws: .90 is honest
cpu s  processor seconds, fit and completion of all rows

All errors are in units of the training columns' deviations (none below a tenth of the median one): a column's mean scores an
rmse of 1. Mean over the seeds. Best in bold, and what is within 1 % of it.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import series
import sklearn
from _timing import processor
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import BayesianRidge

import dualwalk
from dualwalk._given.choice import ranked_probability_score
from dualwalk._given.fill import Completer

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
N_DRAWS = 100


@dataclass(frozen=True)
class Task:
    """Training rows and incomplete rows (NaN where unknown), both (n, d) in units of the columns' deviations."""

    train: Float
    asked: Float
    shape: tuple[int, ...]
    seed: int

    @property
    def known(self) -> Mask:
        return ~np.isnan(self.asked)

    @property
    def one_pattern(self) -> Mask:
        """The pattern that all rows share."""
        if (self.known != self.known[0]).any():
            raise Skip
        return self.known[0]


class Skip(Exception):
    """The method is not made for this task."""


# A method returns draws (n_draws, m, d); one draw is a best guess. Known entries are not looked at.


def column_mean(task: Task) -> Float:
    return np.broadcast_to(task.train.mean(axis=0), (1, *task.asked.shape))


def along_time(task: Task) -> Float:
    """Every channel interpolated linearly between its known times, the last value carried forward and the first backward."""
    if len(task.shape) != 2 or task.shape[1] < 2:
        raise Skip
    filled = task.asked.reshape(-1, task.shape[1]).copy()
    means = np.tile(task.train.mean(axis=0).reshape(task.shape), (len(task.asked), 1))
    times = np.arange(task.shape[1])
    for values, mean in zip(filled, means, strict=True):
        known = ~np.isnan(values)
        values[:] = np.interp(times, times[known], values[known]) if known.any() else mean
    return filled.reshape(1, *task.asked.shape)


def nearest_rows(task: Task) -> Float:
    return KNNImputer(n_neighbors=5, weights="distance").fit(task.train).transform(task.asked)[None]


def bayesian_ridge(task: Task) -> Float:
    """Every unknown column on the known ones; where rows differ in what is known, scikit-learn's round-robin of the same."""
    try:
        known = task.one_pattern
    except Skip:
        imputer = IterativeImputer(BayesianRidge(), n_nearest_features=50, max_iter=5, random_state=task.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged: more rounds did not help
            return imputer.fit(np.vstack([task.train, task.asked])).transform(task.asked)[None]
    draws = np.zeros((N_DRAWS, *task.asked.shape))
    noise = np.random.default_rng(task.seed).normal(size=draws.shape)
    for j in np.flatnonzero(~known):
        if np.ptp(task.train[:, j]) == 0:
            draws[:, :, j] = task.train[0, j]
            continue
        mean, deviation = (
            BayesianRidge().fit(task.train[:, known], task.train[:, j]).predict(task.asked[:, known], return_std=True)
        )
        draws[:, :, j] = mean + deviation * noise[:, :, j]
    return draws


def gaussian(task: Task) -> Float:
    """The Gaussian of all rows, its covariance shrunk as Ledoit and Wolf say, conditioned on the known values."""
    model = LedoitWolf().fit(task.train)
    draws = np.zeros((N_DRAWS, *task.asked.shape))
    stream = np.random.default_rng(task.seed)
    for row, known in enumerate(task.known):
        inside, across = model.covariance_[np.ix_(known, known)], model.covariance_[np.ix_(known, ~known)]
        slopes = np.linalg.solve(inside, across)
        mean = model.location_[~known] + (task.asked[row, known] - model.location_[known]) @ slopes
        lower = np.linalg.cholesky(
            model.covariance_[np.ix_(~known, ~known)] - across.T @ slopes + 1e-9 * np.eye((~known).sum())
        )
        draws[:, row, ~known] = mean + stream.normal(size=(N_DRAWS, len(lower))) @ lower.T
    return draws


def forest(task: Task) -> Float:
    """A random forest; draws are training rows from the query's leaf of a random tree."""
    known = task.one_pattern
    model = RandomForestRegressor(100, min_samples_leaf=3, max_features=1 / 3, random_state=task.seed)
    model.fit(task.train[:, known], task.train[:, ~known])
    own, leaves = model.apply(task.asked[:, known]), model.apply(task.train[:, known])
    stream = np.random.default_rng(task.seed)
    draws = np.zeros((N_DRAWS, *task.asked.shape))
    for k in range(N_DRAWS):
        for row in range(len(own)):
            together = np.flatnonzero(leaves[:, k] == own[row, k])
            draws[k, row] = task.train[stream.choice(together)]
    return draws


def ours(task: Task) -> Float:
    return Completer(task.train, task.shape, None, None, task.seed).complete(task.asked, None, N_DRAWS, task.seed)[0]


METHODS: dict[str, Callable[[Task], Float]] = {
    "column mean": column_mean,
    "along time": along_time,
    "5 nearest rows": nearest_rows,
    "Bayesian ridge": bayesian_ridge,
    "Gaussian, Ledoit-Wolf": gaussian,
    "random forest": forest,
    "dualwalk": ours,
}


def patterns(shape: tuple[int, ...], n_rows: int, n_seeds: int) -> Iterator[tuple[str, int, Mask]]:
    """(name, seed, what is known (n_rows, d)) of every task for samples of this shape."""
    n_channels, n_times = shape if len(shape) == 2 else (shape[0], 1)
    tasks: dict[str, Mask] = {}
    if n_times >= 8:
        for name, begin, end in (("forecast", n_times - n_times // 4, n_times), ("gap", n_times // 3, n_times - n_times // 3)):
            tasks[name] = np.ones((n_channels, n_times), dtype=bool)
            tasks[name][:, begin:end] = False
    if n_channels >= 2:
        tasks["channels"] = np.ones((n_channels, n_times), dtype=bool)
        tasks["channels"][np.random.default_rng(0).permutation(n_channels)[: max(1, n_channels // 4)]] = False
    for name, known in tasks.items():
        yield name, 0, np.tile(known.ravel(), (n_rows, 1))
    for seed in range(n_seeds):
        yield "scattered", seed, np.random.default_rng(seed).random((n_rows, n_channels * n_times)) >= 0.3


def judge(draws: Float, truth: Float, unknown: Mask) -> tuple[float, float, float]:
    """rmse, crps and the share inside the middle 90 %."""
    made, wanted = draws[:, unknown], truth[unknown]
    rmse = float(np.sqrt(((made.mean(axis=0) - wanted) ** 2).mean()))
    if len(made) == 1:
        return rmse, float(np.abs(made[0] - wanted).mean()), float("nan")
    low, high = np.sort(made, axis=0)[[4, 95]]  # 91 of 101 places lie between them
    inside = float(((wanted >= low) & (wanted <= high)).mean()) * 0.9 * 101 / 91
    return rmse, float(ranked_probability_score(made, wanted).mean()), inside


def run_set(data: series.Series, n_seeds: int, n_rows: int) -> list[tuple[str, str, str, str, float, float, float, float]]:
    shape = data.X_train.shape[1:]
    train = data.X_train.reshape(len(data.X_train), -1)
    deviation = train.std(axis=0)
    deviation = np.maximum(deviation, 0.1 * np.median(deviation[deviation > 0]))
    truth = np.random.default_rng(0).permutation(data.X_test)[:n_rows].reshape(-1, train.shape[1]) / deviation
    scores: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
    for name, seed, known in patterns(shape, len(truth), n_seeds):
        task = Task(train / deviation, np.where(known, truth, np.nan), shape, seed)
        for method, complete in METHODS.items():
            began = time.process_time()
            try:
                draws = complete(task)
            except Skip:
                continue
            seconds = time.process_time() - began
            scores.setdefault((name, method), []).append((*judge(draws, truth, ~known), seconds))
    return [(data.name, data.shape, *key, *np.mean(values, axis=0).tolist()) for key, values in scores.items()]


def against_exact(n_seeds: int) -> list[str]:
    """Gaussian series with a known covariance: how much is lost against the exact conditional mean and covariance."""
    shape, n_test = (3, 8), 300
    channels = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, 0.5], [0.2, 0.5, 1.0]])
    times = 0.8 ** np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    lines = [
        "| n | rmse over the exact mean's: dualwalk | Bayesian ridge | Gaussian, Ledoit-Wolf | variance of draws over the exact | in 90 |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for n in (50, 100, 200, 400, 800):
        found = []
        for seed in range(n_seeds):
            stream = np.random.default_rng(seed)
            loading = stream.normal(size=(24, 1))
            covariance = np.kron(channels, times) + 0.5 * loading @ loading.T
            rows = stream.multivariate_normal(np.zeros(24), covariance, size=n + n_test, method="cholesky")
            known = np.tile(np.arange(8) < 6, 3)
            slopes = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, ~known)])
            exact = rows[n:, known] @ slopes
            variance = np.diagonal(covariance)[~known] - np.einsum("ij,ij->j", covariance[np.ix_(known, ~known)], slopes)
            task = Task(rows[:n], np.where(known, rows[n:], np.nan), shape, seed)
            own = ours(task)
            made = [draws.mean(axis=0)[:, ~known] for draws in (own, bayesian_ridge(task), gaussian(task))]
            best = ((exact - rows[n:, ~known]) ** 2 / variance).mean()
            ratios = [np.sqrt(((mean - rows[n:, ~known]) ** 2 / variance).mean() / best) for mean in made]
            spread = (own[:, :, ~known].var(axis=0, ddof=1) / variance).mean()
            found.append([*ratios, spread, judge(own, rows[n:], np.tile(~known, (n_test, 1)))[2]])
        lines.append(f"| {n} | {' | '.join(f'{value:.3f}' for value in np.mean(found, axis=0))} |")
    return lines


def markdown(rows: list[tuple[str, str, str, str, float, float, float, float]]) -> list[str]:
    lines = ["| set | X_train | task | method | rmse | crps | in 90 | cpu s |", "|---|---|---|---|---|---|---|---|"]
    for name, shape, task, method, *numbers, seconds in rows:
        rivals = [row for row in rows if row[0] == name and row[2] == task]
        shown = []
        for place, number in enumerate(numbers[:2]):
            best = min(row[4 + place] for row in rivals)
            shown.append(f"**{number:#.3g}**" if number <= 1.01 * best else f"{number:#.3g}")
        inside = "" if np.isnan(numbers[2]) else f"{numbers[2]:.2f}"
        lines.append(f"| {name} | {shape} | {task} | {method} | {' | '.join(shown)} | {inside} | {seconds:.1f} |")
    return lines


def summary(rows: list[tuple[str, str, str, str, float, float, float, float]]) -> list[str]:
    """Over all sets: mean of rmse and crps, on how many the best or within 1 % of it, crps over the best, calibration."""
    lines = [
        "| task | method | sets | mean rmse | mean crps | best on | crps over the best's, median | in 90: mean (range) | cpu s |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for task in dict.fromkeys(row[2] for row in rows):
        for method in METHODS:
            own = [row for row in rows if row[2] == task and row[3] == method]
            if not own:
                continue
            ratios = [row[5] / min(r[5] for r in rows if r[0] == row[0] and r[2] == task) for row in own]
            inside = np.array([row[6] for row in own])
            covered = "" if np.isnan(inside).any() else f"{inside.mean():.2f} ({inside.min():.2f} to {inside.max():.2f})"
            lines.append(
                f"| {task} | {method} | {len(own)} | {np.mean([r[4] for r in own]):.3f} | {np.mean([r[5] for r in own]):.3f} | "
                f"{sum(ratio <= 1.01 for ratio in ratios)} | {np.median(ratios):.2f} | {covered} | {np.mean([r[7] for r in own]):.1f} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", type=Path)
    parser.add_argument("--sets", nargs="*", help="sets of series.py by name (default: all that are found)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100, help="test rows to complete")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    given = args.data or [Path(folder) for folder in [os.environ.get("DUALWALK_BENCH_DATA")] if folder]
    files = [file for path in given for file in (sorted(path.glob("*.npz")) if path.is_dir() else [path])]
    names = list(series.SETS) if args.sets is None else args.sets
    rows = []
    for name in [*names, *map(str, files)]:
        try:
            data = series.load(name)
        except series.NotFound as reason:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        own = run_set(data, args.seeds, args.rows)
        print("\n".join(markdown(own)), flush=True)
        rows.extend(own)
    versions = f"dualwalk {dualwalk.__version__}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}"
    text = "\n".join(
        [
            f"{processor()}; {versions}; {args.rows} test rows at most, {args.seeds} seeds.",
            "",
            "## Gaussian series with a known conditional, mean of 6",
            "",
            *against_exact(6),
            "",
            "## Over all sets",
            "",
            *summary(rows),
            "",
            "## Every set",
            "",
            *markdown(rows),
            "",
        ]
    )
    if args.out:
        args.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
