"""Blocks of columns, fitted: one term for every block but the first, in every fold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._blas import one_blas_thread
from .critic import CriticPlan
from .dual import BlocksDual
from .fold import fit_term
from .term import BlockTerm

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_UNSUPPORTED = 0.5  # nats


@dataclass(frozen=True)
class FittedBlocks:
    """What `fit_blocks` found, in nats.

    `estimate`: the midpoint of held-out and training mean, where over- and underfitting nearly cancel, with a row's own
    partner counted by half (see `own_part`). Where own partners weigh more than half a nat, the rows do not support a term:
    if it is a plain copula, its part of the estimate is then what that model says of the rows, without a guarantee.
    `held_out` (n,): f of every row from the fold that tested on it. `trained`: the mean of f over rows trained on,
    and `trained_values` those values.
    `own_part`: by how much f is lower, in the mean, because a row's own partner counts among its negatives. With it, f is a
    lower bound; without it, f would read as much too high (by half the variance of a mean of exp f over the grid).
    `dual`: the average over folds.
    """

    estimate: float
    held_out: Floats
    trained: float
    trained_values: Floats
    own_part: float
    dual: BlocksDual


@dataclass(frozen=True)
class _Job:
    """One term of one fold: f of its test rows, f of rows it was trained on (a fold's own), its share of the estimate."""

    fitted: BlockTerm
    f: Floats
    seen: Floats
    estimate: float


@one_blas_thread()
def fit_blocks(
    z: Floats,
    labels: ArrayLike,
    parts: Sequence[tuple[Rows, Rows]],
    *,
    seed: int,
    n_threads: int = 1,
    plan: CriticPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> FittedBlocks:
    """The divergence of normal scores `z` (n, d) from the product of the marginals of its blocks, by the chain rule.

        f(z) = sum_b f_b(block b; all blocks before it),      mean of f <= KL(p || prod_b p_b)          (nats)

    `labels` (d,) says which block a column belongs to; blocks come in the order of their labels. `parts` are the folds'
    (rest, test) rows. Every term is chosen, trained and normalized on `rest` alone. The same bits for any `n_threads`.
    `report(share)` is called from the calling thread and may raise to stop the work.
    """
    names, label = np.unique(np.asarray(labels), return_inverse=True)
    columns = [np.flatnonzero(label == b) for b in range(len(names))]
    pairs = [(np.concatenate(columns[:b]), columns[b]) for b in range(1, len(names))]
    jobs = [(fold, term) for fold in range(len(parts)) for term in range(len(pairs))]
    shares = np.zeros(len(jobs))
    stopped = threading.Event()

    def work(number: int, on_main: bool) -> _Job:
        fold, term = jobs[number]

        def tell(share: float) -> None:
            if stopped.is_set():
                raise InterruptedError("another fold failed or the fit was interrupted")
            shares[number] = share
            if on_main and report is not None:
                report(float(shares.mean()))

        rest, test = parts[fold]
        fitted, core = fit_term(z, pairs[term], rest, seed=seed, path=("fold", fold, "block", term + 1), plan=plan, report=tell)
        f, seen = fitted.values(z[test]), fitted.values(z[core], seen=True)
        tell(1.0)
        return _Job(fitted, f, seen, _estimate(fitted, z, f, test, seen, core))

    if n_threads == 1 or len(jobs) < 2:
        results = [work(number, True) for number in range(len(jobs))]
    else:
        with ThreadPoolExecutor(min(n_threads, len(jobs)), thread_name_prefix="dualwalk") as pool:
            running = [pool.submit(work, number, False) for number in range(len(jobs))]
            waiting = set(running)
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    if report is not None:
                        report(float(shares.mean()))
            except BaseException:
                stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
            results = [future.result() for future in running]

    held_out, estimate, trained, own_part = np.zeros(len(z)), 0.0, 0.0, 0.0
    for (fold, _), job in zip(jobs, results, strict=True):
        _, test = parts[fold]
        share = len(test) / len(z)
        held_out[test] += job.f
        trained += share * float(job.seen.mean())
        own_part += share * float(job.fitted.own_part(job.f).mean())
        estimate += share * job.estimate
    folds = [[job.fitted for (k, _), job in zip(jobs, results, strict=True) if k == fold] for fold in range(len(parts))]
    seen = [sum(job.seen for (k, _), job in zip(jobs, results, strict=True) if k == fold) for fold in range(len(parts))]
    trained_values = np.concatenate(seen) if pairs else np.zeros(len(z))
    return FittedBlocks(estimate, held_out, trained, trained_values, own_part, BlocksDual(folds, z.shape[1]))


def _estimate(fitted: BlockTerm, z: Floats, f: Floats, test: Rows, seen: Floats, core: Rows) -> float:
    """The midpoint of held-out and training mean: over rows where the grid supports f, else by the copula model alone."""
    if float(fitted.own_part(f).mean()) > _UNSUPPORTED:
        models = fitted.model_values(z[test]), fitted.model_values(z[core])
        if models[0] is not None and models[1] is not None:
            return 0.5 * float(models[0].mean() + models[1].mean())
    correction = 0.5 * float(fitted.own_part(f, 0.5).mean() + fitted.own_part(seen, 0.5).mean())
    return 0.5 * float(f.mean() + seen.mean()) + correction
