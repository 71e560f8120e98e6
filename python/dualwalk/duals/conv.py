"""A dual function that is a small convolutional network over channels x time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks
from .._critic.convolution import ConvNetwork, ConvShape
from .._model_file.saved import Saved

_VALUES_AT_ONCE = 1 << 21  # window entries of a block of rows


class ConvDual(Saved):
    """The average of small convolutional critics as a dual function, in nats.

    Made by `DualDivergence(method="single", critic="conv")`; walked by `dualwalk.walk`. Takes flattened rows, shape
    (n, n_channels * n_times); arithmetic in the dtype of x (float32 or float64). Rows of another width raise ValueError.

    Parameters
    ----------
    shape : sizes of the networks.
    members : flat weights of every network, `shape.n_weights` numbers each (see `_critic.convolution`); copied.
    """

    def __init__(self, shape: ConvShape, members: Sequence[ArrayLike]) -> None:
        self.shape = shape
        self.members = np.array([_checks.real_array(flat, "members") for flat in members], np.float64)
        if self.members.shape[1:] != (shape.n_weights,) or not len(self.members):
            raise ValueError(
                f"members must hold {shape.n_weights} weights each; got shape {self.members.shape} (see ConvShape.n_weights)"
            )
        if not np.isfinite(self.members).all():
            raise ValueError("members must be finite; got NaN or infinity (the critic did not train)")

    @property
    def n_features(self) -> int:
        """The number of inputs."""
        return self.shape.n_channels * self.shape.n_times

    def value(self, x: ArrayLike) -> NDArray[Any]:
        """f of every row of x `(n, n_features)`, shape (n,)."""
        return self._run(x, slopes=False)[0]

    def gradient(self, x: ArrayLike) -> NDArray[Any]:
        """The gradient of f at every row of x, shape (n, n_features)."""
        return self._run(x, slopes=True)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """f (n,) and its gradient (n, n_features) at every row of x."""
        return self._run(x, slopes=True)

    def _run(self, x: ArrayLike, *, slopes: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = _checks.real_array(x, "x")
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(
                f"x must have shape (n, {self.n_features}); got {rows.shape} (flatten series with x.reshape(len(x), -1))"
            )
        rows = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
        value = np.zeros(len(rows), rows.dtype)
        gradient = np.zeros(rows.shape if slopes else (0, self.n_features), rows.dtype)
        widest = max(columns for _, columns in self.shape.matrices[:2])
        step = max(1, _VALUES_AT_ONCE // (self.shape.n_times * widest))
        for flat in self.members:
            network = ConvNetwork(self.shape, flat.astype(rows.dtype))
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                value[part] += network.outputs(rows[part])[:, 0]
                if slopes:
                    back = network.backward(np.ones((len(rows[part]), 1), rows.dtype), by_inputs=True)
                    assert back is not None
                    gradient[part] += back
        return value / len(self.members), gradient / len(self.members)
