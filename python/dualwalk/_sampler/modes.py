"""The other walks of DualSampler: annealed on a mixture, the paper's gradient walk and its repair, Langevin steps.

All walk in normal scores. The mixture's dual function lives in their principal coordinates (99 % of the variance); the rest of
a new row is that of its start. Where rows are renoised, the coordinates are scaled to unit variance, so that noise takes the
same share of all of them (unscaled, the large ones hardly move: near-copies). A dual function of the user's takes the
mixture's place, in normal scores themselves.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .. import _device
from .._arrays import distinct
from .._ladder.covariance import ledoit_wolf_shrinkage
from .._lazy import cached_property
from .._neighbors import nearest_neighbors
from .._random import generator
from ..annealing import anneal
from ..duals.local import LocalDual
from ..duals.local_covariance import LocalCovariance
from ..duals.mixture import MixtureDual
from ..dualspace import assign, find_clusters
from ..normal_scores import NormalScores
from ..walks import walk
from . import WITH_PATH
from .novelty import Distances

Float = NDArray[np.float64]
Index = NDArray[np.intp]

SHARE_OF_VARIANCE = 0.99
SMALLEST_CLASS = 20  # rows that a mixture of their own can be fitted to
N_NEAR = 5  # near neighbours that a start is mixed with, or whose f is walked to
LEAST_SHARE, MOST_SHARE = 0.2, 0.8  # of the start in its mix with a neighbour
WALK_TIME = 0.1
TIMES = (0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75)  # how far rows may be renoised
N_PROBES = 300  # rows that the time is chosen with
N_STEPS, STEP_SIZE = 300, 0.05
LANGEVIN_STEPS, LANGEVIN_SIZE = 14, math.log(2.0) / 14  # half of the start's offset is kept, as by the local walk
BLOCK = 256  # neighbourhoods at a time
LEAST_SHRINKAGE, MOST_SHRINKAGE = 0.05, 0.95


class GlobalWalk:
    """Training rows in normal scores, and new rows by one of MODES; made for DualSampler, which has checked everything."""

    def __init__(
        self, rows: Float, codes: Index, mode: str, dual: Any, n_neighbors: int, distances: Distances, seed: int
    ) -> None:
        self._place(rows, codes, mode, dual, n_neighbors, None)
        self._dual, self._dual_of = dual, dict[int, Any]()
        if self._in_components:
            self._dual = MixtureDual.fit(self._coordinates, random_state=seed)
            sizes = np.bincount(codes)
            for code in np.flatnonzero(sizes >= SMALLEST_CLASS) if len(sizes) > 1 else []:
                members = _device.beside(np.flatnonzero(codes == code), self._points)
                self._dual_of[int(code)] = MixtureDual.fit(self._coordinates[members], random_state=seed)
        self.time = TIMES[len(TIMES) // 2]
        if mode in WITH_PATH:
            self.time = self._choose_time(codes, distances, seed)

    def _place(
        self, rows: Float, codes: Index, mode: str, dual: Any, n_neighbors: int, frame: tuple[Float, Float, Float] | None
    ) -> None:
        """The rows as scores, with their neighbours, in the coordinates of a frame; a new one where there is none."""
        self._mode, self._own_dual = mode, dual
        self._scores = NormalScores()
        self._points = self._scores._fit_rows(rows)
        self._n_neighbors = n_neighbors
        self._codes = codes
        self._near = _near_in_class(self._points, codes)
        frame = frame or _frame(self._points, self._in_components, mode in WITH_PATH)
        self._center, self._basis, self._scale = frame
        self._coordinates = (self._points - self._center) @ self._basis / self._scale

    @property
    def _in_components(self) -> bool:
        """Whether there is a mixture, in the rows' principal coordinates."""
        return self._own_dual is None and self._mode != "langevin"

    def learned(self) -> dict[str, Any]:
        """What `resumed` takes beside the rows: all that was fitted or chosen."""
        frame = {"center": self._center, "basis": self._basis, "scale": self._scale}
        return {
            "mode": self._mode,
            "n_neighbors": self._n_neighbors,
            "own_dual": self._own_dual,
            "frame": frame if self._in_components else None,
            "dual": self._dual if self._in_components else None,
            "dual_of": self._dual_of,
            "time": self.time,
        }

    @classmethod
    def resumed(
        cls,
        rows: Float,
        codes: Index,
        *,
        mode: str,
        n_neighbors: int,
        own_dual: Any,
        frame: dict[str, Float] | None,
        dual: Any,
        dual_of: dict[int, Any],
        time: float,
    ) -> Self:
        """The walk that had learned this, on the rows it was fitted to."""
        made = cls.__new__(cls)
        made._place(
            rows,
            codes,
            mode,
            own_dual,
            n_neighbors,
            None if frame is None else (frame["center"], frame["basis"], frame["scale"]),
        )
        made._dual, made._dual_of = own_dual if own_dual is not None else dual, dual_of
        made.time = time
        return made

    def _choose_time(self, codes: Index, distances: Distances, seed: int) -> float:
        """How far to renoise: until new rows are as far from the training rows as those are from each other."""
        probes = np.linspace(0, len(codes) - 1, min(N_PROBES, len(codes))).astype(np.intp)
        misses = []
        for time in TIMES:
            self.time = time
            made = self.generate(probes, seed, labelled=False)
            misses.append(np.median(distances.novelty(distances.nearest_one(made)[1])))
        return TIMES[int(np.argmin([abs(median - 1.0) for median in _device.floats(*misses)]))]

    def generate(self, starts: Index, seed: int, *, labelled: bool, balanced: bool = True) -> Float:
        """A new row from every start (an index of a training row); where a label is asked for, on its class's own dual.

        Rows are independent whatever `balanced` says.
        """
        if self._mode == "langevin":
            return self._scores._values(self._langevin(starts, seed))
        z = np.empty_like(self._points, shape=(len(starts), self._points.shape[1]))
        own = np.array([int(c) if labelled and int(c) in self._dual_of else -1 for c in self._codes[starts]], dtype=np.intp)
        for code in distinct(own):
            places = np.flatnonzero(own == code)
            dual = self._dual if code < 0 else self._dual_of[int(code)]
            stream = generator(seed, "walk", int(code) + 1)
            made = getattr(self, f"_{self._mode}")(dual, starts[places], stream)
            places, began = (_device.beside(index, z) for index in (places, starts[places]))
            z[places] = self._points[began] + ((made - self._coordinates[began]) * self._scale) @ self._basis.T
        return self._scores._values(z)

    def _mixture(self, dual: Any, starts: Index, stream: np.random.Generator) -> Float:
        """From a mix of two near neighbours, renoised far and annealed back."""
        share = _device.beside(stream.uniform(LEAST_SHARE, MOST_SHARE, size=(len(starts), 1)), self._points)
        near = self._coordinates[_device.beside(self._neighbor(starts, stream), self._points)]
        mixed = share * self._began(starts) + (1.0 - share) * near
        return _annealed(dual, mixed, self.time, stream)

    def _gradient(self, dual: Any, starts: Index, stream: np.random.Generator) -> Float:
        """The paper's walk: along the gradient of f into the next cluster of f."""
        f = _values(dual, self._coordinates)  # of the training rows, read back where they are on a device
        space = find_clusters(f)
        cluster = assign(f[starts], space.cuts)
        following = np.where(cluster < len(space.cuts), cluster + 1, np.maximum(cluster - 1, 0))
        target = np.empty(len(starts))
        for k in distinct(following):
            places = np.flatnonzero(following == k)
            target[places] = stream.choice(f[space.labels == k], size=len(places))
        return _walked(dual, self._began(starts), _device.beside(target, self._points))

    def _renoised(self, dual: Any, starts: Index, stream: np.random.Generator) -> Float:
        """The walk repaired: to an f between the start's and a near neighbour's, then renoised and annealed."""
        early = dual.at(WALK_TIME)
        share = stream.uniform(size=len(starts))
        f = _values(early, self._coordinates)
        target = (1.0 - share) * f[starts] + share * f[self._neighbor(starts, stream)]
        walked = _walked(early, self._began(starts), _device.beside(target, self._points))
        return _annealed(dual, walked, self.time, stream)

    def _langevin(self, starts: Index, seed: int) -> Float:
        """Langevin steps, preconditioned by the covariance of the start's neighbourhood."""
        index = self._neighborhoods
        ended = np.empty_like(self._points, shape=(len(starts), self._points.shape[1]))
        settings: dict[str, Any] = {"n_steps": LANGEVIN_STEPS, "step_size": LANGEVIN_SIZE, "noise": 1.0}
        for k, begin in enumerate(range(0, len(starts), BLOCK)):
            part = _device.beside(starts[begin : begin + BLOCK], self._points)
            shape = LocalCovariance(self._points, index[part])
            if self._own_dual is not None:
                dual, base = self._own_dual, "normal"
            else:
                dual, base = LocalDual(self._points, index[part], shrinkage=self._shrinkage), "marginals"
            block_seed = int(generator(seed, "langevin", k).integers(2**63))
            result = walk(dual, self._points[part], preconditioner=shape, base=base, seed=block_seed, **settings)
            ended[begin : begin + BLOCK] = result.x
        return ended

    @cached_property
    def _neighborhoods(self) -> Index:
        return nearest_neighbors(self._points, self._n_neighbors)

    @cached_property
    def _shrinkage(self) -> float:
        centred = self._points - self._points.mean(axis=0)
        return float(np.clip(ledoit_wolf_shrinkage(centred), LEAST_SHRINKAGE, MOST_SHRINKAGE))

    def _began(self, starts: Index) -> Float:
        """The coordinates of the rows that walks start from."""
        coordinates: Float = self._coordinates[_device.beside(starts, self._points)]
        return coordinates

    def _neighbor(self, starts: Index, stream: np.random.Generator) -> Index:
        """One of every start's near neighbours of its class."""
        picked: Index = self._near[starts, stream.integers(self._near.shape[1], size=len(starts))]
        return picked


def _near_in_class(points: Float, codes: Index) -> Index:
    """(n, N_NEAR), in the host's memory: every row's nearest others of its class, repeated where there are fewer; itself where
    it is alone.
    """
    near = np.empty((len(points), N_NEAR), dtype=np.intp)
    for code in distinct(codes):
        members = np.flatnonzero(codes == code)
        found = members[_device.to_host(nearest_neighbors(points[_device.beside(members, points)], N_NEAR))]
        others = found[:, 1:] if len(members) > 1 else found
        near[members] = others[:, np.arange(N_NEAR) % others.shape[1]]
    return near


def _frame(points: Float, principal: bool, scaled: bool) -> tuple[Float, Float, Float]:
    """Centre (d,), directions (d, r) and scales (r,) of the coordinates; those of the scores themselves unless principal."""
    d = points.shape[1]
    if not principal:
        xp = _device.namespace(points)
        return xp.zeros(d), xp.eye(d), xp.ones(d)
    center: Float = points.mean(axis=0)
    variance, directions = np.linalg.eigh((points - center).T @ (points - center) / len(points))
    variance, directions = np.maximum(variance[::-1], 0.0), directions[:, ::-1]
    total = np.cumsum(_device.to_host(variance))
    n_kept = 1 + int(np.searchsorted(total, SHARE_OF_VARIANCE * total[-1])) if total[-1] > 0 else 1
    scale = np.sqrt(variance[:n_kept])
    scale = np.where(scale > 0, scale, 1.0) if scaled else np.ones_like(scale)
    return center, directions[:, :n_kept].copy(), scale


def _values(dual: Any, x: Float) -> Float:
    """f at the rows of x, in the host's memory."""
    return np.asarray(_device.to_host(dual.value_and_gradient(x)[0]), dtype=np.float64)


def _walked(dual: Any, x: Float, target: Float) -> Float:
    # Half the inverse of the steepest curvature: no step leaps over the valley that it walks in.
    steepest = getattr(dual, "eigenvalues", None)
    size = STEP_SIZE
    if steepest is not None:
        angle = 0.5 * math.pi * dual.time
        size = 0.5 * float(math.cos(angle) ** 2 * steepest.min() + math.sin(angle) ** 2)
    return walk(dual, x, n_steps=N_STEPS, step_size=size, target=target).x


def _annealed(dual: Any, x: Float, time: float, stream: np.random.Generator) -> Float:
    return anneal(dual, x, t_start=time, seed=int(stream.integers(2**63))).x
