"""Every job that draws random numbers, small enough to run in a fraction of a second: what it draws, and what comes of it.

Who asks whether a job gives the same bits (other threads, another process, other memory, an older version) asks it of these.
A job is a function that gives named arrays; it reads only DATA, never writes there, and takes its threads from the
environment or from `threads_limit`. Integers, labels and flags among its results are draws, or what was chosen with them;
floats are what was computed.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

import dualwalk as dw
from dualwalk import _random, backends, metrics
from dualwalk._nodepath.fold import folds, splits
from dualwalk._nodepath.training import _Member

Results = dict[str, Any]


def _series(n: int, seed: int = 7) -> np.ndarray:
    """Two channels of eight times whose columns depend on each other, in two groups; the NumPy stream is part of the tests."""
    rng = np.random.Generator(np.random.Philox(seed))
    return rng.normal(size=(n, 2, 4)).cumsum(axis=2) + 3.0 * (np.arange(n) % 2)[:, None, None]


X = _series(60)
FLAT = X.reshape(60, 8)
LATER = np.where(np.arange(4) < 2, X[:6], np.nan)
LABELS = np.arange(60) % 3
BLOCKS = np.repeat([0, 1], 4)
TALL = np.arange(30_000)[:, None]  # above 28,672 rows a shuffle deals rows into buckets first
WEIGHTS = [np.sin(np.arange(48.0)).reshape(6, 8), np.cos(np.arange(6.0)).reshape(1, 6)]
BIASES = [np.linspace(-1, 1, 6), np.zeros(1)]
OTHER = _series(40, seed=8)
DATA = {"X": X, "FLAT": FLAT, "LATER": LATER, "LABELS": LABELS, "BLOCKS": BLOCKS, "TALL": TALL, "OTHER": OTHER}
DATA |= {f"WEIGHTS {k}": weights for k, weights in enumerate(WEIGHTS)}
DATA |= {f"BIASES {k}": bias for k, bias in enumerate(BIASES)}


class Own:
    """A dual function of the user's, for the loop over anyone's."""

    def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -0.5 * np.square(x).sum(axis=1), -x


def _permuted(method: str, **options: Any) -> Callable[[], Results]:
    return lambda: {"rows": dw.permute_marginals(np.arange(96).reshape(12, 8), method=method, n_copies=3, seed=11, **options)}


def _walked(dual: Callable[[], Any], x: np.ndarray = FLAT, **options: Any) -> Callable[[], Results]:
    def run() -> Results:
        walked = dw.walk(dual(), x, n_steps=4, step_size=0.05, noise=1.0, seed=12, **options)
        return {"x": walked.x, "f": walked.f}

    return run


def _mixture() -> dw.MixtureDual:
    return dw.MixtureDual.fit(FLAT, n_components=2, shrinkage=0.5)


def _annealed() -> Results:
    result = dw.anneal(_mixture(), FLAT, t_start=0.4, n_steps=5, seed=13)
    return {"x": result.x, "f": result.f}


# The kernels, which every backend has.
KERNELS: dict[str, Callable[[], Results]] = {
    "philox": lambda: {"words": backends.job("philox")(np.arange(8, dtype=np.uint32).reshape(2, 4), 10)},
    "draw_integers": lambda: {"drawn": backends.job("draw_integers")(10, 1, 2, 3, np.arange(1, 40, dtype=np.uint32))},
    "draw_normals": lambda: {"drawn": backends.job("draw_normals")(10, 5, 4, 6)},
    "permute_marginals, shuffle": _permuted("shuffle"),
    "permute_marginals, resample": _permuted("resample"),
    "permute_marginals, shift": _permuted("shift"),
    "permute_marginals, blocks": _permuted("shuffle", blocks=BLOCKS),
    "permute_marginals, many rows": lambda: {"rows": dw.permute_marginals(TALL, seed=14)},
    "walk, MLP": _walked(lambda: dw.MLPDual(WEIGHTS, BIASES)),
    "walk, local": _walked(lambda: dw.LocalDual(FLAT, np.arange(12), shrinkage=0.3)),
    "walk, mixture": _walked(_mixture),
    "walk, own dual": _walked(Own),
    "walk, preconditioned": _walked(Own, preconditioner=dw.LocalCovariance(FLAT, np.arange(12), shrinkage=0.3)),
    "anneal": _annealed,
}


def _streams() -> Results:
    """NumPy's generator at the end of a path of names: everything outside the kernels is drawn from one of these."""
    stream = _random.generator(15, "fold", 3, "split")
    return {"integers": stream.integers(0, 2**63, 4), "order": stream.permutation(12), "uniform": stream.random(4)}


def _splits() -> Results:
    found: Results = {}
    for k, (rest, test) in enumerate(folds(30, 3, 16)):
        groups, core = splits(rest, 2)
        found |= {f"fold {k}, test": test, f"fold {k}, core": core}
        found |= {f"fold {k}, validation {g}": validation for g, (_, validation) in enumerate(groups)}
    found["one split, test"] = folds(30, 1, 16)[0][1]
    return found


def _batches() -> Results:
    """Where the first network of nodes begins, and the first of its batches: all that training draws.

    Nodes and rows are sorted, since their order inside a step is that of NumPy's argpartition: another one before NumPy 2.0 and
    on processors without AVX2 (docs/trust/determinism.md).
    """
    seen: list[Any] = []

    def batch(member: Any, count: int) -> Any:
        begin, drawn = member.weights.copy(), original(member, count)
        seen.append((begin, *drawn))
        return drawn

    original = _Member.batch
    with mock.patch.object(_Member, "batch", batch):
        dw.DualDivergence(cv=2, n_fits=1, nodes="density", random_state=17, n_threads=1).fit(X)
    weights, nodes, rows, flips = seen[0]
    return {"weights": weights, "nodes": np.sort(nodes, axis=1), "rows": np.sort(rows, axis=1), "flips": flips}


def _divergence(**options: Any) -> Callable[[], Results]:
    def run() -> Results:
        model = dw.DualDivergence(**{"cv": 2, "n_fits": 1, "random_state": 17} | options).fit(X)
        found: Results = {
            "numbers": [model.divergence_, model.divergence_lower_, model.divergence_se_],
            "f": model.dual_values_,
            "held out": model.held_out_,
            "new f": model.score_samples(OTHER[:9]),
        }
        if model.p_value_ is not None:
            found["p-value"] = [model.p_value_]
        if model.reverse:
            found["reverse"] = [model.reverse_divergence_]
        return found

    return run


def _sampled(walk: str) -> Callable[[], Results]:
    def run() -> Results:
        sampler = dw.DualSampler(walk, random_state=18).fit(X)
        rows, info = sampler.sample(12, return_info=True)
        found = {"rows": rows, "starts": info.start, "nearest": info.nearest, "other seed": sampler.sample(3, seed=1)}
        if walk in ("auto", "local"):
            found |= {"independent": sampler.sample(4, balanced=False), "stretch": sampler.sample_rows(2000, 1020, 1030)}
        return found

    return run


def _labelled() -> Results:
    sampler = dw.DualSampler(random_state=19).fit(X, LABELS, groups=np.arange(60) // 2)
    _, info = sampler.sample(12, min_novelty=0.3, return_info=True)
    return {"labels": info.label, "rejected": [info.n_rejected], "of one": sampler.sample(5, 1)}


def _completed() -> Results:
    sampler = dw.DualSampler("local", random_state=20).fit(X)
    return {"imputed": sampler.impute(LATER, 3), "given": sampler.sample(4, given=LATER[0])}


def _interpolated() -> Results:
    sampler = dw.DualSampler("local", random_state=21).fit(X)
    path = sampler.interpolate(X[:2], X[9], n_frames=4)
    return {"frames": path.frames, "f": path.f, "walked": sampler.walk(X[:3], n_steps=4, noise=1.0).x}


def _tested() -> Results:
    found = dw.independence_test(OTHER, n_permutations=39, random_state=22)
    return {"p-value": [found.p_value], "statistic": [found.statistic], "each": list(found.p_values.values())}


def _shared() -> Results:
    found = dw.mutual_information(X[:, 0], X[:, 1], cv=2, random_state=23)
    return {"nats": [found.estimate, found.lower], "f": found.values}


def _measured() -> Results:
    """The metrics that need no other package."""
    options: dict[str, Any] = {"random_state": 24}
    mmd, energy = (
        metrics.mmd(X, OTHER, n_permutations=49, **options),
        metrics.energy_distance(X, OTHER, n_permutations=49, **options),
    )
    two = metrics.nearest_neighbor_two_sample(X, OTHER, **options)
    return {"mmd": [mmd.value, mmd.p_value], "energy": [energy.value, energy.p_value], "right": [two.accuracy]}


# Everything that is fitted, by the backend in use.
FITS: dict[str, Callable[[], Results]] = {
    "streams": _streams,
    "splits": _splits,
    "batches": _batches,
    "DualDivergence, density nodes": _divergence(nodes="density", n_fits=2),
    "DualDivergence, contrastive nodes": _divergence(nodes="contrastive"),
    "DualDivergence, one split, reverse and permutations": _divergence(cv=1, reverse=True, n_permutations=19, random_state=27),
    "DualDivergence, blocks": _divergence(blocks=BLOCKS),
    "DualDivergence, single MLP": _divergence(method="single"),
    "DualDivergence, single convolution": _divergence(method="single", critic="conv", loss="logistic"),
    **{f"DualSampler, {walk}": _sampled(walk) for walk in ("auto", "local", "mixture", "gradient", "renoised", "langevin")},
    "MixtureDual.fit": lambda: {"value": dw.MixtureDual.fit(FLAT, random_state=25).value(FLAT)},
    "DualSampler, labels, groups and novelty": _labelled,
    "DualSampler, impute and given": _completed,
    "DualSampler, interpolate and walk": _interpolated,
    "independence_test": _tested,
    "mutual_information": _shared,
    "metrics": _measured,
}
JOBS = KERNELS | FITS


def results(name: str) -> dict[str, np.ndarray]:
    """What the job gives, as arrays; the warnings that such small data earn are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {key: np.asarray(value) for key, value in JOBS[name]().items()}


@functools.cache
def results_once(name: str) -> dict[str, np.ndarray]:
    """The same from this process's memory, for tests that look at one result in several ways."""
    return results(name)


def fingerprint(arrays: dict[str, np.ndarray]) -> str:
    """A hash of names, types, shapes and bits."""
    seen = hashlib.sha256()
    for key, value in arrays.items():
        seen.update(f"{key} {value.dtype.str} {value.shape} ".encode())
        seen.update(np.ascontiguousarray(value).tobytes())
    return seen.hexdigest()[:16]
