"""All folds of the node path: one path a fold, f of every row from the folds that saw it and from the one that did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .. import _device, _random
from .._threads import Note, run_jobs
from ..duals.node import FittedPath, NodeDual
from ..normal_scores import NormalScores
from .density import marginal_quantiles
from .fold import fit_fold, splits
from .graph import DependenceGraph
from .rank_noise import resampled_scores
from .training import Kind

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

FEW_ROWS = 50  # below this, ranks of all rows would tell a fold too much about its test rows
_DRAWS = 4  # bootstrap draws of the rank noise


@dataclass(frozen=True)
class FittedPaths:
    """What the folds found, in nats. Columns that never vary are not on any path.

    All but `paths` is in the host's memory. `held_out` (n,): f of every row from the fold that tested on it; rows that no fold tested on have their trained value.
    `trained` (n,): f of every row from a fold that was trained on it. `rank_noise`: by how much f falls when rows are ranked
    among themselves (see `rank_noise.py`), between 0 and minus the held-out mean. `terms` (n_features,): every column's mean held-out term.
    """

    paths: list[FittedPath]
    held_out: Floats
    trained: Floats
    rank_noise: float
    terms: Floats

    def estimate(self) -> float:
        """The midpoint of held-out and trained mean, less the rank noise.

        Estimation costs as much on rows held out as it seems to gain on rows trained on (Akaike 1973), exactly so under the
        best linear shrinkage. Where held-out rows show less than the gap between the two, there may be nothing but luck to
        gain, and the step from the held-out mean towards the midpoint is shorter in that proportion.
        """
        held_out, gap = float(self.held_out.mean()), float(self.trained.mean() - self.held_out.mean())
        trust = 1.0 if gap <= 0 else float(np.clip(held_out / gap, 0.0, 1.0))
        return held_out + 0.5 * trust * gap - self.rank_noise

    def dual(self) -> NodeDual:
        """The folds' average as a dual function on normal scores."""
        return NodeDual(self.paths, len(self.terms))

    def graph(self) -> DependenceGraph:
        """Order and parents of the first fold, and every column's nats."""
        d = len(self.terms)
        first = self.paths[0].path
        order, column, parent = map(_device.to_host, (first.order, first.column, first.parent_column))
        rest = np.setdiff1d(np.arange(d), order)
        parents = np.full(d, -1, dtype=np.intp)
        parents[column] = parent
        return DependenceGraph(np.concatenate([order, rest]), parents, self.terms)


def fit_paths(
    rows: Floats,
    z: Floats,
    columns: Rows,
    parts: list[tuple[Rows, Rows]],
    *,
    n_fits: int,
    kind: Kind | Literal["auto"],
    seed: int,
    n_threads: int,
    report: Note | None = None,
) -> FittedPaths:
    """One path through `columns` (two or more) for each of `parts`, the folds' (rest, test) rows.

    `z` are the normal scores of `rows` (n, d). They come from the ranks of all rows, which carry marginal information only,
    except where rows are very few: there the ranks that are left for unseen rows are nearly known, and independent columns
    would look dependent. The same bits for any `n_threads`. Rows on a device are worked on there, one fold after the other.
    """
    columns = _device.beside(columns, z)
    few = len(z) < FEW_ROWS
    draws = [] if few else [resampled_scores(z, _random.generator(seed, "ranks", b)) for b in range(_DRAWS)]
    folds_at_once = 1 if _device.is_on_device(z) else n_threads
    last_round = len(parts) - len(parts) % folds_at_once  # folds from here on share the threads that the others leave idle

    def work(k: int, note: Note) -> tuple[FittedPath, Floats, Floats, Floats, Rows, tuple[float, float]]:
        rest, test = parts[k]
        inner_threads = n_threads // folds_at_once
        if folds_at_once > 1:
            inner_threads = n_threads // (len(parts) - last_round) if k >= last_round else 1
        scores = z
        if few:
            own = NormalScores()
            own._fit_rows(rows[_device.beside(splits(rest, n_fits)[1], rows)])
            scores = own._scores(rows)
        path = fit_fold(
            scores,
            columns,
            marginal_quantiles(scores),
            rest,
            n_fits=n_fits,
            seed=seed,
            fold=k,
            kind=kind,
            report=lambda share: note(0.9 * share),
            n_threads=inner_threads,
        )
        terms = path.terms(scores[_device.beside(test, z)], n_threads=inner_threads)
        f, by_column = (_device.to_host(terms.sum(axis=axis)) for axis in (1, 0))
        # a fold's trained rows are the next fold's test rows: all folds together look at every row once
        seen = parts[(k + 1) % len(parts)][1] if len(parts) > 1 else rest
        trained = _device.to_host(path.value(scores[_device.beside(seen, z)], n_threads=inner_threads))
        return path, f, by_column, trained, seen, _falls(path, z, test, f, draws, inner_threads)

    results = run_jobs(work, len(parts), folds_at_once, report)
    held_out, trained = np.full(len(z), np.nan), np.full(len(z), np.nan)
    terms, falls, weights = np.zeros(z.shape[1]), 0.0, 0.0
    for (_, test), (_, f, by_column, seen_values, seen, (fall, weight)) in zip(parts, results, strict=True):
        held_out[test], trained[seen] = f, seen_values
        terms += by_column
        falls, weights = falls + fall, weights + weight
    n_tested = sum(len(test) for _, test in parts)
    held_out = np.where(np.isnan(held_out), trained, held_out)
    trained = np.where(np.isnan(trained), held_out, trained)
    noise = float(np.clip(falls / weights, -max(0.0, np.nanmean(held_out)), 0.0)) if weights else 0.0
    return FittedPaths([path for path, *_ in results], held_out, trained, noise, terms / n_tested)


def _falls(
    path: FittedPath, z: Floats, test: Rows, f: Floats, draws: list[tuple[Rows, Floats]], n_threads: int
) -> tuple[float, float]:
    """Sum over draws and drawn test rows of what f at the drawn scores exceeds `f` (n_test,) by, and the number of those rows."""
    total, count = 0.0, 0.0
    for weight, scores in draws if path.alpha else ():
        drawn = weight[test] > 0
        share = weight[test][drawn]
        value = _device.to_host(path.value(scores[_device.beside(test[drawn], scores)], n_threads=n_threads))
        total += float(share @ (value - f[drawn]))
        count += float(share.sum())
    return total, count
