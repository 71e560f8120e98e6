"""One run: a method fitted on one set with one seed in a process of its own, its samples kept on disk, and their scores.

In the cache folder every run is <set>/<method>-<seed>.npz (the samples) and .json (times, memory, scores). What is there is not
run again; delete a file, or name the method in `renew`, to have it run anew.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from generators import METHODS
from series import Series

N_SAMPLES = 300
SECOND_REAL = "second-real"


@dataclass(frozen=True)
class Run:
    """What is measured of one run; `reason` is why there is nothing."""

    scores: dict[str, float]
    fit_seconds: float = np.nan
    sample_microseconds: float = np.nan
    memory_mib: float = np.nan
    choice: str = ""
    reason: str = ""


def unfit(data: Series, method: str) -> str:
    """Why a method cannot be run on a set; empty if it can."""
    if method == SECOND_REAL:
        return ""
    known = METHODS[method]
    if known.with_classes and data.y_train is None:
        return "no labels"
    if known.series_only and data.X_train.ndim == 2:
        return "wants series"
    if known.most_features and data.X_train[0].size > known.most_features:
        return f"more than {known.most_features} features"
    return known.missing()


def run(
    data: Series,
    method: str,
    seed: int,
    cache: Path,
    *,
    renew: bool = False,
    cached: bool = False,
    rescore: bool = False,
    limit: float = 900.0,
    score: Callable[[Series, Path], dict[str, float]] | None = None,
    floor: Callable[[Series, int], dict[str, float]] | None = None,
) -> Run:
    """The run from the cache, or made now in a new process, and scored; `floor` scores a second real sample."""
    if reason := unfit(data, method):
        return Run({}, reason=reason)
    folder = cache / data.name
    folder.mkdir(parents=True, exist_ok=True)
    samples, facts = folder / f"{method}-{seed}.npz", folder / f"{method}-{seed}.json"
    if cached and not facts.exists():
        return Run({}, reason="not in the cache")
    if method == SECOND_REAL:
        if renew or rescore or not facts.exists():
            facts.write_text(json.dumps({"scores": (floor or second_real_scores)(data, seed)}, indent=1))
        return Run(**json.loads(facts.read_text()))
    if not cached and (renew or not samples.exists()) and (failure := make_samples(data, method, seed, samples, facts, limit)):
        return Run({}, reason=failure)
    known = json.loads(facts.read_text())
    if "reason" in known:
        return Run({}, reason=known["reason"])
    if rescore or "scores" not in known:
        known["scores"] = (score or scores)(data, samples)
        facts.write_text(json.dumps(known, indent=1))
    return Run(**known)


def make_samples(data: Series, method: str, seed: int, samples: Path, facts: Path, limit: float) -> str:
    """Fit and sample in a fresh process; the message of what went wrong, or nothing."""
    facts.unlink(missing_ok=True)
    samples.unlink(missing_ok=True)
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(data, method, seed, samples, facts))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return f"stopped after {limit:.0f} s"
    if not facts.exists():
        return f"the process ended with {process.exitcode}"
    return str(json.loads(facts.read_text()).get("reason", ""))


def _work(data: Series, method: str, seed: int, samples: Path, facts: Path) -> None:
    """In the process of its own: processor seconds of one thread's work, and how far the peak of memory rose."""
    known = METHODS[method]
    try:
        if "torch" in known.needs:
            import torch

            torch.set_num_threads(1)
        generator = known.make(seed)
        y = data.y_train if known.with_classes else None
        wanted = None if y is None else np.resize(np.random.default_rng(seed).permutation(y), N_SAMPLES)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.process_time()
        generator.fit(data.X_train, y)
        fitted = time.process_time()
        made = np.asarray(generator.sample(N_SAMPLES, wanted), dtype=np.float64)
        middle = time.process_time()
        if middle - fitted < 1:  # once more where it is quick: the first call also warms up
            generator.sample(N_SAMPLES, wanted)
        done = time.process_time()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if known.snap:
            made = snapped(made, data.X_train)
        np.savez_compressed(samples, X=made.astype("f4"), **({} if wanted is None else {"y": wanted}))
        result: dict[str, Any] = {
            "fit_seconds": fitted - begin,
            "sample_microseconds": (min(middle - fitted, done - middle) if middle - fitted < 1 else middle - fitted)
            / N_SAMPLES
            * 1e6,
            "memory_mib": (after - before) / 1024,
            "choice": str(getattr(generator, "choice", "")),
        }
    except Exception as error:  # noqa: BLE001 - one method's failure must not end the benchmark: it becomes the row's reason
        traceback.print_exc()
        result = {"reason": f"{type(error).__name__}: {str(error)[:200]}"}
    facts.write_text(json.dumps(result))


def snapped(made: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns with few distinct training values: the samples moved to the nearest one. A peer must not lose by its decimals."""
    rows, known = made.reshape(len(made), -1).copy(), train.reshape(len(train), -1)
    for column in range(known.shape[1]):
        levels = np.unique(known[:, column])
        if len(levels) <= len(known) // 4:
            at = np.clip(np.searchsorted(levels, rows[:, column]), 1, max(1, len(levels) - 1))
            low, high = levels[at - 1], levels[np.minimum(at, len(levels) - 1)]
            rows[:, column] = np.where(rows[:, column] - low < high - rows[:, column], low, high)
    return rows.reshape(made.shape)


def scores(data: Series, samples: Path) -> dict[str, float]:
    """`dualwalk.metrics` on the samples, and the accuracy of training on them where they are labelled."""
    from dualwalk import metrics

    from .privacy import attacked

    with np.load(samples) as stored:
        X, y = stored["X"], stored.get("y")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.JudgeWarning)  # on 40 rows no judge can be trusted; the page says so
        out = metrics.evaluate(X, data.X_train, data.X_test, self_check=False).as_dict()
        if y is not None:
            accuracy = metrics.train_synthetic_test_real(
                X, y, data.X_test, data.y_test, X_train=data.X_train, y_train=data.y_train
            )
            out |= {"tstr": accuracy.synthetic, "trtr": accuracy.real}
    out |= attacked(data, X)
    return {name: float(value) for name, value in out.items()}


def second_real_scores(data: Series, seed: int) -> dict[str, float]:
    """The floor, both sides real: the forest tells training from held-out rows, the rest one half of these from the other."""
    from dualwalk import metrics

    from .privacy import attacked_by_chance

    held = data.X_test[np.random.default_rng(seed).permutation(len(data.X_test))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.JudgeWarning)
        halves = metrics.evaluate(
            held[: len(held) // 2], data.X_train, held[len(held) // 2 :], self_check=False, random_state=seed
        ).as_dict()
        n = min(len(data.X_train), len(held), N_SAMPLES)
        rng = np.random.default_rng(seed)
        forest = metrics.classifier_two_sample(
            rng.permutation(data.X_test)[:n], rng.permutation(data.X_train)[:n], random_state=seed
        ).accuracy
    cost = halves["cost"] - abs(halves["forest"] - 0.5) + abs(forest - 0.5)
    return {
        name: float(value) for name, value in (halves | {"forest": forest, "cost": cost} | attacked_by_chance(data)).items()
    }
