"""The global dual function: a Gaussian mixture against the standard normal, with a path in time from the data to noise."""

from __future__ import annotations

import math
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks, _device
from .._blas import one_blas_thread
from .._model_file.saved import Saved
from .._refine.mixture import Recipe
from .mixture_fit import choose_recipe, fit_in_deviations, mixture_data

Float = NDArray[np.float64]

_LOG_2PI = math.log(2.0 * math.pi)
_VALUES_AT_ONCE = 1 << 22  # numbers in the axes of all components, of a block of rows


class MixtureDual(Saved):
    """log p_t / q in closed form, p a Gaussian mixture that diffuses to q = N(0, I) as t goes from 0 to 1.

    With a = cos(pi t / 2) and s = sin(pi t / 2), the density of a x + s e, e ~ N(0, I), where x is a draw of the mixture:

        f_t(x) = log sum_k pi_k N(x; a mu_k, a^2 S_k + s^2 I) - log N(x; 0, I)          (nats).

    S_k = V_k diag(l_k) V_k^T is taken apart once; a^2 S_k + s^2 I has the same axes V_k at all times, so nothing is factored
    along the path. The gradient in closed form is x - sum_k r_k V_k (V_k^T (x - a mu_k) / (a^2 l_k + s^2)), r_k the
    probability of component k given x.

    Parameters
    ----------
    weights : array (n_components,)
        pi, positive; scaled to sum to 1.
    means : array (n_components, d)
    covariances : array (n_components, d, d), optional
        Symmetric and positive definite.
    factors : array (n_components, d, r), optional
        Instead of covariances: S_k = F_k F_k^T.
    time : float in [0, 1]
        t of this dual; `at(t)` gives the same mixture at another time.

    Attributes
    ----------
    time : float
    log_weights : float64 (n_components,);  means : (n_components, d)
    axes : float64 (n_components, d, d)
        V_k, eigenvectors in columns.
    eigenvalues : float64 (n_components, d)
        l_k, ascending.
    candidates : dict from (n_components, shrinkage, target) to mean held-out f in nats, or None where nothing was chosen.

    `value`, `gradient` and `value_and_gradient` take x (n, d), float32 or float64, and return new float64 arrays (n,) and
    (n, d). Nothing here is random except `fit`, which is deterministic by random_state.

    Made of arrays on a CUDA device the dual lives there: its arrays are CuPy's, and x must be on the device too. Checks of the
    arguments wait for the device; evaluation, walks and annealing do not.

    Raises
    ------
    ValueError
        Shapes do not go together, numbers are not finite, a covariance is not positive definite, or time is outside [0, 1].

    Source: the dual function log p/q of Garg et al. 2024 (arXiv 2404.07377); the path is the cosine schedule of diffusion
    models (Nichol and Dhariwal 2021) in variance-preserving form.

    Examples
    --------
    >>> import numpy as np
    >>> dual = MixtureDual([0.5, 0.5], [[-2.0, 0.0], [2.0, 0.0]], [np.eye(2)] * 2)
    >>> dual.value([[2.0, 0.0], [0.0, 0.0]]).round(3).tolist()
    [1.307, -2.0]
    >>> dual.at(1.0).value([[2.0, 0.0]]).round(9).tolist()
    [0.0]
    """

    log_weights: Float
    means: Float
    axes: Float
    eigenvalues: Float
    time: float
    candidates: dict[tuple[int, float, str], float] | None = None

    walk_job = "walk_mixture"
    anneal_job = "anneal_mixture"
    # f = log sum_k ... + pull |x|^2 / 2 + constant; density("normal") leaves out -log q
    pull, constant = 1.0, 0.0

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike | None = None,
        *,
        factors: ArrayLike | None = None,
        time: float = 0.0,
    ) -> None:
        shares, centres, squares = mixture_data(weights, means, covariances, factors)
        self.time = _time(time)
        self._set(np.log(shares / shares.sum()), centres, squares, "covariances" if factors is None else "factors")

    def _set(self, log_weights: Float, means: Float, covariances: Float, name: str) -> None:
        self.log_weights, self.means = log_weights, means
        self.eigenvalues, self.axes = _eigh(covariances)
        poor = self.eigenvalues[:, 0] <= 1e-12 * np.maximum(self.eigenvalues[:, -1], 0.0)
        if poor.any():
            k = int(poor.argmax())
            raise ValueError(
                f"{name} must make covariances that are positive definite; got the eigenvalues {float(self.eigenvalues[k, 0]):.3g} to "
                f"{float(self.eigenvalues[k, -1]):.3g} for component {k} (add a small multiple of the identity)"
            )
        if not _device.is_on_device(self.axes):
            self.axes.flags.writeable = False  # walks keep a packed form of them
        self._centres = np.einsum("kji,kj->ki", self.axes, means)  # V_k^T mu_k

    @classmethod
    def fit(
        cls, points: ArrayLike, *, n_components: int | None = None, shrinkage: float | None = None, random_state: int = 0
    ) -> Self:
        """The mixture of samples by expectation-maximization, on columns scaled to unit variance.

        Parameters
        ----------
        points : array (n, d), n >= 8
            Usually normal scores, or their principal coordinates; f is against N(0, I) in these very coordinates. On a CUDA
            device the fit runs there, choosing by numbers that the host waits for.
        n_components : int, optional
            None chooses 1 to 16 by cross-validated likelihood: the most that are within a standard error of the best.
        shrinkage : float in (0, 1], optional
            By how much the correlations of a component go towards none at all or to those that the components share; None
            chooses both by cross-validated likelihood. A number alone shrinks towards none.
        random_state : int
            Same points, same random_state: the same bits.
        """
        rows, shape = _checks.samples(points, "points")
        _checks.scale(rows, "points")
        if len(shape) != 1:
            raise ValueError(f"points must have shape (n, d); got {(len(rows), *shape)} (pass points.reshape(len(points), -1))")
        if n_components is not None:
            n_components = _checks.count(n_components, "n_components", minimum=1)
            if n_components > len(rows) // 2:
                raise ValueError(
                    f"n_components must be at most half the samples, {len(rows) // 2}; got {n_components} (pass a smaller one)"
                )
        if shrinkage is not None:
            shrinkage = _checks.real(shrinkage, "shrinkage", above=0.0, maximum=1.0)
        seed = _checks.seed(random_state, "random_state")
        candidates: dict[Recipe, float] = {}
        with one_blas_thread():
            recipe = choose_recipe(rows, n_components, shrinkage, seed, candidates)
            mixture = fit_in_deviations(rows, recipe, seed)
            made = cls.__new__(cls)
            made.time = 0.0
            made._set(mixture.log_share, mixture.mean, mixture.factor @ mixture.factor.transpose(0, 2, 1), "points")
        if candidates:
            made.candidates = {(r.n_clusters, r.shrinkage, r.target): value for r, value in candidates.items()}
        return made

    @property
    def n_features(self) -> int:
        """The number of columns d."""
        return int(self.means.shape[1])

    @property
    def n_components(self) -> int:
        """The number of components."""
        return len(self.means)

    def at(self, time: float) -> Self:
        """The dual at another time in [0, 1], sharing everything with this one."""
        if self.pull == 0.0:
            raise ValueError(
                f"time has no meaning for a density made by density(), which has no path in time; got {time!r} (call "
                "dual.at(t).density(base))"
            )
        other = copy(self)
        other.time = _time(time)
        return other

    def density(self, base: str) -> Self:
        """log p_t = f_t + log N(x; 0, I), as something to walk on: `walk(..., base="normal")`."""
        _checks.choice(base, "base", ("normal",))  # which f is against
        other = copy(self)
        other.pull, other.constant = 0.0, -0.5 * self.n_features * _LOG_2PI
        return other

    def tables(self, times: NDArray[Any]) -> tuple[Float, Float, Float]:
        """What loops need at each of these times (T,), where the dual is: centres (T, K, d), precisions (T, K, d) and log scales (T, K).

        log(pi_k N) is log scale - sum_i precision_i z_i^2 / 2, up to a constant, with z = V_k^T x - centre.
        """
        times = _checks.beside(times, "times", self.means, None)
        if times.ndim != 1:
            raise ValueError(f"times must have shape (T,); got shape {times.shape} (pass [time] for one)")
        if not _device.is_on_device(times) and not np.isfinite(times).all():
            raise ValueError("times must be finite; got NaN or infinity (pass numbers in [0, 1])")
        angles = 0.5 * math.pi * times[:, None, None]
        variances = np.cos(angles) ** 2 * self.eigenvalues + np.sin(angles) ** 2
        return np.cos(angles) * self._centres, 1.0 / variances, self.log_weights - 0.5 * np.log(variances).sum(axis=2)

    def value(self, x: ArrayLike) -> Float:
        """f_t at the rows of x, (n,), in nats."""
        return self._run(x, slopes=False)[0]

    def gradient(self, x: ArrayLike) -> Float:
        """The gradient of f_t at the rows of x, (n, d), in nats per unit of x."""
        return self._run(x, slopes=True)[1]

    def value_and_gradient(self, x: ArrayLike) -> tuple[Float, Float]:
        """Both at once; they share half of the work."""
        return self._run(x, slopes=True)

    def check_beside(self, x: Any, name: str) -> None:
        """ValueError where x and the dual are not in one memory."""
        _checks.beside(x, name, self.means, None)

    def responsibilities(self, x: ArrayLike) -> Float:
        """The probability of every component given x at this time: (n, n_components), rows summing to 1."""
        rows = self._rows(x)
        shares: Float = _device.namespace(rows).empty((len(rows), self.n_components))
        for part in self._blocks(len(rows)):
            shares[part] = self._components(rows[part])[2]
        return shares

    def _run(self, x: ArrayLike, *, slopes: bool) -> tuple[Float, Float]:
        rows = self._rows(x)
        xp = _device.namespace(rows)
        value, gradient = xp.empty(len(rows)), xp.empty(rows.shape if slopes else (0, self.n_features))
        for part in self._blocks(len(rows)):
            inside, scaled, shares = self._components(rows[part])
            squares = np.einsum("nd,nd->n", rows[part], rows[part])
            value[part] = inside + 0.5 * self.pull * squares + self.constant
            if slopes:
                scaled *= shares[:, :, None]
                gradient[part] = self.pull * rows[part] - scaled.reshape(len(shares), -1) @ self._flat_axes().T
        return value, gradient

    def _components(self, rows: Float) -> tuple[Float, Float, Float]:
        """log sum_k (n,), precision_k z_k (n, K, d), and the probabilities of the components (n, K)."""
        (centres,), (precisions,), (scales,) = self.tables(_device.namespace(rows).full(1, self.time))
        z = (rows @ self._flat_axes()).reshape(len(rows), *centres.shape) - centres
        scaled = precisions * z
        logs = scales - 0.5 * np.einsum("nkd,nkd->nk", scaled, z)
        top = logs.max(axis=1, keepdims=True)
        shares = np.exp(logs - top)
        total = shares.sum(axis=1, keepdims=True)
        return (top + np.log(total))[:, 0], scaled, shares / total

    def _flat_axes(self) -> Float:
        """All axes side by side, (d, K d)."""
        side_by_side: Float = _device.namespace(self.axes).ascontiguousarray(self.axes.transpose(1, 0, 2))
        return side_by_side.reshape(self.n_features, -1)

    def _blocks(self, n: int) -> list[slice]:
        step = max(1, _VALUES_AT_ONCE // self.means.size)
        return [slice(start, start + step) for start in range(0, n, step)]

    def _rows(self, x: ArrayLike) -> Float:
        array = _checks.beside(x, "x", self.means, None)
        if array.ndim != 2 or array.shape[1] != self.n_features:
            raise ValueError(
                f"x must have shape (n, {self.n_features}); got {array.shape} (flatten series with x.reshape(len(x), -1))"
            )
        rows: Float = array.astype(np.float64, copy=False)
        return rows


def _eigh(matrices: Float) -> tuple[Float, Float]:
    """Eigenvalues and eigenvectors of symmetric matrices (K, d, d)."""
    if not _device.is_on_device(matrices):
        return np.linalg.eigh(matrices)
    # one by one: the batched solver there is made for matrices of up to 32 rows
    values, vectors = zip(*map(np.linalg.eigh, matrices), strict=True)
    return np.stack(values), np.stack(vectors)


def _time(time: Any) -> float:
    return _checks.real(time, "time", minimum=0.0, maximum=1.0)
