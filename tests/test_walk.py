"""walk: every backend is the reference step by step, and the reference does what a walk should."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dualwalk as dw
from dualwalk.duals.local_covariance import LocalCovariance
from dualwalk.duals.mixture import MixtureDual

TOLERANCE = {np.float32: 2e-4, np.float64: 1e-10}


def mlp(n_features: int, hidden: tuple[int, ...], seed: int) -> dw.MLPDual:
    rng = np.random.default_rng(seed)
    widths = (n_features, *hidden, 1)
    weights = [rng.standard_normal((o, i)) / np.sqrt(i) for i, o in pairwise(widths)]
    return dw.MLPDual(weights, [0.3 * rng.standard_normal(o) for o in widths[1:]])


def local(n_features: int, n_walks: int | None, seed: int) -> dw.LocalDual:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((30, n_features))
    size = (8,) if n_walks is None else (n_walks, 8)
    neighbors = rng.permuted(np.tile(np.arange(30), (*size[:-1], 1)), axis=-1)[..., :8]
    return dw.LocalDual(points, neighbors, shrinkage=0.5)


def mixture(n_features: int, n_components: int, seed: int) -> MixtureDual:
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((n_components, n_features, n_features)) / np.sqrt(n_features)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.2 * np.eye(n_features)
    return MixtureDual(
        rng.uniform(0.5, 1, n_components), rng.standard_normal((n_components, n_features)), covariances, time=0.1
    )


def preconditioner(kind: str, n_features: int, n_walks: int, seed: int) -> LocalCovariance | np.ndarray | None:
    rng = np.random.default_rng(seed)
    points, neighbors = rng.standard_normal((30, n_features)), rng.permuted(np.tile(np.arange(30), (n_walks, 1)), axis=1)[:, :7]
    return {
        "none": lambda: None,
        "matrix": lambda: 0.3 * np.ones((n_features, n_features)) + np.eye(n_features),
        "one": lambda: LocalCovariance(points, np.arange(9)),
        "each": lambda: LocalCovariance(points, neighbors),
        "each, shrunk": lambda: LocalCovariance(points, neighbors, shrinkage=0.4),
    }[kind]()


class Quadratic:
    """f = c - |x|^2 / 2 by its formula: anyone's own dual."""

    def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 3.0 - 0.5 * (x**2).sum(axis=1), -x


def same(result: dw.WalkResult, expected: dw.WalkResult, tolerance: float) -> None:
    np.testing.assert_allclose(result.x, expected.x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(result.f, expected.f, rtol=10 * tolerance, atol=10 * tolerance)
    assert result.x.dtype == expected.x.dtype
    if expected.trajectory is None:
        assert result.trajectory is None
    else:
        np.testing.assert_allclose(result.trajectory, expected.trajectory, rtol=tolerance, atol=tolerance)


@given(data=st.data())
def test_backend_is_the_reference(backend: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    n_walks, n_features = data.draw(st.integers(1, 40), label="n_walks"), data.draw(st.integers(1, 37), label="n_features")
    seed = data.draw(st.integers(0, 100), label="seed")
    kind = data.draw(st.sampled_from(["linear", "mlp", "deep", "local", "stack", "mixture"]), label="dual")
    dual = {
        "linear": lambda: mlp(n_features, (), seed),
        "mlp": lambda: mlp(n_features, (13,), seed),
        "deep": lambda: mlp(n_features, (9, 17, 5), seed),
        "local": lambda: local(n_features, None, seed),
        "stack": lambda: local(n_features, n_walks, seed),
        "mixture": lambda: mixture(n_features, 1 + seed % 5, seed),
    }[kind]()
    x0 = np.random.default_rng(seed).standard_normal((n_walks, n_features)).astype(dtype)
    options = {
        "n_steps": data.draw(st.integers(0, 12), label="n_steps"),
        "step_size": 0.05,
        "noise": data.draw(st.sampled_from([0.0, 0.7]), label="noise"),
        "bounds": data.draw(st.sampled_from([None, (-5.0, 5.0), (np.full(n_features, -6.0), 5.5)]), label="bounds"),
        "record": data.draw(st.booleans(), label="record"),
        "seed": seed,
        "base": data.draw(st.sampled_from([None, "normal"]), label="base") if kind not in ("local", "stack") else None,
    }
    if kind in ("local", "stack"):
        options["base"] = data.draw(st.sampled_from([None, "marginals"]), label="base")
    shape = data.draw(st.sampled_from(["none", "none", "matrix", "one", "each", "each, shrunk"]), label="preconditioner")
    options["preconditioner"] = preconditioner(shape, n_features, n_walks, seed)
    if n_features > 12:  # or the matrix, whose largest eigenvalue grows with it, makes steps that diverge
        options["step_size"] = 0.6 / n_features
    expected = dw.walk(dual, x0, backend="reference", **options)
    same(dw.walk(dual, x0, backend=backend, n_threads=2, **options), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [lambda: mlp(20, (16,), 3), lambda: local(20, 50, 3), lambda: mixture(20, 3, 3)])
def test_walks_to_a_target_stop_there(backend: str, dtype: type, make: object, rng: np.random.Generator) -> None:
    dual = make()
    x0 = rng.standard_normal((50, 20)).astype(dtype)
    start = dual.value(x0)
    target = start + rng.uniform(-0.5, 0.5, 50)
    target[7] = start[7]
    result = dw.walk(dual, x0, n_steps=400, step_size=0.05, target=target, record=True, backend=backend)
    assert result.reached.all()
    assert result.n_steps[7] == 0
    assert (result.n_steps[np.arange(50) != 7] > 0).all()
    np.testing.assert_allclose(result.f, target, atol=1e-3)
    np.testing.assert_allclose(dual.value(result.x.astype(np.float64)), target, atol=2e-3)
    for walk in (0, 7, 49):  # a walk that stopped repeats its last point
        assert (result.trajectory[walk, result.n_steps[walk] :] == result.x[walk]).all()
    reference = dw.walk(dual, x0, n_steps=400, step_size=0.05, target=target, backend="reference")
    assert (np.abs(result.n_steps - reference.n_steps) <= 1).all()


def test_too_few_steps_leave_the_target_unreached(backend: str) -> None:
    dual = mlp(6, (8,), 0)
    x0 = np.zeros((3, 6))
    target = dual.value(x0) + 0.05
    result = dw.walk(dual, x0, n_steps=2, step_size=1e-3, target=dual.value(x0) + 1e-5, tolerance=1e-9, backend=backend)
    assert result.n_steps.tolist() == [1] * 3 or not result.reached.all()
    with pytest.raises(ValueError, match="target cannot be reached: walk 0"):
        dw.walk(dual, x0, n_steps=2, step_size=1e-3, target=target, backend=backend)


@pytest.mark.parametrize(
    "make", [lambda: mlp(12, (20, 20), 1), lambda: local(12, 70, 1), lambda: mixture(12, 3, 1), lambda: mixture(30, 3, 1)]
)
@pytest.mark.parametrize("shape", ["none", "each, shrunk"])
def test_same_bits_for_any_threads_and_any_company(backend: str, make: object, shape: str, rng: np.random.Generator) -> None:
    dual = make()
    x0 = rng.standard_normal((70, dual.n_features)).astype(np.float32)
    options = {"n_steps": 80, "step_size": 0.02, "noise": 0.5, "seed": 5, "backend": backend}  # enough work for three threads
    options["preconditioner"] = preconditioner(shape, dual.n_features, 70, 0)
    one = dw.walk(dual, x0, n_threads=1, **options)
    three = dw.walk(dual, x0, n_threads=3, **options)
    assert np.array_equal(one.x, three.x)
    assert np.array_equal(one.f, three.f)
    if backend != "reference" and not isinstance(dual, dw.LocalDual) and shape == "none":  # walks side by side never mix
        for n in (1, 2, 3, 5, 8, 9, 33):
            assert np.array_equal(dw.walk(dual, x0[:n], **options).x, one.x[:n])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("make", "size"),
    [(lambda: mlp(37, (50, 20), 1), 0.02), (lambda: mixture(9, 3, 1), 0.001), (lambda: mixture(30, 4, 1), 0.001)],
)
def test_walks_that_stop_leave_the_bits_of_the_others(
    backend: str, make: object, size: float, dtype: type, rng: np.random.Generator
) -> None:
    dual = make()
    x0 = rng.standard_normal((40, dual.n_features)).astype(dtype)
    target = dual.value(x0) + np.linspace(0.0, 0.4, 40)
    options = {"n_steps": 30, "step_size": size, "record": True, "backend": backend}
    whole = dw.walk(dual, x0, target=target, **options)
    assert len(set(whole.n_steps.tolist())) > 5, "they stop at different steps"
    assert (whole.trajectory[:, -1] == whole.x).all()
    exact = backend != "reference"  # NumPy's products depend on their shape
    for part in (slice(0, 1), slice(1, 3), slice(2, 7), slice(7, 16), slice(3, 36), slice(39, 40)):
        some = dw.walk(dual, x0[part], target=target[part], **options)
        for mine, theirs in zip(some, whole, strict=True):
            np.testing.assert_allclose(mine, theirs[part], rtol=0 if exact else 2e-4, atol=0 if exact else 2e-5)


def test_any_object_with_value_and_gradient_walks(backend: str) -> None:
    x0 = np.array([[1.0, 2.0], [0.0, -3.0]])
    result = dw.walk(Quadratic(), x0, n_steps=3, step_size=0.5, backend=backend)
    np.testing.assert_allclose(result.x, x0 / 8)
    np.testing.assert_allclose(result.f, 3 - 0.5 * (x0**2).sum(axis=1) / 64)
    assert result.n_steps.tolist() == [3, 3]
    assert not result.reached.any()
    assert result.trajectory is None


def test_langevin_noise_samples_the_density(backend: str) -> None:
    """noise=1 is unadjusted Langevin dynamics: on a standard Gaussian its variance is 1 / (1 - step_size / 2)."""
    result = dw.walk(Quadratic(), np.zeros((4000, 3)), n_steps=120, step_size=0.1, noise=1.0, seed=0, backend=backend)
    assert abs(result.x.mean()) < 0.03
    assert result.x.var() == pytest.approx(1 / 0.95, rel=0.04)


@pytest.mark.parametrize("kind", ["local", "mixture", "own"])
def test_preconditioned_langevin_samples_the_gaussian(backend: str, kind: str) -> None:
    """On N(m, S) with C = S the chain is an autoregression: its stationary variance is S / (1 - step_size / 2)."""
    rng = np.random.default_rng(3)
    points = rng.standard_normal((12, 3)) @ np.array([[1.0, 0.9, 0.0], [0.0, 0.3, 0.2], [0.0, 0.0, 2.0]])
    mean, covariance = points.mean(axis=0), np.cov(points.T)
    covariance = 0.7 * covariance + 0.3 * np.diag(np.diag(covariance))

    class Own:
        def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            pull = np.linalg.solve(covariance, (x - mean).T).T
            return 0.5 * (x**2).sum(1) - 0.5 * ((x - mean) * pull).sum(1), x - pull

    dual, base = {
        "local": (dw.LocalDual(points, np.arange(12), shrinkage=0.3), "marginals"),
        "mixture": (MixtureDual([1.0], [mean], [covariance]), "normal"),
        "own": (Own(), "normal"),
    }[kind]
    shape = LocalCovariance(points, np.arange(12), shrinkage=0.3)
    start = np.tile(mean + np.array([3.0, 0.0, -5.0]), (4000, 1))
    options = {"noise": 1.0, "seed": 1, "preconditioner": shape, "base": base, "backend": backend}
    x = dw.walk(dual, start, n_steps=40, step_size=0.2, **options).x
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=5 * np.sqrt(np.diag(covariance).max() / 4000))
    np.testing.assert_allclose(np.cov(x.T), covariance / 0.9, atol=0.09 * covariance.max())
    # and a short walk has the moments of the exact Ornstein-Uhlenbeck walk, up to the step
    t = 0.5
    x = dw.walk(dual, start, n_steps=50, step_size=t / 50, **options).x
    np.testing.assert_allclose(x.mean(axis=0), mean + np.exp(-t) * (start[0] - mean), atol=0.12)
    np.testing.assert_allclose(np.cov(x.T), (1 - np.exp(-2 * t)) * covariance, atol=0.09 * covariance.max())


def test_a_preconditioner_turns_the_step_and_spares_the_target(backend: str) -> None:
    dual, x0 = mixture(4, 2, 0), np.zeros((3, 4))
    matrix = np.diag([4.0, 1.0, 0.25, 1e-6])
    moved = dw.walk(dual, x0, n_steps=1, step_size=0.1, preconditioner=matrix, backend=backend).x
    np.testing.assert_allclose(moved, 0.1 * dual.gradient(x0) * np.diag(matrix))
    goal = dual.value(x0) + 0.3
    result = dw.walk(dual, x0, n_steps=200, step_size=0.05, target=goal, preconditioner=matrix, backend=backend)
    assert result.reached.all()
    assert np.abs(result.x[:, 3]).max() < 1e-4


def test_on_p_itself_f_stays_the_dual_function(backend: str, rng: np.random.Generator) -> None:
    dual, x0 = mixture(5, 3, 2), rng.standard_normal((6, 5))
    result = dw.walk(dual, x0, n_steps=30, step_size=0.05, base="normal", backend=backend)
    np.testing.assert_allclose(result.f, dual.value(result.x))
    rises = dual.density("normal").value(result.x) - dual.density("normal").value(x0)
    assert (rises > 0).all(), "deterministic steps climb log p"


def test_noise_is_standard_normal(backend: str) -> None:
    """On a flat dual one noisy step is the noise itself: moments and independence of walks, steps and features."""
    flat = dw.MLPDual([np.zeros((1, 7))], [np.zeros(1)])
    walks = dw.walk(flat, np.zeros((3000, 7)), n_steps=2, step_size=0.5, noise=1.0, seed=4, record=True, backend=backend)
    steps = np.diff(walks.trajectory, axis=1).reshape(3000, 14)
    assert np.abs(np.corrcoef(steps.T) - np.eye(14)).max() < 0.08
    assert abs((steps**2).mean() - 1) < 0.02
    assert abs((steps**4).mean() - 3) < 0.2


def test_bounds_hold_at_every_step(backend: str, rng: np.random.Generator) -> None:
    dual = mlp(5, (8,), 2)
    low, high = np.array([-1.0, -1, -1, -1, 0]), np.array([1.0, 1, 0.5, 1, 0])
    x0 = np.clip(rng.standard_normal((20, 5)), low, high)
    result = dw.walk(dual, x0, n_steps=30, step_size=0.3, noise=1.0, bounds=(low, high), seed=1, record=True, backend=backend)
    assert (result.trajectory >= low).all()
    assert (result.trajectory <= high).all()


@pytest.mark.parametrize("target", [None, 2.9])
@pytest.mark.parametrize("which", ["value", "gradient"])
def test_a_diverging_walk_stops_alone_and_is_reported(backend: str, which: str, target: float | None) -> None:
    class Cliff(Quadratic):
        def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            f, gradient = super().value_and_gradient(x)
            beyond = x[:, 0] > 5
            if which == "value":
                return np.where(beyond, np.nan, f), gradient
            return f, np.where(beyond[:, None], np.nan, gradient)

    x0 = np.array([[1.0, 1.0], [9.0, 1.0]])
    with pytest.warns(RuntimeWarning, match=r"1 of 2 walks stopped .*walk 1.*smaller step_size"):
        result = dw.walk(Cliff(), x0, n_steps=5, step_size=0.1, target=target, backend=backend)
    assert result.n_steps.tolist() == [5, 0]
    assert np.array_equal(result.x[1], x0[1])
    assert not result.reached.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_infinite_gradient_harms_only_its_own_walk(backend: str, dtype: type) -> None:
    steep = dw.MLPDual([1e25 * np.ones((2, 3)), 1e25 * np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    x0 = np.array([[1.0, 1, 1], [-1.0, -1, -1], [2.0, 0, 0]], dtype)  # f is 0 where the input is negative
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = dw.walk(steep, x0, n_steps=3, step_size=1e-60 if dtype is np.float64 else 1e-30, backend=backend)
    assert np.isfinite(result.x).all()
    assert np.array_equal(result.x[1], x0[1])
    if dtype is np.float32:
        assert result.n_steps.tolist() == [0, 3, 0]
        assert np.array_equal(result.x, x0)


@pytest.mark.parametrize("gradient", [(np.inf, -np.inf), (1e308, 1e308)])
def test_a_gradient_that_a_preconditioner_makes_infinite_stops_the_walk_alone(backend: str, gradient: tuple) -> None:
    """Of 4 g and sums of infinities nothing is heard but the warning that the walk stopped."""

    class Steep(Quadratic):
        def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            f, slope = super().value_and_gradient(x)
            return f, np.where(x[:, :1] > 5, gradient, slope)

    x0 = np.array([[1.0, 1.0], [9.0, 1.0]])
    matrix = np.array([[4.0, 1.0], [1.0, 4.0]])
    with pytest.warns(RuntimeWarning) as caught:
        result = dw.walk(Steep(), x0, n_steps=3, step_size=0.1, preconditioner=matrix, backend=backend)
    assert len(caught) == 1
    assert str(caught[0].message).startswith("1 of 2 walks stopped")
    np.testing.assert_allclose(result.x, [[0.125, 0.125], [9.0, 1.0]])


def test_a_target_is_reached_at_the_tolerance_itself_and_not_from_a_flat_place(backend: str) -> None:
    class Flat:
        def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.full(len(x), 0.5), np.zeros_like(x)

    for dual, targets, reached in (
        (dw.MLPDual([np.zeros((1, 3))], [np.full(1, 0.5)]), [0.75, 0.25], [True, True]),
        (Flat(), [0.75, 0.5, 0.125], [True, True, False]),  # whether a walk can get there is not known of any object
    ):
        x0 = np.ones((len(targets), 3))
        result = dw.walk(dual, x0, n_steps=4, step_size=0.1, target=targets, tolerance=0.25, backend=backend)
        assert result.reached.tolist() == reached
        assert result.n_steps.tolist() == [0 if there else 4 for there in reached]
        assert np.array_equal(result.x, x0)


def test_starts_are_never_changed_and_layout_does_not_matter(backend: str, rng: np.random.Generator) -> None:
    dual, x0 = mlp(6, (7,), 0), rng.standard_normal((9, 6))
    frozen = x0.copy()
    frozen.flags.writeable = False
    expected = dw.walk(dual, frozen, n_steps=4, step_size=0.1, backend=backend).x
    for layout in (np.asfortranarray(x0), x0[::-1].copy()[::-1], np.repeat(x0, 2, axis=1)[:, ::2]):
        assert np.array_equal(dw.walk(dual, layout, n_steps=4, step_size=0.1, backend=backend).x, expected)
    assert np.array_equal(frozen, x0)
    assert dw.walk(dual, np.empty((0, 6)), n_steps=4, step_size=0.1, backend=backend).x.shape == (0, 6)


def test_bad_input(backend: str) -> None:
    dual, x0 = mlp(3, (4,), 0), np.zeros((2, 3))

    def call(**options: object) -> None:
        settings = {"dual": dual, "x0": x0, "n_steps": 3, "step_size": 0.1, "backend": backend, **options}
        dw.walk(settings.pop("dual"), settings.pop("x0"), **settings)

    with pytest.raises(TypeError, match="value_and_gradient"):
        call(dual=lambda x: x)
    with pytest.raises(ValueError, match=r"x0 must have shape \(n_walks, 3\); got \(3,\)"):
        call(x0=np.zeros(3))
    with pytest.raises(ValueError, match="NaN or infinity in row 1"):
        call(x0=np.array([[0.0, 0, 0], [0, np.nan, 0]]))
    with pytest.raises(ValueError, match="n_steps must be at least 0"):
        call(n_steps=-1)
    with pytest.raises(ValueError, match="step_size must be greater than 0"):
        call(step_size=0.0)
    with pytest.raises(ValueError, match="noise must be at least 0"):
        call(noise=-1.0)
    with pytest.raises(ValueError, match="tolerance must be greater than 0"):
        call(tolerance=0.0)
    with pytest.raises(ValueError, match=r"target must be a number or have shape \(2,\)"):
        call(target=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="target must be finite, or it cannot be reached; got inf"):
        call(target=np.inf)
    with pytest.raises(ValueError, match="target cannot be reached"):
        call(target=1e9)
    with pytest.raises(ValueError, match="target cannot be reached"):
        call(target=1e9, bounds=(-1, 1), n_steps=10**9)
    with pytest.raises(ValueError, match="low <= high"):
        call(bounds=(1.0, -1.0))
    with pytest.raises(ValueError, match=r"inside the bounds; got 0\.0 for feature 0 of row 0"):
        call(bounds=(1.0, 2.0))
    with pytest.raises(ValueError, match="pair"):
        call(bounds=3.0)

    with pytest.raises(ValueError, match="x0 must hold 5 walks, one for each neighbourhood of the dual; got 2"):
        call(dual=local(3, 5, 0))

    with pytest.raises(ValueError, match=r"preconditioner must be for 3 features and 2 neighbourhoods.*; got 4 features"):
        call(preconditioner=np.eye(4))
    with pytest.raises(
        ValueError, match=r"preconditioner must be a LocalCovariance or a finite matrix \(d, d\); got shape \(3,\)"
    ):
        call(preconditioner=np.ones(3))
    with pytest.raises(ValueError, match="preconditioner must be symmetric and positive definite"):
        call(preconditioner=-np.eye(3))
    with pytest.raises(ValueError, match="base must be one of 'normal', 'marginals'; got 'q'"):
        call(base="q")
    with pytest.raises(ValueError, match="base='marginals' needs a dual that knows its marginals"):
        call(base="marginals")
    with pytest.raises(ValueError, match="base and target cannot go together"):
        call(base="normal", target=0.0)

    class Wrong:
        def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return x, x

    with pytest.raises(ValueError, match=r"must return f of shape \(2,\)"):
        call(dual=Wrong())


def test_reachable_is_a_true_bound(rng: np.random.Generator) -> None:
    """No walk of that length leaves the interval, for both duals, with and without a box."""
    x0 = rng.uniform(-1, 1, (40, 8))
    for dual in (mlp(8, (10, 10), 4), local(8, 40, 4)):
        for box in (None, (np.full(8, -1.5), np.full(8, 1.5))):
            low, high = box if box is not None else (None, None)
            below, above = dual.reachable(x0, 20 * 0.05, low, high)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                walks = dw.walk(dual, x0, n_steps=20, step_size=0.05, bounds=box)
            assert (walks.f >= below - 1e-9).all()
            assert (walks.f <= above + 1e-9).all()


def test_mlp_dual_gradient_against_finite_differences(rng: np.random.Generator) -> None:
    dual, x = mlp(5, (7, 6), 9), rng.standard_normal((4, 5))
    value, gradient = dual.value_and_gradient(x)
    step = 1e-6 * np.eye(5)
    numeric = np.stack([(dual.value(x + e) - dual.value(x - e)) / 2e-6 for e in step], axis=1)
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)
    np.testing.assert_allclose(dual.gradient(x), gradient)
    np.testing.assert_allclose(dual.value(x), value)
    assert dual.value(x.astype(np.float32)).dtype == np.float32


def test_mlp_dual_refuses_layers_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="layer 1 must have weights"):
        dw.MLPDual([np.zeros((4, 3)), np.zeros((1, 5))], [np.zeros(4), np.zeros(1)])
    with pytest.raises(ValueError, match="one output; got 2"):
        dw.MLPDual([np.zeros((2, 3))], [np.zeros(2)])
    with pytest.raises(ValueError, match=r"weights\[0\] must be finite"):
        dw.MLPDual([np.full((1, 3), np.nan)], [np.zeros(1)])
    with pytest.raises(ValueError, match="as many of each; got 1 and 0"):
        dw.MLPDual([np.zeros((1, 3))], [])
    with pytest.raises(ValueError, match=r"x must have shape \(n, 3\)"):
        dw.MLPDual([np.zeros((1, 3))], [np.zeros(1)]).value(np.zeros((2, 2)))
