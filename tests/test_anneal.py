"""anneal: every backend is the reference, the reference is the exact flow where that is known, and draws come out right."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwalk.annealing import anneal
from dualwalk.duals.mixture import MixtureDual

TOLERANCE = {np.float32: 2e-4, np.float64: 1e-10}


def mixture(n_components: int, d: int, seed: int) -> MixtureDual:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_components, d, d)) / np.sqrt(d)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)
    return MixtureDual(rng.uniform(0.5, 1.5, n_components), rng.normal(size=(n_components, d)), covariances)


class Own:
    """Anyone's own path of duals."""

    def __init__(self, dual: MixtureDual) -> None:
        self._dual = dual

    def at(self, time: float) -> Own:
        return Own(self._dual.at(time))

    def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._dual.value_and_gradient(x)


@given(data=st.data())
def test_backend_is_the_reference(backend: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    n_walks, d = data.draw(st.integers(1, 40), label="n_walks"), data.draw(st.integers(1, 37), label="d")
    n_components, seed = data.draw(st.integers(1, 6), label="n_components"), data.draw(st.integers(0, 100), label="seed")
    dual, x0 = mixture(n_components, d, seed), np.random.default_rng(seed).normal(size=(n_walks, d)).astype(dtype)
    options = {
        "t_start": data.draw(st.sampled_from([0.3, 0.65, 0.99]), label="t_start"),
        "t_end": data.draw(st.sampled_from([0.0, 0.1]), label="t_end"),
        "n_steps": data.draw(st.integers(1, 12), label="n_steps"),
        "renoise": data.draw(st.booleans(), label="renoise"),
        "record": data.draw(st.booleans(), label="record"),
        "seed": seed,
    }
    if dtype is np.float32 and not options["renoise"]:
        options["t_start"] = min(options["t_start"], 0.65)  # far from where p_t has mass, a velocity is steep in x
    expected = anneal(Own(dual), x0, backend="reference", **options)
    result = anneal(dual, x0, backend=backend, n_threads=2, **options)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(result.x, expected.x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(result.f, expected.f, rtol=10 * tolerance, atol=10 * tolerance)
    assert result.x.dtype == expected.x.dtype == dtype
    assert result.f.dtype == np.float64
    assert result.n_steps.tolist() == [options["n_steps"]] * n_walks
    assert not result.reached.any()
    if options["record"]:
        assert result.trajectory.shape == (n_walks, options["n_steps"] + 1, d)
        np.testing.assert_allclose(result.trajectory, expected.trajectory, rtol=tolerance, atol=tolerance)
        assert np.array_equal(result.trajectory[:, -1], result.x)
    else:
        assert result.trajectory is None


def exact_flow(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray, start: float, end: float) -> np.ndarray:
    """One Gaussian's probability flow: along every axis the distance from the mean stays the same number of deviations."""
    values, axes = np.linalg.eigh(covariance)
    a, s, b, r = (f(np.pi * t / 2) for t in (start, end) for f in (np.cos, np.sin))
    shrink = np.sqrt((b**2 * values + r**2) / (a**2 * values + s**2))
    return b * mean + ((x - a * mean) @ axes * shrink) @ axes.T


def test_one_gaussian_follows_the_exact_flow_to_second_order(backend: str, rng: np.random.Generator) -> None:
    mean, root = rng.normal(size=5), rng.normal(size=(5, 5)) / 2
    covariance = root @ root.T + 0.05 * np.eye(5)
    dual, x = MixtureDual([1.0], [mean], [covariance]), rng.normal(size=(20, 5))
    for end in (0.0, 0.2):
        exact = exact_flow(x, mean, covariance, 0.7, end)
        error = [
            np.abs(anneal(dual, x, t_start=0.7, t_end=end, n_steps=n, renoise=False, backend=backend).x - exact).max()
            for n in (41, 82, 164)
        ]
        assert error[0] < 5e-3
        assert error[0] > 3 * error[1] > 9 * error[2], "half the step, a quarter of the error"


def test_renoising_is_what_it_says(backend: str) -> None:
    x0 = np.full((4000, 3), 2.0)
    noisy = anneal(mixture(2, 3, 0), x0, t_start=0.4, n_steps=1, seed=3, record=True, backend=backend).trajectory[:, 0]
    angle = 0.4 * np.pi / 2
    np.testing.assert_allclose(noisy.mean(axis=0), 2 * np.cos(angle), atol=0.04)
    np.testing.assert_allclose(np.cov(noisy.T), np.sin(angle) ** 2 * np.eye(3), atol=0.03)
    still = anneal(mixture(2, 3, 0), x0, t_start=0.4, n_steps=1, renoise=False, record=True, backend=backend).trajectory[:, 0]
    assert np.array_equal(still, x0)


def test_noise_becomes_the_mixture(backend: str) -> None:
    dual = MixtureDual([0.25, 0.75], [[-2.0, 1.0], [1.0, 0.0]], [np.diag([0.1, 0.4]), [[0.3, 0.2], [0.2, 0.3]]])
    x = anneal(dual, np.zeros((20_000, 2)), t_start=0.99, seed=1, backend=backend).x
    left = x[:, 0] < -0.8
    assert left.mean() == pytest.approx(0.25, abs=0.015)
    np.testing.assert_allclose(x[left].mean(axis=0), [-2, 1], atol=0.05)
    np.testing.assert_allclose(x[~left].mean(axis=0), [1, 0], atol=0.03)
    np.testing.assert_allclose(np.cov(x[~left].T), [[0.3, 0.2], [0.2, 0.3]], atol=0.02)
    np.testing.assert_allclose(np.cov(x[left].T), np.diag([0.1, 0.4]), atol=0.035)  # a few of the others are among them


def test_a_mild_renoising_stays_near_the_start(backend: str) -> None:
    dual = mixture(4, 6, 2)
    x0 = anneal(dual, np.zeros((500, 6)), t_start=0.99, seed=0, backend=backend).x
    far = [np.linalg.norm(anneal(dual, x0, t_start=t, seed=1, backend=backend).x - x0, axis=1).mean() for t in (0.05, 0.3, 0.9)]
    assert far[0] < 0.2 * far[2]
    assert far[0] < far[1] < far[2]
    end = anneal(dual, x0, t_start=0.3, seed=1, backend=backend)
    np.testing.assert_allclose(end.f, dual.value(end.x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("d", [12, 30])
def test_same_bits_for_any_threads_and_any_company(backend: str, d: int, rng: np.random.Generator) -> None:
    dual, x0 = mixture(3, d, 5), rng.standard_normal((70, d)).astype(np.float32)
    options = {"t_start": 0.6, "n_steps": 130, "seed": 5, "backend": backend}  # enough work for three threads
    one, three = anneal(dual, x0, n_threads=1, **options), anneal(dual, x0, n_threads=3, **options)
    assert np.array_equal(one.x, three.x)
    assert np.array_equal(one.f, three.f)
    assert not np.array_equal(one.x, anneal(dual, x0, **{**options, "seed": 6}).x)
    if backend != "reference":
        for n in (1, 2, 5, 8, 9, 33):
            assert np.array_equal(anneal(dual, x0[:n], **options).x, one.x[:n])


def test_anyones_path_anneals_and_starts_are_never_changed(backend: str, rng: np.random.Generator) -> None:
    dual, x0 = mixture(2, 4, 0), rng.normal(size=(9, 4))
    frozen = x0.copy()
    frozen.flags.writeable = False
    result = anneal(Own(dual), frozen, t_start=0.5, seed=2, backend=backend)
    np.testing.assert_allclose(
        result.x, anneal(dual, frozen[:, ::-1][:, ::-1], t_start=0.5, seed=2, backend=backend).x, atol=1e-9
    )
    assert np.array_equal(frozen, x0)
    assert anneal(dual, np.empty((0, 4)), t_start=0.5, backend=backend).x.shape == (0, 4)


def test_a_lost_walk_stops_alone_and_is_reported(backend: str) -> None:
    dual = MixtureDual([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [np.eye(2)] * 2)
    x0 = np.array([[0.5, 0.5], [1e200, 0.0]])
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match=r"1 of 2 walks stopped .*walk 1.*more steps"):
        result = anneal(dual, x0, t_start=0.5, n_steps=7, renoise=False, record=True, backend=backend)
    assert result.n_steps.tolist() == [7, 0]
    assert np.isfinite(result.f[0])
    assert np.array_equal(result.x[1], x0[1])
    assert (result.trajectory[1] == x0[1]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = anneal(dual, x0[:1], t_start=0.5, n_steps=7, renoise=False, backend=backend)
    np.testing.assert_allclose(result.x[:1], alone.x, rtol=1e-12)


@pytest.mark.parametrize("which", ["value", "gradient", "both"])
def test_a_walk_whose_value_or_gradient_is_not_finite_stops(backend: str, which: str) -> None:
    class Cliff(Own):
        def at(self, time: float) -> Cliff:
            return Cliff(self._dual.at(time))

        def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, gradient = super().value_and_gradient(x)
            beyond = x[:, 0] > 3
            if which != "gradient":
                value = np.where(beyond, np.nan, value)
            if which != "value":
                gradient[beyond, 1] = np.inf
            return value, gradient

    dual, x0 = mixture(2, 2, 0), np.array([[0.5, 0.5], [4.0, 0.0]])
    options = {"t_start": 0.5, "n_steps": 7, "renoise": False, "backend": backend}
    with pytest.warns(RuntimeWarning, match="1 of 2 walks stopped .*walk 1"):
        result = anneal(Cliff(dual), x0, **options)
    assert result.n_steps.tolist() == [7, 0]
    assert np.array_equal(result.x[1], x0[1])
    np.testing.assert_allclose(result.x[:1], anneal(dual, x0[:1], **options).x, rtol=1e-12)
    with pytest.warns(RuntimeWarning, match="1 of 1 walks stopped"):  # nobody is left to walk
        alone = anneal(Cliff(dual), x0[1:], **options)
    assert alone.n_steps.dtype == np.int64
    assert alone.n_steps.tolist() == [0]
    assert alone.reached.dtype == bool


def test_bad_input(backend: str) -> None:
    dual, x0 = mixture(2, 3, 0), np.zeros((2, 3))

    def call(**options: object) -> None:
        settings = {"dual": dual, "x0": x0, "t_start": 0.5, "backend": backend, **options}
        anneal(settings.pop("dual"), settings.pop("x0"), **settings)

    with pytest.raises(TypeError, match=r"dual must have a method at\(time\).*for a dual without a path use walk"):
        call(dual=lambda x: x)
    with pytest.raises(ValueError, match=r"has no path in time.*call dual\.at\(t\)\.density"):
        call(dual=dual.density("normal"))
    with pytest.raises(ValueError, match="t_start must be below 1, where nothing is left of x0; got 1"):
        call(t_start=1.0)
    with pytest.raises(ValueError, match=r"t_start must be greater than 0\.2; got 0\.1"):
        call(t_start=0.1, t_end=0.2)
    with pytest.raises(ValueError, match="t_end must be at least 0"):
        call(t_end=-0.1)
    with pytest.raises(ValueError, match="n_steps must be at least 1; got 0"):
        call(n_steps=0)
    with pytest.raises(ValueError, match=r"x0 must have shape \(n_walks, 3\); got \(2, 4\)"):
        call(x0=np.zeros((2, 4)))
    with pytest.raises(ValueError, match="NaN or infinity in row 1"):
        call(x0=np.array([[0.0, 0, 0], [0, np.nan, 0]]))
    with pytest.raises(TypeError, match="seed must be a whole number"):
        call(seed="x")


def test_ctrl_c_stops_annealing_within_a_second(backend: str) -> None:
    program = textwrap.dedent(f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        import numpy as np
        from dualwalk.annealing import anneal
        from dualwalk.duals.mixture import MixtureDual
        dual = MixtureDual(np.ones(4), np.zeros((4, 60)), [np.eye(60)] * 4)
        options = dict(t_start=0.5, backend="{backend}", n_threads=2, seed=0)
        anneal(dual, np.zeros((40, 60)), n_steps=2, **options)  # compiled and warm
        print("walking", flush=True)
        try:
            anneal(dual, np.zeros((8000, 60)), n_steps=4000, **options)
        except KeyboardInterrupt:
            print("stopped", flush=True)
            sys.exit(7)
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "walking\n"
        time.sleep(0.5)
        asked = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopped\n"
        assert time.monotonic() - asked < 1.0
        assert child.wait(30) == 7
    finally:
        child.kill()
        child.communicate()
