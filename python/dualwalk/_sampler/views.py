"""Everything a fitted sampler shows of the dual functions round its rows: walks, explanations, paths between clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks, _device
from .._blas import one_blas_thread
from .._ladder.apart import ApartLadders
from .._ladder.fit import FittedLadder
from .._lazy import cached_property
from .._surroundings import Attribution, Surroundings
from ..dualspace import assign
from ..walks import WalkResult
from .argument import AlsoArgument
from .interpolation import Interpolation, Space, interpolate, target_rows
from .training import TrainingRows


class Views(TrainingRows):
    """The part of DualSampler that looks at rows: nothing here chooses or makes samples."""

    _ladder: FittedLadder | ApartLadders
    dual: Any

    @cached_property
    def _local_duals(self) -> Surroundings:
        return Surroundings(self._rows, self._ladder.n_neighbors, self.dual)

    @AlsoArgument
    def walk(
        self,
        X0: ArrayLike,
        *,
        n_steps: int = 50,
        step_size: float = 0.05,
        target: ArrayLike | None = None,
        noise: float = 0.0,
        record: bool = True,
        seed: Any = None,
    ) -> WalkResult:
        """Gradient walks from X0, each on the local dual function of its neighbourhood; a `WalkResult` with x like X0.

        The neighbourhood of a row is made of its nearest training rows other than itself (as normal scores); f is in nats.
        The step is that of `dualwalk.walk` (see there for the arguments), taken in units of each score's standard deviation
        in the neighbourhood: a step_size around 0.05 suits any data. With a target (one f, or one for every row), a walk
        stops there. x and the trajectory (n_walks, n_steps + 1, *feature_shape_) come back in the units and the shape of X,
        and all arrays in the memory that X0 is in.
        Deterministic as `sample` is. A sampler with a `dual` of its own walks on that one, in normal scores as they are.

        Raises ValueError where the target lies outside the f of the training rows (each in a neighbourhood without it):
        f grows without bound along the correlated directions, so the data must say how far it can be trusted.
        """
        self._check_fitted()
        rows = self._samples(X0, "X0")
        record = _checks.flag(record, "record")
        around = self._local_duals
        if target is not None:
            low, high = around.value_range
            wanted = np.asarray(_device.to_host(_checks.real_array(target, "target")), dtype=np.float64)
            outside = ~((wanted >= low) & (wanted <= high))
            if outside.any():
                raise ValueError(
                    f"target must be in [{low:.4g}, {high:.4g}], the range of f over the training rows; got "
                    f"{wanted[outside].flat[0]:.4g} (choose a value inside, or None for a walk of n_steps steps)"
                )
            target = _device.beside(wanted, rows)
        settings = {"n_steps": n_steps, "step_size": step_size, "target": target, "noise": noise, "record": record}
        result = around.walk(rows, self._shaped, seed=self._stream_seed(seed), **settings)
        return WalkResult(*(_device.returned(array, X0) for array in result))

    @one_blas_thread()
    def explain(self, X_from: Any, X_to: ArrayLike | None = None, *, n_neighbors: int = 5) -> Attribution:
        """What moved, per feature, and its part of the change of f; and the training rows nearest to where it ended.

        One array: how every sample of it came from its nearest training row (a generated sample explained by the real one
        next to it). Two arrays of as many samples: from X_from to X_to. The recorded result of `walk`: along its own path.

        f is the local dual function round where the movement begins (nats). Its change is split by integrated gradients along
        the straight line between the two in normal scores (exact: f is quadratic), so `f_change` sums over a sample to
        f_to - f_from. Distances to the `n_neighbors` nearest rows are in the units of `nearest`. Results are where
        X_from is.
        """
        self._check_fitted()
        k = min(_checks.count(n_neighbors, "n_neighbors", minimum=1), len(self._rows))
        if X_to is None and isinstance(X_from, WalkResult):
            if X_from.trajectory is None:
                raise ValueError(
                    "X_from must be a recorded walk; got one without a trajectory (pass a result of walk(..., record=True))"
                )
            given = X_from.trajectory
            path = _checks.beside(given, "X_from", self._rows, self.device).astype(np.float64, copy=False)
            path = path.reshape(*path.shape[:2], self.n_features_in_)
            neighbors, distances = self._distances.nearest(path[:, -1], k)
        else:
            given = X_from
            begin = end = self._samples(X_from, "X_from")
            if X_to is not None:
                end = self._samples(X_to, "X_to")
            if len(begin) != len(end):
                raise ValueError(f"X_to must hold {len(begin)} samples, as X_from does; got {len(end)} (pair them row by row)")
            neighbors, distances = self._distances.nearest(end, k)
            path = np.stack([self._rows[neighbors[:, 0]] if X_to is None else begin, end], axis=1)
        movement, f_change, f_from, f_to = self._local_duals.attribute(path)
        shape = (-1, *self.feature_shape_)
        found = (movement.reshape(shape), f_change.reshape(shape), f_from, f_to, neighbors, distances)
        return Attribution(*(_device.returned(array, given) for array in found))

    @cached_property
    def _space(self) -> Space:
        return Space(self._local_duals.points)

    @one_blas_thread()
    def interpolate(self, X: ArrayLike, to: Any, *, n_frames: int = 9, divergence: Any = None) -> Interpolation:
        """Paths from samples to another cluster of the dual space, frame by frame with f along the way.

        A path starts exactly at the sample, ends at the nearest training row of the cluster (or at the row it is given), and
        passes between training rows: it follows the chain of rows with the shortest hops. A frame is the mean of the rows
        round its place on that chain, plus the start's own difference from such a mean, turned into that of the end. With
        share u of the way done, in normal scores,

            z(u) = m(u) + cos(pi u / 2) (z_0 - m(0)) + sin(pi u / 2) (z_1 - m(1)),

        so that frames keep the detail, and the variance, of real rows, where a straight mix would blur. Deterministic.

        X : (n, *feature_shape_)
        to : the number of a cluster, 0 being that of the lowest f; or a sample (*feature_shape_), or one for each of X
        n_frames : at least 2; the first is the sample, the last the end
        divergence : a DualDivergence fitted on the same rows, whose f (`score_samples`) and cuts are meant; without one, f is
            the Gaussian dual function of all training rows (nats), cut by `dualspace.find_clusters`.

        Raises ValueError for a cluster that does not exist or has no rows, samples of another shape, or a sampler on a device
        (its paths run in the host's memory: `to_host`). Source: the walks
        between clusters of Garg et al. 2024 (arXiv 2404.07377); the path along the data is dualwalk's own.
        """
        self._check_fitted()
        self._need_host("interpolate")
        n_frames = _checks.count(n_frames, "n_frames", minimum=2)
        rows = self._samples(X)
        labels, cuts = self._space.labels, self._space.cuts
        if divergence is not None:
            from ..estimator import DualDivergence  # which needs half of the package, and is here where it is passed

            _checks.instance(divergence, "divergence", DualDivergence, remedy="fit one on the sampler's X, or leave it out")
            divergence._check_fitted("divergence")
            if divergence.feature_shape_ != self.feature_shape_ or len(divergence.labels_) != len(self._rows):
                raise ValueError(
                    f"divergence must be fitted on the sampler's samples, {(len(self._rows), *self.feature_shape_)}; got one "
                    f"fitted on {(len(divergence.labels_), *divergence.feature_shape_)} (fit it on the same X, or leave it out)"
                )
            cuts = divergence.cuts_
            labels = assign(divergence.score_samples(self._shaped(self._rows)), cuts)  # by the f that is shown on the way
        around = self._local_duals
        z = around.scores(rows)
        ends, index = target_rows(to, z, around.points, labels, len(cuts) + 1, self.feature_shape_, around.scores)
        path = interpolate(z, ends, around.points, self._ladder.n_neighbors, n_frames)
        frames = around.values(path.reshape(-1, path.shape[2])).reshape(path.shape)
        frames[:, 0] = rows
        flat = frames.reshape(-1, self.n_features_in_)
        if divergence is None:
            f = self._space.value(path.reshape(flat.shape))
        else:
            f = divergence.score_samples(flat.reshape(-1, *self.feature_shape_))
        novelty = self._distances.novelty(self._distances.nearest_one(flat)[1])
        return Interpolation(
            self._shaped(frames), f.reshape(path.shape[:2]), novelty.reshape(path.shape[:2]), index, np.asarray(cuts)
        )
