"""A dual function that is a small network: any fitted critic of SiLU layers, evaluated and walked natively."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, _device
from .._lazy import cached_property
from .._model_file.saved import Saved
from ..backends.reference import silu_and_slope
from .local import check_bound

MAX_LAYERS = 64
_SILU_SLOPE = 1.09984  # the largest slope of SiLU


class MLPDual(Saved):
    """f(x) = w_L silu( ... silu(W_1 x + b_1) ... ) + b_L: a multilayer perceptron as a dual function, in nats.

    Parameters
    ----------
    weights : sequence of arrays
        Layer l has shape (n_outputs, n_inputs); the first takes n_features inputs, the last gives 1 output. (The layout of
        torch.nn.Linear.) At most 64 layers; copied to float64, read-only. NumPy's, or all of them CuPy's.
    biases : sequence of arrays
        Layer l has shape (n_outputs,).

    Notes
    -----
    `walk` runs this dual in compiled loops, in the dtype of the starts. Evaluation here is plain NumPy in the dtype of x
    (float32 or float64), or CuPy where x is on a device. Weights of NumPy's serve arrays on a device too: they are copied there
    at the first use, once a dtype; weights of CuPy's serve no arrays in the host's memory. Source of the walk: Garg et al. 2024
    (arXiv 2404.07377).

    Raises
    ------
    ValueError
        If layers do not follow one another or hold values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> dual = MLPDual([np.ones((2, 3)), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    >>> dual.value(np.zeros((1, 3))).tolist()
    [0.0]
    """

    walk_job = "walk_mlp"

    weights: tuple[NDArray[np.float64], ...]
    biases: tuple[NDArray[np.float64], ...]

    def __init__(self, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]) -> None:
        for name, layers in (("weights", weights), ("biases", biases)):
            if not isinstance(layers, (list, tuple)):
                raise TypeError(
                    f"{name} must be a list with one array a layer; got {type(layers).__name__} (pass a list of arrays)"
                )
        if not 1 <= len(weights) <= MAX_LAYERS or len(weights) != len(biases):
            raise ValueError(
                f"weights and biases must hold 1 to {MAX_LAYERS} layers, as many of each; "
                f"got {len(weights)} and {len(biases)} (pass a weight matrix and a bias for every layer)"
            )
        self.weights = tuple(self._layer(w, f"weights[{i}]", 2) for i, w in enumerate(weights))
        self.biases = tuple(self._layer(b, f"biases[{i}]", 1) for i, b in enumerate(biases))
        if len({_device.is_on_device(part) for part in (*self.weights, *self.biases)}) > 1:
            raise TypeError(
                "weights and biases must all be NumPy arrays or all be on a device; got some of each (pass cupy.asarray(w))"
            )
        self._kept: dict[Any, Any] = {}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            inputs = self.weights[i - 1].shape[0] if i else weight.shape[1]
            if weight.shape[1] != inputs or len(bias) != weight.shape[0] or weight.size == 0:
                raise ValueError(
                    f"layer {i} must have weights (n_outputs, {inputs}) and biases (n_outputs,); "
                    f"got {weight.shape} and {bias.shape} (transpose weights stored as (n_inputs, n_outputs))"
                )
        if self.weights[-1].shape[0] != 1:
            raise ValueError(
                f"the last layer of weights and biases must have one output; got {self.weights[-1].shape[0]} (f is one number)"
            )

    @staticmethod
    def _layer(value: ArrayLike, name: str, ndim: int) -> NDArray[np.float64]:
        given = _checks.real_array(value, name)
        array = _device.namespace(given).array(given, np.float64)
        if array.ndim != ndim:
            raise ValueError(f"{name} must have {ndim} dimensions; got shape {array.shape} (see torch.nn.Linear's layout)")
        if not bool(np.isfinite(array).all()):
            raise ValueError(f"{name} must be finite; got NaN or infinity (the critic did not train)")
        if isinstance(array, np.ndarray):
            array.flags.writeable = False  # walks keep a packed form of it
        return array  # type: ignore[no-any-return]

    def check_beside(self, x: Any, name: str) -> None:
        """TypeError where the weights are on a device and x is not: nothing is copied from there."""
        if _device.is_on_device(self.weights[0]) and not _device.is_on_device(x):
            raise TypeError(
                f"{name} must be on the device that the dual's weights are on; got a NumPy array (pass cupy.asarray({name}))"
            )

    def _layers(self, like: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Weights and biases in the memory and the dtype of an array; on a device they are made once."""
        self.check_beside(like, "x")
        if not _device.is_on_device(like):
            return tuple(w.astype(like.dtype) for w in self.weights), tuple(b.astype(like.dtype) for b in self.biases)

        def made() -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            parts = [[_device.to_device(part).astype(like.dtype) for part in group] for group in (self.weights, self.biases)]
            return tuple(parts[0]), tuple(parts[1])

        return self._once(("layers", like.dtype.name), made)  # type: ignore[no-any-return]

    def _once(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        """`make()`, kept for this dual and the current device."""
        key = (*key, str(int(_device.cupy().cuda.Device().id)))
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": {}}

    @property
    def n_features(self) -> int:
        """The number of inputs."""
        return int(self.weights[0].shape[1])

    @cached_property
    def _steepest(self) -> float:
        """A bound on |grad f|."""
        return float(np.prod([float(np.linalg.norm(w, 2)) for w in self.weights])) * _SILU_SLOPE ** (len(self.weights) - 1)

    def value(self, x: ArrayLike) -> NDArray[Any]:
        """f of every row of x `(n, n_features)`, shape (n,)."""
        return self._forward(x)[0]

    def gradient(self, x: ArrayLike) -> NDArray[Any]:
        """The gradient of f at every row of x, shape (n, n_features)."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """f (n,) and its gradient (n, n_features) at every row of x."""
        value, slopes = self._forward(x)
        weights = self._layers(value)[0]
        back = np.ones_like(value)[:, None]
        for weight, slope in zip(weights[:0:-1], reversed(slopes), strict=True):
            back = (back @ weight) * slope
        return value, back @ weights[0]

    def _forward(self, x: ArrayLike, name: str = "x") -> tuple[NDArray[Any], list[NDArray[Any]]]:
        rows = _checks.real_array(x, name)
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(
                f"{name} must have shape (n, {self.n_features}); got {rows.shape} (flatten series with x.reshape(len(x), -1))"
            )
        rows = rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)
        weights, biases = self._layers(rows)
        slopes = []
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            rows, slope = silu_and_slope(rows @ weight.T + bias)
            slopes.append(slope)
        return (rows @ weights[-1].T)[:, 0] + biases[-1], slopes

    def reachable(
        self, x0: NDArray[Any], path_length: float, low: NDArray[Any] | None, high: NDArray[Any] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds on f that no deterministic walk from x0 can leave: `path_length` is n_steps x step_size.

        |grad f| is at most G, the product of the layers' spectral norms and SiLU's largest slope, so f changes by at most
        path_length G^2; inside a box, interval arithmetic bounds f as well.
        """
        start = self._forward(x0, "x0")[0].astype(np.float64)
        path_length = _checks.real(path_length, "path_length", minimum=0.0)
        rows = _checks.real_array(x0, "x0")
        low, high = (check_bound(end, name, rows) for end, name in ((low, "low"), (high, "high")))
        below, above = start - path_length * self._steepest**2, start + path_length * self._steepest**2
        if low is not None and high is not None:
            inner, outer = low.astype(np.float64), high.astype(np.float64)
            for i, (weight, bias) in enumerate(zip(*self._layers(inner), strict=True)):
                centre, radius = weight @ ((inner + outer) / 2) + bias, np.abs(weight) @ ((outer - inner) / 2)
                inner, outer = centre - radius, centre + radius
                if i < len(self.weights) - 1:  # SiLU falls to -0.2785 at -1.2785 and rises from there
                    lowest = np.where((inner < -1.2784645) & (outer > -1.2784645), -0.2784645428, np.inf)
                    ends = silu_and_slope(inner)[0], silu_and_slope(outer)[0]
                    inner, outer = np.minimum(np.minimum(*ends), lowest), np.maximum(*ends)
            below, above = np.maximum(below, inner[0]), np.minimum(above, outer[0])
        return below, above
