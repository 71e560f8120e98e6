"""Blocks of columns, fitted: one term for every block but the first, in every fold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._blas import one_blas_thread
from .._single.calibration import UnsupportedEstimateWarning
from .._threads import Note, run_jobs
from .critic import CriticPlan
from .dual import BlocksDual
from .fold import fit_term
from .term import BlockTerm

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_UNSUPPORTED = 0.5  # nats that a row's own partner may take from f before the estimate rests on the copula's model alone ...
_WORTH_A_WARNING = 0.2  # ... and before it is said


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
    plan: CriticPlan | None = None,
    report: Callable[[float], None] | None = None,
) -> FittedBlocks:
    """The divergence of normal scores `z` (n, d) from the product of the marginals of its blocks, by the chain rule.

        f(z) = sum_b f_b(block b; all blocks before it),      mean of f <= KL(p || prod_b p_b)          (nats)

    `labels` (d,) says which block a column belongs to; blocks come in the order of their labels. `parts` are the folds'
    (rest, test) rows. Every term is chosen, trained and normalized on `rest` alone. One thread.
    `report(share)` is called from the calling thread and may raise to stop the work.
    """
    names, label = np.unique(np.asarray(labels), return_inverse=True)
    columns = [np.flatnonzero(label == b) for b in range(len(names))]
    pairs = [(np.concatenate(columns[:b]), columns[b]) for b in range(1, len(names))]
    jobs = [(fold, term) for fold in range(len(parts)) for term in range(len(pairs))]

    def work(number: int, note: Note) -> _Job:
        fold, term = jobs[number]
        rest, test = parts[fold]
        fitted, core = fit_term(z, pairs[term], rest, seed=seed, path=("fold", fold, "block", term + 1), plan=plan, report=note)
        f, seen = fitted.values(z[test]), fitted.values(z[core], seen=True)
        return _Job(fitted, f, seen, _estimate(fitted, z, f, test, seen, core))

    # a critic's steps are so small that two threads mostly wait for the interpreter: 36 s for what one does in 27
    results = run_jobs(work, len(jobs), 1, report)
    tested = np.concatenate([test for _, test in parts])
    held_out, estimate, trained, own_part = np.zeros(len(z)), 0.0, 0.0, 0.0
    for (fold, _), job in zip(jobs, results, strict=True):
        _, test = parts[fold]
        share = len(test) / len(tested)
        held_out[test] += job.f
        trained += share * float(job.seen.mean())
        own_part += share * float(job.fitted.own_part(job.f).mean())
        estimate += share * job.estimate
    folds = [[job.fitted for (k, _), job in zip(jobs, results, strict=True) if k == fold] for fold in range(len(parts))]
    seen = [sum(job.seen for (k, _), job in zip(jobs, results, strict=True) if k == fold) for fold in range(len(parts))]
    trained_values = np.concatenate(seen) if pairs else np.zeros(len(z))
    dual = BlocksDual(folds, z.shape[1])
    others = np.setdiff1d(np.arange(len(z)), tested)  # with one split: rows that no fold tests on
    held_out[others] = dual.value(z[others])
    return FittedBlocks(estimate, held_out, trained, trained_values, own_part, dual)


def _estimate(fitted: BlockTerm, z: Floats, f: Floats, test: Rows, seen: Floats, core: Rows) -> float:
    """The midpoint of held-out and training mean: over rows where the grid supports f, else by the copula model alone."""
    if float(fitted.own_part(f).mean()) > _UNSUPPORTED:
        models = fitted.model_values(z[test]), fitted.model_values(z[core])
        if models[0] is not None and models[1] is not None:
            return 0.5 * float(models[0].mean() + models[1].mean())
    correction = 0.5 * float(fitted.own_part(f, 0.5).mean() + fitted.own_part(seen, 0.5).mean())
    return 0.5 * float(f.mean() + seen.mean()) + correction


def warn_unsupported(own_part: float, n_rows: int, *, stacklevel: int) -> None:
    """Say so where a row's own partner takes more than .2 nats from f: the rows do not support what there is to read."""
    if own_part > _WORTH_A_WARNING:
        text = (
            f"the divergence between the blocks is above what {n_rows} rows support: held-out values and the lower limit read "
            f"low by {own_part:.1f} nats or more, and the estimate rests on a model of the copula (collect more rows, or "
            "columns that say less)"
        )
        warnings.warn(text, UnsupportedEstimateWarning, stacklevel=stacklevel)
