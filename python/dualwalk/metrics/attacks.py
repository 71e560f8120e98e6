"""The scores that a membership attacker gives to candidates: by distance, and by the dual function of what was generated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._ladder.covariance import ledoit_wolf_shrinkage
from .._neighbors import nearest_neighbors, squared_distances
from .._surroundings import LEAST_SHRINKAGE, MOST_SHRINKAGE, local_shrinkage
from ..duals.local import LocalDual
from ..normal_scores import NormalScores
from ._rows import Float, Index, Units

N_NEIGHBORS = 20  # of the local dual
BLOCK = 32  # neighbourhoods at a time: each has 21 rows
DISTANCES = 2**22  # at a time: 32 MiB
FLOOR = 1e-9  # added to a distance before its logarithm


class _Scores(NamedTuple):
    """Of candidates, (n,) each, in nats: f against the product of the Gaussian's own marginals, and its log density."""

    f: Float
    log_density: Float


def attack_scores(generated: Float, reference: Float | None, candidates: Float) -> dict[str, Float]:
    """Every attack's score of every candidate, (n,) each. No attack knows which candidates are members."""
    scaled = Units.of(generated)
    normal = NormalScores()
    points = normal._fit_rows(generated)
    z = normal._scores(candidates)
    distance = _log_distance(scaled(candidates), scaled(generated))
    near, whole = _local(points, z), _global(points, z)
    found = {"nearest_neighbor": -distance, "local_dual": near.f, "global_dual": whole.f}
    if reference is not None:
        known = normal._scores(reference)
        found["nearest_neighbor_calibrated"] = _log_distance(scaled(candidates), scaled(reference)) - distance
        found["local_dual_calibrated"] = near.log_density - _local(known, z).log_density
        found["global_dual_calibrated"] = whole.log_density - _global(known, z).log_density
    return found


def model_scores(model: Any, candidates: Float, shape: tuple[int, ...]) -> dict[str, Float]:
    """What a fitted model itself says of every candidate, (n,) each. A sampler keeps its rows, so it can be asked for them."""
    from ..sampler import DualSampler

    if isinstance(model, DualSampler):
        rows = _checks.samples(model.to_host().X_, "model.X_")[0]
        scaled, normal = Units.of(rows), NormalScores()
        points = normal._fit_rows(rows)
        distance = _log_distance(scaled(candidates), scaled(rows))
        return {"model": -distance, "model_local_dual": _local(points, normal._scores(candidates)).f}
    scores = _checks.real_array(model.score_samples(candidates.reshape(-1, *shape)), "model.score_samples(X)")
    if scores.shape != (len(candidates),) or not np.isfinite(scores).all():
        raise ValueError(
            f"model must give one finite score a row; got shape {scores.shape} for {len(candidates)} rows, "
            f"{int((~np.isfinite(scores)).sum())} of them not finite (wrap it in an object whose score_samples does)"
        )
    return {"model": scores.astype(np.float64)}


def _log_distance(candidates: Float, points: Float) -> Float:
    """Log distance to the nearest point; from the differences, since the matrix product rounds near copies."""
    distance = np.empty(len(candidates))
    for part in _blocks(len(candidates), max(1, DISTANCES // len(points))):
        nearest = points[squared_distances(candidates[part], points).argmin(axis=1)]
        distance[part] = np.sqrt(((candidates[part] - nearest) ** 2).sum(axis=1))
    return np.log(distance + FLOOR)


def _local(points: Float, z: Float) -> _Scores:
    """Of the Gaussian in the neighbourhood of every candidate; a point that equals it is not left out, as it is in walks."""

    def neighbors(rows: Float) -> Index:
        return nearest_neighbors(points, min(N_NEIGHBORS, len(points) - 2), rows)

    shrinkage = local_shrinkage(points, neighbors)
    blocks = [_of_dual(LocalDual(points, neighbors(z[part]), shrinkage=shrinkage), z[part]) for part in _blocks(len(z), BLOCK)]
    return _Scores(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _global(points: Float, z: Float) -> _Scores:
    """Of one Gaussian for all points."""
    deviation = points.std(axis=0)
    share = ledoit_wolf_shrinkage((points - points.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1.0))
    shrinkage = float(np.clip(share, LEAST_SHRINKAGE, MOST_SHRINKAGE))
    return _of_dual(LocalDual(points, np.arange(len(points)), shrinkage=shrinkage), z)


def _of_dual(dual: LocalDual, z: Float) -> _Scores:
    return _Scores(dual.value(z), dual.density("marginals").value(z))


def _blocks(n: int, size: int) -> Iterator[slice]:
    return (slice(begin, begin + size) for begin in range(0, n, size))
