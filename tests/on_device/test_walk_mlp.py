"""Walks on an MLPDual on the device against the reference: any sizes, every kernel, one launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualwalk as dw
from dualwalk.backends import cuda, reference
from on_device.kit import Device

WIDTHS = [(5, 3), (12, 8, 8), (7, 13, 6), (30, 16, 20, 9), (3, 40), (4,), (1, 1, 1)]


FEW_AND_MANY = [24, pytest.param(150, marks=pytest.mark.large)]  # narrow tiles on tensor cores, and wide ones


def mlp(*widths: int, seed: int = 0) -> dw.MLPDual:
    rng = np.random.default_rng(seed)
    shapes = list(zip((*widths[1:], 1), widths, strict=True))
    weights = [rng.normal(size=shape) / np.sqrt(shape[1]) for shape in shapes]
    return dw.MLPDual(weights, [0.3 * rng.normal(size=n) for n, _ in shapes])


def starts(n: int, d: int, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, d)).astype(dtype)


def plan_of(device: Device | None, x: np.ndarray, n_steps: int, **settings: Any) -> reference.WalkPlan:
    """The same plan for the device, or for the reference."""
    place: Callable[[Any], Any] = (lambda v: device.put(v, x.dtype)) if device else (lambda v: np.asarray(v, x.dtype))
    given = {"step_size": 0.1, "noise": 0.0, "tolerance": 1e-3, "target": None, "low": None, "high": None, "seed": 5} | settings
    record = given.pop("record", False)
    for name in ("target", "low", "high"):
        if given[name] is not None:
            given[name] = place(np.broadcast_to(given[name], (len(x) if name == "target" else x.shape[1],)))
    frames = np.zeros((len(x), n_steps + 1, x.shape[1]), x.dtype)
    trajectory = (device.put(frames) if device else frames) if record else None
    return reference.WalkPlan(n_steps=n_steps, trajectory=trajectory, n_threads=1, **given)


def check(device: Device, dual: Any, x0: np.ndarray, n_steps: int, tolerance: float = 0.0, **settings: Any) -> None:
    """One walk of the device against the same of the reference in float64; in one launch."""
    exact = x0.astype(np.float64)
    wanted_plan = plan_of(None, exact, n_steps, **{k: v for k, v in settings.items() if k != "precision"})
    wanted = reference.walk(dual, exact, wanted_plan)
    x, plan = device.put(x0), plan_of(device, x0, n_steps, **settings)
    if device.emulated:
        before = device.kernels.n_launches()
    state = cuda.walk_mlp(dual, x, plan)
    if device.emulated:
        assert device.kernels.n_launches() == before + 1
    tolerance = tolerance or (1e-10 if x0.dtype == np.float64 else 2e-5)
    near = {"rtol": tolerance, "atol": tolerance}
    # of thousands of walks one may be a rounding away from the tolerance of its target
    same = (device.get(state.n_steps) == wanted.n_steps) & (device.get(state.reached) == wanted.reached)
    assert same.mean() > 0.999
    np.testing.assert_allclose(device.get(x)[same], exact[same], **near)
    np.testing.assert_allclose(device.get(state.f)[same], wanted.f[same], **near)
    if plan.trajectory is not None:
        np.testing.assert_allclose(device.get(plan.trajectory), wanted_plan.trajectory, **near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_ascent(device: Device, widths: tuple[int, ...], dtype: type) -> None:
    for n in (1, 3, 37):
        check(device, mlp(*widths), starts(n, widths[0], dtype), 6)


SETTINGS: dict[str, dict[str, Any]] = {
    "target": {"target": np.linspace(-1.0, 2.0, 11), "step_size": 0.3},
    "one target": {"target": 0.4, "step_size": 0.05},
    "noise": {"noise": 1.0},
    "bounds": {"low": -2.5, "high": 2.5, "noise": 2.0},
    "frames": {"record": True},
    "frames to a target": {"record": True, "target": 0.5, "step_size": 0.3},
    "all": {"record": True, "target": 0.5, "noise": 0.3, "low": -2.5, "high": 2.5},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_in_any_order(device: Device, any_order: str, settings: dict[str, Any], dtype: type) -> None:
    dual, x0 = mlp(10, 6, 9), np.clip(starts(11, 10, dtype), -2.5, 2.5)
    check(device, dual, x0, 12, **settings)


@pytest.mark.parametrize(
    "shared", [232448, 24000, 22000, 20000, 12000, 8400, 5000]
)  # from everything in shared memory to nothing
@pytest.mark.parametrize("settings", [{}, {"target": 0.5}, {"noise": 1.0}], ids=str)
def test_sizes_that_do_not_fit(device: Device, any_order: str, shared: int, settings: dict[str, Any]) -> None:
    if not device.emulated and shared < 232448:
        pytest.skip("a GPU has the shared memory that it has")
    if device.emulated:
        device.kernels.set_device(multiprocessors=2, capability=80, shared=shared)
    check(device, mlp(40, 24, 17), starts(9, 40, np.float32), 5, **settings)


def many(device: Device, n: int) -> int:
    """So many walks go to tensor cores: n on an emulated device of one multiprocessor, and enough for a whole one."""
    if device.emulated:
        device.kernels.set_device(multiprocessors=1)
    return n if device.emulated else 120 * n


@pytest.mark.parametrize(
    "settings", [{}, {"target": 0.5, "step_size": 0.3}, {"noise": 1.0}, {"noise": 0.2, "target": 0.5}], ids=str
)
@pytest.mark.parametrize("n", FEW_AND_MANY)
@pytest.mark.parametrize("widths", [(9, 7), (40, 33, 20), (70, 70, 9, 33)], ids=str)
def test_many_walks_on_tensor_cores(
    device: Device, any_order: str, widths: tuple[int, ...], n: int, settings: dict[str, Any]
) -> None:
    n = many(device, n)
    check(device, mlp(*widths), starts(n, widths[0], np.float32), 3, **settings)


@pytest.mark.parametrize("n", FEW_AND_MANY)
def test_precision_is_what_it_says(device: Device, n: int) -> None:
    dual, n = mlp(50, 48, 40), many(device, n)
    x0, error = starts(n, 50, np.float32), {}
    exact = x0.astype(np.float64)
    reference.walk(dual, exact, plan_of(None, exact, 20))
    for precision in (None, "tf32", "bf16"):
        x = device.put(x0)
        cuda.walk_mlp(dual, x, plan_of(device, x0, 20, precision=precision))
        error[precision] = np.abs(device.get(x) - exact).max() / np.abs(exact - x0).max()
    assert error[None] < 3e-6  # of the distance walked: like plain float32
    assert 3e-5 < error["tf32"] < 2e-3  # 2^-11 is 5e-4
    assert 3e-4 < error["bf16"] < 2e-2  # 2^-8 is 4e-3
    ours = dw.walk(dual, device.put(x0), n_steps=20, step_size=0.1, precision="tf32")
    assert np.abs(device.get(ours.x) - exact).max() / np.abs(exact - x0).max() == error["tf32"]


def test_lost_walks_on_tensor_cores(device: Device) -> None:
    dual, n = mlp(8, 8), many(device, 40)
    x0 = starts(n, 8, np.float32)
    x0[5], x0[17] = np.nan, 3e38
    x = device.put(x0)
    state = cuda.walk_mlp(dual, x, plan_of(device, x0, 5))
    lost = np.zeros(n, bool)
    lost[[5, 17]] = True
    np.testing.assert_array_equal(device.get(state.n_steps), np.where(lost, 0, 5))
    np.testing.assert_array_equal(np.isfinite(device.get(x)).all(axis=1), np.arange(n) != 5)


def test_no_step_and_single_walks(device: Device) -> None:
    dual = mlp(6, 5, 4)
    check(device, dual, starts(1, 6), 0)
    check(device, dual, starts(3, 6), 0, target=0.1, record=True)
    check(device, dual, starts(1, 6), 1, noise=1.0)


def test_a_walk_that_is_lost_stops_alone(device: Device) -> None:
    for settings in ({}, {"noise": 1e-9}):  # projected, and not
        dual, x0 = mlp(8, 8), starts(6, 8)
        x0[2] = np.inf
        x, state = device.put(x0), None
        state = cuda.walk_mlp(dual, x, plan_of(device, x0, 5, **settings))
        assert device.get(state.n_steps).tolist() == [5, 5, 0, 5, 5, 5]
        finite = np.isfinite(device.get(state.f))
        assert finite.tolist() == [True, True, False, True, True, True]
        assert not device.get(state.reached).any()
        assert np.isinf(device.get(x)[2]).all()


@pytest.mark.parametrize("n", [13, pytest.param(70, marks=pytest.mark.large)])
@pytest.mark.parametrize("settings", [{}, {"noise": 1.0}], ids=["projected", "with noise"])
def test_same_bits_in_every_run(device: Device, n: int, settings: dict[str, Any]) -> None:
    n = many(device, n)
    dual, x0 = mlp(20, 16, 12), starts(n, 20, np.float32)
    results = []
    for order in ("forward", "backward", "shuffled"):
        if device.emulated:
            device.kernels.set_order(order)
        x = device.put(x0)
        state = cuda.walk_mlp(dual, x, plan_of(device, x0, 8, **settings))
        results.append((device.get(x).tobytes(), device.get(state.f).tobytes()))
    assert results[0] == results[1] == results[2]


def test_matrices_are_packed_once(device: Device) -> None:
    dual, x0 = mlp(6, 5), starts(2, 6)
    kept = []
    for _ in range(2):
        cuda.walk_mlp(dual, device.put(x0), plan_of(device, x0, 1))
        kept.append(next(part for key, part in dual._kept.items() if key[0] == "walk"))
    assert kept[0] is kept[1]


# ---- the public function


def test_public_walk(device: Device) -> None:
    dual, x0 = mlp(10, 6, 6), starts(7, 10)
    low, high = np.full(10, -3.0), np.full(10, 3.0)
    for settings in ({}, {"target": 0.4}, {"noise": 0.5, "seed": 3}, {"bounds": (-3, 3), "record": True}):
        ours = dw.walk(dual, device.put(x0), n_steps=9, step_size=0.1, **settings)
        wanted = dw.walk(dual, x0, n_steps=9, step_size=0.1, backend="reference", **settings)
        for name in ("x", "f", "n_steps", "reached"):
            np.testing.assert_allclose(device.get(getattr(ours, name)), getattr(wanted, name), rtol=1e-9, atol=1e-10)
        if wanted.trajectory is not None:
            np.testing.assert_allclose(device.get(ours.trajectory), wanted.trajectory, rtol=1e-9, atol=1e-10)
    bounds = device.put(low), device.put(high)
    target = device.put(np.full(7, 0.4))
    ours = dw.walk(dual, device.put(x0), n_steps=9, step_size=0.1, target=target, bounds=bounds)
    wanted = dw.walk(dual, x0, n_steps=9, step_size=0.1, target=np.full(7, 0.4), bounds=(low, high))
    np.testing.assert_allclose(device.get(ours.x), wanted.x, rtol=1e-9, atol=1e-10)
    assert dw.walk(dual, device.put(x0[:0]), n_steps=9, step_size=0.1).x.shape == (0, 10)


def test_nothing_is_transferred_or_waited_for(device: Device) -> None:
    if not device.emulated:
        pytest.skip("counted where it is emulated")
    dual, x = mlp(10, 6), device.put(starts(5, 10))
    dw.walk(dual, x, n_steps=2, step_size=0.1)  # packs the weights
    before = device.xp.n_transfers
    dw.walk(dual, x, n_steps=2, step_size=0.1, noise=1.0, seed=0, bounds=(-9, 9))
    assert device.xp.n_transfers == before


class OtherArray:
    """An array of another library's on the device."""

    def __init__(self, array: Any) -> None:
        self.__cuda_array_interface__, self.shape = array.__cuda_array_interface__, array.shape
        self._kept = array


def test_arrays_of_other_libraries(device: Device) -> None:
    dual, x0 = mlp(10, 6), device.put(starts(5, 10, np.float32))
    ours = dw.walk(dual, OtherArray(x0), n_steps=3, step_size=0.1)
    assert device.get(ours.x).dtype == np.float32
    assert device.get(ours.x).tobytes() == device.get(dw.walk(dual, x0, n_steps=3, step_size=0.1).x).tobytes()
    strided = device.put(np.asfortranarray(starts(5, 10, np.float32)))
    assert device.get(ours.x).tobytes() == device.get(dw.walk(dual, strided, n_steps=3, step_size=0.1).x).tobytes()


def test_weights_on_the_device(device: Device) -> None:
    dual, x0 = mlp(10, 6, 4), starts(5, 10)
    there = dw.MLPDual([device.put(w) for w in dual.weights], [device.put(b) for b in dual.biases])
    x = device.put(x0)
    for ours, wanted in zip(
        (*there.value_and_gradient(x), *dual.value_and_gradient(x)), 2 * dual.value_and_gradient(x0), strict=True
    ):
        np.testing.assert_allclose(device.get(ours), wanted, rtol=1e-12, atol=1e-12)
    ours = dw.walk(there, x, n_steps=5, step_size=0.1, target=0.4)
    np.testing.assert_allclose(device.get(ours.x), dw.walk(dual, x0, n_steps=5, step_size=0.1, target=0.4).x, rtol=1e-9)
    with pytest.raises(TypeError, match="on the device that the dual's weights"):
        dw.walk(there, x0, n_steps=5, step_size=0.1)
    with pytest.raises(TypeError, match="all be NumPy arrays or all be on a device"):
        dw.MLPDual([device.put(w) for w in dual.weights], dual.biases)


class Bowl:
    """A dual of the caller's own, for arrays of either kind."""

    def value_and_gradient(self, x: Any) -> tuple[Any, Any]:
        return -(x**2).sum(axis=1) / 2, -x


@pytest.mark.parametrize("settings", [{}, {"target": -0.5}, {"noise": 1.0, "bounds": (-2, 2), "record": True}], ids=str)
def test_any_dual_walks(device: Device, settings: dict[str, Any]) -> None:
    x0 = np.clip(starts(6, 3), -2, 2)
    for base in (None, "normal"):
        if base and "target" in settings:
            continue
        ours = dw.walk(Bowl(), device.put(x0), n_steps=20, step_size=0.1, seed=1, base=base, **settings)
        wanted = dw.walk(Bowl(), x0, n_steps=20, step_size=0.1, seed=1, base=base, backend="reference", **settings)
        for name in ("x", "f", "n_steps", "reached"):
            np.testing.assert_allclose(device.get(getattr(ours, name)), getattr(wanted, name), rtol=1e-9, atol=1e-10)
        if wanted.trajectory is not None:
            np.testing.assert_allclose(device.get(ours.trajectory), wanted.trajectory, rtol=1e-9, atol=1e-10)


def test_refused(device: Device) -> None:
    dual, x0 = mlp(4, 3), starts(2, 4)
    x = device.put(x0)
    walk = {"n_steps": 2, "step_size": 0.1}
    with pytest.raises(TypeError, match=r"target must be in the same memory as x0.*cupy.asarray\(target\)"):
        dw.walk(dual, x, target=np.zeros(2), **walk)
    with pytest.raises(TypeError, match=r"bounds: low must be in the same memory as x0"):
        dw.walk(dual, x, bounds=(np.zeros(4), 1.0), **walk)
    with pytest.raises(TypeError, match=r"target must be in the same memory as x0.*pass target.get\(\)"):
        dw.walk(dual, x0, target=device.put(np.zeros(2)), **walk)
    with pytest.raises(TypeError, match="preconditioner must be in the same memory"):
        dw.walk(dual, x, preconditioner=np.eye(4), **walk)
    with pytest.raises(ValueError, match="bounds must have low <= high"):
        dw.walk(dual, x, bounds=(1.0, 0.0), **walk)
    with pytest.raises(ValueError, match="target cannot be reached: walk 0 wants f = 1000"):
        dw.walk(dual, x, target=1000.0, **walk)
    with pytest.raises(ValueError, match="works in the host's memory"):
        dw.walk(dual, x, backend="reference", **walk)
    with pytest.raises(ValueError, match="precision must be one of"):
        dw.walk(dual, x.astype(np.float32), precision="half", **walk)
    for given, start in ((dual, x), (dual, x0.astype(np.float32)), (Bowl(), x.astype(np.float32))):
        with pytest.raises(ValueError, match="is for an MLPDual with float32 starts on a CUDA device"):
            dw.walk(given, start, precision="tf32", **walk)

    class OnHost:
        def value_and_gradient(self, x: Any) -> tuple[Any, Any]:
            return np.zeros(len(x)), np.zeros(x.shape)

    with pytest.raises(TypeError, match="must return CuPy arrays"):
        dw.walk(OnHost(), x, **walk)


@pytest.mark.parametrize("settings", [{"noise": 0.5, "seed": 2}, {"target": 0.4}], ids=str)
def test_a_preconditioner_turns_the_steps(device: Device, settings: dict[str, Any]) -> None:
    root = np.random.default_rng(2).normal(size=(6, 6)) / 3
    matrix, dual, x0 = root @ root.T + 0.3 * np.eye(6), mlp(6, 5, 4), starts(5, 6)
    ours = dw.walk(dual, device.put(x0), n_steps=6, step_size=0.1, preconditioner=device.put(matrix), **settings)
    wanted = dw.walk(dual, x0, n_steps=6, step_size=0.1, preconditioner=matrix, **settings)
    for name in ("x", "f", "n_steps", "reached"):
        np.testing.assert_allclose(device.get(getattr(ours, name)), getattr(wanted, name), rtol=1e-9, atol=1e-10)
